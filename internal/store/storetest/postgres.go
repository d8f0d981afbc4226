package storetest

import (
	"errors"
	"os"
	"testing"

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
	if errors.Is(err, pgserver.ErrAbsent) && os.Getenv("GOLDSMITH_NEED_POSTGRES") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("ending the test's database server: %v", err)
		}
	})
	return Postgres{server}
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
