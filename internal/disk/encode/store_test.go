package encode

import (
	"path/filepath"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/objects"
)

func openStore(t *testing.T) (*disk.Store, string) {
	t.Helper()
	dir := t.TempDir()
	blobs, err := objects.OpenDir(filepath.Join(dir, "objects"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := disk.Open(blobs, filepath.Join(dir, "cache"), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return store, dir
}
