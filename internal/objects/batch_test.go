package objects_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/objects"
)

// named counts the objects of a store that are whole: those of "k/N" hold N.
func named(t *testing.T, d *objects.Dir) int {
	t.Helper()
	n := 0
	for info, err := range d.List(t.Context(), "k/") {
		if err != nil {
			t.Fatal(err)
		}
		r, err := d.Get(t.Context(), info.Key)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		if string(data) != info.Key {
			t.Errorf("%s holds %q", info.Key, data)
		}
		n++
	}
	return n
}

func TestBatch(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := openDir(t, root)
	b := objects.NewBatch(d)
	var group errgroup.Group
	for i := range 300 {
		key := fmt.Sprintf("k/%d/%d", i%7, i)
		group.Go(func() error { return b.Put(t.Context(), key, strings.NewReader(key)) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	before := named(t, d) // full groups have their names already
	if before == 0 || before == 300 {
		t.Errorf("%d of 300 objects before Flush", before)
	}
	openDir(t, root) // another process starts: it leaves what is being written
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := named(t, d); n != 300 {
		t.Errorf("%d of 300 objects", n)
	}
	if err := b.Discard(); err != nil {
		t.Error(err)
	}
	if left := unfinished(t, root); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

// TestBatchNamesOnlyWhatIsFlushed: until Flush, an object's bytes could be lost
// in a power cut, so nothing may have its name; a process that ends here loses
// them as a whole.
func TestBatchNamesOnlyWhatIsFlushed(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := openDir(t, root)
	b := d.Batch()
	for _, body := range []io.Reader{strings.NewReader("k/1"), bytes.NewReader([]byte("k/1"))} {
		if err := b.Put(t.Context(), "k/1", body); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Stat(t.Context(), "k/1"); !errors.Is(err, objects.ErrNotFound) {
		t.Errorf("Stat before Flush = %v", err)
	}
	if err := b.Discard(); err != nil {
		t.Fatal(err)
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := unfinished(t, root); len(left) != 0 || named(t, d) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestBatchFailures(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := openDir(t, root)
	b := d.Batch()
	if err := b.Put(t.Context(), "../k", strings.NewReader("x")); !errors.Is(err, objects.ErrBadKey) {
		t.Errorf("Put of a bad key = %v", err)
	}
	b.Found("../k")
	b.Found("gone/with/its/folder")
	ended, cancel := context.WithCancel(t.Context())
	if err := b.Put(ended, "k/1", bytes.NewReader([]byte("k/1"))); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := b.Put(ended, "k/2", bytes.NewReader([]byte("k/2"))); !errors.Is(err, context.Canceled) {
		t.Errorf("Put = %v, want its context's end", err)
	}
	if err := b.Flush(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Flush = %v, want its context's end", err)
	}
	if left := unfinished(t, root); len(left) != 0 || named(t, d) != 0 {
		t.Errorf("left %v", left)
	}
	// A name that cannot be had: what is in its way stays.
	if err := errors.Join(os.MkdirAll(filepath.Join(root, "k/3/x"), 0o700), b.Put(t.Context(), "k/3", strings.NewReader("k/3")), b.Put(t.Context(), "k/4", strings.NewReader("k/4"))); err != nil {
		t.Fatal(err)
	}
	if err := b.Flush(t.Context()); err == nil {
		t.Error("an object replaced a folder")
	}
	if left := unfinished(t, root); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestBatchOnAFullDisk(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mounting a small file system needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(root, 0); err != nil {
			t.Error(err)
		}
	})
	d := openDir(t, root)
	b := d.Batch()
	var err error
	for i := 0; err == nil && i < 10; i++ {
		err = b.Put(t.Context(), fmt.Sprint("k/", i), bytes.NewReader(make([]byte, 300<<10)))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Put on a full disk = %v", err)
	}
	if err := b.Discard(); err != nil {
		t.Error(err)
	}
	if left := unfinished(t, root); len(left) != 0 {
		t.Errorf("left %v", left)
	}
	if err := d.Put(t.Context(), "half", strings.NewReader(strings.Repeat("x", 512<<10))); err != nil {
		t.Errorf("the discarded batch still takes space: %v", err)
	}
}
