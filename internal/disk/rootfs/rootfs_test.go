package rootfs

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/disk/partition"
)

// makeDisk makes a disk that is one ext4 of the files.
func makeDisk(t *testing.T, files map[string]string) string {
	t.Helper()
	for _, tool := range []string{"mke2fs", "debugfs"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed (Debian package e2fsprogs)", tool)
		}
	}
	dir := t.TempDir()
	tree, name := filepath.Join(dir, "tree"), filepath.Join(dir, "disk.raw")
	for file, text := range files {
		file = filepath.Join(tree, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("b", filepath.Join(tree, "a/link")); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-d", tree, name, "16M").CombinedOutput(); err != nil {
		t.Fatalf("mke2fs: %v\n%s", err, out)
	}
	return name
}

func open(t *testing.T, name string) *FS {
	t.Helper()
	f, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestReading(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789", 50_000)
	f := open(t, makeDisk(t, map[string]string{"a/b": "hello\n", "a/c/d": large, "empty": "", "with space": "x", "new\nline": "x", "semi;colon\"": "x"}))
	for name, want := range map[string]string{"/a/b": "hello\n", "/a/c/d": large, "/empty": ""} {
		got, err := f.ReadFile(t.Context(), name, 1<<20)
		if err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
	for _, name := range []string{"/missing", "/a/missing", "/empty/x"} {
		if data, err := f.ReadFile(t.Context(), name, 100); err == nil {
			t.Errorf("%s: %q", name, data)
		}
	}
	if _, err := f.ReadFile(t.Context(), "/missing", 100); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v, want fs.ErrNotExist", err)
	}
	if _, err := f.ReadFile(t.Context(), "/a/c/d", 1000); !errors.Is(err, errTooLarge) {
		t.Errorf("a file that is too large: %v", err)
	}
	names, err := f.ReadDir(t.Context(), "/")
	slices.Sort(names)
	if diff := cmp.Diff([]string{"a", "empty", "lost+found"}, names); diff != "" || err != nil {
		t.Errorf("names that no request could hold are left out: %v (-want +got):\n%s", err, diff)
	}
}

// Names never become requests of their own.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	f := open(t, makeDisk(t, map[string]string{"a/b": "x"}))
	out := filepath.Join(t.TempDir(), "written")
	for _, name := range []string{"", "a/b", "/a b", "/a\nquit", "/a\"b", "/$(id)", "/a; dump /a/b " + out, "-w", "/a\tb", "/ä", "<2>"} {
		if data, err := f.ReadFile(t.Context(), name, 100); err == nil {
			t.Errorf("%q was asked for and gave %q", name, data)
		}
		if _, err := f.ReadDir(t.Context(), name); err == nil {
			t.Errorf("%q was listed", name)
		}
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Error("a file was written")
	}
}

func TestDisksThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	if _, err := Open(write("xfs", append([]byte("XFSB"), make([]byte, 1<<20)...))); !errors.Is(err, ErrUnsupported) {
		t.Errorf("XFS: %v, want ErrUnsupported", err)
	}
	if _, err := Open(write("blank", make([]byte, 1<<20))); !errors.Is(err, partition.ErrNoTable) {
		t.Errorf("blank: %v, want ErrNoTable", err)
	}
	// Only the magic is right: debugfs must say no, and we must pass it on.
	broken := make([]byte, 1<<20)
	copy(broken[1024+56:], "\x53\xef")
	f := open(t, write("broken", broken))
	if data, err := f.ReadFile(t.Context(), "/etc/passwd", 100); err == nil {
		t.Errorf("a broken file system gave %q", data)
	}
}

// A damaged file system gives errors or wrong bytes, but no harm.
func TestDamagedFileSystem(t *testing.T) {
	t.Parallel()
	name := makeDisk(t, map[string]string{"a/b": "hello\n"})
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for at := 4096; at < 1<<20; at += 97 {
		data[at] ^= 0x5a
	}
	damaged := filepath.Join(t.TempDir(), "damaged")
	if err := os.WriteFile(damaged, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f := open(t, damaged)
	if got, err := f.ReadFile(t.Context(), "/a/b", 100); err == nil && bytes.Equal(got, []byte("hello\n")) {
		t.Error("the damage did no harm: the test shows nothing")
	}
}

func TestReadingStopsWithItsContext(t *testing.T) {
	t.Parallel()
	f := open(t, makeDisk(t, map[string]string{"a/b": "x"}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.ReadFile(ctx, "/a/b", 100); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}
