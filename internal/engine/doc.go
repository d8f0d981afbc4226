// Package engine turns one image request into a tested, published image: it
// takes the job, fixes the plan, runs the build, test and distribution
// workflows step by step, and writes every transition and step as a row before
// it acts, so that after a crash the next engine goes on from there.
//
// It stands below the Image Builder service, which it knows only through
// Resolver and Recorder, and above instances, disks, the cloud and the store.
package engine
