package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/riverqueue/river"

	"github.com/goldsmith-build/goldsmith/internal/cloud/export"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// url is where the objects of an export begin.
func (x S3Export) url() string { return "s3://" + x.Bucket + "/" + x.Prefix }

// export writes the disk of the owner's AMI into a bucket; the result is where
// it lies. The task is a row before anything is sent, and its ID, which names the
// object, is the same in every attempt: what a crash left is found by it.
func (c *call) export(x S3Export, region string, images []distributed) delivery {
	account := c.plan.Image.Account
	ami := c.amiFor(images, region, account)
	task := export.Task{
		ID: export.IDFor(strings.Join([]string{c.arn, region, ami, x.Format, x.url()}, " ")), Account: account, Region: region, AMI: ami, Format: x.Format, Bucket: x.Bucket, Prefix: x.Prefix, Role: x.Role,
		Description: "The disk of " + c.plan.Image.ARN, Image: c.arn, Status: export.Active, Created: c.engine.Now(),
	}
	d := delivery{target: target{Region: region, Account: account, Step: exportAMI, Resource: x.Format + " " + x.url(), AMI: ami}, what: "the export to " + task.URL()}
	d.work = func(ctx context.Context) error {
		if c.engine.Exports == nil {
			return errors.New("this engine has no exports")
		}
		start := c.engine.Now()
		snapshot, err := c.beginExport(ctx, task)
		if err != nil {
			return err
		}
		c.log.printf("Exporting %s as %s to %s", ami, x.Format, task.URL())
		made, err := c.engine.Exports.Run(ctx, task, snapshot, c.noteProgress(ctx, task))
		if err != nil {
			return err
		}
		task.Bytes = made.Bytes
		c.log.printf("Exported %s to %s: %d bytes, %d of them sent now (%.2f s)", ami, task.URL(), made.Bytes, made.Sent, c.engine.Now().Sub(start).Seconds())
		return nil
	}
	d.commit = func(_ context.Context, tx *store.Tx) (string, error) {
		done := task
		done.Status, done.Progress = export.Completed, 100
		return task.URL(), export.Put(tx, done)
	}
	return d
}

// beginExport records a task that is about to begin, and gives the snapshot of
// its AMI.
func (c *call) beginExport(ctx context.Context, task export.Task) (snapshot string, err error) {
	err = c.engine.Store.Write(ctx, func(tx *store.Tx) error {
		ami, ok, err := c.engine.Cloud.AMI(tx, task.AMI)
		if err != nil {
			return err
		}
		root, has := ami.Root()
		if !ok || !has {
			return fmt.Errorf("the AMI %s is not there", task.AMI)
		}
		snapshot = root.Manifest
		return export.Put(tx, task)
	})
	return snapshot, err
}

// progressEvery is how often a task's progress is recorded.
const progressEvery = 5 * time.Second

// noteProgress gives a function that records how far a task has come. What it
// cannot record, it leaves: the next one will.
func (c *call) noteProgress(ctx context.Context, task export.Task) func(percent int) {
	var mu sync.Mutex
	last := c.engine.Now()
	return func(percent int) {
		if !mu.TryLock() {
			return
		}
		defer mu.Unlock()
		if now := c.engine.Now(); now.Sub(last) >= progressEvery {
			last, task.Progress = now, percent
			if err := c.engine.Store.Write(ctx, func(tx *store.Tx) error { return export.Put(tx, task) }); err != nil {
				c.engine.Log.Debug("recording the progress of an export", "task", task.ID, "err", err)
			}
		}
	}
}

// leaveExports sees to what the exports of an image that ends left in their
// buckets: that of a failed image stays for a retry, for a time.
func (r *run) leaveExports(ctx context.Context, tx *store.Tx, to Status) error {
	tasks, err := export.Of(tx, r.arn)
	if err != nil {
		return fmt.Errorf("reading the exports: %w", err)
	}
	opts := &river.InsertOpts{MaxAttempts: 25}
	if to == Failed {
		opts.ScheduledAt = r.engine.Now().Add(retryWindow)
	}
	for _, task := range tasks {
		if task.Status != export.Active {
			continue
		}
		task.Status, task.Message = export.Deleting, "The image is "+string(to)+"."
		if err := export.Put(tx, task); err != nil {
			return err
		}
		job := abandonment{ImageARN: r.arn, Account: task.Account, Region: task.Region, Task: task.ID}
		if err := r.engine.queue.add(ctx, tx, job, opts); err != nil {
			return fmt.Errorf("queueing the end of %s: %w", task.ID, err)
		}
	}
	return nil
}

// abandonment is the queue's job that removes what an export left that nobody
// went on with.
type abandonment struct {
	ImageARN string `json:"imageArn"`
	Account  string `json:"account"`
	Region   string `json:"region"`
	Task     string `json:"task"`
}

// Kind names the job in the queue's table.
func (abandonment) Kind() string { return "abandon-export" }

// abandoner takes abandonments from the queue.
type abandoner struct {
	river.WorkerDefaults[abandonment]
	engine *Engine
}

// Work removes it, unless the image was retried. A service that is away is
// tried again by the queue.
func (w *abandoner) Work(ctx context.Context, job *river.Job[abandonment]) error {
	e := w.engine
	status, err := e.Recorder.Status(ctx, job.Args.ImageARN)
	if err != nil && fault.Code(err) != "ResourceNotFoundException" {
		return fmt.Errorf("reading the state of %s: %w", job.Args.ImageARN, err)
	}
	if err == nil && !status.Terminal() || e.Exports == nil {
		return nil
	}
	var task export.Task
	var ok bool
	err = e.Store.Read(ctx, func(tx *store.Tx) (err error) {
		task, ok, err = export.Get(tx, job.Args.Account, job.Args.Region, job.Args.Task)
		return err
	})
	if err != nil || !ok || task.Status != export.Deleting {
		return err
	}
	if err := e.Exports.Buckets.Abandon(ctx, task.Bucket, task.Key()); err != nil {
		return err
	}
	task.Status = export.Deleted
	return e.Store.Write(ctx, func(tx *store.Tx) error { return export.Put(tx, task) })
}
