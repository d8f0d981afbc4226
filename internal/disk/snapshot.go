package disk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/faultpoint"
	"github.com/goldsmith-build/goldsmith/internal/objects"
)

// Snapshot is what was stored of a disk.
type Snapshot struct {
	ID         string // "sha256:…": equal disks have equal ids
	VolumeSize int64  // bytes
	Blocks     int    // blocks that are not zero
	Changed    int    // of these, blocks unlike the parent's in their place
	NewBlocks  int    // of these, blocks that the store did not have
	NewBytes   int64  // written for the new blocks, compressed
}

// Snapshot stores the raw disk file. parent is the id of the snapshot that the
// disk was made from, or "": blocks that did not change since are recognised
// without compressing, where its ready copy is cached without hashing too. The
// file must not change meanwhile, and an error is returned if it did.
//
// When it returns, the snapshot survives a power cut. When it fails or dies,
// blocks that it wrote stay until Collect.
func (s *Store) Snapshot(ctx context.Context, file, parent string) (Snapshot, error) {
	return s.SnapshotUnder(ctx, file, parent, "")
}

// SnapshotUnder is Snapshot of a disk whose blocks and list are sealed under a
// master key, by its ARN; "" seals nothing. Under one key, equal blocks are
// stored once; blocks of a parent that is plain, or under another key, are
// stored anew.
func (s *Store) SnapshotUnder(ctx context.Context, file, parent, key string) (Snapshot, error) {
	snap, err := s.snapshot(ctx, file, parent, key)
	if err != nil {
		return Snapshot{}, fmt.Errorf("making a snapshot: %w", err)
	}
	return snap, nil
}

func (s *Store) snapshot(ctx context.Context, file, parent, key string) (snap Snapshot, err error) {
	under, err := s.under(ctx, key)
	if err != nil {
		return Snapshot{}, err
	}
	f, err := os.Open(file)
	if err != nil {
		return Snapshot{}, err
	}
	defer f.Close()
	before, err := stateOf(f)
	if err != nil {
		return Snapshot{}, err
	}
	if before.Size <= 0 || before.Size > MaxVolumeSize {
		return Snapshot{}, fmt.Errorf("a disk of %d bytes cannot be stored", before.Size)
	}
	r := &reading{store: s, under: under, file: f, size: before.Size, stored: map[Digest]*sync.Once{}, batch: objects.NewBatch(s.objects)}
	defer func() { err = errors.Join(err, r.batch.Discard()) }()
	release, err := r.useParent(ctx, parent)
	if err != nil {
		return Snapshot{}, err
	}
	defer release()
	m, err := r.readAll(ctx)
	if err == nil {
		err = r.batch.Flush(ctx)
	}
	if err != nil {
		return Snapshot{}, err
	}
	faultpoint.Reach("disk blocks stored")
	id, list := encode(m, under)
	if err := s.locked(ctx, false, func(ctx context.Context) error { return r.commit(ctx, m, id, list) }); err != nil {
		return Snapshot{}, err
	}
	after, err := stateOf(f)
	if err != nil {
		return Snapshot{}, err
	}
	if after != before {
		return Snapshot{}, errors.New("the disk was written to while it was read")
	}
	faultpoint.Reach("disk snapshot listed")
	s.remember(id, after)
	return Snapshot{ID: id, VolumeSize: m.VolumeSize, Blocks: len(m.Blocks), Changed: r.changed(m), NewBlocks: int(r.newBlocks.Load()), NewBytes: r.newBytes.Load()}, nil
}

// reading is one run over a disk.
type reading struct {
	store *Store
	under *dataKey // nil: the blocks are stored plain
	file  *os.File
	size  int64

	discard bool // only find out what the blocks are

	parentBlocks map[uint32]Digest
	parentStored bool     // under the same key: its blocks need not be stored again
	parentRaw    *os.File // nil: not cached

	mu     sync.Mutex
	stored map[Digest]*sync.Once // blocks that this run has looked after
	batch  objects.Batch         // that they go into
	blocks []Block

	newBlocks, newBytes atomic.Int64
}

