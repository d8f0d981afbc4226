package disk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// cache holds raw disk files of snapshots, ready to be copied or read: a file
// HEX.raw and beside it HEX.json, its marker, written when the file was whole.
// A file counts only if it is exactly as its marker says, so that neither a
// crash nor a stray write makes a wrong disk.
type cache struct {
	dir    string // raw/, tmp/
	limit  int64  // bytes on disk
	bootID string // of this start of the machine's kernel

	mu      sync.Mutex
	filling map[string]chan struct{} // ids being filled by this process
}

// fileState is what tells that a file was not written to.
type fileState struct {
	Device   uint64 `json:"device"`
	Inode    uint64 `json:"inode"`
	Size     int64  `json:"size"`     // bytes
	Modified int64  `json:"modified"` // nanoseconds since 1970
}

// marker vouches for a raw file. A file that was not flushed is good only
// until the kernel that holds its pages ends.
type marker struct {
	State   fileState `json:"state"`
	Flushed bool      `json:"flushed"`
	BootID  string    `json:"bootId"`
}

func stateOf(f *os.File) (fileState, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fileState{}, fmt.Errorf("looking at %s: %w", f.Name(), err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fileState{}, fmt.Errorf("%s is not a regular file", f.Name())
	}
	return fileState{Device: uint64(st.Dev), Inode: st.Ino, Size: st.Size, Modified: st.Mtim.Nano()}, nil
}

func openCache(dir string, limit int64) (*cache, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	c := &cache{dir: dir, limit: limit, filling: map[string]chan struct{}{}}
	for _, name := range []string{"raw", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return nil, err
		}
	}
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err == nil {
		c.bootID = strings.TrimSpace(string(id))
	}
	return c, c.sweep()
}

// sweep removes unfinished files of processes that died.
func (c *cache) sweep() error {
	entries, err := os.ReadDir(filepath.Join(c.dir, "tmp"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		removeUnlocked(filepath.Join(c.dir, "tmp", e.Name()))
	}
	return nil
}

// removeUnlocked removes a file that nobody holds a lock on, and tells whether
// it did.
func removeUnlocked(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return false
	}
	return os.Remove(name) == nil
}

func (c *cache) raw(id string) string {
	return filepath.Join(c.dir, "raw", id[strings.IndexByte(id, ':')+1:]+".raw")
}

func (c *cache) markerOf(raw string) string { return strings.TrimSuffix(raw, ".raw") + ".json" }

// temporary makes a file that is to become a raw file; it is locked until it
// is closed.
func (c *cache) temporary() (*os.File, error) {
	for {
		f, err := os.CreateTemp(filepath.Join(c.dir, "tmp"), "disk-")
		if err != nil {
			return nil, err
		}
		var st unix.Stat_t
		err = errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_EX), unix.Fstat(int(f.Fd()), &st))
		if err != nil {
			return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
		if st.Nlink > 0 { // a sweep may have come between
			return f, nil
		}
		f.Close()
	}
}

// open gives a snapshot's raw file for reading, locked against eviction until
// it is closed; nil if there is none that is whole. Damaged ones are removed.
func (c *cache) open(id string) *os.File {
	name := c.raw(id)
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil {
		f.Close() // being evicted
		return nil
	}
	if !c.whole(f) {
		f.Close()
		c.remove(name)
		return nil
	}
	now := time.Now()
	if os.Chtimes(c.markerOf(name), now, now) != nil { // the time of last use
		f.Close() // evicted between opening and locking
		return nil
	}
	return f
}

func (c *cache) whole(f *os.File) bool {
	data, err := os.ReadFile(c.markerOf(f.Name()))
	if err != nil {
		return false
	}
	var m marker
	if json.Unmarshal(data, &m) != nil {
		return false
	}
	state, err := stateOf(f)
	return err == nil && state == m.State && (m.Flushed || c.bootID != "" && m.BootID == c.bootID)
}

// install moves a finished file, locked by the caller, into the cache. Its
// content must be the snapshot's. Without flush it counts until the machine
// restarts.
func (c *cache) install(id string, f *os.File, flush bool) error {
	if flush {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	state, err := stateOf(f)
	if err != nil {
		return err
	}
	data, err := json.Marshal(marker{State: state, Flushed: flush, BootID: c.bootID})
	if err != nil {
		return err
	}
	name := c.raw(id)
	// The old marker does not fit the new file, and the new one not the old
	// file: at no moment does a wrong pair look right.
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return c.writeMarker(name, data, flush)
}

func (c *cache) writeMarker(raw string, data []byte, flush bool) error {
	f, err := c.temporary()
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(data)
	if err == nil && flush {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), c.markerOf(raw))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// remove takes a raw file out of the cache if nobody reads it.
func (c *cache) remove(raw string) bool {
	if !removeUnlocked(raw) {
		return false
	}
	os.Remove(c.markerOf(raw))
	return true
}

// cached is a raw file as the eviction sees it.
type cached struct {
	raw  string
	used time.Time
	size int64 // bytes on disk
}

// trim removes the files that were used least recently until the rest fits.
// Files in use stay, and so does keep.
func (c *cache) trim(keep string) error {
	entries, err := os.ReadDir(filepath.Join(c.dir, "raw"))
	if err != nil {
		return err
	}
	var all []cached
	total := int64(0)
	for _, e := range entries {
		raw := filepath.Join(c.dir, "raw", e.Name())
		var st unix.Stat_t
		if !strings.HasSuffix(raw, ".raw") || unix.Stat(raw, &st) != nil {
			continue
		}
		item := cached{raw: raw, size: st.Blocks * 512}
		if m, err := os.Stat(c.markerOf(raw)); err == nil {
			item.used = m.ModTime()
		}
		all = append(all, item)
		total += item.size
	}
	slices.SortFunc(all, func(a, b cached) int { return a.used.Compare(b.used) })
	for _, item := range all {
		if total <= c.limit {
			break
		}
		if item.raw != keep && c.remove(item.raw) {
			total -= item.size
		}
	}
	return nil
}
