// Package config reads the server's optional configuration file. Without one
// every default holds: one account with one administrator's key.
//
// It is a leaf.
package config
