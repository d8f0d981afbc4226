package disk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/objects"
)

func TestSnapshotGivesTheDiskBack(t *testing.T) {
	t.Parallel()
	tests := []struct {
		layout string
		tail   int
		blocks int
	}{
		{"a", 0, 1}, {"abc", 0, 3}, {"a.b.", 0, 2}, {"..a", 0, 1}, {"a0b0", 0, 2}, {"....", 0, 0}, {"0000", 0, 0},
		{"", 1, 1}, {"a.", 1000, 2}, {"abcdefghijklmnopqrstuvwxyz..", 512, 27}, {"aaaa", 0, 4},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s+%d", test.layout, test.tail), func(t *testing.T) {
			t.Parallel()
			s := open(t, disk.Options{})
			snap := snapshot(t, s, test.layout, test.tail, "")
			size := int64(len(test.layout)*disk.BlockSize + test.tail)
			if snap.Blocks != test.blocks || snap.VolumeSize != size {
				t.Errorf("snapshot %+v, want %d blocks of %d bytes", snap, test.blocks, size)
			}
			mustHold(t, s, snap.ID, test.layout, test.tail)
			if err := s.Verify(t.Context(), snap.ID); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestEqualDisksAreStoredOnce(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{})
	first := snapshot(t, s, "ab.a", 0, "")
	if first.NewBlocks != 2 || blocks(t, s) != 2 {
		t.Errorf("%d new blocks, %d stored; want 2: one of them is there twice", first.NewBlocks, blocks(t, s))
	}
	second := snapshot(t, s, "ab0a", 0, "")
	if second.ID != first.ID || second.NewBlocks != 0 || second.NewBytes != 0 {
		t.Errorf("second snapshot %+v, want the id %s and nothing new", second, first.ID)
	}
	if other := snapshot(t, s, "ab.a.", 0, ""); other.ID == first.ID {
		t.Error("a larger disk has the same id")
	}
}

func TestSnapshotOfChildStoresWhatChanged(t *testing.T) {
	t.Parallel()
	for _, cached := range []bool{true, false} {
		t.Run(fmt.Sprintf("parentCached=%v", cached), func(t *testing.T) {
			t.Parallel()
			s := open(t, disk.Options{})
			parent := snapshot(t, s, "abcdef", 0, "")
			if cached {
				mustHold(t, s, parent.ID, "abcdef", 0)
			}
			child := snapshot(t, s, "aXc.efb", 0, parent.ID)
			if child.Blocks != 6 || child.NewBlocks != 1 {
				t.Errorf("child %+v, want 6 blocks, 1 of them new", child)
			}
			mustHold(t, s, child.ID, "aXc.efb", 0)
			// The way does not change the result.
			if plain := snapshot(t, s, "aXc.efb", 0, ""); plain.ID != child.ID {
				t.Error("the id depends on the parent")
			}
		})
	}
}

func TestSnapshotWithoutItsParent(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{})
	parent := snapshot(t, s, "ab", 0, "")
	if err := s.Delete(t.Context(), parent.ID); err != nil {
		t.Fatal(err)
	}
	child := snapshot(t, s, "ac", 0, parent.ID)
	mustHold(t, s, child.ID, "ac", 0)
}

// meddling calls f in the middle of a Snapshot, when a block is put.
type meddling struct {
	objects.Store
	f func() error
}

func (m meddling) Put(ctx context.Context, key string, body io.Reader) error {
	if err := m.f(); err != nil {
		return err
	}
	return m.Store.Put(ctx, key, body)
}

func TestSnapshotOfADiskInUseIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{})
	name := write(t, s.dir, "abcd", 0)
	scribble := func() error {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte("scribble"), 100)
		return errors.Join(err, f.Close())
	}
	store, err := disk.Open(meddling{s.objects, scribble}, filepath.Join(s.dir, "cache"), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if snap, err := store.Snapshot(t.Context(), name, ""); err == nil {
		t.Errorf("the snapshot of a changing disk was accepted: %+v", snap)
	}
}

