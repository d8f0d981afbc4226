package disk_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/objects"
)

func keeping(ids ...string) func(context.Context) ([]string, error) {
	return func(context.Context) ([]string, error) { return ids, nil }
}

func TestCollect(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{Grace: time.Nanosecond})
	kept, dropped := snapshot(t, s, "ab", 0, ""), snapshot(t, s, "bcd", 0, "")
	got, err := s.Collect(t.Context(), keeping(kept.ID))
	if err != nil {
		t.Fatal(err)
	}
	if got.Snapshots != 1 || got.Blocks != 2 || got.Bytes == 0 {
		t.Errorf("collected %+v, want 1 snapshot and the 2 blocks that only it had", got)
	}
	mustHold(t, s, kept.ID, "ab", 0)
	if _, _, err := s.Disk(t.Context(), dropped.ID); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("the dropped snapshot: %v, want ErrNotFound", err)
	}
	if got, err := s.Collect(t.Context(), keeping(kept.ID)); err != nil || got != (disk.Collected{}) {
		t.Errorf("a second collection removed %+v, %v", got, err)
	}
}

func TestCollectSparesWhatIsYoung(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{})
	snap := snapshot(t, s, "ab", 0, "")
	if got, err := s.Collect(t.Context(), keeping()); err != nil || got != (disk.Collected{}) {
		t.Errorf("collected %+v, %v", got, err)
	}
	// Two hours later it goes.
	old := time.Now().Add(-2 * time.Hour)
	for _, name := range append(files(t, s, "objects/blocks/*/*"), files(t, s, "objects/snapshots/*")...) {
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Collect(t.Context(), keeping()); err != nil || got.Snapshots != 1 || got.Blocks != 2 {
		t.Errorf("collected %+v, %v", got, err)
	}
	if _, err := s.Manifest(t.Context(), snap.ID); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("Manifest: %v", err)
	}
}

func TestCollectWithoutKnowingWhatIsInUse(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{Grace: time.Nanosecond})
	snap := snapshot(t, s, "ab", 0, "")
	broken := errors.New("the database is away")
	if _, err := s.Collect(t.Context(), func(context.Context) ([]string, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("Collect: %v", err)
	}
	mustHold(t, s, snap.ID, "ab", 0)
}

// Snapshots that are made while blocks are collected, of disks that share
// blocks with snapshots that go, are whole. The grace is off, so that only the
// order of the steps protects them.
func TestCollectBesideSnapshots(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{Grace: time.Nanosecond})
	parent := snapshot(t, s, "abcdefgh", 0, "")
	var group sync.WaitGroup
	var done atomic.Bool
	var made sync.Map
	group.Go(func() {
		for !done.Load() {
			var keep []string
			made.Range(func(id, _ any) bool { keep = append(keep, id.(string)); return true })
			if _, err := s.Collect(t.Context(), nil); err != nil {
				t.Error(err)
			}
			if err := s.Delete(t.Context(), parent.ID); err != nil {
				t.Error(err)
			}
		}
	})
	var writers sync.WaitGroup
	for i := range 3 {
		writers.Go(func() {
			for n := range 6 {
				layout := fmt.Sprintf("abcdefgh%c%c", 'A'+i, 'P'+n)
				snap, err := s.Snapshot(t.Context(), write(t, s.dir, layout, 0), parent.ID)
				if err != nil {
					t.Error(err)
					return
				}
				made.Store(snap.ID, layout)
			}
		})
	}
	writers.Wait()
	done.Store(true)
	group.Wait()
	count := 0
	made.Range(func(id, layout any) bool {
		mustHold(t, s, id.(string), layout.(string), 0)
		count++
		return true
	})
	if count != 18 {
		t.Errorf("%d snapshots", count)
	}
}

