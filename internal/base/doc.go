// Package base makes and keeps parent images: disks that recipes start from,
// bootstrapped from a distribution's packages or imported from a file, with a
// record of what is in them.
//
// It lies beside internal/disk, which keeps the disks as snapshots. The
// records are plain files in the data folder, so that the command line and a
// running server can both use them.
package base
