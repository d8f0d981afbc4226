// Package harness starts the real programs for black-box tests: a server on an
// empty data folder and the stock AWS CLI pointed at it.
package harness
