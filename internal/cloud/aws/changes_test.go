package aws

import (
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/disk"
)

// FuzzChanges makes two disks of bytes: what changes names, done to the first,
// is the second, and names nothing that is the same.
func FuzzChanges(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3}, []byte{0, 1, 0, 4, 5})
	f.Add([]byte{}, []byte{1})
	f.Add([]byte{1}, []byte{})
	manifest := func(data []byte) *disk.Manifest {
		m := &disk.Manifest{VolumeSize: int64(max(len(data), 1)) * disk.BlockSize}
		for i, b := range data {
			if b != 0 {
				m.Blocks = append(m.Blocks, disk.Block{Index: uint32(i), Digest: disk.Digest{b}})
			}
		}
		return m
	}
	f.Fuzz(func(t *testing.T, before, after []byte) {
		older, newer := manifest(before), manifest(after)
		have := map[uint32]disk.Digest{}
		for _, b := range older.Blocks {
			have[b.Index] = b.Digest
		}
		last := -1
		for _, c := range changes(older, newer) {
			if int(c.Index) <= last {
				t.Fatalf("block %d comes after %d", c.Index, last)
			}
			last = int(c.Index)
			old, was := have[c.Index]
			switch {
			case c.zero && !was, !c.zero && was && old == c.Digest:
				t.Fatalf("block %d did not change", c.Index)
			case c.zero:
				delete(have, c.Index)
			default:
				have[c.Index] = c.Digest
			}
		}
		if len(have) != len(newer.Blocks) {
			t.Fatalf("there are %d blocks, want %d", len(have), len(newer.Blocks))
		}
		for _, b := range newer.Blocks {
			if have[b.Index] != b.Digest {
				t.Fatalf("block %d is not the new one", b.Index)
			}
		}
	})
}
