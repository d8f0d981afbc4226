// Package blackbox tests the built programs through stock clients, as a user
// meets them.
package blackbox
