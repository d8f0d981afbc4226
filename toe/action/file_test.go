//go:build unix

package action

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

func TestCreateFile(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	old := syscall.Umask(0o027)
	syscall.Umask(old)
	_, err := do(t, h, "CreateFile",
		fields{"path": "deep/er/a", "content": "x"},
		fields{"path": h.Dir + "/exact", "content": "é", "encoding": "utf-16-BE", "permissions": "0666"},
		fields{"path": "empty", "permissions": "4711"},
		fields{"path": "deep/er/a", "content": "y"},
	)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, h.Dir, "deep/er/a"); got != "y" {
		t.Errorf("content %q", got)
	}
	if got := mode(t, h.Dir, "deep/er/a"); got != 0o666&^os.FileMode(old) {
		t.Errorf("default mode %v", got)
	}
	if got := read(t, h.Dir, "exact"); got != "\x00\xe9" {
		t.Errorf("content %q", got)
	}
	if got := mode(t, h.Dir, "exact"); got != 0o666 {
		t.Errorf("explicit mode %v", got)
	}
	if got := mode(t, h.Dir, "empty"); got != os.ModeSetuid|0o711 {
		t.Errorf("explicit mode %v", got)
	}
	for want, f := range map[string]fields{
		"exists, and overwrite is false": {"path": "empty", "overwrite": false},
		"is a directory":                 {"path": "deep"},
		"not a directory":                {"path": "empty/x"},
		`there is no user "nobody-here"`: {"path": "x", "owner": "nobody-here"},
		`there is no group "none-here"`:  {"path": "x", "group": "none-here"},
		"is not a regular file":          {"path": "/dev/full", "content": "x"},
		"invalid argument":               {"path": "a\x00b"},
	} {
		_, err := do(t, h, "CreateFile", f)
		wantError(t, err, want)
	}
	if _, err := os.Stat(filepath.Join(h.Dir, "x")); err == nil {
		t.Error("a file was made although its owner is unknown")
	}
}

// TestCreateFileSecret: a file with narrow permissions is never wider.
func TestCreateFileSecret(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	if _, err := do(t, h, "CreateFile", fields{"path": "secret", "content": "x", "permissions": "0600"}); err != nil {
		t.Fatal(err)
	}
	if got := mode(t, h.Dir, "secret"); got != 0o600 {
		t.Errorf("mode %v", got)
	}
}

func TestCreateFileOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("needs root to give files away")
	}
	h := newHost(t)
	if _, err := do(t, h, "CreateFile", fields{"path": "a", "owner": "daemon", "group": "1234", "permissions": "6755"}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(h.Dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if s := info.Sys().(*syscall.Stat_t); s.Uid != 1 || s.Gid != 1234 || info.Mode() != os.ModeSetuid|os.ModeSetgid|0o755 {
		t.Errorf("owner %d:%d, mode %v", s.Uid, s.Gid, info.Mode())
	}
}

func TestAppendFile(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	write(t, h.Dir+"/a", "one", 0o600)
	if _, err := do(t, h, "AppendFile", fields{"path": "a", "content": "two"}, fields{"path": "a"}, fields{"path": "a", "content": "x", "encoding": "utf16"}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, h.Dir, "a"); got != "onetwox\x00" {
		t.Errorf("content %q", got)
	}
	_, err := do(t, h, "AppendFile", fields{"path": "a", "content": "done"}, fields{"path": "missing"})
	wantError(t, err, "entry 1: stat "+h.Dir+"/missing: no such file or directory")
	if got := read(t, h.Dir, "a"); got != "onetwox\x00done" {
		t.Errorf("the entry before the failure was not kept: %q", got)
	}
	_, err = do(t, h, "AppendFile", fields{"path": "."})
	wantError(t, err, "is a folder, not a file")
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	write(t, h.Dir+"/a", "one\n", 0o600)
	write(t, h.Dir+"/b", "\xff\xfet\x00", 0o600)
	if err := os.Symlink("a", h.Dir+"/link"); err != nil {
		t.Fatal(err)
	}
	r, err := do(t, h, "ReadFile", fields{"path": "link"}, fields{"path": "b", "encoding": "utf-16"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Outputs[0]["content"] != "one\n" || r.Outputs[1]["content"] != "t" {
		t.Errorf("outputs %q", r.Outputs)
	}
	write(t, h.Dir+"/big", "", 0o600)
	if err := os.Truncate(h.Dir+"/big", maxContent+1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(h.Dir+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	for want, path := range map[string]string{
		"no such file":               "missing",
		"is a folder, not a file":    ".",
		"is larger than 262144":      "big",
		"is not a regular file":      "pipe", // and does not wait for a writer
		"dev/zero is not a regular":  "/dev/zero",
		"../nope: no such file or d": "../../../../../../../../nope/../nope",
	} {
		if want == "../nope: no such file or d" {
			want = "/nope: no such file or d"
		}
		_, err := do(t, h, "ReadFile", fields{"path": path})
		wantError(t, err, want)
	}
}

func TestDeleteFile(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, name := range []string{"a.txt", "b.txt", "c.log", "keep", "target"} {
		write(t, h.Dir+"/"+name, "", 0o600)
	}
	if err := os.MkdirAll(h.Dir+"/folder.txt", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("target", h.Dir+"/link"); err != nil {
		t.Fatal(err)
	}
	if _, err := do(t, h, "DeleteFile", fields{"path": "*.txt"}, fields{"path": h.Dir + "/c.log"}, fields{"path": "*.none"}, fields{"path": "no/such/*"}, fields{"path": "link"}); err != nil {
		t.Fatal(err)
	}
	var left []string
	entries, err := os.ReadDir(h.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if len(left) != 3 || left[0] != "folder.txt" || left[1] != "keep" || left[2] != "target" {
		t.Errorf("left: %v", left)
	}
	_, err = do(t, h, "DeleteFile", fields{"path": "missing"})
	wantError(t, err, "no such file")
	_, err = do(t, h, "DeleteFile", fields{"path": "folder.txt"})
	wantError(t, err, "is a folder; DeleteFolder removes folders")
	_, err = do(t, h, "DeleteFile", fields{"path": "*/x*"})
	wantError(t, err, "only after the last separator")
}

func TestCreateFolder(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	if _, err := do(t, h, "CreateFolder", fields{"path": "a/b", "permissions": "0751"}, fields{"path": "plain"}); err != nil {
		t.Fatal(err)
	}
	write(t, h.Dir+"/a/b/kept", "x", 0o600)
	if _, err := do(t, h, "CreateFolder", fields{"path": "a/b", "permissions": "0700"}); err != nil {
		t.Fatal(err)
	}
	if mode(t, h.Dir, "a/b") != 0o700 || read(t, h.Dir, "a/b/kept") != "x" {
		t.Error("the folder's mode was not set, or its content not kept")
	}
	_, err := do(t, h, "CreateFolder", fields{"path": "a", "overwrite": false})
	wantError(t, err, "exists, and overwrite is false")
	_, err = do(t, h, "CreateFolder", fields{"path": "a/b/kept"})
	wantError(t, err, "exists and is not a folder")
}

func TestCopyFile(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	write(t, h.Dir+"/a.txt", "a", 0o640)
	write(t, h.Dir+"/b.txt", "b", 0o755)
	if err := os.Symlink("a.txt", h.Dir+"/link"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(h.Dir+"/sub.txt", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := do(t, h, "CopyFile",
		fields{"source": "*.txt", "destination": "all/of/them/"},
		fields{"source": "a.txt", "destination": "new/name"},
		fields{"source": "link", "destination": "followed"},
		fields{"source": "b.*", "destination": "single"},
		fields{"source": "b.txt", "destination": "new/name"},
	); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"all/of/them/a.txt": "a", "all/of/them/b.txt": "b", "new/name": "b", "followed": "a", "single": "b"} {
		if got := read(t, h.Dir, path); got != want {
			t.Errorf("%s has %q, want %q", path, got, want)
		}
	}
	if mode(t, h.Dir, "all/of/them/a.txt") != 0o640 || mode(t, h.Dir, "new/name") != 0o755 {
		t.Error("the modes were not kept")
	}
	if info, err := os.Lstat(h.Dir + "/followed"); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the link was not followed: %v, %v", info, err)
	}
	for want, f := range map[string]fields{
		"no such file":    {"source": "missing", "destination": "x"},
		"no file matches": {"source": "*.none", "destination": "x/"},
		"the destination must end in a separator": {"source": "*.txt", "destination": "x"},
		"exists, and overwrite is false":          {"source": "a.txt", "destination": "b.txt", "overwrite": false},
		"is a folder; end it in a separator":      {"source": "a.txt", "destination": "new"},
		"is a folder, not a file":                 {"source": "new", "destination": "x"},
		"are the same file":                       {"source": "a.txt", "destination": "link"},
	} {
		_, err := do(t, h, "CopyFile", f)
		wantError(t, err, want)
	}
	if read(t, h.Dir, "a.txt") != "a" {
		t.Error("copying a file onto itself destroyed it")
	}
}
