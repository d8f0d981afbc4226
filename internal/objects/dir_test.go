package objects_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/objects"
	"github.com/goldsmith-build/goldsmith/internal/objects/objectstest"
)

func openDir(t *testing.T, root string) *objects.Dir {
	t.Helper()
	d, err := objects.OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDir(t *testing.T) {
	t.Parallel()
	objectstest.Suite(t, func(t *testing.T) objects.Store { return openDir(t, t.TempDir()) })
}

// TestMain lets this test binary be a writer that is killed.
func TestMain(m *testing.M) {
	if root := os.Getenv("OBJECTS_TEST_WRITER"); root != "" {
		writeForever(root)
	}
	os.Exit(m.Run())
}

// writeForever puts objects whose bytes are all those of their name's digit,
// and says when it is in the middle of one.
func writeForever(root string) {
	d, err := objects.OpenDir(root)
	if err != nil {
		panic(err)
	}
	for i := 0; ; i++ {
		digit := fmt.Sprint(i % 10)
		half := strings.NewReader(strings.Repeat(digit, 1<<20))
		announce := readerFunc(func([]byte) (int, error) { fmt.Println("half"); return 0, io.EOF })
		body := io.MultiReader(half, announce, strings.NewReader(strings.Repeat(digit, 1<<20)))
		if err := d.Put(context.Background(), "k/"+digit, body); err != nil {
			panic(err)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestDirKilledWriterLeavesNoHalfObject(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for round := range 10 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "OBJECTS_TEST_WRITER="+root)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Killed in the middle of an object, later in each round.
		if _, err := io.ReadFull(out, make([]byte, 5*(round+1))); err != nil {
			t.Fatal(err)
		}
		cmd.Process.Kill()
		cmd.Wait()
	}
	d := openDir(t, root)
	seen := 0
	for info, err := range d.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		r, err := d.Get(t.Context(), info.Key)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		r.Close()
		digit := strings.TrimPrefix(info.Key, "k/")
		if err != nil || string(data) != strings.Repeat(digit, 2<<20) {
			t.Errorf("object %s has %d bytes, %v", info.Key, len(data), err)
		}
		seen++
	}
	if seen == 0 {
		t.Error("no object was finished: the test shows nothing")
	}
	if left := unfinished(t, root); len(left) != 0 {
		t.Errorf("opening the store left %v", left)
	}
}

func unfinished(t *testing.T, root string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(root, ".incoming", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

func TestDirOpenSparesLivingWriters(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := openDir(t, root)
	body := io.MultiReader(strings.NewReader("begin "), readerFunc(func([]byte) (int, error) {
		openDir(t, root) // another process starts in the middle
		return 0, io.EOF
	}), strings.NewReader("end"))
	if err := d.Put(t.Context(), "k", body); err != nil {
		t.Fatal(err)
	}
	r, err := d.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if data, _ := io.ReadAll(r); string(data) != "begin end" {
		t.Errorf("got %q", data)
	}
}

func TestDirFullDiskLeavesNothing(t *testing.T) {
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
	if err := d.Put(t.Context(), "small", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	err := d.Put(t.Context(), "large", strings.NewReader(strings.Repeat("x", 2<<20)))
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Put on a full disk = %v", err)
	}
	if _, err := d.Stat(t.Context(), "large"); !errors.Is(err, objects.ErrNotFound) {
		t.Errorf("Stat = %v, want ErrNotFound", err)
	}
	if left := unfinished(t, root); len(left) != 0 {
		t.Errorf("left %v", left)
	}
	if err := d.Put(t.Context(), "half", strings.NewReader(strings.Repeat("x", 512<<10))); err != nil {
		t.Errorf("the failed Put still takes space: %v", err)
	}
}

func TestDirRefusesLinksOutOfTheStore(t *testing.T) {
	t.Parallel()
	root, outside := t.TempDir(), t.TempDir()
	d := openDir(t, root)
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Stat(t.Context(), "link"); !errors.Is(err, objects.ErrNotFound) {
		t.Errorf("Stat = %v", err)
	}
	for info := range d.List(t.Context(), "") {
		t.Errorf("listed %s", info.Key)
	}
}

func TestDirTouch(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d := openDir(t, root)
	if err := d.Put(t.Context(), "k", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(root, "k"), old, old); err != nil {
		t.Fatal(err)
	}
	if err := d.Touch(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	info, err := d.Stat(t.Context(), "k")
	if err != nil || time.Since(info.Modified) > time.Minute {
		t.Errorf("after Touch: %+v, %v", info, err)
	}
	if err := d.Touch(t.Context(), "missing"); !errors.Is(err, objects.ErrNotFound) {
		t.Errorf("Touch = %v, want ErrNotFound", err)
	}
}

func FuzzValidKey(f *testing.F) {
	for _, key := range []string{"a/b", "../a", "a/.b", "blocks/ab/abcd", "a//b", "\x00"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if objects.ValidKey(key) != nil {
			return
		}
		// A valid key stays inside any folder, under its own name.
		if got := filepath.Join("/root", key); got != "/root/"+key || !filepath.IsLocal(key) {
			t.Errorf("key %q leads to %q", key, got)
		}
	})
}
