// Package problem describes what is wrong with a document, and where: line,
// column, path, a sentence for a person and, for misspelt words, what was
// probably meant.
//
// It is a leaf below every part of the component executor that reads text.
package problem