func TestSnapshotStopsWithItsContext(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	store, err := disk.Open(meddling{s.objects, func() error { cancel(); return nil }}, filepath.Join(s.dir, "cache"), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Snapshot(ctx, write(t, s.dir, "abcdefghij", 0), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if ids, err := s.Snapshots(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("snapshots %v, %v", ids, err)
	}
}

func TestSnapshotOnAFullDisk(t *testing.T) {
	t.Parallel()
	dir, root := t.TempDir(), t.TempDir()
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("mounting a small file system needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(root, 0); err != nil {
			t.Error(err)
		}
	})
	s := reopen(t, root, disk.Options{})
	small, err := s.Snapshot(t.Context(), write(t, dir, "a", 0), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Snapshot(t.Context(), write(t, dir, "bcdefghijklm", 0), ""); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("snapshot on a full disk: %v, want ENOSPC", err)
	}
	if err := s.Verify(t.Context(), small.ID); err != nil {
		t.Errorf("the snapshot of before: %v", err)
	}
	if found := blocks(t, s); found != 1 {
		t.Errorf("%d blocks: the failed snapshot still takes space", found)
	}
	if err := os.WriteFile(filepath.Join(root, "full"), make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	if _, err := s.Volume(t.Context(), small.ID, filepath.Join(root, "volume"), 0); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("volume on a full disk: %v, want ENOSPC", err)
	}
	if left := append(files(t, s, "volume"), files(t, s, "cache/tmp/*")...); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestSnapshotRefusesWhatIsNoDisk(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{})
	empty := filepath.Join(s.dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{empty, s.dir, "/dev/zero", filepath.Join(s.dir, "missing")} {
		if snap, err := s.Snapshot(t.Context(), name, ""); err == nil {
			t.Errorf("Snapshot(%s) = %+v", name, snap)
		}
	}
}

func TestCorruptionIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	damage := map[string]func(t *testing.T, name string){
		"flipped bit": func(t *testing.T, name string) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			data[len(data)/2] ^= 1
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"cut short": func(t *testing.T, name string) {
			if err := os.Truncate(name, 100); err != nil {
				t.Fatal(err)
			}
		},
		"missing": func(t *testing.T, name string) {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		},
		"a bomb": func(t *testing.T, name string) {
			if err := os.WriteFile(name, zstdBomb(t), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	}
	for what, harm := range damage {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := open(t, disk.Options{})
			snap := snapshot(t, s, "..a", 0, "")
			harm(t, files(t, s, "objects/blocks/*/*")[0])
			volume := filepath.Join(s.dir, "volume")
			_, err := s.Volume(t.Context(), snap.ID, volume, 0)
			if !errors.Is(err, disk.ErrCorrupt) || !bytes.Contains([]byte(err.Error()), []byte("block 2 (offset 1048576")) {
				t.Errorf("error %v, want ErrCorrupt that names block 2", err)
			}
			if err := s.Verify(t.Context(), snap.ID); !errors.Is(err, disk.ErrCorrupt) {
				t.Errorf("Verify: %v", err)
			}
			if left := append(files(t, s, "volume"), files(t, s, "cache/*/disk-*")...); len(left) != 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

func TestDamagedManifestIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{})
	snap := snapshot(t, s, "ab", 0, "")
	name := files(t, s, "objects/snapshots/*")[0]
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Disk(t.Context(), snap.ID); !errors.Is(err, disk.ErrCorrupt) {
		t.Errorf("Disk: %v, want ErrCorrupt", err)
	}
	// A collection that cannot read a snapshot must not take its blocks away.
	if _, err := s.Collect(t.Context(), nil); !errors.Is(err, disk.ErrCorrupt) {
		t.Errorf("Collect: %v, want ErrCorrupt", err)
	}
	if blocks(t, s) != 2 {
		t.Error("Collect removed blocks")
	}
}

func TestUnknownSnapshots(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{})
	for _, id := range []string{"", "../../etc/passwd", "sha256:" + string(bytes.Repeat([]byte("0"), 64))} {
		if _, _, err := s.Disk(t.Context(), id); !errors.Is(err, disk.ErrNotFound) {
			t.Errorf("Disk(%q): %v, want ErrNotFound", id, err)
		}
		if _, err := s.Volume(t.Context(), id, filepath.Join(s.dir, "v"), 0); !errors.Is(err, disk.ErrNotFound) {
			t.Errorf("Volume(%q): %v, want ErrNotFound", id, err)
		}
	}
	if left := files(t, s, "v"); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}
