// Package architecture holds the rules of this repository as tests: imports go
// down the picture in docs/architecture.md only, every package says what it is
// for, and no file names what must stay outside.
package architecture
