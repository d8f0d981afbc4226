package loop

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// image makes a file with an ext4 file system of 8 MiB, and skips the test where
// nothing can be mounted.
func image(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat("/dev/loop-control"); err != nil || os.Geteuid() != 0 {
		t.Skipf("loop devices and root are needed: %v", err)
	}
	name := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(name, make([]byte, 8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	mke2fs, err := exec.LookPath("mke2fs")
	if err != nil {
		mke2fs = "/usr/sbin/mke2fs"
	}
	if out, err := exec.Command(mke2fs, "-q", "-F", "-t", "ext4", name).CombinedOutput(); err != nil {
		t.Skipf("no file system can be made: %v: %s", err, out)
	}
	return name
}

// A file that somebody else has mounted is not mounted a second time, which
// would ruin it: Mount waits for the first to end, and says who holds it if that
// does not come.
func TestMountOfAHeldFile(t *testing.T) {
	t.Parallel()
	name := image(t)
	other, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	held, err := Attach(other, 0, 0)
	if err != nil {
		t.Skipf("no loop device: %v", err)
	}
	dir := t.TempDir()
	// By another name it is the same file.
	link := name + ".link"
	if err := os.Link(name, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Mount(link, 0, 0, dir, "ext4", ""); err == nil || !strings.Contains(err.Error(), held.Name()+" holds it") {
		if err == nil {
			_ = unix.Unmount(dir, 0)
		}
		t.Errorf("mounting a held file: %v, want the mention of %s", err, held.Name())
	}
	go func() {
		time.Sleep(200 * time.Millisecond)
		held.Close()
	}()
	device, err := Mount(name, 0, 0, dir, "ext4", "")
	if errors.Is(err, unix.EPERM) {
		t.Skipf("nothing can be mounted here: %v", err)
	}
	if err != nil {
		t.Fatalf("mounting a file that was released: %v", err)
	}
	if err := Unmount(dir, device, name); err != nil {
		t.Error(err)
	}
}

// Parts that do not overlap are no concern of each other.
func TestHolderOfAPart(t *testing.T) {
	t.Parallel()
	name := image(t)
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	held, err := Attach(file, 2<<20, 2<<20)
	if err != nil {
		t.Skipf("no loop device: %v", err)
	}
	defer held.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		offset, size int64
		want         string
	}{
		{0, 2 << 20, ""}, {4 << 20, 0, ""}, {4 << 20, 1 << 20, ""},
		{0, 0, held.Name()}, {0, 2<<20 + 1, held.Name()}, {3 << 20, 0, held.Name()}, {2 << 20, 2 << 20, held.Name()},
	} {
		if got, err := holder(st, tc.offset, tc.size); err != nil || got != tc.want {
			t.Errorf("the holder of %d bytes at %d: %q, %v, want %q", tc.size, tc.offset, got, err, tc.want)
		}
	}
}
