package disk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/objects"
)

// Options tune a Store. The zero value is good.
type Options struct {
	CacheBytes int64         // disk space for ready copies; 0: 20 GiB, negative: as little as possible
	Workers    int           // blocks worked on at once; 0: twice the processors, at most 16
	Grace      time.Duration // Collect spares what is younger; 0: one hour
	Keys       Keys          // of sealed snapshots; nil: there are none
	Locker     Locker        // held besides the lock of the cache folder; nil: one machine uses the objects
}

// Locker keeps the end of a snapshot and the removal of blocks apart, on all
// machines that share an object store.
type Locker interface {
	// Locked calls f while it holds the lock: alone, or with others that do not
	// want it alone. It waits for the lock until ctx ends. The context that f
	// gets also ends when the lock is lost.
	Locked(ctx context.Context, alone bool, f func(context.Context) error) error
}

// Store keeps snapshots in an object store. It is safe for concurrent use, and
// several processes may share the object store and the cache folder.
type Store struct {
	objects objects.Store
	cache   *cache
	lock    string // file that keeps Collect and the end of Snapshot apart
	workers int
	grace   time.Duration
	keys    Keys
	locker  Locker

	encoder *zstd.Encoder
	decoder *zstd.Decoder
	packed  sync.Pool // of *packed

	mu    sync.Mutex
	reads map[string]fileState // of files just snapshotted, by snapshot id
}

