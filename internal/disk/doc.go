// Package disk keeps disks as snapshots: lists of 512 KiB blocks addressed by
// their content, in an object store. It makes snapshots of raw disk files and
// raw disk files ("volumes") of snapshots, and holds ready copies of recent
// ones in a cache.
//
// It lies above internal/objects and below the engine. The packages partition
// and format beside it look inside a disk and convert it. The format on disk
// is written down in docs/formats.md.
package disk
