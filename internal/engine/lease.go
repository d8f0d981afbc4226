package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// defaultLease is how long a worker may be silent before the others take it for
// dead.
const defaultLease = 30 * time.Second

// errLost ends the runs of a worker that was taken for dead: others have its
// jobs now.
var errLost = errors.New("this worker was taken for dead, and others have its jobs")

// register makes this process known as a worker. What a dead process had that
// used the same data folder, which is locked, is free at once.
func (e *Engine) register(ctx context.Context) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return e.Store.Write(ctx, func(tx *store.Tx) error {
		known, err := tx.Workers()
		if err != nil {
			return err
		}
		for _, w := range known {
			if w.Node == e.Node || !e.shared() {
				if err := tx.DeleteWorker(w.ID); err != nil {
					return err
				}
			}
		}
		return tx.PutWorker(store.Worker{ID: e.id, Node: e.Node, Host: host, Started: e.Now(), Builds: int64(e.Builds), About: e.about()})
	})
}

// shared reports whether other processes may have the database open.
func (e *Engine) shared() bool { return e.Store.Pool() != nil }

// keepLease says that this worker is alive, looks whether the others are, and
// wakes what other processes have news for, until the engine stops.
func (e *Engine) keepLease() {
	ctx, cancel := e.untilStopped()
	defer cancel()
	tick := time.NewTicker(e.Lease / 30)
	defer tick.Stop()
	p := pulse{engine: e, steady: time.Now(), last: time.Now(), told: time.Now()}
	var looking atomic.Bool
	for beats := 0; ; beats++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if looking.CompareAndSwap(false, true) {
			go func() { // a database that hangs must not keep the next beat
				defer looking.Store(false)
				e.interruptAll()
			}()
		}
		if beats%5 != 0 {
			continue
		}
		switch {
		case e.shared():
			if !p.renew(ctx) {
				return
			}
		case p.news():
			if err := e.beat(ctx); err != nil && ctx.Err() == nil {
				e.Log.Warn("telling what this worker does", "err", err)
			}
		}
	}
}

// pulse is how a worker says that it is alive.
type pulse struct {
	engine *Engine
	steady time.Time // since when no beat has failed, or come late
	last   time.Time // when the last beat succeeded
	told   time.Time // when people were told last, where there are no other workers
	busy   int       // what they were told
}

// news reports whether people should be told of this worker again. Where it is
// alone nobody judges it by its silence, and nothing is written for nothing.
func (p *pulse) news() bool {
	busy := p.engine.busy()
	if busy == p.busy && time.Since(p.told) < time.Minute {
		return false
	}
	p.busy, p.told = busy, time.Now()
	return true
}

// renew renews the lease and looks whether the others have theirs. It is false
// when there is no use in going on.
func (p *pulse) renew(ctx context.Context) bool {
	e := p.engine
	switch err := e.beat(ctx); {
	case errors.Is(err, store.ErrLeaseLost):
		e.lose()
		return false
	case ctx.Err() != nil:
		return false
	case err != nil:
		e.Log.Warn("renewing the lease", "err", err)
		p.steady = time.Now()
		return true
	}
	// Who was itself cut off from the database cannot say who was not. A beat that
	// hung with the database and then succeeded, or was kept from beginning, was cut
	// off as one that failed.
	now := time.Now()
	if now.Sub(p.last) > e.Lease/2 {
		p.steady = now
	}
	p.last = now
	if time.Since(p.steady) > e.Lease {
		if err := e.bury(ctx); err != nil && ctx.Err() == nil {
			e.Log.Warn("looking for dead workers", "err", err)
		}
	}
	return true
}

// untilStopped gives a context that ends when the engine stops.
func (e *Engine) untilStopped() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-e.janitor:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// busy is how many images this worker works on.
func (e *Engine) busy() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.running)
}

// interruptAll looks after the images of this worker: their cancellations and the
// answers to their steps may have come to another process.
func (e *Engine) interruptAll() {
	e.mu.Lock()
	arns := make([]string, 0, len(e.running))
	for arn := range e.running {
		arns = append(arns, arn)
	}
	e.mu.Unlock()
	for _, arn := range arns {
		e.Interrupt(arn)
	}
}

func (e *Engine) beat(ctx context.Context) error {
	return e.Store.Write(ctx, func(tx *store.Tx) error { return tx.Beat(e.id, e.about()) })
}

// bury takes the leases of silent workers away and frees their jobs, in one
// transaction: from then on nothing that they write is kept.
func (e *Engine) bury(ctx context.Context) error {
	var dead []store.Worker
	err := e.Store.Write(ctx, func(tx *store.Tx) error {
		dead = nil
		now, err := tx.Clock()
		if err != nil {
			return err
		}
		known, err := tx.Workers()
		if err != nil {
			return err
		}
		for _, w := range known {
			if now.Sub(w.Seen) > e.Lease {
				dead = append(dead, w)
				if err := tx.DeleteWorker(w.ID); err != nil {
					return err
				}
			}
		}
		if len(dead) == 0 {
			return nil
		}
		return e.freeJobs(ctx, tx)
	})
	if err == nil {
		for _, w := range dead {
			e.Log.Warn("a worker is dead; its images are taken up by others", "worker", w.ID, "host", w.Host, "seen", w.Seen)
		}
	}
	return err
}

// freeJobs makes the jobs available that a worker has taken which is no more. On
// PostgreSQL only: elsewhere there are no others.
func (e *Engine) freeJobs(ctx context.Context, tx *store.Tx) error {
	const q = `UPDATE river_job SET state = 'available', finalized_at = NULL, scheduled_at = CURRENT_TIMESTAMP
		WHERE state = 'running' AND NOT EXISTS (SELECT 1 FROM worker WHERE worker.id = attempted_by[array_upper(attempted_by, 1)])`
	if err := e.queue.exec(ctx, tx, q); err != nil {
		return fmt.Errorf("freeing the jobs of dead workers: %w", err)
	}
	return nil
}

// lose ends everything that this worker does: it was silent for so long that the
// others have taken its jobs.
func (e *Engine) lose() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.isLost {
		return
	}
	e.Log.Error("this worker was silent for too long and has lost its images to others; it ends")
	e.isLost = true
	for _, cancel := range e.running {
		cancel(errLost)
	}
	close(e.lost)
}

// Lost is closed when this engine has lost its lease. Its process has to end: its
// queue would settle jobs that others work on.
func (e *Engine) Lost() <-chan struct{} { return e.lost }

// resign gives the lease back, so that the others need not wait for its end.
func (e *Engine) resign(ctx context.Context) error {
	return e.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.DeleteWorker(e.id); err != nil || !e.shared() {
			return err
		}
		return e.freeJobs(ctx, tx)
	})
}
