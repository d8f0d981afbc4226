// Package vm is the true kind of instance: QEMU boots the volume's own boot
// loader and kernel, by BIOS or UEFI, on KVM where a trial boot shows that it
// works and by emulation elsewhere.
//
// The agent's unit is put into a throw-away copy of the disk, the agent itself
// comes on a second disk, so an image that is tested is neither written nor
// booted itself.
package vm
