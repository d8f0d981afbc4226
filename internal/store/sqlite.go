package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
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

	modernc "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// SyncInterval is how long a finished Write to SQLite may wait before it is safe
// from a power cut. (A crash of the process cannot take it at any time.)
const SyncInterval = 100 * time.Millisecond

// sqlite is a database file that this process alone has open.
type sqlite struct {
	path    string
	writer  *sql.DB // one connection: SQLite has one writer, and a queue in Go beats its busy loop
	direct  *direct // the writer's connection, without database/sql
	readers *readers

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
	s.readers = newReaders(dsn(s.path, "deferred", append(pragmas, "query_only(1)")), max(4, 2*runtime.GOMAXPROCS(0)))
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

// write implements database. The one writing connection is the lock; the job
// queue's statements go to it through database/sql, ours directly.
func (s *sqlite) write(ctx context.Context) (session, error) {
	conn, err := s.writer.Conn(ctx)
	if err != nil {
		return nil, err
	}
	session := &sqliteSession{owner: s, conn: conn}
	err = conn.Raw(func(raw any) error {
		if plain, ok := raw.(driver.Conn); s.direct == nil || !ok || s.direct.conn != plain {
			s.direct = newDirect(plain) // the pool has made the connection anew
		}
		session.direct = s.direct
		return nil
	})
	if err == nil {
		session.tx, err = conn.BeginTx(ctx, nil)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return session, nil
}

// sqliteSession is a transaction of the writer.
type sqliteSession struct {
	*direct
	owner *sqlite
	conn  *sql.Conn
	tx    *sql.Tx
}

func (s *sqliteSession) commit() error {
	err := s.tx.Commit()
	if err != nil {
		s.tx.Rollback() //nolint:errcheck // the commit's error says what happened
	}
	s.conn.Close()
	s.owner.dirty.Store(true)
	return err
}

func (s *sqliteSession) rollback() {
	s.tx.Rollback() //nolint:errcheck // the write has an error of its own
	s.conn.Close()
}

// read implements database.
func (s *sqlite) read(ctx context.Context) (session, error) {
	d, err := s.readers.take(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.run(&d.begin, "BEGIN"); err != nil {
		s.readers.give(d)
		return nil, err
	}
	return &sqliteSnapshot{direct: d, owner: s}, nil
}

// sqliteSnapshot is a transaction of a reader.
type sqliteSnapshot struct {
	*direct
	owner *sqlite
}

func (s *sqliteSnapshot) commit() error { s.rollback(); return nil }

func (s *sqliteSnapshot) rollback() {
	if err := s.run(&s.end, "ROLLBACK"); err != nil {
		s.owner.readers.drop(s.direct)
		return
	}
	s.owner.readers.give(s.direct)
}

// ping implements database.
func (s *sqlite) ping(ctx context.Context) error {
	if err := s.syncErr.Load(); err != nil {
		return *err
	}
	session, err := s.read(ctx)
	if err != nil {
		return err
	}
	defer session.rollback()
	found, err := session.query(selectCount, []any{"", "", ""})
	if err != nil {
		return err
	}
	found.Close()
	return found.Err()
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
	if s.readers != nil {
		errs = append(errs, s.readers.close())
	}
	if s.writer != nil {
		if s.direct != nil {
			errs = append(errs, s.direct.finish()) // or else the connection would linger
		}
		errs = append(errs, s.writer.Close())
	}
	if s.wal != nil {
		errs = append(errs, s.wal.Close())
	}
	return errors.Join(errs...)
}

// sqliteError gives an error of SQLite the name that callers know it by, or nil.
func sqliteError(err error) error {
	var e *modernc.Error
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
