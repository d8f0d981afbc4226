package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// postgres is a database on a server that several processes share.
type postgres struct {
	config  *pgx.ConnConfig
	writer  *pgxpool.Pool // one connection, as with SQLite: what waits is committed together
	readers *pgxpool.Pool
	queue   *pgxpool.Pool // the job queue's

	// patience is how long a transaction may take, with all the waiting for
	// others: after it the server counts as gone.
	patience time.Duration
}

const (
	// writeLock is the advisory lock that a write holds from its begin to its
	// end, and schemaLock the one of whoever changes the schema.
	writeLock  = 0x676f6c64736d6974
	schemaLock = writeLock + 1

	// Whatever is committed before the lock is granted is seen by the statements
	// after it: each of them takes its own snapshot.
	beginWrite = "begin isolation level read committed read write; select pg_advisory_xact_lock(7453295087010539892)"
	beginRead  = "begin isolation level repeatable read read only"

	// again is how long a transaction that could not begin is tried anew: about
	// what a server needs to start again.
	again = 3 * time.Second
)

// limits end what a process that hangs or was cut off would hold for ever.
var limits = map[string]string{
	"statement_timeout":                   "18s",
	"lock_timeout":                        "18s",
	"idle_in_transaction_session_timeout": "15s",
	"timezone":                            "UTC",
}

func openPostgres(ctx context.Context, address string) (_ *postgres, err error) {
	p := &postgres{patience: 20 * time.Second}
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, err // pgx leaves the password out
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if _, named := config.ConnConfig.RuntimeParams["application_name"]; !named {
		config.ConnConfig.RuntimeParams["application_name"] = "goldsmith"
	}
	p.config = config.ConnConfig.Copy()
	defer func() {
		if err != nil {
			_ = p.close()
		}
	}()
	if err := p.alone(ctx, func() error { return p.migrate(ctx) }); err != nil {
		return nil, err
	}
	if p.queue, err = pool(ctx, config, 4, nil); err != nil {
		return nil, err
	}
	if p.readers, err = pool(ctx, config, max(4, 2*runtime.GOMAXPROCS(0)), limits); err != nil {
		return nil, err
	}
	p.writer, err = pool(ctx, config, 1, limits)
	return p, err
}

// pool makes a pool of at most size connections with settings of their own.
func pool(ctx context.Context, config *pgxpool.Config, size int, settings map[string]string) (*pgxpool.Pool, error) {
	config = config.Copy()
	config.MaxConns, config.MinConns = int32(size), 0
	for name, value := range settings {
		config.ConnConfig.RuntimeParams[name] = value
	}
	return pgxpool.NewWithConfig(ctx, config)
}

// redacted is an address without its password, for people's eyes.
func redacted(address string) string {
	if u, err := url.Parse(address); err == nil && u.Scheme != "" {
		u.RawQuery = "" // a password may be there, too
		return u.Redacted()
	}
	return "(an address that is no URL)"
}

// alone runs fn under a lock that ends with its own connection.
func (p *postgres) alone(ctx context.Context, fn func() error) error {
	conn, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		return failed("connecting", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the lock ends either way
	if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", int64(schemaLock)); err != nil {
		return failed("waiting for another process to change the schema", err)
	}
	return fn()
}

// write implements database. All writers of all processes take the same lock,
// so that each has the rows for itself as on SQLite.
func (p *postgres) write(ctx context.Context) (session, error) {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	return p.begin(ctx, cancel, func() (pgx.Tx, error) {
		return p.writer.BeginTx(ctx, pgx.TxOptions{BeginQuery: beginWrite})
	})
}

// read implements database.
func (p *postgres) read(ctx context.Context) (session, error) {
	steady, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.patience)
	return p.begin(steady, cancel, func() (pgx.Tx, error) {
		conn, err := p.readers.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		tx, err := conn.BeginTx(steady, pgx.TxOptions{BeginQuery: beginRead})
		if err != nil {
			conn.Release()
			return nil, err
		}
		return released{tx, conn}, nil
	})
}

