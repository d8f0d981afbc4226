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

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// SyncInterval is how long a finished Write to SQLite may wait before it is safe
// from a power cut. (A crash of the process cannot take it at any time.)
const SyncInterval = 100 * time.Millisecond

// sqlite is a database file that this process alone has open.
type sqlite struct {
	path      string
	writer    *sql.DB // one connection: SQLite has one writer, and a queue in Go beats its busy loop
	readers   *sql.DB
	stmts     prepared // of the writer
	snapshots prepared

	walMu   sync.Mutex
	wal     *os.File // SQLite locks the database file, never this one, so that it may be opened beside it
	dirty   atomic.Bool
	syncErr atomic.Pointer[error]
	done    chan struct{}
	flusher sync.WaitGroup
}

func openSQLite(ctx context.Context, path string) (*sqlite, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	s := &sqlite{path: path, done: make(chan struct{})}
	if err := s.open(ctx); err != nil {
		s.closePools()
		return nil, err
	}
	s.flusher.Go(s.flush)
	return s, nil
}

func (s *sqlite) open(ctx context.Context) (err error) {
	pragmas := []string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(1)", "journal_size_limit(67108864)", "cache_size(-16000)", "temp_store(MEMORY)"}
	if s.writer, err = sql.Open("sqlite", dsn(s.path, "immediate", pragmas)); err != nil {
		return err
	}
	s.writer.SetMaxOpenConns(1)
	s.writer.SetMaxIdleConns(1)
	if err := migrateSQLite(ctx, s.writer); err != nil {
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
	if s.snapshots, err = prepare(ctx, s.readers); err != nil {
		return err
	}
	return s.openWAL()
}

// openWAL opens the log that is there now: SQLite makes a new one if ever its
// last connection was closed.
func (s *sqlite) openWAL() error {
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

type prepared []*sql.Stmt

func prepare(ctx context.Context, db *sql.DB) (prepared, error) {
	stmts := make(prepared, 0, len(texts))
	for _, text := range texts {
		stmt, err := db.PrepareContext(ctx, text)
		if err != nil {
			return stmts, fmt.Errorf("preparing %q: %w", text, err)
		}
		stmts = append(stmts, stmt)
	}
	return stmts, nil
}

// write implements database. The one writing connection is the lock.
func (s *sqlite) write(ctx context.Context) (session, error) {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &sqliteSession{ctx: ctx, tx: tx, stmts: s.stmts, dirty: &s.dirty}, nil
}

// read implements database.
func (s *sqlite) read(ctx context.Context) (session, error) {
	conn, err := s.readers.Conn(ctx)
	if err != nil {
		return nil, err
	}
	steady := context.WithoutCancel(ctx)
	tx, err := conn.BeginTx(steady, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &sqliteSession{ctx: steady, tx: tx, stmts: s.snapshots, conn: conn}, nil
}

type sqliteSession struct {
	ctx   context.Context
	tx    *sql.Tx
	stmts prepared
	conn  *sql.Conn    // of a reader
	dirty *atomic.Bool // of the writer
}

func (s *sqliteSession) exec(st statement, args []any) (int64, error) {
	result, err := s.tx.StmtContext(s.ctx, s.stmts[st]).ExecContext(s.ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (s *sqliteSession) query(st statement, args []any) (rows, error) {
	found, err := s.tx.StmtContext(s.ctx, s.stmts[st]).QueryContext(s.ctx, args...)
	if err != nil {
		return nil, err
	}
	return sqlRows{found}, nil
}

// sqlRows are database/sql's, whose Close gives an error that Err has given.
type sqlRows struct{ *sql.Rows }

func (r sqlRows) Close() { r.Rows.Close() }

func (s *sqliteSession) commit() error {
	err := s.tx.Commit()
	if err != nil {
		s.tx.Rollback() //nolint:errcheck // the commit's error says what happened
	}
	s.dirty.Store(true)
	return err
}

func (s *sqliteSession) rollback() {
	s.tx.Rollback() //nolint:errcheck // the reader has nothing to lose, the writer has its own error
	if s.conn != nil {
		s.conn.Close()
	}
}

// ping implements database.
func (s *sqlite) ping(ctx context.Context) error {
	if err := s.syncErr.Load(); err != nil {
		return *err
	}
	var one int
	return s.readers.QueryRowContext(ctx, "SELECT 1").Scan(&one)
}

// sync implements database.
func (s *sqlite) sync() error {
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
func (s *sqlite) flush() {
	tick := time.NewTicker(SyncInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-tick.C:
			if s.dirty.Load() {
				_ = s.sync() // kept for ping
			}
		}
	}
}

// close implements database.
func (s *sqlite) close() error {
	close(s.done)
	s.flusher.Wait()
	return errors.Join(s.sync(), s.closePools())
}

func (s *sqlite) closePools() error {
	var errs []error
	for _, stmts := range []prepared{s.snapshots, s.stmts} {
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

// sqliteError gives an error of SQLite the name that callers know it by, or nil.
func sqliteError(err error) error {
	var e *driver.Error
	if errors.As(err, &e) {
		switch code := e.Code(); {
		case code == sqlite3.SQLITE_CONSTRAINT_UNIQUE, code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return ErrExists
		case code&0xff == sqlite3.SQLITE_FULL, code&0xff == sqlite3.SQLITE_IOERR && strings.Contains(err.Error(), "no space"):
			return ErrNoSpace
		}
	}
	return nil
}
