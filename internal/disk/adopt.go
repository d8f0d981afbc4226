package disk

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// maxRemembered bounds how many snapshotted files are remembered for Adopt.
const maxRemembered = 64

// remember keeps what the file of a snapshot looked like when it was read.
func (s *Store) remember(id string, state fileState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.reads) >= maxRemembered {
		clear(s.reads)
	}
	s.reads[id] = state
}

// Adopt makes a raw file the ready copy of the snapshot that was made of it,
// and takes the file away: it is moved into the cache. If the file may have
// changed since Snapshot read it, it is read again and refused if it is no
// longer the snapshot's disk. The file of a sealed snapshot is removed instead:
// its disk is nowhere kept plain.
func (s *Store) Adopt(ctx context.Context, id, name string) error {
	if err := s.adopt(ctx, id, name); err != nil {
		return fmt.Errorf("keeping the disk of snapshot %s: %w", id, err)
	}
	return nil
}

func (s *Store) adopt(ctx context.Context, id, name string) error {
	if _, err := ParseID(id); err != nil {
		return err
	}
	if Sealed(id) {
		return os.Remove(name)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("locking %s: %w", name, err)
	}
	state, err := stateOf(f)
	if err != nil {
		return err
	}
	s.mu.Lock()
	same := s.reads[id] == state
	delete(s.reads, id)
	s.mu.Unlock()
	if !same {
		if err := s.compare(ctx, id, f); err != nil {
			return err
		}
	}
	err = s.cache.install(id, f, false)
	if errors.Is(err, unix.EXDEV) {
		err = s.moveIn(ctx, id, f)
	}
	if err != nil {
		return err
	}
	return s.cache.trim(s.cache.raw(id))
}

// moveIn is Adopt for a file on another file system than the cache.
func (s *Store) moveIn(ctx context.Context, id string, f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	copied, err := s.cache.temporary()
	if err != nil {
		return err
	}
	defer copied.Close()
	if _, err = clone(ctx, copied, f, st.Size()); err == nil {
		err = s.cache.install(id, copied, false)
	}
	if err != nil {
		return errors.Join(err, removeIfThere(copied.Name()))
	}
	return os.Remove(f.Name())
}

// compare reads the file and tells whether it is the snapshot's disk.
func (s *Store) compare(ctx context.Context, id string, f *os.File) error {
	m, err := s.Manifest(ctx, id)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	r := &reading{store: s, file: f, size: st.Size(), discard: true}
	found, err := r.readAll(ctx)
	if err != nil {
		return err
	}
	if found.ID() != m.ID() {
		return errors.New("the file is not the disk that the snapshot was made of")
	}
	return nil
}
