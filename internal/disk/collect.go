package disk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/objects"
)

// Delete removes a snapshot and its ready copy; its blocks go with the next
// Collect. Equal disks have equal ids: the caller knows that nothing else
// refers to this one. Deleting what is not there is no error.
func (s *Store) Delete(ctx context.Context, id string) error {
	if _, err := ParseID(id); err != nil {
		return fmt.Errorf("deleting snapshot: %w", err)
	}
	if err := s.objects.Delete(ctx, manifestKey(id)); err != nil {
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
		name := strings.TrimPrefix(info.Key, manifestPrefix)
		id := idPrefix + name
		if digits, ok := strings.CutSuffix(name, sealedSuffix); ok {
			id = sealedPrefix + digits
		}
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

// batch bounds the removals for which a Collect holds the lock once, and
// holding how long; others that end their snapshots wait so long at most.
const (
	batch   = 256
	holding = 20 * time.Second
)

// Collect removes the snapshots that keep does not name, and the blocks that
// no snapshot refers to. keep is called after the snapshots were listed; nil
// keeps all. It needs no keys: which blocks a sealed snapshot has is no secret.
//
// What is younger than Options.Grace, by the clock of the object store, stays:
// snapshots that are being made, or were made but are not yet known to keep. And
// no snapshot ends while blocks are removed, here or on machines that share the
// Locker. Every object is looked at again right before it is removed. A Collect
// that dies has removed less.
//
// If a snapshot cannot be read, no block is removed and the error returned.
func (s *Store) Collect(ctx context.Context, keep func(context.Context) ([]string, error)) (Collected, error) {
	c := &collection{store: s, plain: map[Digest]bool{}, sealed: map[Digest]bool{}, seen: map[string]bool{}}
	if err := c.run(ctx, keep); err != nil {
		return c.Collected, fmt.Errorf("collecting unused blocks: %w", err)
	}
	return c.Collected, nil
}

// collection is one run of Collect.
type collection struct {
	Collected
	store         *Store
	young         time.Time       // what changed after it stays
	plain, sealed map[Digest]bool // names of blocks that are referred to
	seen          map[string]bool // snapshots whose blocks are in there
}

func (c *collection) run(ctx context.Context, keep func(context.Context) ([]string, error)) error {
	now, err := c.store.clock(ctx)
	if err != nil {
		return err
	}
	// Ages are taken at the start: what is written during a long run is young.
	c.young = now.Add(-c.store.grace)
	if keep != nil {
		err := c.store.locked(ctx, true, func(ctx context.Context) error { return c.dropSnapshots(ctx, keep) })
		if err != nil {
			return err
		}
	}
	if err := c.refer(ctx); err != nil {
		return err
	}
	if err := c.sweep(ctx, blockPrefix, c.plain); err != nil {
		return err
	}
	return c.sweep(ctx, sealedBlockPrefix, c.sealed)
}

// clock gives the time of the object store, which need not be this machine's.
func (s *Store) clock(ctx context.Context) (time.Time, error) {
	const key = "collect/clock"
	if err := s.objects.Put(ctx, key, strings.NewReader("the time of the last collection\n")); err != nil {
		return time.Time{}, err
	}
	info, err := s.objects.Stat(ctx, key)
	return info.Modified, err
}

// dropSnapshots removes those that are old and not named.
func (c *collection) dropSnapshots(ctx context.Context, keep func(context.Context) ([]string, error)) error {
	all, err := c.store.manifests(ctx)
	if err != nil {
		return err
	}
	ids, err := keep(ctx)
	if err != nil {
		return fmt.Errorf("finding the snapshots in use: %w", err)
	}
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	for _, info := range all {
		if wanted[info.id] || info.modified.After(c.young) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.store.Delete(ctx, info.id); err != nil {
			return err
		}
		c.Snapshots++
	}
	return nil
}

// refer takes the blocks of the snapshots that it has not read yet into account.
func (c *collection) refer(ctx context.Context) error {
	all, err := c.store.manifests(ctx)
	if err != nil {
		return err
	}
	for _, info := range all {
		if c.seen[info.id] {
			continue
		}
		data, err := c.store.readList(ctx, info.id)
		if errors.Is(err, ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		if err := c.referTo(info.id, data); err != nil {
			return fmt.Errorf("reading snapshot %s: %w", info.id, err)
		}
		c.seen[info.id] = true
	}
	return nil
}

func (c *collection) referTo(id string, data []byte) error {
	if Sealed(id) {
		l, err := parseSealed(data)
		if err != nil {
			return err
		}
		for _, name := range l.names {
			c.sealed[name] = true
		}
		return nil
	}
	m, err := DecodeManifest(data)
	if err != nil {
		return err
	}
	for _, b := range m.Blocks {
		c.plain[b.Digest] = true
	}
	return nil
}

// sweep removes the blocks below a prefix that nothing refers to.
func (c *collection) sweep(ctx context.Context, prefix string, referenced map[Digest]bool) error {
	var unused []objects.Info
	flush := func() error {
		if len(unused) == 0 {
			return nil
		}
		defer func() { unused = unused[:0] }()
		return c.remove(ctx, unused, referenced)
	}
	for info, err := range c.store.objects.List(ctx, prefix) {
		if err != nil {
			return err
		}
		if name, ok := blockOf(info.Key); !ok || referenced[name] || info.Modified.After(c.young) {
			continue
		}
		if unused = append(unused, info); len(unused) == batch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// blockOf reads the name of a block from its key.
func blockOf(key string) (Digest, bool) {
	d, err := ParseID(idPrefix + key[strings.LastIndexByte(key, '/')+1:])
	return d, err == nil
}

// remove removes blocks, unless a snapshot that ended since they were looked at
// refers to them. Those that it does not come to in its time it leaves to the
// next Collect.
func (c *collection) remove(ctx context.Context, unused []objects.Info, referenced map[Digest]bool) error {
	return c.store.locked(ctx, true, func(ctx context.Context) error {
		until := time.Now().Round(0).Add(holding) // by the wall: a machine that slept has lost its lock
		if err := c.refer(ctx); err != nil {
			return err
		}
		for _, info := range unused {
			if err := ctx.Err(); err != nil {
				return err
			}
			if name, _ := blockOf(info.Key); referenced[name] || time.Now().Round(0).After(until) {
				continue
			}
			now, err := c.store.objects.Stat(ctx, info.Key)
			if errors.Is(err, objects.ErrNotFound) || err == nil && now.Modified.After(c.young) {
				continue
			}
			if err != nil {
				return err
			}
			if err := c.store.objects.Delete(ctx, info.Key); err != nil {
				return err
			}
			c.Blocks++
			c.Bytes += info.Size
		}
		return nil
	})
}
