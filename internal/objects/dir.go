package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// incoming is the folder, inside the store, for objects that are being
// written. Its leading dot keeps it out of the space of keys.
const incoming = ".incoming"

// Dir is a Store in a folder of a local file system: one file per object, the
// key is its path. Objects are written to an unnamed or temporary file,
// flushed, and linked into place, so that a crash leaves no half object.
type Dir struct {
	root string
}

var _ Store = (*Dir)(nil)

// OpenDir opens the store in folder root, which it makes where it is missing,
// and removes what writers that died before left behind. Writers of other
// living processes are not disturbed.
func OpenDir(root string) (*Dir, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("opening object store: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(root, incoming), 0o700); err != nil {
		return nil, fmt.Errorf("opening object store: %w", err)
	}
	d := &Dir{root: root}
	if err := d.sweep(); err != nil {
		return nil, fmt.Errorf("opening object store: removing unfinished objects: %w", err)
	}
	return d, nil
}

// sweep removes temporary files that no process holds a lock on.
func (d *Dir) sweep() error {
	names, err := os.ReadDir(filepath.Join(d.root, incoming))
	if err != nil {
		return err
	}
	for _, entry := range names {
		name := filepath.Join(d.root, incoming, entry.Name())
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			err = os.Remove(name)
		}
		f.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (d *Dir) path(key string) (string, error) {
	if err := ValidKey(key); err != nil {
		return "", err
	}
	return filepath.Join(d.root, filepath.FromSlash(key)), nil
}

// Put implements Store.
func (d *Dir) Put(ctx context.Context, key string, body io.Reader) (err error) {
	name, err := d.path(key)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("storing object %s: %w", key, err)
		}
	}()
	f, err := d.temporary()
	if err != nil {
		return err
	}
	defer f.Close() // gives up the lock last, when the name is settled
	if err := d.fill(ctx, f, body); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := d.place(f.Name(), name); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncFolder(filepath.Dir(name)) // gone with its folder if it was deleted already
}

// temporary makes a file for an incoming object, locked so that a sweep by
// another process leaves it alone.
func (d *Dir) temporary() (*os.File, error) {
	for {
		f, err := os.CreateTemp(filepath.Join(d.root, incoming), "put-")
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
		// A sweep may have come between the two calls and removed the name.
		if linked(f) {
			return f, nil
		}
		f.Close()
	}
}

func linked(f *os.File) bool {
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) == nil && st.Nlink > 0
}

func (d *Dir) fill(ctx context.Context, f *os.File, body io.Reader) error {
	if err := write(ctx, f, body); err != nil {
		return err
	}
	return f.Sync()
}

// place moves a finished file to its name. A Delete that prunes empty folders
// may run between making the folder and the rename, so it tries again.
func (d *Dir) place(temporary, name string) error {
	for attempt := 0; ; attempt++ {
		err := d.makeDir(filepath.Dir(name))
		if err == nil {
			err = os.Rename(temporary, name)
		}
		if err == nil || attempt == 100 || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
}

// makeDir makes a folder of the store; the new names are flushed in their
// parents, because an object is only as durable as the path to it.
func (d *Dir) makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if dir != d.root {
		if err := d.makeDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Get implements Store.
func (d *Dir) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	name, err := d.path(key)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, reading(key, err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = ErrNotFound
	}
	if err != nil {
		f.Close()
		return nil, reading(key, err)
	}
	return f, nil
}

// Stat implements Store.
func (d *Dir) Stat(ctx context.Context, key string) (Info, error) {
	name, err := d.path(key)
	if err != nil {
		return Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return Info{}, err
	}
	st, err := os.Lstat(name)
	if err == nil && !st.Mode().IsRegular() {
		err = ErrNotFound
	}
	if err != nil {
		return Info{}, reading(key, err)
	}
	return Info{Key: key, Size: st.Size(), Modified: st.ModTime()}, nil
}

// reading turns the file system's way of saying that there is no such object
// into the store's.
func reading(key string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		err = ErrNotFound
	}
	return fmt.Errorf("reading object %s: %w", key, err)
}

// Delete implements Store. Folders that become empty are removed too.
func (d *Dir) Delete(ctx context.Context, key string) error {
	name, err := d.path(key)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if st, err := os.Lstat(name); err == nil && st.IsDir() {
		return nil
	}
	err = os.Remove(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deleting object %s: %w", key, err)
	}
	for dir := filepath.Dir(name); dir != d.root; dir = filepath.Dir(dir) {
		if os.Remove(dir) != nil {
			break // not empty, or already gone
		}
	}
	return nil
}

// List implements Store.
func (d *Dir) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		// Only the folder part of the prefix can be walked into; a hostile
		// prefix such as "../x" names no valid folder and lists nothing.
		folder, _, _ := cutLast(prefix)
		if folder != "" && ValidKey(folder) != nil {
			return
		}
		_, err := d.walk(ctx, folder, prefix, yield)
		if err != nil {
			yield(Info{}, fmt.Errorf("listing objects %q: %w", prefix, err))
		}
	}
}

func cutLast(s string) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return "", s, false
}

// walk yields the objects below folder that match prefix; more is false once
// the caller has had enough.
func (d *Dir) walk(ctx context.Context, folder, prefix string, yield func(Info, error) bool) (more bool, err error) {
	entries, err := os.ReadDir(filepath.Join(d.root, filepath.FromSlash(folder)))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	slices.SortFunc(entries, byKey)
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		key := entry.Name()
		if folder != "" {
			key = folder + "/" + key
		}
		if ValidKey(key) != nil {
			continue
		}
		if more, err = d.visit(ctx, key, entry, prefix, yield); !more || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (d *Dir) visit(ctx context.Context, key string, entry fs.DirEntry, prefix string, yield func(Info, error) bool) (bool, error) {
	if entry.IsDir() {
		if strings.HasPrefix(key+"/", prefix) || strings.HasPrefix(prefix, key+"/") {
			return d.walk(ctx, key, prefix, yield)
		}
		return true, nil
	}
	if !entry.Type().IsRegular() || !strings.HasPrefix(key, prefix) {
		return true, nil
	}
	st, err := entry.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return yield(Info{Key: key, Size: st.Size(), Modified: st.ModTime()}, nil), nil
}

// byKey orders a folder's entries as their keys are ordered: what lies in a
// folder has a slash after the folder's name.
func byKey(a, b fs.DirEntry) int {
	return strings.Compare(sortName(a), sortName(b))
}

func sortName(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}

// Touch sets an object's time of change to now, as a Put of the same bytes
// would, without writing them. It returns ErrNotFound (wrapped) where there is
// none.
func (d *Dir) Touch(ctx context.Context, key string) error {
	name, err := d.path(key)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	now := time.Now()
	if err := os.Chtimes(name, now, now); err != nil {
		return reading(key, err)
	}
	return nil
}

// WithContext gives a reader of r whose reads fail once ctx has ended.
func WithContext(ctx context.Context, r io.Reader) io.Reader { return contextReader{ctx, r} }

// contextReader ends a copy when ctx ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
