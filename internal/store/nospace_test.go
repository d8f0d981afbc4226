package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// TestFullFileSystem fills a small file system under the database, with what it
// writes and with what others do: everybody is told the truth, reading goes on,
// writing does when there is room, and nothing is damaged.
func TestFullFileSystem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("mounting a small file system takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	path := filepath.Join(dir, "rows.db")
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	results := make([]error, 200)
	put := func(from, to int) {
		var group sync.WaitGroup
		for i := from; i < to; i++ {
			group.Go(func() {
				r := resource("n", int64(i+1))
				r.Content = make([]byte, 20_000)
				results[i] = s.Write(t.Context(), func(tx *store.Tx) error { return tx.Insert(r) })
			})
		}
		group.Wait()
	}
	put(0, 150)
	full := 0
	for i, err := range results[:150] {
		if errors.Is(err, store.ErrNoSpace) {
			full++
		} else if err != nil {
			t.Errorf("write %d on a full file system: %v, want ErrNoSpace", i, err)
		}
	}
	if full == 0 {
		t.Fatal("the file system was never full")
	}
	t.Logf("%d of 150 writes found the file system full", full)
	sameAsTold(t, s, results[:150])

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	put(150, 160)
	for i, err := range results[150:160] {
		if err != nil {
			t.Errorf("write %d after room was made: %v", 150+i, err)
		}
	}
	if err := errors.Join(s.Sync(), s.Ping(t.Context())); err != nil {
		t.Errorf("after room was made: %v", err)
	}
	sameAsTold(t, s, results[:160])
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = store.Open(t.Context(), path); err != nil {
		t.Fatalf("opening it again: %v", err)
	}
	defer s.Close()
	sameAsTold(t, s, results[:160])
	var verdict string
	if err := s.DB().QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check: %q, %v", verdict, err)
	}
}
