package vm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/instance/guest"
)

// filesystem makes a file with an ext4 file system that script fills from
// inside a folder.
func filesystem(t *testing.T, script string) string {
	t.Helper()
	if _, err := guest.Tool("mke2fs"); err != nil {
		t.Skipf("mke2fs is not installed: %v", err)
	}
	if _, err := guest.Tool("debugfs"); err != nil {
		t.Skipf("debugfs is not installed: %v", err)
	}
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	fill := exec.Command("sh", "-ec", script)
	fill.Dir = root
	if out, err := fill.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
	disk := filepath.Join(dir, "disk.raw")
	mke2fs, _ := guest.Tool("mke2fs")
	if out, err := exec.Command(mke2fs, "-q", "-t", "ext4", "-d", root, disk, "32m").CombinedOutput(); err != nil {
		t.Fatalf("mke2fs: %v: %s", err, out)
	}
	return disk
}

// ask runs a read-only command of debugfs.
func ask(t *testing.T, disk, command string) string {
	t.Helper()
	debugfs, err := guest.Tool("debugfs")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(debugfs, "-R", command, disk).CombinedOutput()
	if err != nil {
		t.Fatalf("debugfs %s: %v: %s", command, err, out)
	}
	return string(out)
}

func checkFilesystem(t *testing.T, disk string) {
	t.Helper()
	e2fsck, err := guest.Tool("e2fsck")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(e2fsck, "-f", "-n", disk).CombinedOutput(); err != nil {
		t.Errorf("e2fsck: %v\n%s", err, out)
	}
}

// ways are how units are put into a disk and taken out.
func ways(t *testing.T) map[string]struct{ inject, eject func(disk string) error } {
	t.Helper()
	debugfs, err := guest.Tool("debugfs")
	if err != nil {
		t.Skipf("debugfs is not installed: %v", err)
	}
	k := New(Options{})
	k.found.debugfs = debugfs
	dir := t.TempDir()
	all := map[string]struct{ inject, eject func(disk string) error }{
		"debugfs": {
			func(disk string) error { return k.inject(context.Background(), disk, dir) },
			func(disk string) error { return k.eject(context.Background(), disk) },
		},
	}
	if os.Geteuid() == 0 {
		mounting := New(Options{}) // knows no debugfs
		all["mount"] = struct{ inject, eject func(disk string) error }{
			func(disk string) error { return mounting.inject(context.Background(), disk, dir) },
			func(disk string) error { return mounting.eject(context.Background(), disk) },
		}
	}
	return all
}

func TestUnitsGoInAndOut(t *testing.T) {
	t.Parallel()
	for name, way := range ways(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for what, script := range map[string]string{
				"bare":     "mkdir -p etc/systemd/system",
				"with one": "mkdir -p etc/systemd/system/multi-user.target.wants; echo mine >etc/systemd/system/multi-user.target.wants/mine.service",
			} {
				disk := filesystem(t, script)
				for range 2 { // a disk that a killed instance left may have them already
					if err := way.inject(disk); err != nil {
						t.Fatalf("%s: inject: %v", what, err)
					}
				}
				if got := ask(t, disk, "cat /etc/systemd/system/"+guest.UnitName); !strings.Contains(got, "ExecStart="+guest.Toe) {
					t.Errorf("%s: the unit in the disk: %s", what, got)
				}
				if got := ask(t, disk, "stat /etc/systemd/system/"+mountName); !strings.Contains(got, "Mode:  0644") {
					t.Errorf("%s: the mount unit in the disk: %s", what, got)
				}
				if got := ask(t, disk, "stat /"+wantsDir+"/"+guest.UnitName); !strings.Contains(got, `Fast link dest: "../`+guest.UnitName) {
					t.Errorf("%s: the link in the disk: %s", what, got)
				}
				checkFilesystem(t, disk)
				if err := way.eject(disk); err != nil {
					t.Fatalf("%s: eject: %v", what, err)
				}
				if got := ask(t, disk, "ls -l /etc/systemd/system") + ask(t, disk, "ls -l /"+wantsDir); strings.Contains(got, "goldsmith") {
					t.Errorf("%s: left in the disk: %s", what, got)
				}
				if what == "with one" && !strings.Contains(ask(t, disk, "cat /"+wantsDir+"/mine.service"), "mine") {
					t.Errorf("the image's own unit is gone")
				}
				checkFilesystem(t, disk)
			}
		})
	}
}

// TestHostileDisk has links where the units go: they must not lead to the
// host's files.
func TestHostileDisk(t *testing.T) {
	t.Parallel()
	for name, way := range ways(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outside := t.TempDir()
			for what, script := range map[string]string{
				"the folder is a link": "mkdir -p etc/systemd; ln -s " + outside + " etc/systemd/system",
				"etc is a link":        "ln -s ../../../../../.." + outside + " etc",
				"the unit is a link":   "mkdir -p etc/systemd/system; ln -s " + outside + "/unit etc/systemd/system/" + guest.UnitName,
				"no etc":               "true",
				"a file, not a folder": "mkdir -p etc/systemd; echo x >etc/systemd/system",
			} {
				disk := filesystem(t, script)
				err := way.inject(disk)
				if entries, readErr := os.ReadDir(outside); readErr != nil || len(entries) > 0 {
					t.Fatalf("%s: the host's folder has %v, %v", what, entries, readErr)
				}
				if err == nil && !strings.Contains(ask(t, disk, "cat /etc/systemd/system/"+guest.UnitName), "ExecStart=") {
					t.Errorf("%s: no error, and no unit", what)
				}
			}
		})
	}
}

func TestDiskWithoutLinux(t *testing.T) {
	t.Parallel()
	disk := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(disk, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := New(Options{}).inject(t.Context(), disk, t.TempDir()); err == nil {
		t.Error("a unit went into an empty disk")
	}
}

func TestCopySparse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	f, err := os.Create(from)
	if err != nil {
		t.Fatal(err)
	}
	for at, text := range map[int64]string{0: "first", 10 << 20: "middle", 64<<20 - 4: "last"} {
		if _, err := f.WriteAt([]byte(text), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(80 << 20); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := copySparse(t.Context(), from, to); err != nil {
		t.Fatalf("copySparse: %v", err)
	}
	want, _ := os.ReadFile(from)
	got, err := os.ReadFile(to)
	if err != nil || !bytes.Equal(want, got) {
		t.Errorf("the copy differs: %v", err)
	}
	info, err := os.Stat(to)
	if err != nil {
		t.Fatal(err)
	}
	if used := info.Sys().(*syscall.Stat_t).Blocks * 512; used > 1<<20 {
		t.Errorf("the copy takes %d bytes of the disk", used)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := copyData(ctx, mustOpen(t, to), mustOpen(t, from)); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled copy: %v", err)
	}
}

func mustOpen(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
