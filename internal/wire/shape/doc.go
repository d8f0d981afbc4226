// Package shape holds what generated API packages are made of: timestamps,
// constraints and their checker, and the description of a service that the
// wire serves.
//
// It is the leaf that lets api/<service> know nothing about HTTP: a generated
// package describes itself with these types, and internal/wire reads them.
package shape
