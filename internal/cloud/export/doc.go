// Package export writes the disks of AMIs into buckets as RAW, VHD and VMDK, and
// keeps the tasks that do it, which EC2's clients see as export image tasks.
//
// It belongs to internal/cloud, over the disks and the buckets. The engine runs
// the exports of distribution configurations, this package's own worker those
// that clients ask for with ExportImage.
package export
