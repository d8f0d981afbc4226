// Package download gives the disks of AMIs over HTTP, in any format and any
// range, to who may launch the AMI.
//
// It belongs to internal/cloud, over the disks. Who asks is established by
// internal/wire before; raw, qcow2 and VHD are made as they are read, a VMDK is
// made once and kept for a time.
package download
