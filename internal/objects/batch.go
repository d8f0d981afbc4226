package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Batch stores many objects for which being safe from a power cut is needed
// only once all of them are there: a disk that is flushed for each object is
// busy with little else.
type Batch interface {
	// Put stores an object as Store.Put does, but it may appear as late as
	// Flush, and survives a power cut only when Flush returned nil. When it
	// appears it is whole, and stays so whatever happens. Concurrent use is safe.
	Put(ctx context.Context, key string, body io.Reader) error

	// Found tells that an object, seen in the store, is to survive a power cut
	// too when Flush returned nil: who wrote it may not have come so far.
	Found(key string)

	// Flush finishes what was Put. It must not run beside Puts; more may follow.
	Flush(ctx context.Context) error

	// Discard gives up what did not appear yet. After a Flush that is nothing.
	Discard() error
}

// Batcher is a Store that has batches of its own.
type Batcher interface {
	Store
	Batch() Batch
}

// NewBatch gives a batch of a store's; where it has none, objects are stored one
// by one.
func NewBatch(s Store) Batch {
	if b, ok := s.(Batcher); ok {
		return b.Batch()
	}
	return single{s}
}

// single is the batch of a store whose every Put is final.
type single struct{ Store }

func (single) Found(string)                {}
func (single) Flush(context.Context) error { return nil }
func (single) Discard() error              { return nil }

// A group of objects is flushed when it has groupSize of them, each an open
// file, or the first is groupAge old: what dies loses no more than that.
const (
	groupSize = 128
	groupAge  = 5 * time.Second
)

// written is an object whose bytes are in a temporary file, not flushed.
type written struct {
	file *os.File
	key  string
	name string // path that it will have
}

// dirBatch is the Batch of a Dir. Files keep their temporary names until they
// are flushed, so that no name ever stands for bytes that a power cut took.
type dirBatch struct {
	dir *Dir

	mu      sync.Mutex
	group   []written
	since   time.Time
	folders map[string]bool // with names that may not be flushed
}

var _ Batcher = (*Dir)(nil)

// Batch implements Batcher.
func (d *Dir) Batch() Batch { return &dirBatch{dir: d, folders: map[string]bool{}} }

// Put implements Batch.
func (b *dirBatch) Put(ctx context.Context, key string, body io.Reader) error {
	name, err := b.dir.path(key)
	if err != nil {
		return err
	}
	f, err := b.dir.temporary()
	if err != nil {
		return fmt.Errorf("storing object %s: %w", key, err)
	}
	if err := write(ctx, f, body); err != nil {
		return fmt.Errorf("storing object %s: %w", key, errors.Join(err, os.Remove(f.Name()), f.Close()))
	}
	// The disk begins now, so that a flush finds little left to do; that it
	// cannot begin is no error, since the flush does all of it then.
	_ = unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)

	b.mu.Lock()
	if len(b.group) == 0 {
		b.since = time.Now()
	}
	b.group = append(b.group, written{f, key, name})
	var full []written
	if len(b.group) >= groupSize || time.Since(b.since) >= groupAge {
		full, b.group = b.group, nil
	}
	b.mu.Unlock()
	return b.settle(ctx, full)
}

// Found implements Batch.
func (b *dirBatch) Found(key string) {
	name, err := b.dir.path(key)
	if err != nil {
		return // Stat has refused it, and seen nothing
	}
	b.mu.Lock()
	b.folders[filepath.Dir(name)] = true
	b.mu.Unlock()
}

// Flush implements Batch.
func (b *dirBatch) Flush(ctx context.Context) error {
	b.mu.Lock()
	group := b.group
	b.group = nil
	b.mu.Unlock()
	if err := b.settle(ctx, group); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for folder := range b.folders {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := syncFolder(folder); err != nil {
			return fmt.Errorf("storing objects: %w", err)
		}
		delete(b.folders, folder)
	}
	return nil
}

// Discard implements Batch.
func (b *dirBatch) Discard() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := discard(b.group)
	b.group = nil
	return err
}

func discard(group []written) error {
	var all []error
	for _, w := range group {
		all = append(all, os.Remove(w.file.Name()), w.file.Close())
	}
	return errors.Join(all...)
}

// settle gives a group its names, after it was flushed. The first flush makes
// the file system write its journal for all of them; the others find that done.
func (b *dirBatch) settle(ctx context.Context, group []written) error {
	for _, w := range group {
		err := ctx.Err()
		if err == nil {
			err = w.file.Sync()
		}
		if err != nil {
			return errors.Join(fmt.Errorf("storing object %s: %w", w.key, err), discard(group))
		}
	}
	if err := b.makeFolders(group); err != nil {
		return errors.Join(fmt.Errorf("storing objects: %w", err), discard(group))
	}
	for i, w := range group {
		if err := b.dir.place(w.file.Name(), w.name); err != nil {
			return errors.Join(fmt.Errorf("storing object %s: %w", w.key, err), discard(group[i:]))
		}
		w.file.Close() // with it goes the lock: the name is settled
		b.mu.Lock()
		b.folders[filepath.Dir(w.name)] = true
		b.mu.Unlock()
	}
	return nil
}

// makeFolders makes the folders that a group needs, and flushes their names in
// one go for those that share a parent.
func (b *dirBatch) makeFolders(group []written) error {
	parents := map[string]bool{}
	for _, w := range group {
		folder := filepath.Dir(w.name)
		if _, err := os.Stat(folder); err == nil {
			continue
		}
		parent := filepath.Dir(folder)
		if err := b.dir.makeDir(parent); err != nil {
			return err
		}
		err := os.Mkdir(folder, 0o700)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a Delete pruned its parent just now: place makes both
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		parents[parent] = true
	}
	for parent := range parents {
		if err := syncFolder(parent); err != nil {
			return err
		}
	}
	return nil
}

// syncFolder flushes the names in a folder. One that is gone had none left.
func syncFolder(name string) error {
	if err := syncDir(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// oneWrite is up to what size bytes in memory are written at once.
const oneWrite = 1 << 20

// write copies body into a file, until ctx ends.
func write(ctx context.Context, f *os.File, body io.Reader) error {
	if r, ok := body.(*bytes.Reader); ok && r.Len() <= oneWrite {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := r.WriteTo(f)
		return err
	}
	_, err := io.Copy(f, contextReader{ctx, body})
	return err
}
