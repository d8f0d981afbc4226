//go:build unix

package action

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// within fails the test if f takes far longer than it has any reason to: it
// waits for something that never comes.
func within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
}

// TestAttackPipes: nothing waits for the other end of a pipe.
func TestAttackPipes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Cloud = &fakeCloud{objects: map[string]string{}}
	pipe := filepath.Join(h.Dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	tree(t, h.Dir, "file=x", "folder/inner=y", "link->pipe")
	if err := syscall.Mkfifo(filepath.Join(h.Dir, "folder", "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(h.Dir, "inner"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"pipe", "link"} {
		for _, tc := range []struct {
			module string
			inputs fields
		}{
			{"ReadFile", fields{"path": at}},
			{"AppendFile", fields{"path": at, "content": "x"}},
			{"CreateFile", fields{"path": at, "content": "x"}},
			{"SetFileEncoding", fields{"path": at, "encoding": "utf16"}},
			{"CopyFile", fields{"source": at, "destination": "copy"}},
			{"CopyFile", fields{"source": "file", "destination": at}},
			{"CopyFile", fields{"source": "folder/inner", "destination": "./"}},
			{"MoveFile", fields{"source": at, "destination": "moved"}},
			{"CopyFolder", fields{"source": "folder", "destination": "copied"}},
			{"S3Upload", fields{"source": at, "destination": "s3://b/k"}},
			{"SetFilePermissions", fields{"path": at, "permissions": "0644"}},
		} {
			within(t, func() {
				if _, err := do(t, h, tc.module, tc.inputs); err == nil || !strings.Contains(err.Error(), "not a regular file") && !strings.Contains(err.Error(), "neither a file") {
					t.Errorf("%s %v: %v", tc.module, tc.inputs, err)
				}
			})
		}
	}
}

// swap makes a name in a folder stand for a file and for a link by turns,
// until the test ends.
func swap(t *testing.T, folder, name, target string) {
	t.Helper()
	path, other := filepath.Join(folder, name), filepath.Join(folder, "."+name)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.Symlink(target, other)
			_ = os.Rename(other, path)
			_ = os.WriteFile(other, []byte("own"), 0o600)
			_ = os.Rename(other, path)
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
}

// TestAttackSwappedLinks: who may write to a folder may put a link in place of
// a file at any moment. Nothing outside of the folder is read or changed.
func TestAttackSwappedLinks(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	victim := filepath.Join(t.TempDir(), "victim")
	write(t, victim, "secret", 0o600)
	tree(t, h.Dir, "mine/a=own", "mine/z=own")
	folder := filepath.Join(h.Dir, "mine")
	swap(t, folder, "a", victim)
	swapFolder := filepath.Join(h.Dir, "into", "sub")
	tree(t, h.Dir, "source/sub/victim=overwritten", "into/")
	swap(t, filepath.Dir(swapFolder), "sub", filepath.Dir(victim))
	for i := range 300 {
		// Errors are as they come: the race may be lost in many ways.
		_, _ = do(t, h, "SetFolderPermissions", fields{"path": "mine", "permissions": "0777"})
		_, _ = do(t, h, "CopyFolder", fields{"source": "mine", "destination": fmt.Sprintf("copies/%d", i)})
		_, _ = do(t, h, "CopyFolder", fields{"source": "source", "destination": "into"})
	}
	if mode(t, victim) != 0o600 || read(t, victim) != "secret" {
		t.Errorf("the file outside has mode %v and content %q", mode(t, victim), read(t, victim))
	}
	err := filepath.WalkDir(filepath.Join(h.Dir, "copies"), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && read(t, path) == "secret" {
			t.Errorf("%s has the content of the file outside", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAttackLinksOut: links in a destination that lead out of it are not
// written through.
func TestAttackLinksOut(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	outside := t.TempDir()
	tree(t, outside, "victim=kept")
	tree(t, h.Dir, "source/sub/victim=x", "source/file=x", "to/sub->"+outside, "to/file->"+filepath.Join(outside, "victim"), "up/sub->../../..")
	for _, to := range []string{"to", "up"} {
		_, err := do(t, h, "CopyFolder", fields{"source": "source", "destination": to})
		wantError(t, err, "escapes")
	}
	if got := list(t, outside); got != "victim=kept" {
		t.Errorf("outside there is now %s", got)
	}
}

// TestAttackKeys: no key of an object leaves the destination.
func TestAttackKeys(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"../pwned", "a/../../pwned", "/../pwned", "./../pwned", "..", "//etc/pwned", "a/../../../x/pwned"} {
		h := newHost(t)
		cloud := &fakeCloud{objects: map[string]string{"b/p/" + key: "x"}}
		h.Cloud = cloud
		_, err := do(t, h, "S3Download", fields{"source": "s3://b/p/*", "destination": "in/to"})
		wantError(t, err, "would leave the destination folder")
		if got := list(t, h.Dir); strings.Contains(got, "=") {
			t.Errorf("%s left %s", key, got)
		}
	}
}

// TestAttackServers: what a web server may answer.
func TestAttackServers(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	release := make(chan struct{})
	mux := http.NewServeMux()
	for path, location := range map[string]string{"/file": "file:///etc/passwd", "/ftp": "ftp://127.0.0.1/x", "/loop": "/loop", "/gopher": "gopher://x/"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			requests.Add(1)
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusFound)
		})
	}
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "first")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	mux.HandleFunc("/packed", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprint(z, "unpacked")
		_ = z.Close()
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	for path, want := range map[string]string{"/file": "redirects to a file URL", "/ftp": "redirects to a ftp URL", "/gopher": "redirects to a gopher URL", "/loop": "redirects more than 10 times"} {
		requests.Store(0)
		h := newHost(t)
		_, err := do(t, h, "WebDownload", fields{"source": server.URL + path, "destination": "x"})
		wantError(t, err, want)
		if n := requests.Load(); n > 10 {
			t.Errorf("%s was asked for %d times", path, n)
		}
		if got := list(t, h.Dir); got != "" {
			t.Errorf("%s left %s", path, got)
		}
	}
	for _, path := range []string{"/endless", "/slow"} {
		h := newHost(t)
		tree(t, h.Dir, "x=old")
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		m := Lookup("WebDownload")
		within(t, func() {
			_, err := m.Run(ctx, h, Inputs{Entries: []Entry{NewEntry(m, fields{"source": server.URL + path, "destination": "x"})}})
			if err == nil {
				t.Errorf("%s ended well", path)
			}
		})
		cancel()
		if got := list(t, h.Dir); got != "x=old" {
			t.Errorf("%s left %d bytes", path, len(got))
		}
	}
	// A file is what the server sends.
	h := newHost(t)
	h.HTTP = func(bool) *http.Client { return &http.Client{Transport: &http.Transport{DisableCompression: true}} }
	if _, err := do(t, h, "WebDownload", fields{"source": server.URL + "/packed", "destination": "x.gz"}); err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(strings.NewReader(read(t, h.Dir, "x.gz")))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); string(b) != "unpacked" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
}

// TestAttackNames: names of files are names, whatever they look like.
func TestAttackNames(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, name := range []string{"-rf", "--help", "$(touch pwned)", "; touch pwned", "a\nb", "*literal", "~", "%2e%2e", " ", "ä\u202e"} {
		other := "copy of " + name
		if strings.Contains(name, "*") {
			other = "copy"
		}
		if _, err := do(t, h, "CreateFile", fields{"path": name, "content": name}); err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if _, err := do(t, h, "CopyFile", fields{"source": name, "destination": other}); err != nil || read(t, h.Dir, other) != name {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := do(t, h, "DeleteFile", fields{"path": name}, fields{"path": other}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if got := list(t, h.Dir); got != "" {
		t.Errorf("left %s", got)
	}
}
