package store

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// Tx is a transaction: everything read through it is of one moment, and
// everything written through it happens together. It is good only inside the
// function it was given to, and only on that goroutine.
type Tx struct {
	store   *Store
	session session
	broken  error // of the first statement that failed; PostgreSQL gives up a transaction there
}

// session is a transaction of one kind of database. Its statements are numbered
// by define.
type session interface {
	// exec runs a statement that gives no rows and says how many it changed.
	exec(st statement, args []any) (changed int64, err error)

	// later runs a statement whose outcome nobody waits for, now or with the
	// next one: on a server each wait is a way there and back. If it fails, so
	// does that one, or the commit.
	later(st statement, args []any) error

	// query runs a statement that gives rows, which the caller closes.
	query(st statement, args []any) (rows, error)

	// clock is the time by the database's clock.
	clock() (time.Time, error)

	// commit keeps what was done. After an error nothing is known to be kept.
	commit() error

	// rollback drops what was done. After commit it does nothing.
	rollback()
}

// rows are a query's answer, as database/sql and pgx have it.
type rows interface {
	row
	Next() bool
	Err() error
	Close()
}

type row interface{ Scan(dest ...any) error }

// SQL is the transaction for the job queue on SQLite; nil on PostgreSQL.
func (tx *Tx) SQL() *sql.Tx {
	if s, ok := tx.session.(*sqliteSession); ok {
		return s.tx
	}
	return nil
}

// PGX is the transaction for the job queue on PostgreSQL; nil on SQLite.
func (tx *Tx) PGX() pgx.Tx {
	if s, ok := tx.session.(*postgresSession); ok {
		_ = tx.noted(s.flush()) // an error has ended the transaction, and every statement will say so
		return s.tx
	}
	return nil
}

// statement is a query that is prepared once for every connection.
type statement int

var texts []string

// define registers a query; package-level variables call it. A question mark
// stands for an argument and for nothing else.
func define(query string) statement {
	texts = append(texts, query)
	return statement(len(texts) - 1)
}

func (tx *Tx) exec(st statement, args ...any) (changed int64, err error) {
	if err = checkText(args); err == nil {
		changed, err = tx.session.exec(st, args)
	}
	return changed, tx.noted(err)
}

// later is exec for a statement that cannot fail for a reason that its caller
// would handle.
func (tx *Tx) later(st statement, args ...any) error {
	err := checkText(args)
	if err == nil {
		err = tx.session.later(st, args)
	}
	return tx.noted(err)
}

// noted remembers that a statement failed: a Write that goes on regardless must
// not be kept in part.
func (tx *Tx) noted(err error) error {
	if err != nil && tx.broken == nil {
		tx.broken = err
	}
	return err
}

// one runs a query that gives a row at most and scans it with scan.
func one[T any](tx *Tx, doing string, st statement, scan func(row) (T, error), args ...any) (v T, ok bool, err error) {
	err = tx.each(st, args, func(r row) error {
		v, err = scan(r)
		ok = true
		return err
	})
	if err != nil {
		var zero T
		return zero, false, failed(doing, err)
	}
	return v, ok, nil
}

// many runs a query and scans all its rows.
func many[T any](tx *Tx, doing string, st statement, scan func(row) (T, error), args ...any) ([]T, error) {
	var all []T
	err := tx.each(st, args, func(r row) error {
		v, err := scan(r)
		all = append(all, v)
		return err
	})
	if err != nil {
		return nil, failed(doing, err)
	}
	return all, nil
}

// each runs a query and calls do for each of its rows.
func (tx *Tx) each(st statement, args []any, do func(row) error) error {
	err := checkText(args)
	if err != nil {
		return tx.noted(err)
	}
	found, err := tx.session.query(st, args)
	if err != nil {
		return tx.noted(err)
	}
	defer found.Close()
	for err == nil && found.Next() {
		err = do(found)
	}
	if err == nil {
		err = found.Err()
	}
	return tx.noted(err)
}

// ErrText says that a text holds what no database keeps in one.
var ErrText = errors.New("the text holds a character that cannot be stored")

// checkText refuses texts that PostgreSQL does not take, on SQLite too, so that
// what works with one works with the other.
func checkText(args []any) error {
	for _, arg := range args {
		if s, ok := arg.(string); ok && !storable(s) {
			return fmt.Errorf("%w: %.100q", ErrText, s)
		}
	}
	return nil
}

func storable(s string) bool { return strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) }

// prose is a text that people read, with a mark in place of what cannot be
// stored: a program's last words must not stop the engine from recording them.
func prose(s string) string {
	if storable(s) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// millis is a time as it is stored: milliseconds since 1970, 0 for no time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
