// Package loop mounts parts of disk image files by way of loop devices that
// clear themselves, so that a process that dies leaves none behind.
//
// It knows instances no more than disks: callers bring a mount namespace of
// their own.
package loop
