package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sync/errgroup"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/disk"
)

const (
	pendingFor = 24 * 60         // minutes that AWS keeps a snapshot for which nobody puts a block
	savedEvery = 256             // blocks between two records of what is done
	unseenFor  = 2 * time.Minute // a snapshot just started is not known to all of EBS at once
)

// errCancelled says that AWS gave a snapshot up before it was complete.
var errCancelled = errors.New("AWS gave the snapshot up before it was complete")

// uploading is one run over the changes of a disk.
type uploading struct {
	accounts *Accounts
	session  *session
	row      *upload
	disk     *disk.Reader
	changes  []change
	tags     map[string]string
	device   cloud.BlockDevice
	size     int64 // GiB

	mu    sync.Mutex
	sums  map[int][sha256.Size]byte // of changes put by this run, by their place
	fresh int                       // since the row was written
	sent  int
}

// upload makes a snapshot of a device's disk, or goes on with making it, and
// returns when it is complete.
func (a *Accounts) upload(ctx context.Context, s *session, p cloud.Publication, d cloud.BlockDevice) (id string, err error) {
	const step = "UPLOAD_SNAPSHOT"
	newer, err := a.Blocks.Manifest(ctx, d.Manifest)
	if err != nil {
		return "", failed(ctx, step, "reading the disk", err)
	}
	row, known, err := a.begin(ctx, s.account, s.region, p.For+" "+p.AMI.Name+" "+d.DeviceName, d.Manifest)
	if err != nil {
		return "", err
	}
	open, err := a.Blocks.Open(ctx, d.Manifest)
	if err != nil {
		return "", failed(ctx, step, "opening the disk", err)
	}
	defer open.Close()
	u := &uploading{accounts: a, session: s, row: row, disk: open, tags: p.AMI.Tags, device: d, size: gibibytes(newer, d), sums: map[int][sha256.Size]byte{}}
	for again := false; ; again = true {
		start := time.Now()
		complete, err := u.open(ctx, newer, known || again)
		if err == nil && complete {
			p.Tell("Snapshot %s of %s is in %s already", row.Snapshot, d.DeviceName, s.region)
			return row.Snapshot, nil
		}
		if err == nil {
			err = u.finish(ctx)
		}
		if err == nil {
			p.Tell("Uploaded snapshot %s to %s of account %s: %d of %d blocks sent, %.1f MiB, parent %q (%.1f s)", row.Snapshot, s.region, s.account,
				u.sent, len(newer.Blocks), float64(u.sent)*disk.BlockSize/(1<<20), row.Parent, time.Since(start).Seconds())
			return row.Snapshot, nil
		}
		if !errors.Is(err, errCancelled) || again || ctx.Err() != nil {
			return "", failed(ctx, step, "uploading a snapshot", err)
		}
		if row.Snapshot != "" {
			p.Tell("%s of %s: %v; uploading it anew", row.Snapshot, s.region, err)
			s.deleteSnapshot(ctx, row.Snapshot) //nolint:errcheck // AWS removes it after a time
		}
		if err := a.restart(ctx, row); err != nil {
			return "", err
		}
		u.sums, u.sent = map[int][sha256.Size]byte{}, 0
	}
}

// open makes sure that there is a snapshot, and finds out what it lacks.
// complete says that it lacks nothing, not even its completion.
func (u *uploading) open(ctx context.Context, newer *disk.Manifest, known bool) (complete bool, err error) {
	if known && u.row.Snapshot != "" {
		state, err := u.state(ctx)
		if err != nil {
			return false, err
		}
		switch state {
		case ec2types.SnapshotStateCompleted:
			return true, nil
		case ec2types.SnapshotStatePending:
		default:
			return false, errCancelled
		}
	}
	if u.row.Snapshot == "" && u.row.Parent == "" {
		if err := u.choose(ctx, newer); err != nil {
			return false, err
		}
	}
	var older *disk.Manifest
	if u.row.Older != "" {
		older, err = u.accounts.Blocks.Manifest(ctx, u.row.Older)
		if errors.Is(err, disk.ErrNotFound) {
			return false, fmt.Errorf("%w: %w", errCancelled, err)
		}
		if err != nil {
			return false, fmt.Errorf("reading the disk of the parent %s: %w", u.row.Parent, err)
		}
	}
	u.changes = changes(older, newer)
	if u.row.Snapshot == "" {
		if err := u.start(ctx); err != nil {
			return false, err
		}
	}
	if u.row.Done == nil {
		u.row.Done = newBitmap(len(u.changes))
	}
	return false, nil
}

