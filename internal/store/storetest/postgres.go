package storetest

import (
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/store/pgserver"
)

// Postgres is a PostgreSQL server of a test's own.
type Postgres struct{ *pgserver.Server }

// StartPostgres starts a server that ends with the test, or skips the test where
// PostgreSQL cannot be run. Where GOLDSMITH_NEED_POSTGRES is set, as in CI, that
// fails the test. options are settings such as "fsync=off".
func StartPostgres(t testing.TB, options ...string) Postgres {
	t.Helper()
	server, err := pgserver.New(options...)
	need(t, err)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("ending the test's database server: %v", err)
		}
	})
	return Postgres{server}
}

// need skips the test for an absent server and fails it for another error.
func need(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, pgserver.ErrAbsent) && os.Getenv("GOLDSMITH_NEED_POSTGRES") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Database makes an empty database and gives its address.
func (p Postgres) Database(t testing.TB) string {
	t.Helper()
	address, err := p.Server.Database()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// Shared is one server for all the tests of a package: starting one takes a
// second, a database on it some hundredths. Its databases have the schema
// already. It is for tests that leave the server alone; their TestMain calls
// Close at the end.
type Shared struct {
	start    sync.Once
	err      error
	server   *pgserver.Server
	template string
}

// Open opens a database of the test's own, and closes it with the test. It skips
// the test as StartPostgres does.
func (s *Shared) Open(t testing.TB) *store.Store {
	t.Helper()
	rows, err := store.OpenPostgres(t.Context(), s.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rows.Close() }) //nolint:errcheck // the database goes with its server
	return rows
}

// Database makes a database with the schema and gives its address.
func (s *Shared) Database(t testing.TB) string {
	t.Helper()
	s.start.Do(func() { s.err = s.begin(t) })
	need(t, s.err)
	address, err := s.server.Copy(s.template)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func (s *Shared) begin(t testing.TB) (err error) {
	if s.server, err = pgserver.New("fsync=off", "full_page_writes=off", "synchronous_commit=off"); err != nil {
		return err
	}
	if s.template, err = s.server.Database(); err != nil {
		return err
	}
	rows, err := store.OpenPostgres(t.Context(), s.template)
	if err != nil {
		return err
	}
	return rows.Close()
}

// Close ends the server, if a test has started it.
func (s *Shared) Close() error {
	if s.server == nil {
		return nil
	}
	return s.server.Close()
}
