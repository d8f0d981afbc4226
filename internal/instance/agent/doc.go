// Package agent is the guest's end of the channel between host and guest: it
// runs commands, moves files and powers the guest off or on again, as the host
// asks over the protocol of package protocol.
//
// It is a hidden sub-command of the executor, so that one static binary is all
// that has to be put into a guest. It runs as root in an instance and imports
// nothing of the host's side.
package agent
