// Package instancetest holds every kind of instance to the contract of package
// instance: its Suite is all that a new kind has to pass.
//
// It also finds what such tests need: a Debian disk, a static guest agent, and
// what a dead instance left on the machine.
package instancetest
