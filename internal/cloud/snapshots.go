package cloud

import (
	"context"
	"slices"
	"strconv"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// snapshotAttributes are the filters of DescribeSnapshots (EC2 API Reference).
var snapshotAttributes = attributes[Snapshot]{
	"description":  func(s Snapshot) []string { return []string{s.Description} },
	"encrypted":    func(s Snapshot) []string { return []string{boolean(s.Encrypted)} },
	"owner-alias":  func(s Snapshot) []string { return []string{s.OwnerAlias} },
	"owner-id":     func(s Snapshot) []string { return []string{s.Account} },
	"progress":     func(Snapshot) []string { return []string{"100%"} },
	"snapshot-id":  func(s Snapshot) []string { return []string{s.ID} },
	"start-time":   func(s Snapshot) []string { return []string{date(s.Created)} },
	"status":       func(Snapshot) []string { return []string{"completed"} },
	"storage-tier": func(Snapshot) []string { return []string{"standard"} },
	"volume-id":    func(Snapshot) []string { return []string{goneVolume} },
	"volume-size":  func(s Snapshot) []string { return []string{strconv.FormatInt(s.SizeGiB, 10)} },
}

// snapshotQuery is a DescribeSnapshots request, understood.
type snapshotQuery struct {
	ids, owners map[string]bool
	filters     []filter[Snapshot]
}

func (q snapshotQuery) wants(s Snapshot) bool {
	return (q.owners == nil || q.owners[s.Account]) && pass(q.filters, s)
}

// DescribeSnapshots lists the caller's snapshots in its region and those of the
// managed AMIs, which everyone may restore.
func (f face) DescribeSnapshots(ctx context.Context, in *ec2.DescribeSnapshotsInput) (*ec2.DescribeSnapshotsOutput, error) {
	if err := refuseDryRun(in.DryRun); err != nil {
		return nil, err
	}
	caller := identity.From(ctx)
	var q snapshotQuery
	var err error
	if q.ids, err = wanted(in.SnapshotIds, snapshotID, "InvalidSnapshotID.Malformed"); err != nil {
		return nil, err
	}
	if q.owners, err = owners(in.OwnerIds, caller.Account); err != nil {
		return nil, err
	}
	if _, err := executableBy(in.RestorableByUserIds); err != nil {
		return nil, err
	}
	if q.filters, err = snapshotAttributes.compile(in.Filters, func(s Snapshot) map[string]string { return s.Tags }); err != nil {
		return nil, err
	}
	limit, at, err := limits(in.MaxResults, in.NextToken, q.ids != nil, "snapshots", caller.Account, caller.Region, in.OwnerIds, in.RestorableByUserIds, in.Filters)
	if err != nil {
		return nil, err
	}
	managed, err := f.world.publishedSnapshots(ctx, caller.Region)
	if err != nil {
		return nil, err
	}
	if slices.Contains(in.RestorableByUserIds, "self") {
		managed = nil // they are public, and so not shared with anyone by name
	}
	out := &ec2.DescribeSnapshotsOutput{}
	var found []Snapshot
	err = f.world.store.Read(ctx, func(tx *store.Tx) error {
		if q.ids != nil {
			var gone []string
			found, gone, err = named(q.ids, func(id string) (Snapshot, bool, error) {
				s, ok, err := f.world.Snapshot(tx, id)
				return s, ok && s.Account == caller.Account && s.Region == caller.Region, err
			}, managed, q.wants)
			if err == nil && len(gone) > 0 {
				err = fault.New("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", gone[0])
			}
			return err
		}
		var more string
		found, more, err = search(fetchSnapshots(tx, caller), managed, q.wants, at.After, limit)
		if more != "" {
			out.NextToken = at.token(more)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Snapshots = make([]ec2.Snapshot, 0, len(found))
	for _, s := range found {
		out.Snapshots = append(out.Snapshots, describeSnapshot(s))
	}
	return out, nil
}

// publishedSnapshots are those of the managed AMIs, in the order of their IDs.
func (w *World) publishedSnapshots(ctx context.Context, region string) ([]Snapshot, error) {
	images, err := w.published(ctx, region)
	if err != nil {
		return nil, err
	}
	var all []Snapshot
	for _, a := range images {
		for _, d := range a.Devices {
			if d.SnapshotID != "" {
				all = append(all, snapshotOf(a, d))
			}
		}
	}
	slices.SortFunc(all, byID)
	return all, nil
}

// fetchSnapshots reads a page of the caller's rows.
func fetchSnapshots(tx *store.Tx, caller identity.Caller) func(after string, limit int) ([]Snapshot, error) {
	return func(after string, limit int) ([]Snapshot, error) {
		rows, err := tx.Snapshots(caller.Account, caller.Region, after, limit)
		if err != nil {
			return nil, err
		}
		all := make([]Snapshot, 0, len(rows))
		for _, row := range rows {
			s, err := snapshotFromRow(row)
			if err != nil {
				return nil, err
			}
			all = append(all, s)
		}
		return all, nil
	}
}
