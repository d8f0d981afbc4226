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
}

// ErrLeaseLost says that the worker on whose behalf was to be written was taken
// for dead: others have its jobs now.
var ErrLeaseLost = errors.New("this worker was taken for dead, and others have its jobs")

var (
	putWorker = define(`INSERT INTO worker (id, node, host, started, seen) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET node = excluded.node, host = excluded.host, started = excluded.started, seen = excluded.seen`)
	beatWorker    = define(`UPDATE worker SET seen = ? WHERE id = ?`)
	selectWorker  = define(`SELECT id, node, host, started, seen FROM worker WHERE id = ?`)
	selectWorkers = define(`SELECT id, node, host, started, seen FROM worker ORDER BY id`)
	deleteWorker  = define(`DELETE FROM worker WHERE id = ?`)
)

func scanWorker(r row) (w Worker, err error) {
	var started, seen int64
	err = r.Scan(&w.ID, &w.Node, &w.Host, &started, &seen)
	w.Started, w.Seen = fromMillis(started), fromMillis(seen)
	return w, err
}

// PutWorker adds a worker, or replaces the one with its ID, seen now.
func (tx *Tx) PutWorker(w Worker) error {
	now, err := tx.Clock()
	if err != nil {
		return err
	}
	if _, err := tx.exec(putWorker, w.ID, w.Node, prose(w.Host), millis(w.Started), millis(now)); err != nil {
		return failed("recording worker "+w.ID, err)
	}
	return nil
}

// Beat says that a worker is alive; ErrLeaseLost if its row is gone.
func (tx *Tx) Beat(id string) error {
	now, err := tx.Clock()
	if err != nil {
		return err
	}
	n, err := tx.exec(beatWorker, millis(now), id)
	if err != nil {
		return failed("renewing the lease of worker "+id, err)
	}
	if n == 0 {
		return fmt.Errorf("renewing the lease of worker %s: %w", id, ErrLeaseLost)
	}
	return nil
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
		_, there, err := one(tx, "looking for the lease of worker "+id, selectWorker, scanWorker, id)
		if err != nil {
			return err
		}
		if !there {
			return ErrLeaseLost
		}
		return fn(tx)
	}
}
