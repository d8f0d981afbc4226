package server

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// apart is a configuration whose region eu-west-1 has a store of its own.
func apart(t *testing.T) (*config.Config, datadir.Dir) {
	t.Helper()
	cfg := config.Default()
	cfg.Regions = map[string]config.Region{"eu-west-1": {Objects: filepath.Join(t.TempDir(), "eu")}}
	dir, err := datadir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return cfg, dir
}

// age makes everything below a folder two hours old.
func age(t *testing.T, folder string) {
	t.Helper()
	old := time.Now().Add(-2 * time.Hour)
	err := filepath.WalkDir(folder, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		return os.Chtimes(name, old, old)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A disk that was copied to a region with its own store is found there, is what
// it was, and goes from each store when that store's regions hold it no more.
func TestRegionsWithTheirOwnStore(t *testing.T) {
	t.Parallel()
	cfg, dir := apart(t)
	disks, err := OpenDisks(t.Context(), cfg, dir)
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("golden! "), 3*disk.BlockSize/8)
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	made, err := disks.Snapshot(t.Context(), file, "", "us-east-1", "")
	if err != nil {
		t.Fatal(err)
	}
	if disks.Shared("us-east-1", "eu-west-1") || !disks.Shared("us-east-1", "ap-south-1") {
		t.Error("which regions share a store")
	}
	key := disks.keys.List("123456789012", "eu-west-1")[0].ARN()
	sealed, moved, err := disks.Copy(t.Context(), made.Snapshot, "eu-west-1", key)
	if err != nil || moved.New == 0 || !disk.Sealed(sealed) {
		t.Fatalf("%s, %+v, %v", sealed, moved, err)
	}
	plain, _, err := disks.Copy(t.Context(), made.Snapshot, "eu-west-1", "")
	if err != nil || plain != made.Snapshot {
		t.Fatalf("%s, %v", plain, err)
	}
	holds := func(id string) {
		t.Helper()
		name, release, err := disks.Disk(t.Context(), id)
		if err != nil {
			t.Errorf("the disk %s: %v", id, err)
			return
		}
		defer release()
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, content) {
			t.Errorf("the disk %s is another (%v)", id, err)
		}
	}
	holds(sealed)
	age(t, string(dir))
	age(t, cfg.Regions["eu-west-1"].Objects)
	// The original is deregistered, its copies stay.
	got, err := disks.CollectAll(t.Context(), func(context.Context) ([]store.Held, error) {
		return []store.Held{{Region: "eu-west-1", Manifest: sealed}, {Region: "eu-west-1", Manifest: plain}}, nil
	})
	if err != nil || got.Snapshots != 1 || got.Blocks == 0 {
		t.Errorf("collected %+v, %v; want the original", got, err)
	}
	if has, err := disks.Store.Has(t.Context(), made.Snapshot); has || err != nil {
		t.Errorf("the original's store still has it: %v", err)
	}
	holds(sealed)
	holds(plain)

	// A region that got its store later keeps what it has in the common one.
	older := bytes.Repeat([]byte("older! "), disk.BlockSize)
	if err := os.WriteFile(file, older, 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := disks.Store.Snapshot(t.Context(), file, "")
	if err != nil {
		t.Fatal(err)
	}
	age(t, string(dir))
	if _, err := disks.CollectAll(t.Context(), func(context.Context) ([]store.Held, error) {
		return []store.Held{{Region: "eu-west-1", Manifest: before.ID}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if has, err := disks.Store.Has(t.Context(), before.ID); !has || err != nil {
		t.Errorf("a disk of before the region had its own store is gone (%v)", err)
	}
}

// A command that was not given the configuration must not look for a region's
// disks in another store.
func TestAForgottenRegionIsRefused(t *testing.T) {
	t.Parallel()
	cfg, dir := apart(t)
	if _, err := OpenDisks(t.Context(), cfg, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDisks(t.Context(), config.Default(), dir); err == nil || !strings.Contains(err.Error(), "eu-west-1") {
		t.Errorf("without the region: %v", err)
	}
	cfg.Regions["eu-west-1"] = config.Region{Objects: t.TempDir()}
	if _, err := OpenDisks(t.Context(), cfg, dir); err == nil || !strings.Contains(err.Error(), "eu-west-1") {
		t.Errorf("with another store: %v", err)
	}
}