// Open opens the snapshots in an object store. Ready copies of disks go to
// cacheDir, which is made where it is missing; it may be emptied at any time
// when no process uses it.
func Open(o objects.Store, cacheDir string, opts Options) (*Store, error) {
	if opts.CacheBytes == 0 {
		opts.CacheBytes = 20 << 30
	}
	if opts.Workers == 0 {
		opts.Workers = min(2*runtime.NumCPU(), 16)
	}
	if opts.Grace == 0 {
		opts.Grace = time.Hour
	}
	c, err := openCache(cacheDir, opts.CacheBytes)
	if err != nil {
		return nil, fmt.Errorf("opening disk cache: %w", err)
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(opts.Workers), zstd.WithWindowSize(BlockSize))
	if err != nil {
		return nil, fmt.Errorf("opening disk store: %w", err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(opts.Workers), zstd.WithDecoderMaxMemory(BlockSize))
	if err != nil {
		return nil, fmt.Errorf("opening disk store: %w", err)
	}
	return &Store{
		objects: o, cache: c, lock: filepath.Join(c.dir, "collect.lock"), workers: opts.Workers, grace: opts.Grace, keys: opts.Keys, locker: opts.Locker,
		encoder: encoder, decoder: decoder, packed: sync.Pool{New: func() any { return new(packed) }}, reads: map[string]fileState{},
	}, nil
}

// Keys in the object store.
const (
	blockPrefix       = "blocks/"
	sealedBlockPrefix = "sealed/"
	manifestPrefix    = "snapshots/"
	sealedSuffix      = ".sealed"
)

func blockKey(d Digest) string {
	s := d.String()
	return blockPrefix + s[:2] + "/" + s
}

func sealedBlockKey(name Digest) string {
	s := name.String()
	return sealedBlockPrefix + s[:2] + "/" + s
}

// manifestKey is where the list of a snapshot lies; the id is one that ParseID
// takes.
func manifestKey(id string) string {
	if digits, ok := strings.CutPrefix(id, sealedPrefix); ok {
		return manifestPrefix + digits + sealedSuffix
	}
	return manifestPrefix + strings.TrimPrefix(id, idPrefix)
}

// Manifest reads the list of a snapshot's blocks. That of a sealed one takes its
// key.
func (s *Store) Manifest(ctx context.Context, id string) (*Manifest, error) {
	m, _, err := s.load(ctx, id)
	return m, err
}

// load reads a snapshot's list, and the data key that it is sealed under; nil
// for a plain one.
func (s *Store) load(ctx context.Context, id string) (*Manifest, *dataKey, error) {
	data, err := s.readList(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if !Sealed(id) {
		m, err := DecodeManifest(data)
		if err != nil {
			return nil, nil, fmt.Errorf("reading snapshot %s: %w", id, err)
		}
		return m, nil, nil
	}
	l, err := parseSealed(data)
	if err != nil {
		return nil, nil, fmt.Errorf("reading snapshot %s: %w", id, err)
	}
	k, err := s.unwrap(ctx, l.master, l.wrapped)
	if err != nil {
		return nil, nil, fmt.Errorf("reading snapshot %s: %w", id, err)
	}
	m, err := k.openList(l)
	if err != nil {
		return nil, nil, fmt.Errorf("reading snapshot %s: %w", id, err)
	}
	return m, k, nil
}

// readList reads the stored bytes of a snapshot's list and checks their digest.
func (s *Store) readList(ctx context.Context, id string) ([]byte, error) {
	d, err := ParseID(id)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	body, err := s.objects.Get(ctx, manifestKey(id))
	if errors.Is(err, objects.ErrNotFound) {
		return nil, fmt.Errorf("reading snapshot %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("reading snapshot %s: %w", id, err)
	}
	defer body.Close()
	most := int64(manifestHeader) + manifestEntry*(MaxVolumeSize/BlockSize)
	if Sealed(id) {
		most += maxKeyName + maxWrapped + 64 + sha256.Size*(MaxVolumeSize/BlockSize)
	}
	data, err := io.ReadAll(io.LimitReader(body, most+1))
	if err != nil {
		return nil, fmt.Errorf("reading snapshot %s: %w", id, err)
	}
	if sha256.Sum256(data) != d {
		return nil, fmt.Errorf("reading snapshot %s: %w: its manifest is not the one that was written", id, ErrCorrupt)
	}
	return data, nil
}

// encode gives the stored bytes of a list, sealed under a data key unless that
// is nil, and the id that follows from them.
func encode(m *Manifest, under *dataKey) (id string, data []byte) {
	prefix := idPrefix
	if under == nil {
		data = m.Encode()
	} else {
		data, prefix = under.sealList(m), sealedPrefix
	}
	return prefix + Digest(sha256.Sum256(data)).String(), data
}

// putList stores a list, and with that makes the snapshot.
func (s *Store) putList(ctx context.Context, id string, data []byte) error {
	return s.objects.Put(ctx, manifestKey(id), bytes.NewReader(data))
}

// putJSON stores a small record.
func (s *Store) putJSON(ctx context.Context, key string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", key, err)
	}
	return s.objects.Put(ctx, key, bytes.NewReader(data))
}

// putBlock stores a block's content, sealed under a data key unless that is nil,
// and returns how many bytes that took.
func (s *Store) putBlock(ctx context.Context, to objects.Batch, under *dataKey, d Digest, content []byte) (int64, error) {
	buf := s.packed.Get().(*packed)
	defer s.packed.Put(buf)
	stored := s.encoder.EncodeAll(content, buf.plain[:0])
	if under != nil {
		stored = under.seal(buf.sealed[:0], d, stored)
	}
	return int64(len(stored)), to.Put(ctx, under.objectOf(d), bytes.NewReader(stored))
}

// maxPacked bounds a stored block: zstd adds a few bytes to what it cannot
// compress, a seal its nonce and tag.
const maxPacked = BlockSize + 4096

// packed is space for a block as it is stored.
type packed struct{ plain, sealed [maxPacked + 1]byte }

// getBlock reads a block's content into buf's space and checks it.
func (s *Store) getBlock(ctx context.Context, under *dataKey, b Block, buf []byte) ([]byte, error) {
	space := s.packed.Get().(*packed)
	defer s.packed.Put(space)
	content, _, err := s.readBlock(ctx, under, b, buf, space)
	return content, err
}

// readBlock is getBlock, and gives the block as it is stored, too: in space.
func (s *Store) readBlock(ctx context.Context, under *dataKey, b Block, buf []byte, space *packed) (content, stored []byte, err error) {
	damaged := func(why string) error {
		return fmt.Errorf("%w: block %d (offset %d, sha256:%s): %s", ErrCorrupt, b.Index, int64(b.Index)*BlockSize, b.Digest, why)
	}
	body, err := s.objects.Get(ctx, under.objectOf(b.Digest))
	if errors.Is(err, objects.ErrNotFound) {
		return nil, nil, damaged("it is missing")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading block %d: %w", b.Index, err)
	}
	defer body.Close()
	into := space.plain[:]
	if under != nil {
		into = space.sealed[:]
	}
	n, err := io.ReadFull(body, into)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, fmt.Errorf("reading block %d: %w", b.Index, err)
	}
	stored = into[:n]
	frame := stored
	if under != nil {
		if frame, err = under.open(space.plain[:0], b.Digest, stored); err != nil {
			return nil, nil, damaged("its seal is broken")
		}
	}
	if content, err = s.decoder.DecodeAll(frame, buf[:0]); err != nil {
		return nil, nil, damaged(err.Error())
	}
	if len(content) != BlockSize || sha256.Sum256(content) != b.Digest {
		return nil, nil, damaged("its content is not what was written")
	}
	return content, stored, nil
}

// has reports whether there is an object.
func (s *Store) has(ctx context.Context, key string) (bool, error) {
	_, err := s.objects.Stat(ctx, key)
	if errors.Is(err, objects.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// locked calls f while holding the lock of everything that shares the objects,
// alone or shared. The lock ends with the process.
func (s *Store) locked(ctx context.Context, alone bool, f func(context.Context) error) error {
	if s.locker == nil {
		return s.lockedHere(ctx, alone, f)
	}
	return s.lockedHere(ctx, alone, func(ctx context.Context) error { return s.locker.Locked(ctx, alone, f) })
}

// lockedHere holds the lock file of this machine's cache folder.
func (s *Store) lockedHere(ctx context.Context, alone bool, f func(context.Context) error) error {
	how := unix.LOCK_SH
	if alone {
		how = unix.LOCK_EX
	}
	file, err := os.OpenFile(s.lock, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	for {
		err := unix.Flock(int(file.Fd()), how|unix.LOCK_NB)
		if err == nil {
			return f(ctx)
		}
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			return fmt.Errorf("locking %s: %w", s.lock, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}
