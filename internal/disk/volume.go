package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/disk/partition"
	"github.com/goldsmith-build/goldsmith/internal/faultpoint"
)

// Volume writes a snapshot's disk into the new raw file name and says how:
// "reflink" (the file system shares the blocks), "sparse copy" (of a ready
// copy) or "blocks" (put together and checked against the digests; this also
// makes the ready copy). Where size (bytes) is larger than the snapshot, the
// disk, its root partition and the file system on it are enlarged; 0 means the
// snapshot's own size. On an error the file is not left behind.
//
// A sealed snapshot has no ready copy: its disk is put together each time, and
// the file is the only place where it is plain.
func (s *Store) Volume(ctx context.Context, id, name string, size int64) (how string, err error) {
	if how, err = s.volume(ctx, id, name, size); err != nil {
		return "", fmt.Errorf("making a volume: %w", err)
	}
	return how, nil
}

func (s *Store) volume(ctx context.Context, id, name string, size int64) (how string, err error) {
	dest, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, dest.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(name))
		}
	}()
	write := s.cloned
	if Sealed(id) {
		write = s.unsealed
	}
	own, how, err := write(ctx, id, dest, size)
	if err != nil {
		return "", err
	}
	faultpoint.Reach("disk volume copied")
	if size > own {
		_, err = partition.Grow(ctx, name, size)
		// A disk of data, without an operating system, is only made larger.
		if errors.Is(err, partition.ErrNoRoot) || errors.Is(err, partition.ErrNoTable) {
			err = dest.Truncate(size)
		}
	}
	return how, err
}

// cloned writes a snapshot's disk into dest from its ready copy, and gives its
// own size. A size that is smaller, and not 0, is refused first.
func (s *Store) cloned(ctx context.Context, id string, dest *os.File, size int64) (own int64, how string, err error) {
	source, filled, err := s.ready(ctx, id)
	if err != nil {
		return 0, "", err
	}
	defer source.Close()
	st, err := source.Stat()
	if err == nil {
		err = fits(id, st.Size(), size)
	}
	if err != nil {
		return 0, "", err
	}
	if how, err = clone(ctx, dest, source, st.Size()); filled {
		how = "blocks"
	}
	return st.Size(), how, err
}

// unsealed is cloned for a sealed snapshot: of its blocks.
func (s *Store) unsealed(ctx context.Context, id string, dest *os.File, size int64) (own int64, how string, err error) {
	m, under, err := s.load(ctx, id)
	if err == nil {
		err = fits(id, m.VolumeSize, size)
	}
	if err != nil {
		return 0, "", err
	}
	return m.VolumeSize, "blocks", s.writeBlocks(ctx, under, m, dest)
}

// fits refuses a volume that is too small for its snapshot.
func fits(id string, own, size int64) error {
	if size != 0 && size < own {
		return fmt.Errorf("a volume of %d bytes is too small for snapshot %s of %d", size, id, own)
	}
	return nil
}

// Disk gives the path of a raw file with a snapshot's disk, for reading only:
// a backing file, a source of exports. It stays until release is called.
//
// The disk of a sealed snapshot is put together for this call only, and removed
// by release; that of a process that died goes when the cache is opened next.
func (s *Store) Disk(ctx context.Context, id string) (name string, release func(), err error) {
	var f *os.File
	if Sealed(id) {
		f, err = s.disclose(ctx, id)
		release = func() {
			os.Remove(f.Name())
			f.Close() // and with it the lock that kept others from the name
		}
	} else {
		f, _, err = s.ready(ctx, id)
		release = func() { f.Close() }
	}
	if err != nil {
		return "", nil, fmt.Errorf("reading the disk of a snapshot: %w", err)
	}
	return f.Name(), release, nil
}

// disclose writes the disk of a sealed snapshot into a temporary file, locked
// until it is closed.
func (s *Store) disclose(ctx context.Context, id string) (*os.File, error) {
	f, err := s.cache.temporary()
	if err != nil {
		return nil, err
	}
	if _, _, err := s.unsealed(ctx, id, f, 0); err != nil {
		return nil, errors.Join(err, removeIfThere(f.Name()), f.Close())
	}
	return f, nil
}

