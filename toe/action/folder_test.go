//go:build unix

package action

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// tree makes files out of "path=content" lines; a path that ends in "/" is a
// folder, and "a->b" a link.
func tree(t *testing.T, root string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		name, content, _ := strings.Cut(l, "=")
		if link, target, ok := strings.Cut(l, "->"); ok {
			name = link
			if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		path := filepath.Join(root, name)
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, content, 0o640)
	}
}

// list gives what lies under a folder in the form that tree takes.
func list(t *testing.T, root string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			name += "/"
		case d.Type()&os.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			name += "->" + target
		default:
			name += "=" + read(t, path)
		}
		lines = append(lines, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, " ")
}

func TestFolders(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, module string
		before       []string
		inputs       fields
		after, err   string
	}{
		{"copy to a new name", "CopyFolder", []string{"a/x=1", "a/b/y=2", "a/l->x"}, fields{"source": "a", "destination": "n/c"}, "a/ a/b/ a/b/y=2 a/l->x a/x=1 n/ n/c/ n/c/b/ n/c/b/y=2 n/c/l->x n/c/x=1", ""},
		{"copy under a folder", "CopyFolder", []string{"a/x=1"}, fields{"source": "a", "destination": "n/"}, "a/ a/x=1 n/ n/a/ n/a/x=1", ""},
		{"copy merges", "CopyFolder", []string{"a/x=1", "c/x=old", "c/kept=2"}, fields{"source": "a", "destination": "c"}, "a/ a/x=1 c/ c/kept=2 c/x=1", ""},
		{"copy several", "CopyFolder", []string{"a1/x=1", "a2/y=2", "a3=file"}, fields{"source": "a*", "destination": "n/"}, "a1/ a1/x=1 a2/ a2/y=2 a3=file n/ n/a1/ n/a1/x=1 n/a2/ n/a2/y=2", ""},
		{"copy several to one", "CopyFolder", []string{"a1/", "a2/"}, fields{"source": "a*", "destination": "n"}, "a1/ a2/", "must end in a separator"},
		{"copy none", "CopyFolder", []string{"a/"}, fields{"source": "b*", "destination": "n/"}, "a/", "no folder matches"},
		{"copy missing", "CopyFolder", []string{"a/"}, fields{"source": "b", "destination": "n"}, "a/", "no such file"},
		{"copy a file", "CopyFolder", []string{"a=1"}, fields{"source": "a", "destination": "n"}, "a=1", "is not a folder"},
		{"copy onto a file", "CopyFolder", []string{"a/", "f=1"}, fields{"source": "a", "destination": "f"}, "a/ f=1", "exists and is not a folder"},
		{"copy and keep", "CopyFolder", []string{"a/", "c/"}, fields{"source": "a", "destination": "c", "overwrite": false}, "a/ c/", "overwrite is false"},
		{"copy into itself", "CopyFolder", []string{"a/x=1"}, fields{"source": "a", "destination": "a/"}, "a/ a/x=1", "cannot go into itself"},
		{"copy into itself by a link", "CopyFolder", []string{"a/x=1", "l->a"}, fields{"source": "a", "destination": "l/"}, "a/ a/x=1 l->a", "cannot go into itself"},
		{"copy not through links", "CopyFolder", []string{"a/x=new", "c/x->../victim", "victim=old"}, fields{"source": "a", "destination": "c"}, "a/ a/x=new c/ c/x=new victim=old", ""},
		{"move to a new name", "MoveFolder", []string{"a/x=1", "a/l->x"}, fields{"source": "a", "destination": "n/c"}, "n/ n/c/ n/c/l->x n/c/x=1", ""},
		{"move under a folder", "MoveFolder", []string{"a/x=1"}, fields{"source": "a", "destination": "n/"}, "n/ n/a/ n/a/x=1", ""},
		{"move replaces", "MoveFolder", []string{"a/x=1", "c/gone=2"}, fields{"source": "a", "destination": "c"}, "c/ c/x=1", ""},
		{"move and keep", "MoveFolder", []string{"a/x=1", "c/kept=2"}, fields{"source": "a", "destination": "c", "overwrite": false}, "a/ a/x=1 c/ c/kept=2", "overwrite is false"},
		{"move into itself", "MoveFolder", []string{"a/x=1"}, fields{"source": "a", "destination": "a/b"}, "a/ a/x=1", "cannot go into itself"},
		{"move a file", "MoveFile", []string{"a=1"}, fields{"source": "a", "destination": "n/b"}, "n/ n/b=1", ""},
		{"move files", "MoveFile", []string{"a.t=1", "b.t=2", "c=3"}, fields{"source": "*.t", "destination": "n/"}, "c=3 n/ n/a.t=1 n/b.t=2", ""},
		{"move a link", "MoveFile", []string{"a=1", "l->a"}, fields{"source": "l", "destination": "m"}, "a=1 m->a", ""},
		{"move onto a file", "MoveFile", []string{"a=1", "b=2"}, fields{"source": "a", "destination": "b"}, "b=1", ""},
		{"move and keep the file", "MoveFile", []string{"a=1", "b=2"}, fields{"source": "a", "destination": "b", "overwrite": false}, "a=1 b=2", "overwrite is false"},
		{"move onto a folder", "MoveFile", []string{"a=1", "b/"}, fields{"source": "a", "destination": "b"}, "a=1 b/", "is a folder"},
		{"delete empty", "DeleteFolder", []string{"a/"}, fields{"path": "a"}, "", ""},
		{"delete full", "DeleteFolder", []string{"a/x=1"}, fields{"path": "a"}, "a/ a/x=1", "not empty"},
		{"delete by force", "DeleteFolder", []string{"a/x=1"}, fields{"path": "a", "force": true}, "", ""},
		{"delete a file", "DeleteFolder", []string{"a=1"}, fields{"path": "a"}, "a=1", "is not a folder"},
		{"delete a file by force", "DeleteFolder", []string{"a=1"}, fields{"path": "a", "force": true}, "", ""},
		{"delete missing", "DeleteFolder", nil, fields{"path": "a", "force": true}, "", "no such file"},
		{"delete a link", "DeleteFolder", []string{"a/x=1", "l->a"}, fields{"path": "l", "force": true}, "a/ a/x=1", ""},
		{"delete the root", "DeleteFolder", []string{"a/"}, fields{"path": "/.."}, "a/", "is the root of the file system"},
		{"link", "CreateSymlink", []string{"a=1"}, fields{"path": "n/l", "target": "../a"}, "a=1 n/ n/l->../a", ""},
		{"link missing", "CreateSymlink", nil, fields{"path": "l", "target": "a"}, "", "the target of the link"},
		{"link again", "CreateSymlink", []string{"a=1", "l->b"}, fields{"path": "l", "target": "a"}, "a=1 l->b", "force is false"},
		{"link by force", "CreateSymlink", []string{"a=1", "l->b"}, fields{"path": "l", "target": "a", "force": true}, "a=1 l->a", ""},
		{"link over a file", "CreateSymlink", []string{"a=1", "f=2"}, fields{"path": "f", "target": "a", "force": true}, "a=1 f=2", "is not a link"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			tree(t, h.Dir, tc.before...)
			_, err := do(t, h, tc.module, tc.inputs)
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if got := list(t, h.Dir); got != tc.after {
				t.Errorf("left  %s\nwant %s", got, tc.after)
			}
		})
	}
}

