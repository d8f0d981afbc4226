// Package guest is the host's end of the channel between host and guest: it
// greets the agent, runs commands and moves files through it, notices when the
// guest reboots, and keeps the guest's console in a bounded log.
//
// Both kinds of instance are built on it. It treats every byte that comes from
// the guest as hostile: lines, buffers and the number of frames in flight are
// bounded, and a peer that breaks the protocol loses its session.
package guest
