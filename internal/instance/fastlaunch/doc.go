// Package fastlaunch keeps ready copies of disks for virtual machines: one that
// is launched from an image with fast launch takes a copy instead of making one.
//
// The copies are files in the data folder, named by the snapshot that they are
// of; the rows of package cloud say which AMIs want them.
package fastlaunch