// TestMoveAcrossFileSystems: where a rename is not possible, a move is a copy
// and a removal.
func TestMoveAcrossFileSystems(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	other, err := os.MkdirTemp("/dev/shm", "toe-test-")
	if err != nil {
		t.Skipf("needs a second file system: %v", err)
	}
	defer os.RemoveAll(other)
	tree(t, h.Dir, "f=1", "l->f", "d/x=2", "d/l->x")
	if os.Rename(h.Dir+"/f", other+"/f") == nil {
		t.Skip("/dev/shm is on the file system of the temporary folder")
	}
	for _, f := range []fields{{"source": "f", "destination": other + "/"}, {"source": "l", "destination": other + "/link"}} {
		if err := os.WriteFile(h.Dir+"/f", []byte("1"), 0o640); err != nil {
			t.Fatal(err)
		}
		if _, err := do(t, h, "MoveFile", f); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := do(t, h, "MoveFolder", fields{"source": "d", "destination": other + "/moved"}); err != nil {
		t.Fatal(err)
	}
	if got, want := list(t, other), "f=1 link->f moved/ moved/l->x moved/x=2"; got != want {
		t.Errorf("moved %s, want %s", got, want)
	}
	if got := list(t, h.Dir); got != "f=1" || mode(t, other, "f") != 0o640 {
		t.Errorf("left %s, mode %v", got, mode(t, other, "f"))
	}
}

func TestListFiles(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	tree(t, h.Dir, "b.txt=", "a.txt=", "c.log=", "sub/d.txt=", "sub.txt/", "l.txt->b.txt")
	for want, f := range map[string]fields{
		"a.txt b.txt c.log l.txt":           {"path": "."},
		"a.txt b.txt l.txt":                 {"path": h.Dir, "fileNamePattern": "*.txt"},
		"a.txt b.txt l.txt sub/d.txt":       {"path": "./", "fileNamePattern": "*.txt", "recursive": true},
		"a.txt b.txt c.log l.txt sub/d.txt": {"path": ".", "recursive": true},
		"":                                  {"path": "sub.txt"},
	} {
		r, err := do(t, h, "ListFiles", f)
		if err != nil {
			t.Error(err)
			continue
		}
		var paths []string
		for _, name := range strings.Fields(want) {
			paths = append(paths, filepath.Join(h.Dir, name))
		}
		if got := r.Outputs[0]["files"]; got != strings.Join(paths, ",") {
			t.Errorf("%v: %s", f, got)
		}
	}
	_, err := do(t, h, "ListFiles", fields{"path": "missing"})
	wantError(t, err, "no such file")
	_, err = do(t, h, "ListFiles", fields{"path": "a.txt"})
	wantError(t, err, "is not a folder")
}

func TestSetFileEncoding(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	tree(t, h.Dir, "a=\ufeffé", "l->a")
	if _, err := do(t, h, "SetFileEncoding", fields{"path": "l", "encoding": "utf-16-BE"}); err != nil {
		t.Fatal(err)
	}
	if got := list(t, h.Dir); got != "a=\x00\xe9 l->a" || mode(t, h.Dir, "a") != 0o640 {
		t.Errorf("left %q, mode %v", got, mode(t, h.Dir, "a"))
	}
	_, err := do(t, h, "SetFileEncoding", fields{"path": "missing"})
	wantError(t, err, "no such file")
}

func TestSetPermissions(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	tree(t, h.Dir, "d/a=", "d/sub/b=", "outside=", "d/l->../outside")
	if _, err := do(t, h, "SetFolderPermissions", fields{"path": "d", "permissions": "0710"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"d", "d/a", "d/sub", "d/sub/b"} {
		if got := mode(t, h.Dir, name); got != 0o710 {
			t.Errorf("%s has mode %v", name, got)
		}
	}
	if got := mode(t, h.Dir, "outside"); got != 0o640 {
		t.Errorf("the mode of a file outside was set to %v", got)
	}
	if _, err := do(t, h, "SetFolderPermissions", fields{"path": "d", "permissions": "0755", "recursive": false}); err != nil {
		t.Fatal(err)
	}
	if _, err := do(t, h, "SetFilePermissions", fields{"path": "d/a", "permissions": "0600"}); err != nil {
		t.Fatal(err)
	}
	if mode(t, h.Dir, "d") != 0o755 || mode(t, h.Dir, "d/sub") != 0o710 || mode(t, h.Dir, "d/a") != 0o600 {
		t.Error("the modes are wrong")
	}
	_, err := do(t, h, "SetFilePermissions", fields{"path": "d", "permissions": "0600"})
	wantError(t, err, "is a folder, not a file")
	_, err = do(t, h, "SetFolderPermissions", fields{"path": "outside", "permissions": "0600"})
	wantError(t, err, "is not a folder")
}

func TestSetOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root to give files away")
	}
	h := newHost(t)
	tree(t, h.Dir, "d/a=", "d/sub/b=", "outside=", "d/l->../outside", "f=", "g->f")
	if _, err := do(t, h, "SetFolderOwner", fields{"path": "d", "owner": "daemon"}); err != nil {
		t.Fatal(err)
	}
	if _, err := do(t, h, "SetFileOwner", fields{"path": "g", "owner": "12", "group": "34"}); err != nil {
		t.Fatal(err)
	}
	owner := func(name string) [2]uint32 {
		var s syscall.Stat_t
		if err := syscall.Lstat(filepath.Join(h.Dir, name), &s); err != nil {
			t.Fatal(err)
		}
		return [2]uint32{s.Uid, s.Gid}
	}
	for name, want := range map[string][2]uint32{"d": {1, 1}, "d/a": {1, 1}, "d/sub/b": {1, 1}, "d/l": {1, 1}, "outside": {0, 0}, "f": {12, 34}, "g": {0, 0}} {
		if got := owner(name); got != want {
			t.Errorf("%s belongs to %v, want %v", name, got, want)
		}
	}
	_, err := do(t, h, "SetFileOwner", fields{"path": "f", "owner": "nobody-here"})
	wantError(t, err, `there is no user "nobody-here"`)
}

