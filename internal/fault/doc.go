// Package fault is the one error that crosses rooms: an AWS error code, a
// message for the user, and the cause for the log.
//
// It is a leaf: every room may return a fault, and only the wire turns one
// into an HTTP answer (the status comes from the service's model).
package fault
