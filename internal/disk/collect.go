package disk

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/objects"
)

// Delete removes a snapshot and its ready copy; its blocks go with the next
// Collect. Equal disks have equal ids: the caller knows that nothing else
// refers to this one. Deleting what is not there is no error.
func (s *Store) Delete(ctx context.Context, id string) error {
	d, err := ParseID(id)
	if err != nil {
		return fmt.Errorf("deleting snapshot: %w", err)
	}
	if err := s.objects.Delete(ctx, manifestKey(d)); err != nil {
		return fmt.Errorf("deleting snapshot %s: %w", id, err)
	}
	s.cache.remove(s.cache.raw(id))
	return nil
}

// Snapshots lists the ids of all snapshots.
func (s *Store) Snapshots(ctx context.Context) ([]string, error) {
	all, err := s.manifests(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing snapshots: %w", err)
	}
	ids := make([]string, len(all))
	for i, m := range all {
		ids[i] = m.id
	}
	return ids, nil
}

type manifestInfo struct {
	id       string
	modified time.Time
}

func (s *Store) manifests(ctx context.Context) ([]manifestInfo, error) {
	var all []manifestInfo
	for info, err := range s.objects.List(ctx, manifestPrefix) {
		if err != nil {
			return nil, err
		}
		id := idPrefix + strings.TrimPrefix(info.Key, manifestPrefix)
		if _, err := ParseID(id); err == nil {
			all = append(all, manifestInfo{id, info.Modified})
		}
	}
	return all, nil
}

// Collected is what a Collect removed.
type Collected struct {
	Snapshots int
	Blocks    int
	Bytes     int64 // of the blocks, as stored
}

// Collect removes the snapshots that keep does not name, and the blocks that
// no snapshot refers to. keep is called once, after the snapshots were listed;
// nil keeps all. What is younger than Options.Grace stays, so that snapshots
// that are being made, or were made but are not yet known to keep, are safe;
// snapshots on this machine also cannot end while blocks are removed.
//
// If a snapshot cannot be read, nothing more is removed and the error returned.
func (s *Store) Collect(ctx context.Context, keep func(context.Context) ([]string, error)) (Collected, error) {
	var c Collected
	err := s.locked(ctx, unix.LOCK_EX, func() error { return s.collect(ctx, keep, &c) })
	if err != nil {
		return c, fmt.Errorf("collecting unused blocks: %w", err)
	}
	return c, nil
}

func (s *Store) collect(ctx context.Context, keep func(context.Context) ([]string, error), c *Collected) error {
	// Ages are taken at the start: what is written during a long run is young.
	young := time.Now().Add(-s.grace)
	all, err := s.manifests(ctx)
	if err != nil {
		return err
	}
	kept := all
	if keep != nil {
		if kept, err = s.dropSnapshots(ctx, all, keep, young, c); err != nil {
			return err
		}
	}
	referenced := map[Digest]bool{}
	for _, info := range kept {
		m, err := s.Manifest(ctx, info.id)
		if errors.Is(err, ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		for _, b := range m.Blocks {
			referenced[b.Digest] = true
		}
	}
	return s.dropBlocks(ctx, referenced, young, c)
}

// dropSnapshots removes those that are old and not named, and returns the rest.
func (s *Store) dropSnapshots(ctx context.Context, all []manifestInfo, keep func(context.Context) ([]string, error), young time.Time, c *Collected) ([]manifestInfo, error) {
	ids, err := keep(ctx)
	if err != nil {
		return nil, fmt.Errorf("finding the snapshots in use: %w", err)
	}
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	var kept []manifestInfo
	for _, info := range all {
		if wanted[info.id] || info.modified.After(young) {
			kept = append(kept, info)
			continue
		}
		if err := s.Delete(ctx, info.id); err != nil {
			return nil, err
		}
		c.Snapshots++
	}
	return kept, nil
}

func (s *Store) dropBlocks(ctx context.Context, referenced map[Digest]bool, young time.Time, c *Collected) error {
	for info, err := range s.objects.List(ctx, blockPrefix) {
		if err != nil {
			return err
		}
		d, err := ParseID(idPrefix + filepath.Base(info.Key))
		if err != nil || referenced[d] || info.Modified.After(young) {
			continue
		}
		// Another machine may have come to use the block since it was listed.
		now, err := s.objects.Stat(ctx, info.Key)
		if errors.Is(err, objects.ErrNotFound) || err == nil && now.Modified.After(young) {
			continue
		}
		if err != nil {
			return err
		}
		if err := s.objects.Delete(ctx, info.Key); err != nil {
			return err
		}
		c.Blocks++
		c.Bytes += info.Size
	}
	return nil
}
