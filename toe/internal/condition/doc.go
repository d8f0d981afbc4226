// Package condition reads and decides the expressions under Assert's inputs
// and a step's "if": comparisons of texts, numbers and files, joined by and,
// or, not.
//
// Package toe parses documents with it and gives it the values of references.
package condition
