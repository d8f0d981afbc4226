package imagebuilder_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/store/storetest"
)

// onPostgres is the switch of the package's tests: the variable of the environment
// that makes all of them use PostgreSQL.
const onPostgres = "GOLDSMITH_TEST_POSTGRES"

// postgres has the databases of the package's tests.
var postgres storetest.Shared

func TestMain(m *testing.M) {
	code := m.Run()
	if err := postgres.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "ending the tests' database server:", err)
		code = 1
	}
	os.Exit(code)
}

// openStore opens the test's own database.
func openStore(t testing.TB) *store.Store {
	t.Helper()
	if os.Getenv(onPostgres) != "" {
		return postgres.Open(t)
	}
	rows, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "rows.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rows.Close() })
	return rows
}

// TestOnPostgres runs all the other tests on PostgreSQL.
func TestOnPostgres(t *testing.T) {
	t.Parallel()
	if os.Getenv(onPostgres) != "" {
		t.Skip("this is that run")
	}
	if *update {
		t.Skip("golden files are written once")
	}
	postgres.Database(t) // or skip
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.skip=^TestOnPostgres$|^TestErrorCatalogue$")
	cmd.Env = append(os.Environ(), onPostgres+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the tests on PostgreSQL: %v\n%s", err, out)
	}
}
