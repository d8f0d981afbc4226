package toe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	temporaryPrefix = "TOE_"
	temporaryLock   = ".lock" // in a run's temporary folder, locked for as long as the run lives
)

// temporary is the folder that the steps of a run unpack and download into.
type temporary struct {
	dir  string
	lock *os.File
}

// makeTemporary makes the folder of a run, and removes those of runs that were
// killed before they could.
func makeTemporary() (t temporary, err error) {
	sweepTemporary(os.TempDir())
	if t.dir, err = os.MkdirTemp("", temporaryPrefix); err != nil {
		return t, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.remove())
		}
	}()
	// Under its name the file is locked from the first moment: a sweep of another
	// run takes a lock that it can have for that of a dead one.
	name := filepath.Join(t.dir, temporaryLock)
	if t.lock, err = os.OpenFile(name+".new", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		return t, err
	}
	if err = lockFile(t.lock); err != nil {
		return t, fmt.Errorf("locking the temporary folder: %w", err)
	}
	return t, os.Rename(name+".new", name)
}

// remove removes the folder; one that is not there is no error.
func (t *temporary) remove() error {
	if t.lock != nil {
		t.lock.Close() // Windows removes no open file
		t.lock = nil
	}
	if t.dir == "" {
		return nil
	}
	err := os.RemoveAll(t.dir)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return err
}

// sweepTemporary removes the folders of dead runs: those with a lock that nobody
// has. What cannot be removed is another user's, and stays.
func sweepTemporary(in string) {
	entries, err := os.ReadDir(in)
	if err != nil {
		return
	}
	for _, entry := range entries {
		dir := filepath.Join(in, entry.Name())
		if entry.IsDir() && strings.HasPrefix(entry.Name(), temporaryPrefix) && abandoned(filepath.Join(dir, temporaryLock)) {
			_ = os.RemoveAll(dir)
		}
	}
}

// abandoned reports whether a lock is there and nobody has it.
func abandoned(name string) bool {
	if info, err := os.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return lockFile(f) == nil
}
