// Package cloud is the world that images are published into: accounts and
// regions with AMIs and snapshots in them, and the EC2 and STS faces through
// which clients look at it.
//
// It stands on the store, below the engine, which registers and copies AMIs,
// and the Image Builder service, which looks parents up. A snapshot here is a
// name for a disk's manifest; the blocks are package disk's.
package cloud
