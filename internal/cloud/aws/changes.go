package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// change is a block that a snapshot has and its parent has not, or not so.
type change struct {
	disk.Block
	zero bool // the parent has something there, the snapshot nothing
}

// changes gives what turns the disk older, nil for an empty one, into newer, by
// rising index.
func changes(older, newer *disk.Manifest) []change {
	var all []change
	var before []disk.Block
	if older != nil {
		before = older.Blocks
	}
	for _, b := range newer.Blocks {
		for len(before) > 0 && before[0].Index < b.Index {
			all = append(all, change{disk.Block{Index: before[0].Index}, true})
			before = before[1:]
		}
		if len(before) > 0 && before[0].Index == b.Index {
			if before[0].Digest != b.Digest {
				all = append(all, change{Block: b})
			}
			before = before[1:]
			continue
		}
		all = append(all, change{Block: b})
	}
	for _, b := range before {
		all = append(all, change{disk.Block{Index: b.Index}, true})
	}
	return all
}

// candidates is how many snapshots are compared with a disk to find its best
// parent.
const candidates = 8

// likest finds the snapshot of an account in a region that has the most of a
// disk, among the newest that are encrypted alike and no larger. ok is false
// where uploading all of it is no more.
func (a *Accounts) likest(ctx context.Context, account, region string, newer *disk.Manifest, like cloud.BlockDevice) (best cloud.Snapshot, ok bool, err error) {
	var all []cloud.Snapshot
	err = a.Store.Read(ctx, func(tx *store.Tx) (err error) {
		all, err = a.World.Snapshots(tx, account, region)
		return err
	})
	if err != nil {
		return best, false, err
	}
	slices.SortFunc(all, func(x, y cloud.Snapshot) int { return y.Created.Compare(x.Created) })
	least, looked := len(newer.Blocks), 0
	for _, s := range all {
		if s.Provider != Provider || s.Encrypted != like.Encrypted || s.KMSKeyID != like.KMSKeyID || s.SizeGiB > gibibytes(newer, like) {
			continue
		}
		if looked++; looked > candidates {
			break
		}
		older, err := a.Blocks.Manifest(ctx, s.Manifest)
		if errors.Is(err, disk.ErrNotFound) || errors.Is(err, disk.ErrCorrupt) {
			continue // it only saves time
		}
		if err != nil {
			return best, false, fmt.Errorf("reading the disk of %s: %w", s.ID, err)
		}
		if n := len(changes(older, newer)); n < least {
			best, ok, least = s, true, n
		}
	}
	return best, ok, nil
}

// gibibytes is the size of a snapshot: that of its disk, or of its device where
// that is larger.
func gibibytes(m *disk.Manifest, d cloud.BlockDevice) int64 {
	return max((m.VolumeSize+1<<30-1)>>30, d.SizeGiB)
}
