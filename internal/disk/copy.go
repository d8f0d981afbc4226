package disk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// CopyStats is what a Copy moved.
type CopyStats struct {
	Blocks    int   // of the snapshot
	NewBlocks int   // that the other store did not have
	Bytes     int64 // moved for them, compressed
}

// Copy puts a snapshot into another store under the same id, moving only the
// blocks that are missing there. A copy that was cut short is resumed by
// calling it again. Between stores that share their objects nothing moves.
func (s *Store) Copy(ctx context.Context, to *Store, id string) (CopyStats, error) {
	stats, err := s.copy(ctx, to, id)
	if err != nil {
		return CopyStats{}, fmt.Errorf("copying snapshot %s: %w", id, err)
	}
	return stats, nil
}

func (s *Store) copy(ctx context.Context, to *Store, id string) (CopyStats, error) {
	m, err := s.Manifest(ctx, id)
	if err != nil {
		return CopyStats{}, err
	}
	stats := CopyStats{Blocks: len(m.Blocks)}
	if s.objects == to.objects {
		return stats, nil
	}
	var blocks, moved atomic.Int64
	transfer := func(b Block, content []byte) error {
		n, err := to.putBlock(ctx, b.Digest, content)
		blocks.Add(1)
		moved.Add(n)
		return err
	}
	missing, err := to.missing(ctx, m)
	if err != nil {
		return CopyStats{}, err
	}
	if err := s.eachBlock(ctx, missing, transfer); err != nil {
		return CopyStats{}, err
	}
	// A Collect over there may have taken a block since it was seen, so all
	// are renewed before the manifest makes them referenced.
	err = to.locked(ctx, unix.LOCK_SH, func() error {
		missing, err := to.missing(ctx, m)
		if err != nil {
			return err
		}
		if err := s.eachBlock(ctx, missing, transfer); err != nil {
			return err
		}
		data := m.Encode()
		return to.objects.Put(ctx, manifestKey(sha256.Sum256(data)), bytes.NewReader(data))
	})
	stats.NewBlocks, stats.Bytes = int(blocks.Load()), moved.Load()
	return stats, err
}

// missing gives the blocks of m that the store does not have, each once, and
// makes those that it has look new.
func (s *Store) missing(ctx context.Context, m *Manifest) (*Manifest, error) {
	lacking := &Manifest{VolumeSize: m.VolumeSize}
	seen := make(map[Digest]bool, len(m.Blocks))
	for _, b := range m.Blocks {
		if seen[b.Digest] {
			continue
		}
		seen[b.Digest] = true
		present, err := s.refresh(ctx, blockKey(b.Digest))
		if err != nil {
			return nil, err
		}
		if !present {
			lacking.Blocks = append(lacking.Blocks, b)
		}
	}
	return lacking, nil
}
