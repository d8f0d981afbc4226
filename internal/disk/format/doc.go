// Package format tells disk file formats apart and converts between them with
// qemu-img: raw, qcow2, VMDK and VHD.
//
// It belongs to internal/disk. Files may come from anybody, so what one is, and
// that it refers to no other file of the host, is decided here from its
// header; qemu-img never guesses.
package format
