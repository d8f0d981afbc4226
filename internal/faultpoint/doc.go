// Package faultpoint names the places in a process at which the fault suite
// (test/fault) stops it to kill it, to cut its database off, to fill its disk.
//
// In a process without the environment variable GOLDSMITH_FAULT_POINTS a place
// costs a comparison. With it, each place that is reached is written down, so
// that the suite learns which places there are from a build and not from a list
// that somebody has to keep (docs/decisions/0085). It imports nothing of
// Goldsmith, and everything may import it.
package faultpoint
