package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Worker is a process that builds. While its row is there it holds the lease on
// the jobs that it has taken.
type Worker struct {
	ID      string
	Node    string // of the data folder that its instances lie in
	Host    string // for people
	Started time.Time
	Seen    time.Time // when it was last heard of, by the database's clock
	Builds  int64     // how many images it works on at once: the places that it adds to the queue
	About   []byte    // what it can do, JSON
}

// ErrLeaseLost says that the worker on whose behalf was to be written was taken
// for dead: others have its jobs now.
var ErrLeaseLost = errors.New("this worker was taken for dead, and others have its jobs")

var (
	putWorker = define(`INSERT INTO worker (id, node, host, started, seen, builds, about) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET node = excluded.node, host = excluded.host, started = excluded.started, seen = excluded.seen, builds = excluded.builds, about = excluded.about`)
	beatWorker    = define(`UPDATE worker SET seen = ?, about = ? WHERE id = ?`)
	selectWorker  = define(`SELECT id, node, host, started, seen, builds, about FROM worker WHERE id = ?`)
	selectWorkers = define(`SELECT id, node, host, started, seen, builds, about FROM worker ORDER BY id`)
	holdsLease    = define(`SELECT 1 FROM worker WHERE id = ?`)
	deleteWorker  = define(`DELETE FROM worker WHERE id = ?`)
)

func scanWorker(r row) (w Worker, err error) {
	var started, seen int64
	err = r.Scan(&w.ID, &w.Node, &w.Host, &started, &seen, &w.Builds, &w.About)
	w.Started, w.Seen = fromMillis(started), fromMillis(seen)
	return w, err
}

// PutWorker adds a worker, or replaces the one with its ID, seen now.
func (tx *Tx) PutWorker(w Worker) error {
	now, err := tx.Clock()
	if err != nil {
		return err
	}
	if _, err := tx.exec(putWorker, w.ID, w.Node, prose(w.Host), millis(w.Started), millis(now), w.Builds, bytesOf(w.About)); err != nil {
		return failed("recording worker "+w.ID, err)
	}
	return nil
}

// bytesOf is b, which is never NULL.
func bytesOf(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Beat says that a worker is alive, and what it can do now; ErrLeaseLost if its
// row is gone.
func (tx *Tx) Beat(id string, about []byte) error {
	now, err := tx.Clock()
	if err != nil {
		return err
	}
	n, err := tx.exec(beatWorker, millis(now), bytesOf(about), id)
	if err != nil {
		return failed("renewing the lease of worker "+id, err)
	}
	if n == 0 {
		return fmt.Errorf("renewing the lease of worker %s: %w", id, ErrLeaseLost)
	}
	return nil
}

// Worker gives the worker with an ID.
func (tx *Tx) Worker(id string) (Worker, bool, error) {
	return one(tx, "reading worker "+id, selectWorker, scanWorker, id)
}

// Workers gives all workers, in the order of their IDs.
func (tx *Tx) Workers() ([]Worker, error) {
	return many(tx, "reading the workers", selectWorkers, scanWorker)
}

// DeleteWorker removes a worker; one that is not there is no error.
func (tx *Tx) DeleteWorker(id string) error {
	if _, err := tx.exec(deleteWorker, id); err != nil {
		return failed("removing worker "+id, err)
	}
	return nil
}

// Clock is the database's clock, the same for all that share it, to the
// millisecond.
func (tx *Tx) Clock() (time.Time, error) {
	now, err := tx.session.clock()
	if err != nil {
		return time.Time{}, failed("asking for the time", tx.noted(err))
	}
	return now.UTC().Truncate(time.Millisecond), nil
}

type leaseKey struct{}

// Leased gives a context in which Write fails with ErrLeaseLost, having done
// nothing, once the worker's row is gone: who was taken for dead, and was only
// slow, cannot spoil what others do in its place.
func Leased(ctx context.Context, worker string) context.Context {
	return context.WithValue(ctx, leaseKey{}, worker)
}

// holding makes fn fail if the context's lease is lost.
func holding(ctx context.Context, fn func(*Tx) error) func(*Tx) error {
	id, ok := ctx.Value(leaseKey{}).(string)
	if !ok {
		return fn
	}
	return func(tx *Tx) error {
		_, there, err := one(tx, "looking for the lease of worker "+id, holdsLease, scanInt, id)
		if err != nil {
			return err
		}
		if !there {
			return ErrLeaseLost
		}
		return fn(tx)
	}
}
