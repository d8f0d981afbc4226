package base

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/objects"
)

func openStore(t testing.TB) *Store {
	t.Helper()
	dir := t.TempDir()
	o, err := objects.OpenDir(filepath.Join(dir, "objects"))
	if err != nil {
		t.Fatal(err)
	}
	disks, err := disk.Open(o, filepath.Join(dir, "cache"), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(filepath.Join(dir, "parents"), disks)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLookup(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	for _, p := range []Parent{
		{Name: "debian-12-x86", Version: "2025.12.31", Snapshot: "a"},
		{Name: "debian-12-x86", Version: "2026.2.9", Snapshot: "b"},
		{Name: "debian-12-x86", Version: "2026.2.9", Snapshot: "c"},
		{Name: "debian-12-x86", Version: "2026.2.10", Snapshot: "d"},
		{Name: "other", Version: "9999.1.1", Snapshot: "e"},
	} {
		if _, err := s.add(p); err != nil {
			t.Fatal(err)
		}
	}
	for pattern, want := range map[string]string{
		"": "d", "x.x.x": "d", "2026.x.x": "d", "2026.2.x": "d", "2026.2.9": "c", "2026.2.9/1": "b", "2026.2.9/2": "c",
		"2025.x.x": "a", "x.12.x": "a", "2024.x.x": "", "2026.2.9/3": "", "x.x.x/2": "c",
	} {
		p, ok, err := s.Lookup("debian-12-x86", pattern)
		if err != nil || ok != (want != "") || p.Snapshot != want {
			t.Errorf("Lookup(%s) = %s, %v, %v; want %q", pattern, p.Snapshot, ok, err, want)
		}
	}
	for _, pattern := range []string{"1", "1.2", "1.2.3.4", "01.2.3", "a.b.c", "1.2.3/0", "1.2.3/x", "../..", "-1.2.3", "*.*.*", "x.x.x/"} {
		if _, _, err := s.Lookup("debian-12-x86", pattern); err == nil {
			t.Errorf("the pattern %q was accepted", pattern)
		}
	}
	for _, name := range []string{"", "../x", "a/b", "A", ".lock", "a*", "-a", "a-"} {
		if _, _, err := s.Lookup(name, ""); !errors.Is(err, ErrBadName) {
			t.Errorf("the name %q: %v, want ErrBadName", name, err)
		}
	}
	if _, ok, err := s.Lookup("unknown", ""); ok || err != nil {
		t.Errorf("an unknown parent: %v, %v", ok, err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	if all, err := s.List(); err != nil || len(all) != 0 {
		t.Errorf("List = %v, %v", all, err)
	}
	first := Parent{Name: "b", Version: "2026.1.1", Snapshot: "1", Created: time.Unix(1, 0).UTC(), Packages: []Package{{"a", "1", "all"}}}
	for _, p := range []Parent{first, {Name: "a", Version: "1.0.0", Snapshot: "2"}, {Name: "b", Version: "2026.1.2", Snapshot: "3"}, first} {
		if _, err := s.add(p); err != nil {
			t.Fatal(err)
		}
	}
	// What a writer that died, or a person, may have left is no parent.
	for _, name := range []string{"b/2026.1.1/.new-123", ".work/x", "b/.lock", "stray"} {
		name = filepath.Join(s.dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	first.Build = 1
	want := []Parent{{Name: "a", Version: "1.0.0", Build: 1, Snapshot: "2"}, {Name: "b", Version: "2026.1.2", Build: 1, Snapshot: "3"}, first}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("the same disk is recorded once (-want +got):\n%s", diff)
	}
}

func TestLockFileIsHeldByOne(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "new", "lock")
	inside, most, waited := 0, 0, 0
	var mu sync.Mutex
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			unlock, err := lockFile(t.Context(), name, func() { mu.Lock(); waited++; mu.Unlock() })
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			inside++
			most = max(most, inside)
			mu.Unlock()
			time.Sleep(20 * time.Millisecond)
			mu.Lock()
			inside--
			mu.Unlock()
			unlock()
		})
	}
	group.Wait()
	if most != 1 || waited != 3 {
		t.Errorf("%d at once, %d were told that they wait", most, waited)
	}
	unlock, err := lockFile(t.Context(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := lockFile(ctx, name, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for a lock ended with %v", err)
	}
}

func TestWorkFolderSweepsTheDead(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	living, remove, err := s.workFolder()
	if err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(s.dir, ".work", "make-dead")
	if err := os.MkdirAll(filepath.Join(dead, "tree"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, removeSecond, err := s.workFolder()
	if err != nil {
		t.Fatal(err)
	}
	defer removeSecond()
	if _, err := os.Stat(living); err != nil {
		t.Errorf("the folder of a living process: %v", err)
	}
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of a dead process: %v", err)
	}
	remove()
	if _, err := os.Stat(living); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the removed folder: %v", err)
	}
}

func TestBuildOfUnknownParentSaysWhatToDo(t *testing.T) {
	t.Parallel()
	_, err := openStore(t).Build(t.Context(), "amazon-linux-2-x86", BuildOptions{})
	if !errors.Is(err, ErrCannotBuild) || !strings.Contains(err.Error(), "goldsmith base import FILE|URL --name amazon-linux-2-x86") {
		t.Errorf("error %v", err)
	}
}

func TestDateVersion(t *testing.T) {
	t.Parallel()
	if got := dateVersion(time.Date(2026, 7, 2, 23, 0, 0, 0, time.FixedZone("", -7200))); got != "2026.7.3" {
		t.Errorf("version %s", got)
	}
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{"", "x.x.x", "1.2.3/4", "../../x", "1.2.3/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		version, build, err := parsePattern(pattern)
		if err != nil || pattern == "" {
			return
		}
		if len(version) != 3 || build < 0 || strings.Trim(pattern, "0123456789.x/") != "" {
			t.Errorf("%q is %v/%d", pattern, version, build)
		}
	})
}
