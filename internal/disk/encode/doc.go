// Package encode gives a disk as a file of another format, straight from its
// blocks: raw, qcow2 and VHD as files that can be read at any place without
// having been made, and stream-optimised VMDK as a stream.
//
// It belongs to internal/disk. What it makes of a disk is always the same, byte
// by byte, so that a part of a file that was fetched or sent before goes with
// the rest of one made later.
package encode