// released gives the connection of a transaction back to its pool.
type released struct {
	pgx.Tx
	conn *pgxpool.Conn
}

// Rollback ends the transaction.
func (r released) Rollback(ctx context.Context) error {
	defer r.conn.Release()
	return r.Tx.Rollback(ctx)
}

// begin begins a transaction, again for a while if the server is gone: nothing
// has been done yet that could be done twice.
func (p *postgres) begin(ctx context.Context, cancel context.CancelFunc, try func() (pgx.Tx, error)) (session, error) {
	for start := time.Now(); ; {
		tx, err := try()
		if err == nil {
			return &postgresSession{ctx: ctx, cancel: cancel, tx: tx}, nil
		}
		if !errors.Is(postgresError(err), ErrUnavailable) || time.Since(start) > again || ctx.Err() != nil {
			cancel()
			return nil, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// ping implements database.
func (p *postgres) ping(ctx context.Context) error { return p.readers.Ping(ctx) }

// sync implements database: the server has kept what it has committed.
func (p *postgres) sync() error { return nil }

// close implements database.
func (p *postgres) close() error {
	for _, pool := range []*pgxpool.Pool{p.queue, p.readers, p.writer} {
		if pool != nil {
			pool.Close()
		}
	}
	return nil
}

// numbered are the statements as PostgreSQL wants them.
var numbered = sync.OnceValue(func() []string {
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = number(text)
	}
	return all
})

// number writes a statement in PostgreSQL's way: $1, $2, … for the question
// marks.
func number(text string) string {
	var out strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(text, "?")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		out.WriteString("$" + strconv.Itoa(n))
		text = after
	}
}

// postgresError gives an error of PostgreSQL, or of the way to it, the name that
// callers know it by, or nil.
func postgresError(err error) error {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		switch {
		case e.Code == "23505": // unique_violation
			return ErrExists
		case e.Code == "53100": // disk_full
			return ErrNoSpace
		case passing[e.Code], passing[e.Code[:min(2, len(e.Code))]]:
			return ErrUnavailable
		}
		return nil
	}
	var connect *pgconn.ConnectError
	var network net.Error
	switch {
	case errors.As(err, &connect), errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), pgconn.SafeToRetry(err), pgconn.Timeout(err):
		return ErrUnavailable
	case errors.Is(err, pgx.ErrTxClosed), err != nil && err.Error() == "conn closed": // pgx has no name for it
		return ErrUnavailable
	}
	return nil
}

// passing are the codes, or their classes, of states that pass (PostgreSQL
// manual, appendix A).
var passing = map[string]bool{
	"08":    true, // connection exceptions
	"57":    true, // the server stops or starts; a time limit
	"25P03": true, // idle_in_transaction_session_timeout
	"40":    true, // rolled back: deadlock, serialisation
	"53200": true, // out_of_memory
	"53300": true, // too_many_connections
	"55P03": true, // lock_not_available
	"58":    true, // errors of the server's system
}

// migrate brings the schema up to date. The caller is alone.
func (p *postgres) migrate(ctx context.Context) error {
	steps, err := history(migrations, "postgres")
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		return failed("connecting", err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is left to say
	if _, err := conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)"); err != nil {
		return fmt.Errorf("reading the schema's version: %w", err)
	}
	var have int
	if err := conn.QueryRow(ctx, "SELECT COALESCE(MAX(version), 0) FROM schema_version").Scan(&have); err != nil {
		return fmt.Errorf("reading the schema's version: %w", err)
	}
	steps, err = missing(steps, have)
	for _, step := range steps {
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, step.text); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "INSERT INTO schema_version (version) VALUES ($1)", step.version)
			return err
		})
		if err != nil {
			return fmt.Errorf("migrating to schema %s: %w", step.name, err)
		}
	}
	return err
}
