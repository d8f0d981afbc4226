package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// SyncInterval is how long a finished Write may wait before it is safe from a
// power cut. (A crash of the process cannot take it at any time.)
const SyncInterval = 100 * time.Millisecond

var (
	// ErrExists says that a row with the same key is already there.
	ErrExists = errors.New("the row already exists")

	// ErrNotFound says that a row to be changed is not there.
	ErrNotFound = errors.New("no such row")

	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("the database is closed")

	// ErrNoSpace says that the disk under the database is full; nothing changed.
	ErrNoSpace = errors.New("no space left on the device of the database")
)

// Store is an open database. Its methods may be called from any goroutine.
type Store struct {
	path    string
	writer  *sql.DB // one connection: SQLite has one writer, and a queue in Go beats its busy loop
	readers *sql.DB
	stmts   prepared // of the writer
	read    prepared

	writes chan *write

	walMu   sync.Mutex
	wal     *os.File // SQLite locks the database file, never this one, so that it may be opened beside it
	dirty   atomic.Bool
	syncErr atomic.Pointer[error]
	done    chan struct{}
	workers sync.WaitGroup
	closing sync.Once
}

// Open opens the database file at path, making it if needed, and brings its
// schema up to date. The folder must exist. One process at a time may have it
// open: the caller holds the lock of the data folder.
func Open(ctx context.Context, path string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	s := &Store{path: path, done: make(chan struct{}), writes: make(chan *write)}
	if err := s.open(ctx); err != nil {
		s.closePools()
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	s.workers.Go(s.flush)
	s.workers.Go(s.writeAll)
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	pragmas := []string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(1)", "journal_size_limit(67108864)", "cache_size(-16000)", "temp_store(MEMORY)"}
	if s.writer, err = sql.Open("sqlite", dsn(s.path, "immediate", pragmas)); err != nil {
		return err
	}
	s.writer.SetMaxOpenConns(1)
	s.writer.SetMaxIdleConns(1)
	if err := migrate(ctx, s.writer); err != nil {
		return err
	}
	if err := os.Chmod(s.path, 0o600); err != nil {
		return err
	}
	pool := max(4, 2*runtime.GOMAXPROCS(0))
	if s.readers, err = sql.Open("sqlite", dsn(s.path, "deferred", append(pragmas, "query_only(1)"))); err != nil {
		return err
	}
	s.readers.SetMaxOpenConns(pool)
	s.readers.SetMaxIdleConns(pool)
	if s.stmts, err = prepare(ctx, s.writer); err != nil {
		return err
	}
	if s.read, err = prepare(ctx, s.readers); err != nil {
		return err
	}
	return s.openWAL()
}

// openWAL opens the log that is there now: SQLite makes a new one if ever its
// last connection was closed.
func (s *Store) openWAL() error {
	now, err := os.Stat(s.path + "-wal")
	if err != nil {
		return err
	}
	if s.wal != nil {
		if have, err := s.wal.Stat(); err == nil && os.SameFile(have, now) {
			return nil
		}
		s.wal.Close()
	}
	s.wal, err = os.Open(s.path + "-wal")
	return err
}

// dsn is the driver's name for a connection. The path is escaped, so that one
// with a "?" or "%" in it cannot smuggle in a setting.
func dsn(path, lock string, pragmas []string) string {
	query := url.Values{"_pragma": pragmas, "_txlock": {lock}}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + query.Encode()
}

// DB is the writer's pool, for the job queue that shares the database. It has
// one connection: a transaction on it that is left open stops every Write.
func (s *Store) DB() *sql.DB { return s.writer }

// Path is the absolute path of the database file.
func (s *Store) Path() string { return s.path }

// Read runs fn on a snapshot of the rows, which does not change while fn runs,
// whatever is written meanwhile. fn must be quick: the log cannot be shortened
// past a snapshot that is in use.
func (s *Store) Read(ctx context.Context, fn func(*Tx) error) error {
	conn, err := s.readers.Conn(ctx)
	if err != nil {
		return failed("waiting for the database", err)
	}
	defer conn.Close()
	steady := context.WithoutCancel(ctx)
	sqlTx, err := conn.BeginTx(steady, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return failed("beginning to read", err)
	}
	defer sqlTx.Rollback() //nolint:errcheck // there is nothing to keep
	return fn(&Tx{ctx: steady, sql: sqlTx, stmts: s.read})
}

// Ping reports whether the database answers and its last sync succeeded.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.syncErr.Load(); err != nil {
		return *err
	}
	var one int
	if err := s.readers.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
		return failed("asking the database", err)
	}
	return nil
}

// Sync returns once everything written before the call is safe from a power
// cut.
func (s *Store) Sync() error {
	s.walMu.Lock()
	defer s.walMu.Unlock()
	s.dirty.Store(false)
	err := s.openWAL()
	if err == nil {
		err = s.wal.Sync()
	}
	if err != nil {
		err = fmt.Errorf("syncing the database's log: %w", err)
		s.syncErr.Store(&err)
		return err
	}
	return nil
}

// flush syncs the log soon after writes, so that a commit need not wait for the
// disk and a power cut can still take only the last moment.
func (s *Store) flush() {
	tick := time.NewTicker(SyncInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-tick.C:
			if s.dirty.Load() {
				_ = s.Sync() // kept for Ping
			}
		}
	}
}

// Close ends the store. Writes that were not begun give ErrClosed. The file is complete
// afterwards, without a log beside it.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.done)
		s.workers.Wait()
		err = errors.Join(s.Sync(), s.closePools())
	})
	return err
}

func (s *Store) closePools() error {
	var errs []error
	for _, stmts := range []prepared{s.read, s.stmts} {
		for _, stmt := range stmts {
			errs = append(errs, stmt.Close())
		}
	}
	if s.readers != nil {
		errs = append(errs, s.readers.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}
	if s.wal != nil {
		errs = append(errs, s.wal.Close())
	}
	return errors.Join(errs...)
}

// failed says what was being done, and gives the errors that callers handle
// their names.
func failed(doing string, err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch code := e.Code(); {
		case code == sqlite3.SQLITE_CONSTRAINT_UNIQUE, code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return fmt.Errorf("%s: %w: %w", doing, ErrExists, err)
		case code&0xff == sqlite3.SQLITE_FULL, code&0xff == sqlite3.SQLITE_IOERR && strings.Contains(err.Error(), "no space"):
			return fmt.Errorf("%s: %w: %w", doing, ErrNoSpace, err)
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}
