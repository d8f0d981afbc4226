package disk_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/disk"
)

func zstdBomb(t *testing.T) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return e.EncodeAll(make([]byte, 256<<20), nil)
}

func onDisk(t *testing.T, name string) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

func TestVolumeIsAWritableCopy(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{})
	snap := snapshot(t, s, "a......b", 0, "")
	first, second := filepath.Join(s.dir, "first"), filepath.Join(s.dir, "second")
	if how, err := s.Volume(t.Context(), snap.ID, first, 0); err != nil || how != "blocks" {
		t.Fatalf("Volume = %s, %v", how, err)
	}
	mustBe(t, first, "a......b", 0)
	if err := os.WriteFile(first, []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	how, err := s.Volume(t.Context(), snap.ID, second, 0)
	if err != nil || how != "sparse copy" && how != "reflink" {
		t.Fatalf("Volume = %s, %v", how, err)
	}
	mustBe(t, second, "a......b", 0)
	if n := onDisk(t, second); n > 3*disk.BlockSize {
		t.Errorf("the volume takes %d bytes: its holes were filled", n)
	}
}

func TestVolumeSizes(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{})
	snap := snapshot(t, s, "ab", 0, "")
	name := filepath.Join(s.dir, "volume")
	if _, err := s.Volume(t.Context(), snap.ID, name, disk.BlockSize); err == nil {
		t.Error("a volume smaller than the snapshot was made")
	}
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the failed volume is there: %v", err)
	}
	// A disk without a partition table only gets larger.
	if _, err := s.Volume(t.Context(), snap.ID, name, 4*disk.BlockSize); err != nil {
		t.Fatal(err)
	}
	mustBe(t, name, "ab..", 0)
	if _, err := s.Volume(t.Context(), snap.ID, name, 0); !errors.Is(err, os.ErrExist) {
		t.Errorf("an existing file was taken: %v", err)
	}
	mustBe(t, name, "ab..", 0)
}

func TestManyWantTheSameDisk(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{})
	snap := snapshot(t, s, "abcdefgh", 0, "")
	other := reopen(t, s.dir, disk.Options{}) // as another process would
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			from := []bench{s, other}[i%2]
			mustHold(t, from, snap.ID, "abcdefgh", 0)
		})
	}
	group.Wait()
	if left := files(t, s, "cache/tmp/*"); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestAdopt(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{})
	name := write(t, s.dir, "abc", 0)
	snap, err := s.Snapshot(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Adopt(t.Context(), snap.ID, name); err != nil {
		t.Fatal(err)
	}
	ready, release, err := s.Disk(t.Context(), snap.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	after, err := os.Stat(ready)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the ready copy is another file: %v", err)
	}
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still at its old place: %v", err)
	}
}

func TestAdoptChecksTheFile(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{})
	name := write(t, s.dir, "abc", 0)
	snap, err := s.Snapshot(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	other := write(t, s.dir, "abX", 0)
	if err := s.Adopt(t.Context(), snap.ID, other); err == nil {
		t.Error("another disk was taken for the snapshot's")
	}
	mustBe(t, other, "abX", 0)
	// Another process did not see the snapshot being made, so it reads.
	later := reopen(t, s.dir, disk.Options{})
	if err := later.Adopt(t.Context(), snap.ID, name); err != nil {
		t.Error(err)
	}
	mustHold(t, later, snap.ID, "abc", 0)
}

