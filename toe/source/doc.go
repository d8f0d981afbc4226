// Package source turns the text of a component or workflow document into a
// tree whose nodes know their line and column, safely for hostile text:
// aliases are followed within a budget, nesting and size are limited, and
// duplicate keys are found.
//
// It knows YAML and nothing of what the documents mean; package toe and the
// service's workflows read those out of the tree.
package source
