package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/goldsmith-build/goldsmith/internal/bucket"
	"github.com/goldsmith-build/goldsmith/internal/objects/s3test"
)

// both runs a test over a folder and over a real service, each with the buckets
// "one" and "two".
func both(t *testing.T, test func(t *testing.T, b bucket.Buckets)) {
	t.Parallel()
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		test(t, bucket.Folder(filepath.Join(t.TempDir(), "s3")))
	})
	t.Run("service", func(t *testing.T) {
		t.Parallel()
		server := s3test.Start(t)
		server.Bucket(t, "one")
		server.Bucket(t, "two")
		test(t, bucket.NewS3(server.Client))
	})
}

func TestWriteThenRead(t *testing.T) {
	both(t, func(t *testing.T, b bucket.Buckets) {
		large := strings.Repeat("0123456789abcdef", 1<<20+1) // of several parts
		for key, content := range map[string]string{"empty": "", "a/b c/ä+%.txt": "content", "large": large} {
			for _, c := range []string{"old", content} {
				if err := b.Write(t.Context(), "one", key, strings.NewReader(c)); err != nil {
					t.Fatalf("Write(%s): %v", key, err)
				}
			}
			got, err := b.Read(t.Context(), "one", key, int64(len(content)))
			if err != nil || string(got) != content {
				t.Errorf("Read(%s): %d bytes, %v", key, len(got), err)
			}
		}
		if _, err := b.Read(t.Context(), "one", "large", 100); err == nil || !strings.Contains(err.Error(), "longer than 100 bytes") {
			t.Errorf("an object over the limit: %v", err)
		}
		for _, where := range [][2]string{{"one", "missing"}, {"two", "a"}, {"missing", "a"}} {
			if _, err := b.Read(t.Context(), where[0], where[1], 100); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v: %v", where, err)
			}
		}
	})
}

func TestFailedWriteLeavesTheOldObject(t *testing.T) {
	both(t, func(t *testing.T, b bucket.Buckets) {
		if err := b.Write(t.Context(), "one", "a/b", strings.NewReader("old")); err != nil {
			t.Fatal(err)
		}
		broken := errors.New("the source is broken")
		bodies := map[string]io.Reader{
			"at once":  iotest.ErrReader(broken),
			"half way": io.MultiReader(bytes.NewReader(make([]byte, 17<<20)), iotest.ErrReader(broken)),
		}
		for name, body := range bodies {
			if err := b.Write(t.Context(), "one", "a/b", body); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.Write(ended, "one", "a/b", strings.NewReader("new")); err == nil {
			t.Error("a write for somebody who is gone")
		}
		if got, err := b.Read(t.Context(), "one", "a/b", 10); err != nil || string(got) != "old" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestBadNames(t *testing.T) {
	both(t, func(t *testing.T, b bucket.Buckets) {
		for _, where := range [][2]string{{"..", "a"}, {".", "a"}, {"", "a"}, {"one/../two", "a"}, {"a..b", "a"}, {"ONE", "a"}, {"one", ""}} {
			if _, err := b.Read(t.Context(), where[0], where[1], 10); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Read%q: %v", where, err)
			}
			if err := b.Write(t.Context(), where[0], where[1], strings.NewReader("x")); err == nil {
				t.Errorf("Write%q was accepted", where)
			}
		}
	})
}

func TestNoBucketIsMadeInAService(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	if err := bucket.NewS3(server.Client).Write(t.Context(), "missing", "a", strings.NewReader("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestFolderStaysInItsBuckets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"secret", "s3/secret", "s3/other/object"} {
		file(name, "secret")
	}
	file("s3/bucket/object", "content")
	for link, to := range map[string]string{"absolute": filepath.Join(dir, "secret"), "relative": "../../secret", "neighbour": "../other/object", "folder": "../..", "inside": "object"} {
		if err := os.Symlink(to, filepath.Join(dir, "s3/bucket", link)); err != nil {
			t.Fatal(err)
		}
	}
	folder := bucket.Folder(filepath.Join(dir, "s3"))
	for _, key := range []string{
		"../secret", "../../secret", "a/../../secret", "/etc/passwd", "folder/secret", "folder/new", "folder", ".", "object\x00", "object/x", `a\b`, "a/",
	} {
		if data, err := folder.Read(t.Context(), "bucket", key, 100); err == nil {
			t.Errorf("%q: read %q", key, data)
		}
		if err := folder.Write(t.Context(), "bucket", key, strings.NewReader("attack")); err == nil && key != "folder" {
			t.Errorf("%q was written", key)
		}
	}
	for _, key := range []string{"absolute", "relative", "neighbour"} {
		if data, err := folder.Read(t.Context(), "bucket", key, 100); err == nil {
			t.Errorf("%q: read %q", key, data)
		}
		// A write replaces the link, and never what it leads to.
		if err := folder.Write(t.Context(), "bucket", key, strings.NewReader("attack")); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
	for _, name := range []string{"secret", "s3/secret", "s3/other/object"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != "secret" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, key := range []string{"object", "inside"} {
		if data, err := folder.Read(t.Context(), "bucket", key, 7); err != nil || string(data) != "content" {
			t.Errorf("%s: %q, %v", key, data, err)
		}
	}
}
