package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/riverqueue/river"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// maxStarts is how often an image is begun before the engine gives it up: a
// build that takes the server down with it must not do so for ever.
const maxStarts = 4

// jobArgs is the queue's job of one image.
type jobArgs struct {
	ImageARN string `json:"imageArn"`
}

// Kind names the job in the queue's table.
func (jobArgs) Kind() string { return "image" }

// worker takes jobs from the queue.
type worker struct {
	river.WorkerDefaults[jobArgs]
	engine *Engine
}

// Timeout lifts the queue's limit: steps have their own.
func (w *worker) Timeout(*river.Job[jobArgs]) time.Duration { return -1 }

// Work brings one image to its end. Only a server that stops makes it return
// early; then the job stays in the queue, its attempt not counted.
func (w *worker) Work(ctx context.Context, job *river.Job[jobArgs]) error {
	err := w.work(ctx, job)
	if errors.Is(err, errLost) || errors.Is(err, store.ErrLeaseLost) {
		w.engine.lose()
		select {} // the job is another worker's, whatever River would say of it; this process ends
	}
	return err
}

func (w *worker) work(ctx context.Context, job *river.Job[jobArgs]) error {
	e := w.engine
	arn := job.Args.ImageARN
	ctx, done := e.begin(ctx, arn)
	defer done()

	row, err := e.row(ctx, arn)
	if err == nil && row.ID != 0 && row.Job != job.ID {
		return nil // of an earlier life of the image, which was begun again since
	}
	var status Status
	if err == nil {
		err = e.persist(ctx, "reading the state", func() (err error) {
			status, err = e.Recorder.Status(ctx, arn)
			return err
		})
	}
	if err == nil && !status.Terminal() {
		if err = e.suit(ctx, arn, strings.Fields(row.Needs)); err == nil {
			err = e.stand(ctx, row, store.Placed)
		}
	}
	switch {
	case errors.Is(context.Cause(ctx), errShutdown):
		return river.JobSnooze(0)
	case errors.Is(context.Cause(ctx), errLost), errors.Is(err, store.ErrLeaseLost):
		return errLost
	case errors.Is(err, errElsewhere):
		return e.handOn(ctx, arn, job.ID)
	case errors.Is(context.Cause(ctx), errCancelled): // its end is recorded below
	case fault.Code(err) == "ResourceNotFoundException":
		return e.left(ctx, arn) // deleted before its turn
	case err != nil:
		return fmt.Errorf("reading the state of %s: %w", arn, err)
	case status.Terminal():
		return e.left(ctx, arn)
	}
	r := e.newRun(arn, status)
	defer func() { // whatever the way out is, a panic included
		r.killInstances()
		r.log.release()
	}()
	if job.Attempt > maxStarts {
		return r.settle(ctx, fmt.Errorf("the server stopped unexpectedly %d times during this build; it is given up", job.Attempt-1))
	}
	err = r.do(ctx)
	if errors.Is(context.Cause(ctx), errShutdown) && !errors.Is(err, errEnded) {
		return river.JobSnooze(0)
	}
	if errors.Is(context.Cause(ctx), errLost) || errors.Is(err, store.ErrLeaseLost) {
		return errLost
	}
	if errors.Is(err, errEnded) {
		return nil
	}
	if errors.Is(err, errElsewhere) {
		return e.handOn(ctx, arn, job.ID)
	}
	if errors.Is(err, errParked) {
		row.Standing = store.Placed
		if err := e.stand(ctx, row, store.Aside); err != nil {
			return err
		}
		return river.JobSnooze(parkedFor)
	}
	return r.settle(ctx, err)
}

// handOn leaves an image's job to another worker, or gives it up where the image
// waits for a worker that is not there.
func (e *Engine) handOn(ctx context.Context, arn string, job int64) error {
	q, err := e.row(ctx, arn)
	if err == nil && q.Job == job {
		err = river.JobSnooze(handedOn)
	}
	return err
}

// settle ends the image, and says what becomes of the job if that could not be
// recorded before this process had to stop.
func (r *run) settle(ctx context.Context, cause error) error {
	err := r.end(ctx, cause)
	switch {
	case errors.Is(err, errShutdown):
		return river.JobSnooze(0)
	case errors.Is(err, store.ErrLeaseLost):
		return errLost
	}
	return err
}

// errEnded says that the image has reached its end and is recorded so.
var errEnded = errors.New("ended")

// rescue makes the jobs of workers that died available again, and those that the
// queue gave up while the database could not be written. On SQLite all the jobs
// that are under way are such: one process at a time owns the data folder.
func (e *Engine) rescue(ctx context.Context) error {
	return e.Store.Write(ctx, func(tx *store.Tx) error {
		states := `'running', 'retryable', 'scheduled', 'discarded'`
		if e.shared() {
			if err := e.freeJobs(ctx, tx); err != nil {
				return err
			}
			states = `'retryable', 'discarded'`
		}
		q := `UPDATE river_job SET state = 'available', finalized_at = NULL, scheduled_at = CURRENT_TIMESTAMP WHERE kind = 'image' AND state IN (` + states + `)`
		if err := e.queue.exec(ctx, tx, q); err != nil {
			return fmt.Errorf("taking up interrupted images: %w", err)
		}
		const lost = `UPDATE queued_image SET state = 0, job = 0 WHERE state IN (1, 2) AND NOT EXISTS (SELECT 1 FROM river_job WHERE river_job.id = queued_image.job AND river_job.state NOT IN ('completed', 'cancelled'))`
		if err := e.queue.exec(ctx, tx, lost); err != nil {
			return fmt.Errorf("looking for images that have lost their jobs: %w", err)
		}
		return e.place(ctx, tx)
	})
}
