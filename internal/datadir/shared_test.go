package datadir_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/datadir"
)

func TestSharedFoldersAreTheSameForAll(t *testing.T) {
	t.Parallel()
	shared := t.TempDir()
	var dirs []datadir.Dir
	for range 2 {
		d := open(t)
		for range 2 { // every start shares again
			if err := d.Share(shared); err != nil {
				t.Fatal(err)
			}
		}
		dirs = append(dirs, d)
	}
	for _, of := range []func(datadir.Dir) string{datadir.Dir.Objects, datadir.Dir.Parents, datadir.Dir.Logs, datadir.Dir.Buckets} {
		if a, b := of(dirs[0]), of(dirs[1]); a != b || !strings.HasPrefix(a, shared) {
			t.Errorf("%s and %s, want one folder in %s", a, b, shared)
		}
	}
	if err := os.WriteFile(filepath.Join(string(dirs[0]), "cache", "collect.lock"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(string(dirs[1]), "cache", "collect.lock")); string(got) != "x" || err != nil {
		t.Errorf("the lock of collections is not shared: %q, %v", got, err)
	}
	if a, b := dirs[0].Instances(), dirs[1].Instances(); a == b {
		t.Errorf("both have their instances in %s", a)
	}
}

func TestSharingHidesNothing(t *testing.T) {
	t.Parallel()
	d := open(t)
	if err := os.MkdirAll(filepath.Join(string(d), "objects", "blocks"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := d.Share(t.TempDir()); err == nil || !strings.Contains(err.Error(), "objects") {
		t.Errorf("sharing over objects that are there: %v, want a refusal that names them", err)
	}
	if _, err := os.Stat(filepath.Join(string(d), "objects", "blocks")); err != nil {
		t.Errorf("the objects are gone: %v", err)
	}
	if err := open(t).Share(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a shared folder that is not mounted was made")
	}
}
