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
	turn      chan *Tx      // the transaction, when it is this write's turn
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
	w := &write{turn: make(chan *Tx, 1), ran: make(chan bool, 1), committed: make(chan struct{})}
	select {
	case s.writes <- w:
	case <-ctx.Done():
		return failed("waiting for the database", ctx.Err())
	case <-s.done:
		return ErrClosed
	}
	var tx *Tx
	select {
	case tx = <-w.turn:
	case <-ctx.Done():
		if w.claimed.CompareAndSwap(false, true) {
			return failed("waiting for the database", ctx.Err())
		}
		tx = <-w.turn
	}
	if tx == nil { // there is no transaction: the writer says why
		<-w.committed
		return w.err
	}
	if err := w.run(tx, fn); err != nil {
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
	sqlTx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		first.turn <- nil
		first.end(failed("beginning a transaction", err))
		return
	}
	tx := &Tx{ctx: ctx, sql: sqlTx, stmts: s.stmts}
	first.turn <- tx
	if !<-first.ran {
		_ = sqlTx.Rollback() // the write's own error says what happened
		return
	}
	batch := s.gather(tx, []*write{first})
	err = sqlTx.Commit()
	if err != nil {
		_ = sqlTx.Rollback()
		err = failed("committing", err)
	}
	s.dirty.Store(true)
	for _, w := range batch {
		w.end(err)
	}
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
func (s *Store) gather(tx *Tx, batch []*write) []*write {
	yielded := false
	for len(batch) < together {
		select {
		case w := <-s.writes:
			if !w.claimed.CompareAndSwap(false, true) {
				continue
			}
			if _, err := tx.exec(savepoint); err != nil {
				w.turn <- nil
				w.end(failed("beginning a transaction", err))
				return batch
			}
			w.turn <- tx
			if <-w.ran {
				batch = append(batch, w)
			} else if _, err := tx.exec(rollbackTo); err != nil {
				// SQLite has given up the whole transaction, as it does on a
				// full disk: the commit will fail and say so to the others.
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
