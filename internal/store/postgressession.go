package store

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgresSession is a transaction on a server. Statements that nobody waits for
// go with the next one, in one way there and back.
type postgresSession struct {
	ctx    context.Context
	cancel context.CancelFunc
	tx     pgx.Tx
	behind []queued
	doomed error // of a write that had been taken for done: nothing of the transaction can be kept
}

// queued is a statement that has not been sent.
type queued struct {
	st   statement
	args []any
}

func (s *postgresSession) later(st statement, args []any) error {
	s.behind = append(s.behind, queued{st, args})
	return nil
}

func (s *postgresSession) exec(st statement, args []any) (int64, error) {
	if s.doomed != nil {
		return 0, s.doomed
	}
	if st == rollbackTo && s.unsent() {
		return 0, nil
	}
	if len(s.behind) == 0 {
		tag, err := s.tx.Exec(s.ctx, numbered()[st], args...)
		return tag.RowsAffected(), err
	}
	sent, err := s.send(st, args)
	if err != nil {
		return 0, err
	}
	tag, err := sent.Exec()
	if closed := sent.Close(); err == nil {
		err = closed
	}
	return tag.RowsAffected(), err
}

// unsent drops what a write that failed has queued, and reports whether that was
// all that it did: its savepoint had not been sent either.
func (s *postgresSession) unsent() bool {
	for i := len(s.behind) - 1; i >= 0; i-- {
		if s.behind[i].st == savepoint {
			s.behind = s.behind[:i]
			return true
		}
	}
	s.behind = nil
	return false
}

func (s *postgresSession) query(st statement, args []any) (rows, error) {
	if len(s.behind) == 0 {
		return s.tx.Query(s.ctx, numbered()[st], args...)
	}
	sent, err := s.send(st, args)
	if err != nil {
		return nil, err
	}
	found, err := sent.Query()
	if err != nil {
		sent.Close() //nolint:errcheck // the query's error says what happened
		return nil, err
	}
	return &batchRows{Rows: found, sent: sent}, nil
}

// send sends what is queued and one statement more, and gives the results from
// that one's on.
func (s *postgresSession) send(st statement, args []any) (pgx.BatchResults, error) {
	var batch pgx.Batch
	before := s.behind
	s.behind = nil
	for _, q := range before {
		batch.Queue(numbered()[q.st], q.args...)
	}
	if st != none {
		batch.Queue(numbered()[st], args...)
	}
	sent := s.tx.SendBatch(s.ctx, &batch)
	for i := range before {
		if _, err := sent.Exec(); err != nil {
			sent.Close() //nolint:errcheck // the statement's error says what happened
			if slices.ContainsFunc(before[i:], func(q queued) bool { return q.st == savepoint }) {
				s.doomed = err // it belongs to an earlier write, and going back to a savepoint would not be told to that one
			}
			return nil, err
		}
	}
	return sent, nil
}

// none stands for no statement.
const none statement = -1

// flush sends what is queued.
func (s *postgresSession) flush() error {
	if len(s.behind) == 0 {
		return nil
	}
	sent, err := s.send(none, nil)
	if err != nil {
		return err
	}
	return sent.Close()
}

// batchRows are the last result of a batch.
type batchRows struct {
	pgx.Rows
	sent pgx.BatchResults
}

// Close ends the rows and the batch that they came in.
func (r *batchRows) Close() {
	r.Rows.Close()
	r.sent.Close() //nolint:errcheck // an error has broken the transaction, and the next statement says so
}

func (s *postgresSession) clock() (now time.Time, err error) {
	if err := s.flush(); err != nil {
		return now, err
	}
	err = s.tx.QueryRow(s.ctx, "SELECT clock_timestamp()").Scan(&now)
	return now, err
}

func (s *postgresSession) commit() error {
	defer s.cancel()
	err := s.doomed
	if err == nil {
		err = s.flush()
	}
	if err != nil {
		s.tx.Rollback(s.ctx) //nolint:errcheck // a connection that cannot say so is closed, which is the same
		return err
	}
	return s.tx.Commit(s.ctx)
}

func (s *postgresSession) rollback() {
	defer s.cancel()
	s.tx.Rollback(s.ctx) //nolint:errcheck // a connection that cannot say so is closed, which is the same
}
