package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/goldsmith-build/goldsmith/internal/objects"
)

// CopyStats is what a Copy moved.
type CopyStats struct {
	Blocks    int   // of the snapshot
	NewBlocks int   // that the other store did not have
	Bytes     int64 // moved for them, as stored
}

// Copy puts a snapshot into a store, which may be the same, and gives the id
// that it has there. The copy is sealed under the master key, by its ARN; ""
// keeps the copy as the original is: plain, or sealed under the same data key.
//
// Only blocks that are missing there move, each checked by its content, several
// at a time and a few in memory. A copy that was cut short is resumed by calling
// it again: what arrived is not sent twice.
func (s *Store) Copy(ctx context.Context, to *Store, id, key string) (string, CopyStats, error) {
	made, stats, err := s.copy(ctx, to, id, key)
	if err != nil {
		return "", CopyStats{}, fmt.Errorf("copying snapshot %s: %w", id, err)
	}
	return made, stats, nil
}

func (s *Store) copy(ctx context.Context, to *Store, id, key string) (made string, stats CopyStats, err error) {
	if s.objects == to.objects && key == "" {
		data, err := s.readList(ctx, id)
		if err != nil {
			return "", CopyStats{}, err
		}
		n, err := blocksOf(id, data)
		return id, CopyStats{Blocks: n}, err
	}
	m, from, err := s.load(ctx, id)
	if err != nil {
		return "", CopyStats{}, err
	}
	under := from
	if key != "" {
		if under, err = to.under(ctx, key); err != nil {
			return "", CopyStats{}, err
		}
	}
	t := &transfer{from: s, to: to, source: from, under: under, batch: objects.NewBatch(to.objects)}
	defer func() { err = errors.Join(err, t.batch.Discard()) }()
	if err := t.missing(ctx, m); err != nil {
		return "", CopyStats{}, err
	}
	id, list := encode(m, under)
	// A Collect over there may have taken a block since it was seen. While the
	// lock is held it takes none, and from then on the list names them.
	err = to.locked(ctx, false, func(ctx context.Context) error {
		if err := t.missing(ctx, m); err != nil {
			return err
		}
		return to.putList(ctx, id, list)
	})
	return id, CopyStats{Blocks: len(m.Blocks), NewBlocks: int(t.blocks.Load()), Bytes: t.bytes.Load()}, err
}

// transfer moves blocks between stores.
type transfer struct {
	from, to      *Store
	source, under *dataKey // that seal the blocks here and there; nil: plain
	batch         objects.Batch

	blocks, bytes atomic.Int64
}

// missing moves the blocks of m that are not there. Where both sides store a
// block alike, it moves as it is.
func (t *transfer) missing(ctx context.Context, m *Manifest) error {
	lacking, err := t.to.missing(ctx, m, t.under, t.batch.Found)
	if err != nil {
		return err
	}
	alike := t.source.same(t.under)
	err = t.from.eachBlock(ctx, t.source, lacking, func(b Block, content, stored []byte) (err error) {
		n := int64(len(stored))
		if alike {
			err = t.batch.Put(ctx, t.under.objectOf(b.Digest), bytes.NewReader(stored))
		} else {
			n, err = t.to.putBlock(ctx, t.batch, t.under, b.Digest, content)
		}
		t.blocks.Add(1)
		t.bytes.Add(n)
		return err
	})
	if err != nil {
		return err
	}
	return t.batch.Flush(ctx)
}

// blocksOf counts the blocks of a stored list.
func blocksOf(id string, data []byte) (int, error) {
	if Sealed(id) {
		l, err := parseSealed(data)
		if err != nil {
			return 0, err
		}
		return len(l.names), nil
	}
	m, err := DecodeManifest(data)
	if err != nil {
		return 0, err
	}
	return len(m.Blocks), nil
}

// Renew makes a snapshot look new, so that no Collect takes it before what
// refers to it is written down. It returns ErrNotFound (wrapped) where there is
// none any more.
func (s *Store) Renew(ctx context.Context, id string) error {
	err := s.locked(ctx, false, func(ctx context.Context) error {
		data, err := s.readList(ctx, id)
		if err != nil {
			return err
		}
		return s.putList(ctx, id, data)
	})
	if err != nil {
		return fmt.Errorf("renewing snapshot %s: %w", id, err)
	}
	return nil
}

// Has reports whether a snapshot is in the store.
func (s *Store) Has(ctx context.Context, id string) (bool, error) {
	if _, err := ParseID(id); err != nil {
		return false, nil
	}
	return s.has(ctx, manifestKey(id))
}