func TestAdoptFromAnotherFileSystem(t *testing.T) {
	t.Parallel()
	elsewhere, err := os.MkdirTemp("/dev/shm", "goldsmith-disk-")
	if err != nil {
		t.Skipf("no second file system: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(elsewhere) })
	s := open(t, disk.Options{})
	name := write(t, elsewhere, "a.c", 0)
	snap, err := s.Snapshot(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Adopt(t.Context(), snap.ID, name); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	mustHold(t, s, snap.ID, "a.c", 0)
	if n := blocks(t, s); n != 2 {
		t.Errorf("%d blocks", n)
	}
}

// A ready copy that was written to, or that a crash of the machine may have
// left half on disk, is made anew.
func TestDamagedReadyCopyIsMadeAnew(t *testing.T) {
	t.Parallel()
	harm := map[string]func(t *testing.T, raw, marker string){
		"written to": func(t *testing.T, raw, _ string) {
			f, err := os.OpenFile(raw, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte("scribble"), 0); err != nil {
				t.Fatal(err)
			}
		},
		"cut short": func(t *testing.T, raw, _ string) {
			if err := os.Truncate(raw, 1000); err != nil {
				t.Fatal(err)
			}
		},
		"without marker": func(t *testing.T, _, marker string) {
			if err := os.Remove(marker); err != nil {
				t.Fatal(err)
			}
		},
		"marker is no JSON": func(t *testing.T, _, marker string) {
			if err := os.WriteFile(marker, []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"machine restarted before it was flushed": func(t *testing.T, raw, marker string) {
			// As after a restart: another boot id, and bytes that never got to disk.
			data, err := os.ReadFile(marker)
			if err != nil {
				t.Fatal(err)
			}
			var m map[string]any
			if err := json.Unmarshal(data, &m); err != nil {
				t.Fatal(err)
			}
			if m["flushed"] != false {
				t.Fatalf("marker %s does not say that the file was not flushed", data)
			}
			m["bootId"] = "another"
			if data, err = json.Marshal(m); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(marker, data, 0o600); err != nil {
				t.Fatal(err)
			}
			st, err := os.Stat(raw)
			if err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(raw, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt(make([]byte, 4096), 0); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(raw, st.ModTime(), st.ModTime()); err != nil {
				t.Fatal(err)
			}
		},
	}
	for what, f := range harm {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := open(t, disk.Options{})
			name := write(t, s.dir, "abc", 0)
			snap, err := s.Snapshot(t.Context(), name, "")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Adopt(t.Context(), snap.ID, name); err != nil {
				t.Fatal(err)
			}
			raw := files(t, s, "cache/raw/*.raw")[0]
			f(t, raw, strings.TrimSuffix(raw, ".raw")+".json")
			mustHold(t, s, snap.ID, "abc", 0)
		})
	}
}

func TestCacheDropsWhatWasUsedLeastRecently(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{CacheBytes: 2*disk.BlockSize + disk.BlockSize/2})
	layouts := []string{"a", "b", "c"}
	var ids []string
	for _, layout := range layouts {
		ids = append(ids, snapshot(t, s, layout, 0, "").ID)
	}
	isCached := func(id string) bool {
		return slices.Contains(files(t, s, "cache/raw/*.raw"), filepath.Join(s.dir, "cache/raw", strings.TrimPrefix(id, "sha256:")+".raw"))
	}
	touch := func(id, layout string) {
		mustHold(t, s, id, layout, 0)
		time.Sleep(20 * time.Millisecond) // file systems keep times in ticks
	}
	touch(ids[0], "a")
	touch(ids[1], "b")
	touch(ids[0], "a")
	touch(ids[2], "c")
	if !isCached(ids[0]) || isCached(ids[1]) || !isCached(ids[2]) {
		t.Errorf("cached: %v %v %v, want all but the second", isCached(ids[0]), isCached(ids[1]), isCached(ids[2]))
	}
}

func TestCacheKeepsWhatIsInUse(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{CacheBytes: -1})
	a, b := snapshot(t, s, "a", 0, ""), snapshot(t, s, "b", 0, "")
	name, release, err := s.Disk(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, s, b.ID, "b", 0)
	mustBe(t, name, "a", 0)
	if err := s.Delete(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	mustBe(t, name, "a", 0)
	release()
	mustHold(t, s, b.ID, "b", 0)
	snapshot(t, s, "c", 0, "")
	mustHold(t, s, snapshot(t, s, "c", 0, "").ID, "c", 0)
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the released copy was not dropped: %v", err)
	}
}

func TestCopyFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source, dest := write(t, dir, "a..b", 77), filepath.Join(dir, "copy")
	if how, err := disk.CopyFile(t.Context(), source, dest); err != nil || how != "reflink" && how != "sparse copy" {
		t.Fatal(err)
	}
	mustBe(t, dest, "a..b", 77)
	if _, err := disk.CopyFile(t.Context(), source, dest); !errors.Is(err, os.ErrExist) {
		t.Errorf("the file was replaced: %v", err)
	}
	if got, err := os.ReadFile(dest); err != nil || !bytes.Equal(got, content("a..b", 77)) {
		t.Errorf("the file that was there changed: %v", err)
	}
}

// TestCopyFileSharesBlocks copies on a file system that can: the copy takes no
// space of its own.
func TestCopyFileSharesBlocks(t *testing.T) {
	t.Parallel()
	mkfs, err := exec.LookPath("mkfs.btrfs")
	if err != nil || os.Geteuid() != 0 {
		t.Skip("it needs root and mkfs.btrfs")
	}
	dir := t.TempDir()
	image, mounted := filepath.Join(dir, "btrfs"), filepath.Join(dir, "mounted")
	err = errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 256<<20), os.Mkdir(mounted, 0o700))
	if err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{{mkfs, "-q", image}, {"mount", "-o", "loop", image, mounted}} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%s: %v: %s", argv, err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", mounted).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	source, dest := write(t, mounted, "a..b", 77), filepath.Join(mounted, "copy")
	how, err := disk.CopyFile(t.Context(), source, dest)
	if err != nil || how != "reflink" {
		t.Errorf("copied by %q, %v", how, err)
	}
	mustBe(t, dest, "a..b", 77)
}
