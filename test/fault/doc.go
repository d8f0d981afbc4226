// Package fault holds the fault suite: real servers, workers and instances that
// are killed, stopped, cut off from their database and their disk at every place
// that a build comes through, and what has to hold afterwards.
//
// A short part runs with all tests; "make fault" runs everything and writes
// docs/faults.md. Which places there are it learns from a build
// (internal/faultpoint), so that a new step is covered without a change here.
package fault
