package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgxpool"
)

var (
	// ErrExists says that a row with the same key is already there.
	ErrExists = errors.New("the row already exists")

	// ErrNotFound says that a row to be changed is not there.
	ErrNotFound = errors.New("no such row")

	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("the database is closed")

	// ErrNoSpace says that the disk under the database is full; nothing changed.
	ErrNoSpace = errors.New("no space left on the device of the database")

	// ErrUnavailable says that the database server did not answer, or not in
	// time. Nothing changed, unless the connection broke during the commit: then
	// all of a Write was kept or none of it, and nobody can say which.
	ErrUnavailable = errors.New("the database server does not answer")
)

// Store is an open database. Its methods may be called from any goroutine.
type Store struct {
	db     database
	tokens atomic.Int64 // how often PutToken was called

	writes  chan *write
	done    chan struct{}
	workers sync.WaitGroup
	closing sync.Once
}

// database is a kind of database: SQLite or PostgreSQL.
type database interface {
	// write begins a transaction beside which no other process's or
	// goroutine's write runs, from its first statement to its end.
	write(ctx context.Context) (session, error)

	// read begins a transaction that sees one moment and cannot write. ctx ends
	// the wait for it, not the transaction.
	read(ctx context.Context) (session, error)

	// ping reports whether the database answers and keeps what it is given.
	ping(ctx context.Context) error

	// sync returns when all that was committed is safe from a power cut.
	sync() error

	// close ends all connections.
	close() error
}

// Open opens the SQLite database file at path, making it if needed, and brings
// its schema up to date. The folder must exist. One process at a time may have
// it open: the caller holds the lock of the data folder.
func Open(ctx context.Context, path string) (*Store, error) {
	db, err := openSQLite(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	return start(db), nil
}

// OpenPostgres opens the PostgreSQL database of a URL
// (postgres://USER:PASSWORD@HOST:PORT/DATABASE?…) and brings its schema up to
// date. Any number of processes may have it open. Errors never show the
// password.
func OpenPostgres(ctx context.Context, url string) (*Store, error) {
	db, err := openPostgres(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", redacted(url), err)
	}
	return start(db), nil
}

func start(db database) *Store {
	s := &Store{db: db, done: make(chan struct{}), writes: make(chan *write)}
	s.workers.Go(s.writeAll)
	return s
}

// DB is the writer's pool on SQLite, for the job queue that shares the database;
// nil on PostgreSQL. It has one connection: a transaction on it that is left open
// stops every Write.
func (s *Store) DB() *sql.DB {
	if db, ok := s.db.(*sqlite); ok {
		return db.writer
	}
	return nil
}

// Pool is a pool of connections to PostgreSQL for the job queue; nil on SQLite.
func (s *Store) Pool() *pgxpool.Pool {
	if db, ok := s.db.(*postgres); ok {
		return db.queue
	}
	return nil
}

// Path is the absolute path of the SQLite file; "" on PostgreSQL.
func (s *Store) Path() string {
	if db, ok := s.db.(*sqlite); ok {
		return db.path
	}
	return ""
}

// Read runs fn on a snapshot of the rows, which does not change while fn runs,
// whatever is written meanwhile. fn must be quick: the database cannot tidy up
// past a snapshot that is in use.
func (s *Store) Read(ctx context.Context, fn func(*Tx) error) error {
	session, err := s.db.read(ctx)
	if err != nil {
		return failed("beginning to read", err)
	}
	defer session.rollback() // there is nothing to keep
	return fn(&Tx{store: s, session: session})
}

// Ping reports whether the database answers and its last sync succeeded.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.db.ping(ctx); err != nil {
		return failed("asking the database", err)
	}
	return nil
}

// Sync returns once everything written before the call is safe from a power
// cut.
func (s *Store) Sync() error { return s.db.sync() }

// Alone runs fn while no other process that has the database open is in Alone:
// for changes of the schema that are not this package's. fn does not use the
// store.
func (s *Store) Alone(ctx context.Context, fn func() error) error {
	if db, ok := s.db.(*postgres); ok {
		return db.alone(ctx, fn)
	}
	return fn()
}

// Close ends the store. Writes that were not begun give ErrClosed. A SQLite file
// is complete afterwards, without a log beside it.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.done)
		s.workers.Wait()
		err = s.db.close()
	})
	return err
}

// failed says what was being done, and gives the errors that callers handle
// their names.
func failed(doing string, err error) error {
	if name := cmp.Or(sqliteError(err), postgresError(err)); name != nil {
		return fmt.Errorf("%s: %w: %w", doing, name, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
