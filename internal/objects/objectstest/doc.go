// Package objectstest is the suite that every implementation of objects.Store
// passes.
package objectstest