// ready opens a snapshot's raw file, which it makes of the blocks if there is
// none. The file is locked against eviction until it is closed.
func (s *Store) ready(ctx context.Context, id string) (raw *os.File, filled bool, err error) {
	if _, err := ParseID(id); err != nil {
		return nil, false, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	for range 10 {
		if f := s.cache.open(id); f != nil {
			return f, filled, nil
		}
		err := s.cache.once(ctx, id, func() error {
			if f := s.cache.open(id); f != nil {
				return f.Close() // another caller was faster
			}
			filled = true
			return s.fill(ctx, id)
		})
		if err != nil {
			return nil, false, err
		}
	}
	return nil, false, fmt.Errorf("the ready copy of snapshot %s vanishes as soon as it is made", id)
}

// once lets one caller at a time work on an id.
func (c *cache) once(ctx context.Context, id string, f func() error) error {
	for {
		c.mu.Lock()
		busy := c.filling[id]
		if busy == nil {
			busy = make(chan struct{})
			c.filling[id] = busy
			c.mu.Unlock()
			defer func() {
				c.mu.Lock()
				delete(c.filling, id)
				c.mu.Unlock()
				close(busy)
			}()
			return f()
		}
		c.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fill makes the ready copy of a snapshot.
func (s *Store) fill(ctx context.Context, id string) error {
	m, under, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	f, err := s.cache.temporary()
	if err != nil {
		return err
	}
	defer f.Close()
	err = s.writeBlocks(ctx, under, m, f)
	if err == nil {
		// As that of a build it is not flushed, since it can be made again; but where
		// the kernel does not say which start of it this is, nothing else counts.
		err = s.cache.install(id, f, s.cache.bootID == "")
	}
	if err != nil {
		return errors.Join(fmt.Errorf("putting snapshot %s together: %w", id, err), removeIfThere(f.Name()))
	}
	return s.cache.trim(s.cache.raw(id))
}

func removeIfThere(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// writeBlocks writes the disk into an empty file, checking every block.
func (s *Store) writeBlocks(ctx context.Context, under *dataKey, m *Manifest, f *os.File) error {
	if err := f.Truncate(m.VolumeSize); err != nil {
		return err
	}
	return s.eachBlock(ctx, under, m, func(b Block, content, _ []byte) error {
		at := int64(b.Index) * BlockSize
		_, err := f.WriteAt(content[:min(BlockSize, m.VolumeSize-at)], at)
		return err
	})
}

// eachBlock reads and checks all blocks, several at a time. The content, and the
// block as it is stored, are valid during the call only.
func (s *Store) eachBlock(ctx context.Context, under *dataKey, m *Manifest, f func(b Block, content, stored []byte) error) error {
	group, ctx := errgroup.WithContext(ctx)
	next := make(chan Block)
	group.Go(func() error {
		defer close(next)
		for _, b := range m.Blocks {
			select {
			case next <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range s.workers {
		group.Go(func() error {
			buf := make([]byte, 0, BlockSize)
			space := s.packed.Get().(*packed)
			defer s.packed.Put(space)
			for b := range next {
				content, stored, err := s.readBlock(ctx, under, b, buf, space)
				if err != nil {
					return err
				}
				if err := f(b, content, stored); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// Verify reads a whole snapshot and reports the first damaged or missing
// block.
func (s *Store) Verify(ctx context.Context, id string) error {
	m, under, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	if err := s.eachBlock(ctx, under, m, func(Block, []byte, []byte) error { return nil }); err != nil {
		return fmt.Errorf("verifying snapshot %s: %w", id, err)
	}
	return nil
}

// clone copies the disk, sharing blocks where the file system can and leaving
// holes as holes elsewhere.
func clone(ctx context.Context, dest, source *os.File, size int64) (how string, err error) {
	if err := unix.IoctlFileClone(int(dest.Fd()), int(source.Fd())); err == nil {
		return "reflink", nil
	}
	if err := dest.Truncate(size); err != nil {
		return "", err
	}
	err = dataExtents(source, size, func(start, end int64) error {
		return copyRange(ctx, dest, source, start, end)
	})
	if err != nil {
		return "", fmt.Errorf("copying the disk: %w", err)
	}
	return "sparse copy", nil
}

// CopyFile copies a raw disk file to the new file dest, sharing blocks or
// leaving holes where the file system can, and says how: "reflink" or "sparse
// copy". On an error dest is not left behind.
func CopyFile(ctx context.Context, source, dest string) (how string, err error) {
	from, err := os.Open(source)
	if err != nil {
		return "", fmt.Errorf("copying a disk: %w", err)
	}
	defer from.Close()
	st, err := from.Stat()
	if err != nil {
		return "", fmt.Errorf("copying a disk: %w", err)
	}
	to, err := os.OpenFile(dest, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("copying a disk: %w", err)
	}
	how, err = clone(ctx, to, from, st.Size())
	if err = errors.Join(err, to.Close()); err != nil {
		return "", errors.Join(err, os.Remove(dest))
	}
	return how, nil
}

// copyRange copies bytes to the same place of another file, inside the kernel
// where it can.
func copyRange(ctx context.Context, dest, source *os.File, start, end int64) error {
	const step = 64 << 20 // between looks at ctx
	for start < end {
		if err := ctx.Err(); err != nil {
			return err
		}
		from, to := start, start
		n, err := unix.CopyFileRange(int(source.Fd()), &from, int(dest.Fd()), &to, int(min(end-start, step)), 0)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EXDEV || err == unix.ENOSYS || err == unix.EOPNOTSUPP || err == unix.EINVAL:
			written, err := io.Copy(io.NewOffsetWriter(dest, start), io.NewSectionReader(source, start, min(end-start, step)))
			if err != nil {
				return err
			}
			n = int(written)
		case err != nil:
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		start += int64(n)
	}
	return nil
}
