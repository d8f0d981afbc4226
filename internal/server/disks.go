package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/instance/fastlaunch"
	"github.com/goldsmith-build/goldsmith/internal/kms"
	"github.com/goldsmith-build/goldsmith/internal/objects"
	"github.com/goldsmith-build/goldsmith/internal/stepcache"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Disks are the disk stores of a data folder, as the engine and the cloud want
// them: one for all regions, and those of regions that have their own. A disk is
// found in whichever has it.
type Disks struct {
	*disk.Store // of all regions that have none of their own, and of parent images
	objects     objects.Store
	own         map[string]*disk.Store
	keys        *kms.Ring
	fast        *fastlaunch.Store
}

var (
	_ engine.Disks = (*Disks)(nil)
	_ cloud.Blocks = (*Disks)(nil)
)

// OpenDisks opens the disk stores of a data folder, whose blocks are where the
// configuration says. Several processes may have them open.
func OpenDisks(ctx context.Context, cfg *config.Config, dir datadir.Dir) (*Disks, error) {
	keys, err := openKeys(cfg, dir)
	if err != nil {
		return nil, fmt.Errorf("opening the keys: %w", err)
	}
	d := &Disks{own: map[string]*disk.Store{}, keys: keys}
	if d.objects, err = openObjects(ctx, cfg, dir); err != nil {
		return nil, fmt.Errorf("opening the store of objects: %w", err)
	}
	if d.Store, err = d.open(cfg, dir, d.objects, cfg.Objects); err != nil {
		return nil, err
	}
	if err := checkMarks(cfg, dir); err != nil {
		return nil, err
	}
	d.fast = &fastlaunch.Store{Dir: filepath.Join(string(dir), "fastlaunch"), Spare: fastSpare, Volume: func(ctx context.Context, snapshot, file string) error {
		_, err := d.Volume(ctx, snapshot, file, 0)
		return err
	}}
	for region, r := range cfg.Regions {
		blobs, err := openRegion(ctx, cfg, dir, region)
		if err != nil {
			return nil, fmt.Errorf("opening the store of objects of %s: %w", region, err)
		}
		if d.own[region], err = d.open(cfg, dir, blobs, r.Objects); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// fastSpare is how much of the host's disk copies for fast launch leave free.
const fastSpare = 8 << 30

// FastLaunch has the copies of disks that are ready for launches.
func (d *Disks) FastLaunch() *fastlaunch.Store { return d.fast }

// open opens one store. All of them share the cache of ready copies: equal ids
// are equal disks.
func (d *Disks) open(cfg *config.Config, dir datadir.Dir, blobs objects.Store, location string) (*disk.Store, error) {
	options := disk.Options{Keys: d.keys}
	if cfg.Database != "" {
		options.Locker = store.NewAdvisoryLock(cfg.Database, "blocks of "+location)
	}
	return disk.Open(blobs, dir.Cache(), options)
}

// at is the store of a region.
func (d *Disks) at(region string) *disk.Store {
	if own := d.own[region]; own != nil {
		return own
	}
	return d.Store
}

// find gives the store that has a snapshot. One that does not answer is passed
// over; what it said is told if no other has it either.
func (d *Disks) find(ctx context.Context, snapshot string) (*disk.Store, error) {
	if len(d.own) == 0 {
		return d.Store, nil
	}
	var silent error
	for _, s := range append([]*disk.Store{d.Store}, d.regions()...) {
		has, err := s.Has(ctx, snapshot)
		if has {
			return s, nil
		}
		silent = errors.Join(silent, err)
	}
	if silent != nil {
		return nil, fmt.Errorf("looking for the disk %s: %w", snapshot, silent)
	}
	return d.Store, nil // which says that it is not there
}

// regions are the stores of regions that have their own.
func (d *Disks) regions() (all []*disk.Store) {
	for _, region := range slices.Sorted(maps.Keys(d.own)) {
		all = append(all, d.own[region])
	}
	return all
}

// states are the kept states of volumes, beside the blocks of their disks.
func (d *Disks) states(cfg *config.Config) *stepcache.Cache {
	return stepcache.New(d.objects, int64(cfg.StepCache)<<30)
}

// Volume implements engine.Disks.
func (d *Disks) Volume(ctx context.Context, snapshot, file string, sizeGiB int64) (string, error) {
	from, err := d.find(ctx, snapshot)
	if err != nil {
		return "", err
	}
	return from.Volume(ctx, snapshot, file, sizeGiB<<30)
}

// Disk implements engine.Disks.
func (d *Disks) Disk(ctx context.Context, snapshot string) (string, func(), error) {
	from, err := d.find(ctx, snapshot)
	if err != nil {
		return "", nil, err
	}
	return from.Disk(ctx, snapshot)
}

// Open opens a snapshot's disk for reading, wherever it is.
func (d *Disks) Open(ctx context.Context, snapshot string) (*disk.Reader, error) {
	from, err := d.find(ctx, snapshot)
	if err != nil {
		return nil, err
	}
	return from.Open(ctx, snapshot)
}

// Manifest reads the list of a snapshot's blocks, wherever it is.
func (d *Disks) Manifest(ctx context.Context, snapshot string) (*disk.Manifest, error) {
	from, err := d.find(ctx, snapshot)
	if err != nil {
		return nil, err
	}
	return from.Manifest(ctx, snapshot)
}

// Snapshot implements engine.Disks.
func (d *Disks) Snapshot(ctx context.Context, file, parent, region, key string) (engine.Stored, error) {
	to := d.at(region)
	made, err := to.SnapshotUnder(ctx, file, parent, key)
	if err != nil {
		return engine.Stored{}, err
	}
	if err := to.Adopt(ctx, made.ID, file); err != nil {
		return engine.Stored{}, err
	}
	return engine.Stored{Snapshot: made.ID, Blocks: made.Blocks, NewBlocks: made.NewBlocks, NewBytes: made.NewBytes, Changed: int64(made.Changed) * disk.BlockSize}, nil
}

// Shared implements cloud.Blocks.
func (d *Disks) Shared(a, b string) bool { return d.at(a) == d.at(b) }

// Copy implements cloud.Blocks.
func (d *Disks) Copy(ctx context.Context, snapshot, region, key string) (string, cloud.Moved, error) {
	from, err := d.find(ctx, snapshot)
	if err != nil {
		return "", cloud.Moved{}, err
	}
	made, stats, err := from.Copy(ctx, d.at(region), snapshot, key)
	return made, cloud.Moved{Blocks: stats.Blocks, New: stats.NewBlocks, Bytes: stats.Bytes}, err
}

// Collect implements engine.Disks.
func (d *Disks) Collect(ctx context.Context, keep func(context.Context) ([]store.Held, error)) error {
	_, err := d.CollectAll(ctx, keep)
	all, listErr := keep(ctx)
	if listErr != nil {
		return errors.Join(err, listErr)
	}
	var held []string
	for _, h := range all {
		held = append(held, h.Manifest)
	}
	return errors.Join(err, d.fast.Keep(held))
}

// CollectAll is Collect, and tells what went. A store that does not answer does
// not keep the others from being cleaned up.
func (d *Disks) CollectAll(ctx context.Context, keep func(context.Context) ([]store.Held, error)) (sum disk.Collected, err error) {
	collect := func(s *disk.Store, of func(store.Held) (bool, error)) {
		got, failed := s.Collect(ctx, func(ctx context.Context) ([]string, error) {
			all, err := keep(ctx)
			if err != nil {
				return nil, err
			}
			var ids []string
			for _, h := range all {
				mine, err := of(h)
				if err != nil {
					return nil, err
				}
				if mine {
					ids = append(ids, h.Manifest)
				}
			}
			return ids, nil
		})
		sum.Snapshots, sum.Blocks, sum.Bytes = sum.Snapshots+got.Snapshots, sum.Blocks+got.Blocks, sum.Bytes+got.Bytes
		err = errors.Join(err, failed)
	}
	for _, region := range slices.Sorted(maps.Keys(d.own)) {
		collect(d.own[region], func(h store.Held) (bool, error) { return h.Region == region, nil })
	}
	// A region that got its own store later has its older disks here.
	collect(d.Store, func(h store.Held) (bool, error) {
		own := d.own[h.Region]
		if own == nil {
			return true, nil
		}
		has, err := own.Has(ctx, h.Manifest)
		return !has, err
	})
	return sum, err
}

// objectsWork reports whether the stores of objects answer.
func (s *Server) objectsWork(ctx context.Context) error {
	_, err := s.disks.objects.Stat(ctx, "ready")
	if errors.Is(err, objects.ErrNotFound) {
		return nil
	}
	return err
}
