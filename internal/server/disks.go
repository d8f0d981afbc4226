package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/objects"
	"github.com/goldsmith-build/goldsmith/internal/stepcache"
)

// Disks is the disk store of a data folder, as the engine wants it.
type Disks struct {
	*disk.Store
	objects objects.Store
}

var _ engine.Disks = (*Disks)(nil)

// OpenDisks opens the disk store of a data folder, whose blocks are where the
// configuration says. Several processes may have it open.
func OpenDisks(ctx context.Context, cfg *config.Config, dir datadir.Dir) (*Disks, error) {
	blobs, err := openObjects(ctx, cfg, dir)
	if err != nil {
		return nil, fmt.Errorf("opening the store of objects: %w", err)
	}
	disks, err := disk.Open(blobs, dir.Cache(), disk.Options{})
	if err != nil {
		return nil, err
	}
	return &Disks{Store: disks, objects: blobs}, nil
}

// states are the kept states of volumes, beside the blocks of their disks.
func (d *Disks) states(cfg *config.Config) *stepcache.Cache {
	return stepcache.New(d.objects, int64(cfg.StepCache)<<30)
}

// Volume implements engine.Disks.
func (d *Disks) Volume(ctx context.Context, snapshot, file string, sizeGiB int64) (string, error) {
	return d.Store.Volume(ctx, snapshot, file, sizeGiB<<30)
}

// Snapshot implements engine.Disks.
func (d *Disks) Snapshot(ctx context.Context, file, parent string) (engine.Stored, error) {
	made, err := d.Store.Snapshot(ctx, file, parent)
	if err != nil {
		return engine.Stored{}, err
	}
	if err := d.Adopt(ctx, made.ID, file); err != nil {
		return engine.Stored{}, err
	}
	return engine.Stored{Snapshot: made.ID, Blocks: made.Blocks, NewBlocks: made.NewBlocks, NewBytes: made.NewBytes, Changed: int64(made.Changed) * disk.BlockSize}, nil
}

// Collect implements engine.Disks.
func (d *Disks) Collect(ctx context.Context, keep func(context.Context) ([]string, error)) error {
	_, err := d.Store.Collect(ctx, keep)
	return err
}

// objectsWork reports whether the store of objects answers.
func (s *Server) objectsWork(ctx context.Context) error {
	_, err := s.disks.objects.Stat(ctx, "ready")
	if errors.Is(err, objects.ErrNotFound) {
		return nil
	}
	return err
}
