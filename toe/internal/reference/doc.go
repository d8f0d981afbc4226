// Package reference reads the "{{ … }}" references in the text of a component
// document: parameters and constants, inputs and outputs of earlier steps, the
// current loop iteration, and values of the environment.
//
// It knows the grammar only. Package toe knows what is declared and what the
// values are.
package reference
