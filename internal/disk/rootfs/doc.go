// Package rootfs reads files out of the ext4 root file system of a raw disk
// without mounting it, by debugfs: neither root nor a loop device is needed,
// and a hostile file system meets no kernel.
//
// It belongs to internal/disk.
package rootfs
