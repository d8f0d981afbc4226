package toe

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestTheFoldersOfKilledRunsGo leaves folders behind in every way there is.
func TestTheFoldersOfKilledRunsGo(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp) // and so not parallel
	t.Setenv("TMP", temp)
	killed, err := makeTemporary()
	if err != nil {
		t.Fatal(err)
	}
	killed.lock.Close() // as the kernel does
	living, err := makeTemporary()
	if err != nil {
		t.Fatal(err)
	}
	defer living.remove()
	for _, name := range []string{"TOE_2026-11-22_03-18-47_UTC-0_logs", "TOE_linked", "other"} {
		if err := os.MkdirAll(filepath.Join(temp, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(temp, "secret")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(temp, "TOE_linked", temporaryLock)); err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(filepath.Join(temp, "other", temporaryLock), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	next, err := makeTemporary()
	if err != nil {
		t.Fatal(err)
	}
	for dir, stays := range map[string]bool{
		killed.dir: false, living.dir: true, next.dir: true, secret: true,
		filepath.Join(temp, "TOE_2026-11-22_03-18-47_UTC-0_logs"): true, // a log folder
		filepath.Join(temp, "TOE_linked"):                         true, // somebody's trap
		filepath.Join(temp, "other"):                              true,
	} {
		if _, err := os.Stat(dir); stays != (err == nil) {
			t.Errorf("%s: %v, want it to stay: %v", filepath.Base(dir), err, stays)
		}
	}
	if err := next.remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(next.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a removed folder: %v", err)
	}
	if err := next.remove(); err != nil {
		t.Errorf("removing again: %v", err)
	}
}
