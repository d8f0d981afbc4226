package fault

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/test/harness"
)

// smallDisk mounts a file system of its own, on a file with holes, and gives its
// folder.
func smallDisk(t *testing.T) string {
	t.Helper()
	harness.Root(t)
	dir := t.TempDir()
	file, folder := filepath.Join(dir, "disk"), filepath.Join(dir, "mounted")
	must(t, os.Mkdir(folder, 0o755))
	must(t, os.WriteFile(file, nil, 0o600))
	must(t, os.Truncate(file, 6<<30))
	run(t, "", "mkfs.ext4", "-q", "-m", "0", file)
	run(t, "", "mount", "-o", "loop", file, folder)
	t.Cleanup(func() { run(t, "", "umount", folder) })
	return folder
}

// fill takes all the space that a file system has left, without writing it.
func fill(t testing.TB, folder string) (free func()) {
	t.Helper()
	name := filepath.Join(folder, "fill")
	f, err := os.Create(name)
	must(t, err)
	defer f.Close()
	var at int64
	for size := int64(4 << 30); size >= 4096; {
		err := unix.Fallocate(int(f.Fd()), 0, at, size)
		switch {
		case err == nil:
			at += size
		case errors.Is(err, unix.ENOSPC):
			size /= 2
		default:
			t.Fatalf("filling the disk: %v", err)
		}
	}
	return func() { must(t, os.Remove(name)) }
}

// TestFullDisk fills the disk under the data folder at the places of a build, with
// the database on it, and gives it back a little later.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	s := newSite(t, setting{dir: filepath.Join(disk, "data")})
	for _, place := range some(s.placesOf("good", available), 2) {
		s.inject("disk full for 2 s", "good", place, either, func(image string, _ int) {
			free := fill(t, disk)
			s.points.release()
			time.Sleep(2 * time.Second)
			free()
			if e := s.wait(image); e.state == "FAILED" && !strings.Contains(strings.ToLower(e.reason), "no space left") {
				t.Errorf("disk full at %q: the reason does not say so: %q", place, e.reason)
			}
		})
	}
	s.finish()
}
