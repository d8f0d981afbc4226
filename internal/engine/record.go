package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/faultpoint"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// patience is how long a run waits for a database that does not answer or has no
// space: what was built by then is worth more than the time.
const patience = 15 * time.Minute

// Between two tries of a run lie these times: the first, and the longest.
const (
	firstPause = 250 * time.Millisecond
	longPause  = 10 * time.Second
)

// outage reports whether the database may come back from an error by itself.
func outage(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNoSpace)
}

// record runs a transaction of a run, and waits for a database that is away. A
// connection that breaks during the commit leaves open whether the rows were
// kept. So done, where it is not nil, says before each further try whether they
// were; without it fn does no harm when it is run twice.
func (e *Engine) record(ctx context.Context, what string, done func(context.Context) (bool, error), fn func(*store.Tx) error) error {
	faultpoint.Reach("before", what)
	tried := false
	err := e.persist(ctx, what, func() error {
		if tried && done != nil {
			if yes, err := done(ctx); yes || err != nil {
				return err
			}
		}
		tried = true
		return e.Store.Write(ctx, fn)
	})
	if err == nil {
		faultpoint.Reach("after", what)
	}
	return err
}

// read runs a reading transaction of a run, and waits for a database that is
// away.
func (e *Engine) read(ctx context.Context, fn func(*store.Tx) error) error {
	return e.persist(ctx, "reading", func() error { return e.Store.Read(ctx, fn) })
}

// persist tries until it is no outage that try fails with, or the run or this
// process ends.
func (e *Engine) persist(ctx context.Context, what string, try func() error) error {
	wait := firstPause
	for start := time.Now(); ; wait = min(2*wait, longPause) {
		err := try()
		if err == nil || !outage(err) || time.Since(start) > patience {
			return err
		}
		e.Log.Warn("the database is away; it is tried again", "what", what, "err", err)
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-e.janitor:
			return errors.Join(errShutdown, err)
		case <-e.lost:
			return errors.Join(errLost, err)
		case <-time.After(wait):
		}
	}
}

// stepPoint names a moment of a step for the fault suite.
func (f *flow) stepPoint(step, moment string) string { return f.Type + " " + step + " " + moment }

// isStatus is a record's done: whether the image has a state.
func (r *run) isStatus(to Status) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		var is bool
		err := r.engine.persist(ctx, "reading the state", func() error {
			status, err := r.engine.Recorder.Status(ctx, r.arn)
			is = status == to
			return err
		})
		if err != nil {
			return false, fmt.Errorf("looking whether the state %s was recorded: %w", to, err)
		}
		return is, nil
	}
}
