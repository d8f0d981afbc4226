// Package cgroup limits what an instance takes of the host: memory, processor
// time and processes, by control groups of version 1 or 2, whichever this
// machine has the controllers in.
package cgroup
