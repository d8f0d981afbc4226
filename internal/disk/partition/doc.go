// Package partition reads and writes the partition table of a raw disk file
// (GPT and MBR), finds the Linux root in it, and grows that root into a larger
// disk.
//
// It belongs to internal/disk and works on plain files: no loop device, no
// partition nodes, no mount. Tables come from imported images, so nothing in
// them is believed.
package partition
