package store

import (
	"context"
	"runtime"
	"sync/atomic"
)

// together is how many writes are committed together at most.
const together = 64

// write is a call of Write on its way through the writer, which gives it its
// turn and waits until its goroutine has run the function.
type write struct {
	claimed   atomic.Bool   // by the writer, or by the caller who went away
	turn      chan session  // the transaction, when it is this write's turn
	ran       chan bool     // whether the function succeeded
	committed chan struct{} // closed when err is final
	err       error         // of the commit
}

// Write runs fn in a transaction, alone: all that fn did is kept if it returns
// nil, and nothing if it returns an error or panics. When Write returns nil the
// rows survive a crash of the process.
//
// fn must be quick, must not wait for anything but the database, and must not
// call Write or Read, because every other writer waits for it. ctx ends the
// wait for the turn; a transaction that has begun is not torn.
func (s *Store) Write(ctx context.Context, fn func(*Tx) error) error {
	w := &write{turn: make(chan session, 1), ran: make(chan bool, 1), committed: make(chan struct{})}
	select {
	case s.writes <- w:
	case <-ctx.Done():
		return failed("waiting for the database", ctx.Err())
	case <-s.done:
		return ErrClosed
	}
	var session session
	select {
	case session = <-w.turn:
	case <-ctx.Done():
		if w.claimed.CompareAndSwap(false, true) {
			return failed("waiting for the database", ctx.Err())
		}
		session = <-w.turn
	}
	if session == nil { // there is no transaction: the writer says why
		<-w.committed
		return w.err
	}
	if err := w.run(&Tx{store: s, session: session}, holding(ctx, fn)); err != nil {
		return err
	}
	<-w.committed
	return w.err
}

// run calls the function and tells the writer how it went, also when it panics
// or ends its goroutine.
func (w *write) run(tx *Tx, fn func(*Tx) error) error {
	ok := false
	defer func() { w.ran <- ok }()
	err := fn(tx)
	if err == nil && tx.broken != nil {
		err = failed("a statement of the transaction", tx.broken)
	}
	ok = err == nil
	return err
}

// writeAll is the one writer. It takes the writes that are waiting together
// into one transaction, because a commit costs more than most of them.
func (s *Store) writeAll() {
	for {
		select {
		case <-s.done:
			return
		case w := <-s.writes:
			if w.claimed.CompareAndSwap(false, true) {
				s.batch(w)
			}
		}
	}
}

// batch commits first and those that come to wait meanwhile.
func (s *Store) batch(first *write) {
	// The writer belongs to no request: what is in a transaction is finished.
	ctx := context.Background()
	session, err := s.db.write(ctx)
	if err != nil {
		s.refuse(first, failed("beginning a transaction", err))
		return
	}
	first.turn <- session
	if !<-first.ran {
		session.rollback() // the write's own error says what happened
		return
	}
	batch := s.gather(session, []*write{first})
	if err = session.commit(); err != nil {
		err = failed("committing", err)
	}
	for _, w := range batch {
		w.end(err)
	}
}

// refuse tells a write, and all that wait behind it, that there is no
// transaction: each of them has waited as long as the first.
func (s *Store) refuse(w *write, err error) {
	for first := true; ; { // the first is claimed already
		if first || w.claimed.CompareAndSwap(false, true) {
			w.refuse(err)
		}
		select {
		case w = <-s.writes:
			first = false
		default:
			return
		}
	}
}

func (w *write) refuse(err error) {
	w.turn <- nil
	w.end(err)
}

func (w *write) end(err error) {
	w.err = err
	close(w.committed)
}

var (
	savepoint  = define(`SAVEPOINT one_write`)
	rollbackTo = define(`ROLLBACK TO one_write`)
)

// gather gives those that are waiting their turns, each under a savepoint of
// its own, and adds those that succeeded to the batch. It lets goroutines that
// are ready run once, since they may be about to write.
func (s *Store) gather(session session, batch []*write) []*write {
	yielded := false
	for len(batch) < together {
		select {
		case w := <-s.writes:
			if !w.claimed.CompareAndSwap(false, true) {
				continue
			}
			if err := session.later(savepoint, nil); err != nil {
				w.refuse(failed("beginning a transaction", err))
				return batch
			}
			w.turn <- session
			if <-w.ran {
				batch = append(batch, w)
			} else if _, err := session.exec(rollbackTo, nil); err != nil {
				// The database has given up the whole transaction, as SQLite does
				// on a full disk and PostgreSQL when the connection is gone: the
				// commit will fail and say so to the others.
				return batch
			}
		default:
			if yielded {
				return batch
			}
			yielded = true
			runtime.Gosched()
		}
	}
	return batch
}