// fakeManager puts a package manager on the host's PATH that writes down what
// it is asked to do.
func fakeManager(t *testing.T, h *Host, name, script string) (calls func() string) {
	t.Helper()
	bin := t.TempDir()
	write(t, filepath.Join(bin, name), "#!/bin/sh\necho \"$*\" >> "+h.Dir+"/calls\n"+script+"\n", 0o755)
	h.Env = []string{"PATH=" + bin}
	return func() string {
		b, err := os.ReadFile(filepath.Join(h.Dir, "calls"))
		if err != nil {
			return ""
		}
		return string(b)
	}
}

func TestUpdateOS(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const updates = `case $* in *list-updates*) echo "<?xml version=\"1.0\"?><stream><update-status version=\"0.6\"><update-list><update name=\"a\" kind=\"package\"/><update name=\"b\" kind=\"package\"/><update name=\"p\" kind=\"patch\"/></update-list></update-status></stream>"; esac`
	const apt = "-y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "
	const listing = `case "$*" in *just-print*) printf 'Inst a [1] (2 x)\nInst b [1] (2 x)\nInst new (1 x)\nConf a (2 x)\n';; esac`
	for _, tc := range []struct {
		name, manager, script string
		inputs                []fields
		calls, err            string
	}{
		{"apt", "apt-get", "", nil, "update\n" + apt + "dist-upgrade\n", ""},
		{"apt empty", "apt-get", "", []fields{{}}, "update\n" + apt + "dist-upgrade\n", ""},
		{"apt include", "apt-get", "", []fields{{"include": []string{"a", "b", "c"}, "exclude": []string{"b"}}}, "update\n" + apt + "install --only-upgrade a c\n", ""},
		{"apt exclude", "apt-get", listing, []fields{{"exclude": []string{"b"}}}, "update\n--just-print dist-upgrade\n" + apt + "install --only-upgrade a\n", ""},
		{"apt exclude all", "apt-get", listing, []fields{{"exclude": []string{"a", "b"}}}, "update\n--just-print dist-upgrade\n", ""},
		{"nothing left", "apt-get", "", []fields{{"include": []string{"a"}, "exclude": []string{"a"}}}, "", ""},
		{"apt fails", "apt-get", "exit 100", nil, "update\n", "reading the package lists: exit status 100"},
		{"dnf", "dnf", "", []fields{{"include": []string{"a"}, "exclude": []string{"b"}}}, "-y update --exclude=b a\n", ""},
		{"yum", "yum", "", nil, "-y update\n", ""},
		{"zypper", "zypper", "", nil, "--non-interactive refresh\n--non-interactive update\n", ""},
		{"zypper exclude", "zypper", updates, []fields{{"exclude": []string{"a"}}}, "--non-interactive refresh\n--non-interactive --xmlout list-updates\n--non-interactive update b\n", ""},
		{"zypper exclude all", "zypper", updates, []fields{{"exclude": []string{"a", "b"}}}, "--non-interactive refresh\n--non-interactive --xmlout list-updates\n", ""},
		{"zypper no list", "zypper", "echo nonsense", []fields{{"exclude": []string{"a"}}}, "--non-interactive refresh\n--non-interactive --xmlout list-updates\n", "listing what can be updated"},
		{"zypper asks for a restart of the machine", "zypper", "case $* in *update*) exit 102; esac", nil, "--non-interactive refresh\n--non-interactive update\n", ""},
		{"zypper updates itself first", "zypper", "case $* in *update*) test -e \"$0.again\" || { : > \"$0.again\"; exit 103; }; esac", nil, "--non-interactive refresh\n--non-interactive update\n--non-interactive update\n", ""},
		{"zypper without end", "zypper", "case $* in *update*) exit 103; esac", nil, "--non-interactive refresh\n--non-interactive update\n--non-interactive update\n", "exit status 103"},
		{"no manager", "pacman", "", nil, "", "none of the package managers"},
		{"option", "apt-get", "", []fields{{"include": []string{"--allow-downgrades"}}}, "", `"--allow-downgrades" is not the name of a package`},
		{"file", "apt-get", "", []fields{{"include": []string{"./evil.deb"}}}, "", "is not the name of a package"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			calls := fakeManager(t, h, tc.manager, tc.script)
			_, err := do(t, h, "UpdateOS", tc.inputs...)
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if calls() != tc.calls {
				t.Errorf("calls\n%swant\n%s", calls(), tc.calls)
			}
		})
	}
}