// choose looks for a parent and records it, for StartSnapshot must be asked for
// the same each time.
func (u *uploading) choose(ctx context.Context, newer *disk.Manifest) error {
	best, ok, err := u.accounts.likest(ctx, u.row.Account, u.row.Region, newer, u.device)
	if err != nil || !ok {
		return err
	}
	state, err := u.stateOf(ctx, best.ID)
	if err != nil || state != ec2types.SnapshotStateCompleted {
		return err // somebody deleted it: all of the disk is sent
	}
	u.row.Parent, u.row.Older = best.ID, best.Manifest
	return u.accounts.save(ctx, u.row)
}

// start starts the snapshot. A parent says what encrypts it; both together are
// refused (API Reference, StartSnapshot).
func (u *uploading) start(ctx context.Context) error {
	in := &ebs.StartSnapshotInput{
		VolumeSize: &u.size, ClientToken: &u.row.Token, Timeout: sdk.Int32(pendingFor), Tags: ebsTags(u.tags),
		Description: sdk.String("Goldsmith " + u.row.Manifest),
	}
	switch {
	case u.row.Parent != "":
		in.ParentSnapshotId = &u.row.Parent
	case u.device.Encrypted || u.device.KMSKeyID != "":
		in.Encrypted = sdk.Bool(true)
		if u.device.KMSKeyID != "" {
			in.KmsKeyArn = &u.device.KMSKeyID
		}
	}
	out, err := u.session.ebs.StartSnapshot(ctx, in)
	if code(err) == "ConflictException" { // the token was used for a snapshot with other tags
		return fmt.Errorf("%w: %w", errCancelled, err)
	}
	if err != nil {
		return err
	}
	u.row.Snapshot, u.row.Started = sdk.ToString(out.SnapshotId), time.Now().UTC().Truncate(time.Second)
	return u.accounts.save(ctx, u.row)
}

// finish puts the blocks that AWS may not have, and completes the snapshot.
func (u *uploading) finish(ctx context.Context) error {
	if err := u.putAll(ctx); err != nil {
		return err
	}
	sum, err := u.aggregate(ctx)
	if err != nil {
		return err
	}
	_, err = u.session.ebs.CompleteSnapshot(ctx, &ebs.CompleteSnapshotInput{
		SnapshotId: &u.row.Snapshot, ChangedBlocksCount: sdk.Int32(int32(len(u.changes))), Checksum: &sum,
		ChecksumAlgorithm: ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256, ChecksumAggregationMethod: ebstypes.ChecksumAggregationMethodChecksumAggregationLinear,
	})
	if err != nil {
		return gone(err)
	}
	return u.accounts.wait(ctx, u.row.Snapshot, func() (bool, error) {
		state, err := u.state(ctx)
		if err == nil && state == ec2types.SnapshotStateError {
			err = errCancelled
		}
		return state == ec2types.SnapshotStateCompleted, err
	})
}

// putAll puts the blocks that the row does not know of, many at once.
func (u *uploading) putAll(ctx context.Context) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	buffers := sync.Pool{New: func() any { b := make([]byte, disk.BlockSize); return &b }}
	for i := range u.changes {
		if u.row.Done.has(i) {
			continue
		}
		if inner.Err() != nil {
			break
		}
		group.Go(func() error {
			buf := buffers.Get().(*[]byte)
			defer buffers.Put(buf)
			content, err := u.content(inner, i, *buf)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(content)
			if err := u.put(inner, i, content, sum); err != nil {
				return fmt.Errorf("block %d: %w", u.changes[i].Index, err)
			}
			return u.note(inner, i, sum)
		})
	}
	err := group.Wait()
	// What was done is worth a row even when the rest failed.
	if saved := u.accounts.save(context.WithoutCancel(ctx), u.row); err == nil {
		err = saved
	}
	return err
}

