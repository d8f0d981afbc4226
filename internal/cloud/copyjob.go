package cloud

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"

	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Queue takes the jobs of copies.
type Queue interface {
	// Insert adds a job to a transaction.
	Insert(ctx context.Context, tx *store.Tx, job river.JobArgs, opts *river.InsertOpts) error
}

// CopyQueue is the queue of the copies that CopyImage begins.
const CopyQueue = "copies"

const (
	copyShift    = 4 * time.Minute // a job makes way for others after this, and goes on later
	copyAttempts = 8               // a copy whose stores do not answer is given up after so many
)

// Copier moves the blocks of AMIs that are "pending" until they have them.
type Copier struct {
	world   *World
	stop    context.CancelFunc
	stopped context.Context
}

// Copier gives the world's copier. Copies begin when it has a queue: Attach.
func (w *World) Copier() *Copier {
	c := &Copier{world: w}
	c.stopped, c.stop = context.WithCancel(context.Background())
	return c
}

// Attach gives the world the queue of its copies. Call it before the first
// request.
func (w *World) Attach(q Queue) { w.queue = q }

// Stop ends the copies under way; they go on when a server starts.
func (c *Copier) Stop() { c.stop() }

// Register adds the worker of copies.
func (c *Copier) Register(all *river.Workers) { river.AddWorker(all, &copyWorker{copier: c}) }

// copyJob is the job of one pending AMI.
type copyJob struct {
	AMI string `json:"ami"`
}

// Kind names the job in the queue's table.
func (copyJob) Kind() string { return "copy" }

type copyWorker struct {
	river.WorkerDefaults[copyJob]
	copier *Copier
}

// Timeout is above what Work takes: a job that is older is one of a dead server,
// which the queue gives to another.
func (w *copyWorker) Timeout(*river.Job[copyJob]) time.Duration { return copyShift + time.Minute }

// NextRetry is for stores that do not answer.
func (w *copyWorker) NextRetry(job *river.Job[copyJob]) time.Time {
	return time.Now().Add(time.Second << min(job.Attempt, 6))
}

// Work moves the blocks and makes the AMI available, or "failed" with the reason.
func (w *copyWorker) Work(ctx context.Context, job *river.Job[copyJob]) error {
	ctx, cancel := context.WithTimeout(ctx, copyShift)
	defer cancel()
	defer context.AfterFunc(w.copier.stopped, cancel)()
	err := w.copier.world.finishCopy(ctx, job.Args.AMI)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return river.JobSnooze(0) // what has moved need not move again
	case lasting(err) || job.Attempt >= copyAttempts:
		return w.copier.world.failCopy(context.WithoutCancel(ctx), job.Args.AMI, err)
	}
	return err
}

// lasting reports whether trying again is of no use.
func lasting(err error) bool {
	for _, kind := range []error{disk.ErrKey, disk.ErrNotFound, disk.ErrCorrupt} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return fault.Code(err) != ""
}

// begin registers a copy whose blocks still have to be moved, with its job.
func (w *World) begin(ctx context.Context, tx *store.Tx, c AMI, all []volume) (AMI, error) {
	if w.queue == nil {
		return AMI{}, fault.New("UnsupportedOperation", "This server does not copy disks")
	}
	c.State, c.Pending = pending, all
	for i, v := range all {
		c.Devices[i].KMSKeyID, c.Devices[i].Encrypted = v.Key, v.Key != ""
	}
	made, err := w.Register(tx, c)
	if err != nil {
		return made, err
	}
	if err := w.queue.Insert(ctx, tx, copyJob{AMI: made.ID}, &river.InsertOpts{Queue: CopyQueue, MaxAttempts: 1000}); err != nil {
		return made, fmt.Errorf("queueing the copy of %s: %w", c.Source.ID, err)
	}
	return made, nil
}

// finishCopy moves the blocks of a pending AMI and makes it available; an AMI
// that is gone, or has them, has nothing to wait for.
func (w *World) finishCopy(ctx context.Context, id string) error {
	var a AMI
	read := func(tx *store.Tx) (err error) {
		var ok bool
		if a, ok, err = w.AMI(tx, id); err == nil && !ok {
			a = AMI{}
		}
		return err
	}
	if err := w.store.Read(ctx, read); err != nil || a.State != pending {
		return err
	}
	all := a.Pending
	if _, err := w.move(ctx, a.Region, all); err != nil {
		return err
	}
	return w.store.Write(ctx, func(tx *store.Tx) error {
		if err := read(tx); err != nil || a.State != pending {
			return err
		}
		a.place(all)
		a.State, a.Pending = "available", nil
		for i := range a.Devices {
			d := &a.Devices[i]
			if d.Manifest == "" {
				continue
			}
			d.SnapshotID = NewID("snap")
			if err := w.addSnapshot(tx, snapshotOf(a, *d)); err != nil {
				return err
			}
		}
		return w.update(tx, a)
	})
}

// failCopy records why a copy will never be made.
func (w *World) failCopy(ctx context.Context, id string, cause error) error {
	return w.store.Write(ctx, func(tx *store.Tx) error {
		a, ok, err := w.AMI(tx, id)
		if err != nil || !ok || a.State != pending {
			return err
		}
		a.State, a.Pending, a.Reason = "failed", nil, cause.Error()
		return w.update(tx, a)
	})
}

func (w *World) update(tx *store.Tx, a AMI) error {
	row, err := a.row()
	if err != nil {
		return err
	}
	return tx.UpdateAMI(a.ID, row.Doc, a.grantees())
}

// pending is the state of an AMI whose blocks are still being copied.
const pending = "pending"
