// Package objects keeps named, immutable-by-habit byte strings: the blocks and
// manifests of snapshots, and later logs and exports.
//
// It lies at the bottom of the picture, below internal/disk. Dir keeps objects
// in a folder; every implementation is held to the suite in objectstest.
package objects
