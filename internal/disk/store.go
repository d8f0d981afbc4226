package disk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
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
}

// Store keeps snapshots in an object store. It is safe for concurrent use, and
// several processes may share the object store and the cache folder.
type Store struct {
	objects objects.Store
	cache   *cache
	lock    string // file that keeps Collect and the end of Snapshot apart
	workers int
	grace   time.Duration

	encoder *zstd.Encoder
	decoder *zstd.Decoder

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
		objects: o, cache: c, lock: filepath.Join(c.dir, "collect.lock"), workers: opts.Workers, grace: opts.Grace,
		encoder: encoder, decoder: decoder, reads: map[string]fileState{},
	}, nil
}

// Keys in the object store.
const (
	blockPrefix    = "blocks/"
	manifestPrefix = "snapshots/"
)

func blockKey(d Digest) string {
	s := d.String()
	return blockPrefix + s[:2] + "/" + s
}

func manifestKey(d Digest) string { return manifestPrefix + d.String() }

// Manifest reads the list of a snapshot's blocks.
func (s *Store) Manifest(ctx context.Context, id string) (*Manifest, error) {
	d, err := ParseID(id)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	body, err := s.objects.Get(ctx, manifestKey(d))
	if errors.Is(err, objects.ErrNotFound) {
		return nil, fmt.Errorf("reading snapshot %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("reading snapshot %s: %w", id, err)
	}
	defer body.Close()
	most := int64(manifestHeader) + manifestEntry*(MaxVolumeSize/BlockSize)
	data, err := io.ReadAll(io.LimitReader(body, most+1))
	if err != nil {
		return nil, fmt.Errorf("reading snapshot %s: %w", id, err)
	}
	if sha256.Sum256(data) != d {
		return nil, fmt.Errorf("reading snapshot %s: %w: its manifest is not the one that was written", id, ErrCorrupt)
	}
	m, err := DecodeManifest(data)
	if err != nil {
		return nil, fmt.Errorf("reading snapshot %s: %w", id, err)
	}
	return m, nil
}

// putBlock stores a block's content and returns how many bytes that took.
func (s *Store) putBlock(ctx context.Context, d Digest, content []byte) (int64, error) {
	packed := s.encoder.EncodeAll(content, nil)
	return int64(len(packed)), s.objects.Put(ctx, blockKey(d), bytes.NewReader(packed))
}

// maxPacked bounds a stored block: zstd adds a few bytes to what it cannot
// compress.
const maxPacked = BlockSize + 4096

// getBlock reads a block's content into buf's space and checks it.
func (s *Store) getBlock(ctx context.Context, b Block, buf []byte) ([]byte, error) {
	damaged := func(why string) error {
		return fmt.Errorf("%w: block %d (offset %d, sha256:%s): %s", ErrCorrupt, b.Index, int64(b.Index)*BlockSize, b.Digest, why)
	}
	body, err := s.objects.Get(ctx, blockKey(b.Digest))
	if errors.Is(err, objects.ErrNotFound) {
		return nil, damaged("it is missing")
	}
	if err != nil {
		return nil, fmt.Errorf("reading block %d: %w", b.Index, err)
	}
	defer body.Close()
	packed, err := io.ReadAll(io.LimitReader(body, maxPacked+1))
	if err != nil {
		return nil, fmt.Errorf("reading block %d: %w", b.Index, err)
	}
	content, err := s.decoder.DecodeAll(packed, buf[:0])
	if err != nil {
		return nil, damaged(err.Error())
	}
	if len(content) != BlockSize || sha256.Sum256(content) != b.Digest {
		return nil, damaged("its content is not what was written")
	}
	return content, nil
}

// toucher is the ability to renew an object's time of change without sending
// its bytes again.
type toucher interface {
	Touch(ctx context.Context, key string) error
}

// refresh makes an object look new, so that Collect spares it; present is
// false when there is none, or it could not be renewed and must be put again.
func (s *Store) refresh(ctx context.Context, key string) (present bool, err error) {
	t, ok := s.objects.(toucher)
	if !ok {
		info, err := s.objects.Stat(ctx, key)
		if errors.Is(err, objects.ErrNotFound) {
			return false, nil
		}
		return err == nil && time.Since(info.Modified) < s.grace/2, err
	}
	err = t.Touch(ctx, key)
	if errors.Is(err, objects.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// locked calls f while holding the lock file, shared or alone. The lock ends
// with the process.
func (s *Store) locked(ctx context.Context, how int, f func() error) error {
	file, err := os.OpenFile(s.lock, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	for {
		err := unix.Flock(int(file.Fd()), how|unix.LOCK_NB)
		if err == nil {
			return f()
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
