package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/stepcache"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// sweep removes what the instances of a dead server left: processes, mounts,
// loop devices, folders and volumes. The volumes of kept instances stay.
func (e *Engine) sweep(ctx context.Context) error {
	var rows []store.Instance
	err := e.Store.Read(ctx, func(tx *store.Tx) (err error) {
		rows, err = tx.Instances()
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the ledger of instances: %w", err)
	}
	known := map[string]bool{}
	for _, row := range rows {
		if !e.mine(row) {
			continue
		}
		known[row.ID] = true
		if row.State == "kept" && !e.ended(ctx, row) {
			row.State = "running" // the server died before the image was FAILED: it is built anew
		}
		if err := e.sweepOne(ctx, row); err != nil {
			e.Log.Error("what a dead instance left could not be removed", "instance", row.ID, "err", err)
		}
	}
	return e.sweepFolders(ctx, known)
}

// mine reports whether an instance lies in this engine's data folder. Of others
// only their own workers can tell what is left.
func (e *Engine) mine(row store.Instance) bool { return row.Node == e.Node || !e.shared() }

// sweepOne clears one row of the ledger.
func (e *Engine) sweepOne(ctx context.Context, row store.Instance) error {
	for _, kind := range []instance.Kind{e.Builder, e.Tester} {
		if kind.Name() == row.Kind {
			if err := kind.Sweep(ctx, row.Dir); err != nil {
				return err
			}
		}
	}
	if row.State == "kept" && e.wanted(ctx, row) {
		return keptOf(row).write()
	}
	e.Log.Info("removing an instance that nobody needs any more", "instance", row.ID, "kind", row.Kind, "image", row.ImageARN)
	if err := os.RemoveAll(row.Dir); err != nil {
		return err
	}
	return e.Store.Write(ctx, func(tx *store.Tx) error { return tx.DeleteInstance(row.ID) })
}

// wanted reports whether a kept instance's image still exists.
func (e *Engine) wanted(ctx context.Context, row store.Instance) bool {
	_, err := e.Recorder.Status(ctx, row.ImageARN)
	return fault.Code(err) != "ResourceNotFoundException"
}

// ended reports whether an instance's image is known to be at work no more.
func (e *Engine) ended(ctx context.Context, row store.Instance) bool {
	status, err := e.Recorder.Status(ctx, row.ImageARN)
	return err != nil || status.Terminal()
}

// sweepFolders removes instance folders that no row speaks of.
func (e *Engine) sweepFolders(ctx context.Context, known map[string]bool) error {
	entries, err := os.ReadDir(filepath.Join(e.Dir, "instances"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for left-over instances: %w", err)
	}
	for _, entry := range entries {
		if known[entry.Name()] {
			continue
		}
		dir := e.instanceDir(entry.Name())
		for _, kind := range []instance.Kind{e.Builder, e.Tester} {
			if err := kind.Sweep(ctx, dir); err != nil {
				e.Log.Error("what an instance left that no row speaks of could not be removed", "dir", dir, "err", err)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("removing a left-over instance: %w", err)
		}
	}
	return nil
}

// clean is the janitor: it ends kept instances whose image was deleted, and
// collects blocks that no snapshot uses.
func (e *Engine) clean() {
	ctx, cancel := e.untilStopped()
	defer cancel()
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for minutes := 1; ; minutes++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			e.lookAgain(ctx)
			e.endCancelled(ctx)
			e.endUnfit(ctx)
			e.dropUnwanted(ctx)
		}
		if minutes%collectEvery == 0 {
			e.trimSteps(ctx)
			e.forgetAbandoned(ctx)
			e.collect(ctx)
		}
	}
}

// collectEvery is how many minutes lie between two collections of blocks.
const collectEvery = 60

// collect removes the snapshots that nothing names, and the blocks that only they
// used.
func (e *Engine) collect(ctx context.Context) {
	if err := e.Disks.Collect(ctx, Held(e.Cloud, e.Steps, e.Parents)); err != nil && ctx.Err() == nil {
		e.Log.Error("collecting unused blocks", "err", err)
	}
}

// Held gives what a collection of blocks has to keep: the disks of AMIs, of
// kept states, and of parent images.
func Held(world *cloud.World, states *stepcache.Cache, parents func(context.Context) ([]string, error)) func(context.Context) ([]store.Held, error) {
	return func(ctx context.Context) ([]store.Held, error) {
		keep, err := world.Held(ctx)
		more := parents
		if states != nil {
			more = func(ctx context.Context) ([]string, error) {
				ids, err := states.Snapshots(ctx)
				if err != nil || parents == nil {
					return ids, err
				}
				others, err := parents(ctx)
				return append(ids, others...), err
			}
		}
		if err != nil || more == nil {
			return keep, err
		}
		ids, err := more(ctx)
		for _, id := range ids {
			keep = append(keep, store.Held{Manifest: id})
		}
		return keep, err
	}
}

// dropUnwanted ends the kept instances that nobody can name any more.
func (e *Engine) dropUnwanted(ctx context.Context) {
	var rows []store.Instance
	err := e.Store.Read(ctx, func(tx *store.Tx) (err error) {
		rows, err = tx.Instances()
		return err
	})
	if err != nil {
		e.Log.Error("reading the ledger of instances", "err", err)
		return
	}
	for _, row := range rows {
		if !e.mine(row) || row.State != "kept" || e.wanted(ctx, row) {
			continue
		}
		e.mu.Lock()
		m := e.kept[row.ID]
		delete(e.kept, row.ID)
		e.mu.Unlock()
		if m != nil {
			if err := m.end(); err != nil {
				e.Log.Error("ending a kept instance", "instance", row.ID, "err", err)
			}
		}
		if err := e.sweepOne(ctx, row); err != nil {
			e.Log.Error("removing a kept instance", "instance", row.ID, "err", err)
		}
	}
}
