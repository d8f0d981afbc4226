package server

import (
	"context"

	"github.com/goldsmith-build/goldsmith/internal/base"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/engine"
)

// Collect removes the disks of a data folder that nothing uses any more, from
// all its stores. It needs no running server, and works beside one.
func Collect(ctx context.Context, cfg *config.Config, dir datadir.Dir) (disk.Collected, error) {
	rows, err := OpenStore(ctx, cfg, dir)
	if err != nil {
		return disk.Collected{}, err
	}
	defer rows.Close()
	disks, err := OpenDisks(ctx, cfg, dir)
	if err != nil {
		return disk.Collected{}, err
	}
	parents, err := base.Open(dir.Parents(), disks.Store)
	if err != nil {
		return disk.Collected{}, err
	}
	return disks.CollectAll(ctx, engine.Held(cloud.New(rows, nil), disks.states(cfg), parentSnapshots(parents)))
}
