// Package stepcache remembers the states of volumes after components: which
// snapshot holds the disk as it was when a component, and all before it, had
// run. Entries are small objects beside the blocks of the snapshots, under the
// key of everything that made the state; what the key is made of is the
// engine's business.
//
// It lies above internal/objects and below the engine. The format is written
// down in docs/formats.md.
package stepcache
