package disk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
)

// Reader reads a snapshot's disk at any place, from its blocks or, where there
// is one, from its ready copy; it makes none. It is safe for concurrent use.
type Reader struct {
	store  *Store
	id     Digest
	under  *dataKey // nil: the snapshot is not sealed
	size   int64
	blocks []uint32
	stored map[uint32]Digest
	raw    *os.File // nil: there is no ready copy
}

// Open opens a snapshot's disk for reading. ErrNotFound (wrapped) if there is no
// such snapshot. Close it.
func (s *Store) Open(ctx context.Context, id string) (*Reader, error) {
	m, under, err := s.load(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("opening the disk of a snapshot: %w", err)
	}
	r := &Reader{store: s, id: sha256.Sum256([]byte(id)), under: under, size: m.VolumeSize, blocks: make([]uint32, len(m.Blocks)), stored: make(map[uint32]Digest, len(m.Blocks))}
	if !Sealed(id) {
		r.raw = s.cache.open(id)
	}
	for i, b := range m.Blocks {
		r.blocks[i], r.stored[b.Index] = b.Index, b.Digest
	}
	return r, nil
}

// Size is the disk's, in bytes.
func (r *Reader) Size() int64 { return r.size }

// ID tells disks of different content apart.
func (r *Reader) ID() [16]byte { return [16]byte(r.id[:16]) }

// Blocks gives the indexes of the blocks that are not zero, rising. The caller
// must not change it.
func (r *Reader) Blocks() []uint32 { return r.blocks }

// ReadBlock fills buf, of BlockSize bytes, with a block; behind the disk's end it
// is zero. What is read of the store is checked against its digest.
func (r *Reader) ReadBlock(ctx context.Context, index uint32, buf []byte) error {
	digest, ok := r.stored[index]
	if !ok {
		clear(buf)
		return nil
	}
	if r.raw != nil {
		n, err := r.raw.ReadAt(buf, int64(index)*BlockSize)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading block %d: %w", index, err)
		}
		clear(buf[n:])
		return nil
	}
	content, err := r.store.getBlock(ctx, r.under, Block{Index: index, Digest: digest}, buf[:0:len(buf)])
	if err != nil {
		return err
	}
	if &content[0] != &buf[0] {
		copy(buf, content)
	}
	return nil
}

// Close gives the ready copy back.
func (r *Reader) Close() error {
	if r.raw == nil {
		return nil
	}
	return r.raw.Close()
}