func TestCopyMovesWhatIsMissing(t *testing.T) {
	t.Parallel()
	from, to := open(t, disk.Options{}), open(t, disk.Options{})
	snap := snapshot(t, from, "abcda", 5, "")
	snapshot(t, to, "bX", 0, "")
	_, got, err := from.Copy(t.Context(), to.Store, snap.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	if got.Blocks != 6 || got.NewBlocks != 4 || got.Bytes == 0 {
		t.Errorf("copied %+v, want 4 of 6 blocks: one was there, one is twice in the disk", got)
	}
	mustHold(t, to, snap.ID, "abcda", 5)
	_, again, err := from.Copy(t.Context(), to.Store, snap.ID, "")
	if diff := cmp.Diff(disk.CopyStats{Blocks: 6}, again); diff != "" || err != nil {
		t.Errorf("second copy: %v (-want +got):\n%s", err, diff)
	}
}

func TestCopyWithinOneStoreMovesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{})
	snap := snapshot(t, s, "abc", 0, "")
	other, err := disk.Open(s.objects, filepath.Join(s.dir, "cache2"), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, got, err := s.Copy(t.Context(), other, snap.ID, "")
	if diff := cmp.Diff(disk.CopyStats{Blocks: 3}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// failing refuses Puts after the first few.
type failing struct {
	objects.Store
	left *atomic.Int64
}

var errAway = errors.New("the other end is away")

func (f failing) Put(ctx context.Context, key string, body io.Reader) error {
	if f.left.Add(-1) < 0 {
		return errAway
	}
	return f.Store.Put(ctx, key, body)
}

func TestCopyIsResumed(t *testing.T) {
	t.Parallel()
	from, to := open(t, disk.Options{}), open(t, disk.Options{})
	snap := snapshot(t, from, "abcdefgh", 0, "")
	var left atomic.Int64
	left.Store(5)
	flaky, err := disk.Open(failing{to.objects, &left}, filepath.Join(to.dir, "cache"), disk.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := from.Copy(t.Context(), flaky, snap.ID, ""); !errors.Is(err, errAway) {
		t.Fatalf("Copy: %v", err)
	}
	if _, err := to.Manifest(t.Context(), snap.ID); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("the unfinished copy is there: %v", err)
	}
	_, got, err := from.Copy(t.Context(), to.Store, snap.ID, "")
	if err != nil || got.NewBlocks != 3 {
		t.Errorf("resumed copy %+v, %v; want the 3 blocks that were missing", got, err)
	}
	mustHold(t, to, snap.ID, "abcdefgh", 0)
}

// TestMain lets this test binary be a process that is killed while it works.
func TestMain(m *testing.M) {
	if dir := os.Getenv("DISK_TEST_WORKER"); dir != "" {
		work(dir)
	}
	os.Exit(m.Run())
}

// work makes snapshots, volumes and ready copies for ever, and tells of each
// snapshot before it begins.
func work(dir string) {
	fail := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	o, err := objects.OpenDir(filepath.Join(dir, "objects"))
	fail(err)
	s, err := disk.Open(o, filepath.Join(dir, "cache"), disk.Options{})
	fail(err)
	ctx := context.Background()
	parent := ""
	for i := 0; ; i++ {
		name := filepath.Join(dir, fmt.Sprintf("work-%d-%d", os.Getpid(), i))
		layout := "abcdefghijkl." + string(rune('A'+i%26))
		fail(os.WriteFile(name, content(layout, 0), 0o600))
		fmt.Println("begin")
		snap, err := s.Snapshot(ctx, name, parent)
		fail(err)
		if i%2 == 0 {
			fail(s.Adopt(ctx, snap.ID, name))
		} else {
			_, release, err := s.Disk(ctx, snap.ID)
			fail(err)
			release()
			fail(os.Remove(name))
		}
		_, err = s.Volume(ctx, snap.ID, name+"-volume", 0)
		fail(err)
		fail(os.Remove(name + "-volume"))
		parent = snap.ID
	}
}

func TestKilledProcessLeavesNoWrongSnapshot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 8 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "DISK_TEST_WORKER="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, len("begin\n")*(1+round/2))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(round%4) * 7 * time.Millisecond) // other places each time
		cmd.Process.Kill()
		cmd.Wait()
	}
	s := reopen(t, dir, disk.Options{Grace: time.Nanosecond})
	ids, err := s.Snapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) == 0 {
		t.Error("no snapshot was finished: the test shows nothing")
	}
	for _, id := range ids {
		if err := s.Verify(t.Context(), id); err != nil {
			t.Error(err)
		}
		name, release, err := s.Disk(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.Snapshot(t.Context(), name, "")
		if err != nil || again.ID != id {
			t.Errorf("the ready copy of %s is another disk: %s, %v", id, again.ID, err)
		}
		release()
	}
	if left := files(t, s, "cache/tmp/*"); len(left) != 0 {
		t.Errorf("left %v", left)
	}
	if _, err := s.Collect(t.Context(), keeping()); err != nil {
		t.Error(err)
	}
	if n := blocks(t, s); n != 0 {
		t.Errorf("%d blocks are left that nothing can reach", n)
	}
}