// useParent makes the parent's blocks known. A ready copy of it is used if
// there is one; a parent that is gone only costs time.
func (r *reading) useParent(ctx context.Context, parent string) (release func(), err error) {
	release = func() {}
	if parent == "" {
		return release, nil
	}
	m, under, err := r.store.load(ctx, parent)
	if errors.Is(err, ErrNotFound) {
		return release, nil
	}
	if err != nil {
		return release, fmt.Errorf("reading the parent: %w", err)
	}
	r.parentStored = under.same(r.under)
	r.parentBlocks = make(map[uint32]Digest, len(m.Blocks))
	for _, b := range m.Blocks {
		r.parentBlocks[b.Index] = b.Digest
	}
	if raw := r.store.cache.open(parent); raw != nil {
		r.parentRaw = raw
		release = func() { raw.Close() }
	}
	return release, nil
}

// readAll looks at every block that is not a hole and stores what is new.
func (r *reading) readAll(ctx context.Context) (*Manifest, error) {
	indexes := make(chan uint32)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(indexes)
		return dataBlocks(r.file, r.size, func(index uint32) error {
			select {
			case indexes <- index:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	for range r.store.workers {
		group.Go(func() error {
			content, other := make([]byte, BlockSize), make([]byte, BlockSize)
			for index := range indexes {
				if err := r.readBlock(ctx, index, content, other); err != nil {
					return fmt.Errorf("block %d: %w", index, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(r.blocks, byIndex)
	return &Manifest{VolumeSize: r.size, Blocks: r.blocks}, nil
}

// readBlock takes one block into the snapshot. other is space for the parent's.
func (r *reading) readBlock(ctx context.Context, index uint32, content, other []byte) error {
	if err := readBlockAt(r.file, index, content); err != nil {
		return err
	}
	if isZero(content) {
		return nil
	}
	digest, known := r.unchanged(index, content, other)
	if !known {
		digest = sha256.Sum256(content)
		known = r.parentBlocks[index] == digest
	}
	if !r.discard && !(known && r.parentStored) {
		if err := r.storeOnce(ctx, digest, content); err != nil {
			return err
		}
	}
	r.mu.Lock()
	r.blocks = append(r.blocks, Block{Index: index, Digest: digest})
	r.mu.Unlock()
	return nil
}

// unchanged compares the block with the parent's ready copy.
func (r *reading) unchanged(index uint32, content, other []byte) (Digest, bool) {
	digest, ok := r.parentBlocks[index]
	if !ok || r.parentRaw == nil {
		return Digest{}, false
	}
	if err := readBlockAt(r.parentRaw, index, other); err != nil || !bytes.Equal(content, other) {
		return Digest{}, false
	}
	return digest, true
}

// changed counts the blocks that are unlike the parent's in their place.
func (r *reading) changed(m *Manifest) int {
	n := 0
	for _, b := range m.Blocks {
		if digest, ok := r.parentBlocks[b.Index]; !ok || digest != b.Digest {
			n++
		}
	}
	return n
}

// storeOnce stores a block that the parent does not have, unless this run or
// another snapshot already did.
func (r *reading) storeOnce(ctx context.Context, digest Digest, content []byte) (err error) {
	r.mu.Lock()
	once := r.stored[digest]
	if once == nil {
		once = new(sync.Once)
		r.stored[digest] = once
	}
	r.mu.Unlock()
	once.Do(func() {
		var present bool
		object := r.under.objectOf(digest)
		if present, err = r.store.has(ctx, object); err != nil {
			return
		}
		if present {
			r.batch.Found(object)
			return
		}
		err = r.put(ctx, digest, content)
	})
	return err
}

func (r *reading) put(ctx context.Context, digest Digest, content []byte) error {
	n, err := r.store.putBlock(ctx, r.batch, r.under, digest, content)
	if err != nil {
		return err
	}
	r.newBlocks.Add(1)
	r.newBytes.Add(n)
	return nil
}

// commit puts back the blocks that a Collect took before this snapshot could
// refer to them, and writes the list.
func (r *reading) commit(ctx context.Context, m *Manifest, id string, list []byte) error {
	// What this run found and wrote is flushed; what the parent's list names was,
	// before that was written.
	gone, err := r.store.missing(ctx, m, r.under, func(string) {})
	if err != nil {
		return err
	}
	content := make([]byte, BlockSize)
	for _, b := range gone.Blocks {
		if err := readBlockAt(r.file, b.Index, content); err != nil {
			return err
		}
		if sha256.Sum256(content) != b.Digest {
			return errors.New("the disk was written to while it was read")
		}
		if err := r.put(ctx, b.Digest, content); err != nil {
			return err
		}
	}
	if err := r.batch.Flush(ctx); err != nil {
		return err
	}
	return r.store.putList(ctx, id, list)
}

// missing gives the blocks of m that the store does not have under a data key,
// each once, by rising index, and tells the objects of the others to found.
func (s *Store) missing(ctx context.Context, m *Manifest, under *dataKey, found func(object string)) (*Manifest, error) {
	lacking := &Manifest{VolumeSize: m.VolumeSize}
	seen := make(map[Digest]bool, len(m.Blocks))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.workers)
	var mu sync.Mutex
	for _, b := range m.Blocks {
		if seen[b.Digest] {
			continue
		}
		seen[b.Digest] = true
		group.Go(func() error {
			object := under.objectOf(b.Digest)
			present, err := s.has(ctx, object)
			if err != nil {
				return err
			}
			if present {
				found(object)
				return nil
			}
			mu.Lock()
			lacking.Blocks = append(lacking.Blocks, b)
			mu.Unlock()
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(lacking.Blocks, byIndex)
	return lacking, nil
}

func byIndex(a, b Block) int { return int(int64(a.Index) - int64(b.Index)) }

// readBlockAt fills buf with a block; what lies behind the end of the disk is
// zero.
func readBlockAt(f io.ReaderAt, index uint32, buf []byte) error {
	n, err := f.ReadAt(buf, int64(index)*BlockSize)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	clear(buf[n:])
	return err
}

var zeroBlock [BlockSize]byte

func isZero(b []byte) bool { return bytes.Equal(b, zeroBlock[:len(b)]) }

// dataBlocks calls f for every block of a file that has data, skipping holes
// where the file system shows them.
func dataBlocks(file *os.File, size int64, f func(index uint32) error) error {
	next := int64(0) // first block not reported yet
	return dataExtents(file, size, func(start, end int64) error {
		for next = max(next, start/BlockSize); next*BlockSize < end; next++ {
			if err := f(uint32(next)); err != nil {
				return err
			}
		}
		return nil
	})
}

// dataExtents calls f with the byte ranges of a file that are not holes.
func dataExtents(file *os.File, size int64, f func(start, end int64) error) error {
	fd := int(file.Fd())
	for at := int64(0); at < size; {
		start, err := unix.Seek(fd, at, unix.SEEK_DATA)
		if err == unix.ENXIO {
			return nil // only a hole is left
		}
		if err == unix.EINVAL || err == unix.EOPNOTSUPP {
			return f(at, size)
		}
		if err != nil {
			return fmt.Errorf("looking for data: %w", err)
		}
		end, err := unix.Seek(fd, start, unix.SEEK_HOLE)
		if err != nil {
			return fmt.Errorf("looking for holes: %w", err)
		}
		if start >= size {
			return nil
		}
		if err := f(start, min(end, size)); err != nil {
			return err
		}
		at = end
	}
	return nil
}
