// Package aws makes and keeps AMIs in accounts of AWS: it uploads disks through
// the EBS direct API, sending only the blocks that changed since a snapshot that
// is there, registers, copies, opens, tags and removes AMIs, and tells launch
// templates and parameters of them.
//
// It is a provider of the world in package cloud, which it stands beside, over
// the SDK's clients. Uploads are rows before they are requests, so that one that
// was cut short goes on where it was.
package aws