// put sends one block. What AWS does not know yet right after it was started
// it knows a little later.
func (u *uploading) put(ctx context.Context, i int, content []byte, sum [sha256.Size]byte) error {
	for {
		_, err := u.session.ebs.PutSnapshotBlock(ctx, &ebs.PutSnapshotBlockInput{
			SnapshotId: &u.row.Snapshot, BlockIndex: sdk.Int32(int32(u.changes[i].Index)), BlockData: bytes.NewReader(content), DataLength: sdk.Int32(disk.BlockSize),
			Checksum: sdk.String(base64.StdEncoding.EncodeToString(sum[:])), ChecksumAlgorithm: ebstypes.ChecksumAlgorithmChecksumAlgorithmSha256,
		})
		if code(err) != "ResourceNotFoundException" || time.Since(u.row.Started) > unseenFor {
			return gone(err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(u.accounts.Poll):
		}
	}
}

// note remembers that AWS has a block.
func (u *uploading) note(ctx context.Context, i int, sum [sha256.Size]byte) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.row.Done.set(i)
	u.sums[i] = sum
	u.sent++
	if u.fresh++; u.fresh < savedEvery {
		return nil
	}
	u.fresh = 0
	return u.accounts.save(ctx, u.row)
}

// content gives what a change puts at its place.
func (u *uploading) content(ctx context.Context, i int, buf []byte) ([]byte, error) {
	if u.changes[i].zero {
		clear(buf)
		return buf, nil
	}
	return buf, u.disk.ReadBlock(ctx, u.changes[i].Index, buf)
}

// aggregate is the checksum of all checksums in the order of their blocks (API
// Reference, CompleteSnapshot). Those of blocks that another process sent are
// computed again.
func (u *uploading) aggregate(ctx context.Context) (string, error) {
	all, buf := sha256.New(), make([]byte, disk.BlockSize)
	for i := range u.changes {
		sum, ok := u.sums[i]
		if !ok {
			content, err := u.content(ctx, i, buf)
			if err != nil {
				return "", err
			}
			sum = sha256.Sum256(content)
		}
		all.Write(sum[:])
	}
	return base64.StdEncoding.EncodeToString(all.Sum(nil)), nil
}

func (u *uploading) state(ctx context.Context) (ec2types.SnapshotState, error) {
	return u.stateOf(ctx, u.row.Snapshot)
}

// stateOf gives the state of a snapshot; that of one that is not there is "".
func (u *uploading) stateOf(ctx context.Context, id string) (ec2types.SnapshotState, error) {
	out, err := u.session.ec2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
	if code(err) == "InvalidSnapshot.NotFound" {
		return "", nil
	}
	if err != nil || len(out.Snapshots) == 0 {
		return "", err
	}
	return out.Snapshots[0].State, nil
}

// gone tells errors that say that a snapshot takes no blocks any more.
func gone(err error) error {
	var invalid *ebstypes.ValidationException
	switch {
	case code(err) == "ResourceNotFoundException":
		return fmt.Errorf("%w: %w", errCancelled, err)
	case errors.As(err, &invalid) && invalid.Reason == ebstypes.ValidationExceptionReasonInvalidSnapshotId:
		return fmt.Errorf("%w: %w", errCancelled, err)
	}
	return err
}

func ebsTags(tags map[string]string) (all []ebstypes.Tag) {
	for key, value := range sorted(tags) {
		all = append(all, ebstypes.Tag{Key: sdk.String(key), Value: sdk.String(value)})
	}
	return all
}
