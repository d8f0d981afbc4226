package disk_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/objects"
	"github.com/goldsmith-build/goldsmith/internal/objects/s3test"
)

// common is a lock that all machines of a test share, as a database's is.
type common struct{ mu sync.RWMutex }

func (c *common) Locked(ctx context.Context, alone bool, f func(context.Context) error) error {
	if alone {
		c.mu.Lock()
		defer c.mu.Unlock()
	} else {
		c.mu.RLock()
		defer c.mu.RUnlock()
	}
	return f(ctx)
}

// machines opens one object store on n machines, which share nothing else but a
// lock. The grace is off, so that only the lock protects what is being made.
func machines(t *testing.T, o objects.Store, n int, keys disk.Keys, lock disk.Locker) []bench {
	t.Helper()
	var all []bench
	for range n {
		dir := t.TempDir()
		s, err := disk.Open(o, filepath.Join(dir, "cache"), disk.Options{Grace: 1, Keys: keys, Locker: lock, Workers: 4})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, bench{Store: s, dir: dir})
	}
	return all
}

// TestCollectBesideCopiesOnSeveralMachines copies disks that share blocks with
// ones that go, on two machines, some of the copies cut short and begun again,
// while two others collect without pause. Whatever was finished is whole, and
// what is left at the end belongs to it.
func TestCollectBesideCopiesOnSeveralMachines(t *testing.T) {
	t.Parallel()
	folder := func(t *testing.T) objects.Store {
		o, err := objects.OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		collectBesideCopies(t, folder(t), 8)
	})
	t.Run("S3", func(t *testing.T) {
		t.Parallel()
		s3 := s3test.Start(t)
		o, err := objects.OpenS3(t.Context(), s3.Client, s3.Bucket(t, "golden"), "blocks")
		if err != nil {
			t.Fatal(err)
		}
		collectBesideCopies(t, o, 3)
	})
}

func collectBesideCopies(t *testing.T, o objects.Store, rounds int) {
	keys := newRing("k")
	source := open(t, disk.Options{Keys: keys})
	lock := &common{}
	all := machines(t, o, 4, keys, lock)
	var kept sync.Map // ids that rows would name, with the disk's layout
	keep := func(context.Context) ([]string, error) {
		var ids []string
		kept.Range(func(id, _ any) bool { ids = append(ids, id.(string)); return true })
		return ids, nil
	}
	var done atomic.Bool
	var collectors, writers sync.WaitGroup
	for _, m := range all[:2] {
		collectors.Go(func() {
			for !done.Load() {
				if _, err := m.Collect(t.Context(), nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i, m := range all[2:] {
		writers.Go(func() {
			for n := range rounds {
				layout := fmt.Sprintf("abcd%c%c", 'A'+i, 'P'+n)
				snap := snapshot(t, source, layout, 0, "")
				key := []string{"", "k"}[n%2]
				var left atomic.Int64
				left.Store(int64(n % 4))
				cut, err := disk.Open(failing{o, &left}, filepath.Join(m.dir, "cache"), disk.Options{Grace: 1, Keys: keys, Locker: lock, Workers: 1})
				if err != nil {
					t.Error(err)
					return
				}
				if _, _, err := source.Copy(t.Context(), cut, snap.ID, key); err != nil && !errors.Is(err, errAway) {
					t.Error(err)
				}
				id, _, err := source.Copy(t.Context(), m.Store, snap.ID, key)
				if err != nil {
					t.Error(err)
					return
				}
				if n%3 == 2 { // it is deleted again, and with it what only it had
					if err := m.Delete(t.Context(), id); err != nil {
						t.Error(err)
					}
					continue
				}
				kept.Store(id, layout)
			}
		})
	}
	writers.Wait()
	done.Store(true)
	collectors.Wait()
	time.Sleep(1100 * time.Millisecond) // S3 tells times in seconds: what is of this one is young
	if _, err := all[0].Collect(t.Context(), keep); err != nil {
		t.Fatal(err)
	}
	count, named := 0, map[string]bool{}
	kept.Range(func(id, layout any) bool {
		mustHold(t, all[3], id.(string), layout.(string), 0)
		for _, c := range layout.(string) {
			named[fmt.Sprint(disk.Sealed(id.(string)), c)] = true
		}
		count++
		return true
	})
	left := 0
	for _, prefix := range []string{"blocks/", "sealed/"} {
		for _, err := range o.List(t.Context(), prefix) {
			if err != nil {
				t.Fatal(err)
			}
			left++
		}
	}
	if count == 0 || left != len(named) {
		t.Errorf("%d disks were kept, and %d blocks for the %d that they have", count, left, len(named))
	}
}

// A lock that cannot be had ends the snapshot, and leaves nothing that counts.
func TestSnapshotWithoutItsLock(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{Locker: refusing{}})
	if _, err := s.Snapshot(t.Context(), write(t, s.dir, "ab", 0), ""); !errors.Is(err, errAway) {
		t.Errorf("Snapshot: %v", err)
	}
	if ids, err := s.Snapshots(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("snapshots %v, %v", ids, err)
	}
	if _, err := s.Collect(t.Context(), keeping()); !errors.Is(err, errAway) {
		t.Errorf("Collect: %v", err)
	}
}

type refusing struct{}

func (refusing) Locked(context.Context, bool, func(context.Context) error) error { return errAway }
