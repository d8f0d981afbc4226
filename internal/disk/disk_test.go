package disk_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/objects"
)

// bench is a disk store in folders of its own.
type bench struct {
	*disk.Store
	dir     string
	objects *objects.Dir
}

func open(t testing.TB, opts disk.Options) bench {
	t.Helper()
	return reopen(t, t.TempDir(), opts)
}

func reopen(t testing.TB, dir string, opts disk.Options) bench {
	t.Helper()
	o, err := objects.OpenDir(filepath.Join(dir, "objects"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := disk.Open(o, filepath.Join(dir, "cache"), opts)
	if err != nil {
		t.Fatal(err)
	}
	return bench{Store: s, dir: dir, objects: o}
}

// content makes a disk: a letter is a block of bytes that depend on the letter,
// "." a hole, "0" written zeros, and there are tail bytes more at the end.
func content(layout string, tail int) []byte {
	var b []byte
	for _, c := range []byte(layout) {
		block := make([]byte, disk.BlockSize)
		if c != '.' && c != '0' {
			rng := rand.New(rand.NewPCG(uint64(c), 1))
			for i := range block[:len(block)/2] {
				block[i] = byte(rng.Uint32())
			}
		}
		b = append(b, block...)
	}
	return append(b, bytes.Repeat([]byte{7}, tail)...)
}

// write makes a raw file of a layout, with its holes.
func write(t testing.TB, dir, layout string, tail int) string {
	t.Helper()
	f, err := os.CreateTemp(dir, "disk-")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data := content(layout, tail)
	if err := f.Truncate(int64(len(data))); err != nil {
		t.Fatal(err)
	}
	for i := 0; i*disk.BlockSize < len(data); i++ {
		if i < len(layout) && layout[i] == '.' {
			continue
		}
		at := i * disk.BlockSize
		if _, err := f.WriteAt(data[at:min(at+disk.BlockSize, len(data))], int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	return f.Name()
}

func snapshot(t testing.TB, s bench, layout string, tail int, parent string) disk.Snapshot {
	t.Helper()
	snap, err := s.Snapshot(context.Background(), write(t, s.dir, layout, tail), parent)
	if err != nil {
		t.Fatalf("Snapshot(%s): %v", layout, err)
	}
	return snap
}

// mustHold checks that a snapshot gives a disk of the layout.
func mustHold(t testing.TB, s bench, id, layout string, tail int) {
	t.Helper()
	name, release, err := s.Disk(context.Background(), id)
	if err != nil {
		t.Fatalf("Disk: %v", err)
	}
	defer release()
	mustBe(t, name, layout, tail)
}

func mustBe(t testing.TB, name, layout string, tail int) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if want := content(layout, tail); !bytes.Equal(got, want) {
		t.Fatalf("the disk of %d bytes is not %q, which has %d", len(got), layout, len(want))
	}
}

// files lists what lies in a folder of the bench.
func files(t testing.TB, s bench, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(s.dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func blocks(t testing.TB, s bench) int { return len(files(t, s, "objects/blocks/*/*")) }
