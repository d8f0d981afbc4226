package store_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/store/storetest"
)

func open(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "rows.db"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSuite(t *testing.T) {
	t.Parallel()
	storetest.Suite(t, open)
}

func resource(name string, build int64) store.Resource {
	return store.Resource{
		Key:     store.Key{Kind: "component", Account: "123456789012", Region: "us-east-1", Name: name},
		Version: store.Version{Major: 1, Build: build},
		ARN:     fmt.Sprintf("arn:aws:imagebuilder:us-east-1:123456789012:component/%s/1.0.0/%d", name, build),
		Doc:     []byte("{}"),
	}
}

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("STORE_TEST_WRITE_TO"); path != "" {
		writeUntilKilled(path)
	}
	os.Exit(m.Run())
}

func writeUntilKilled(path string) {
	s, err := openAddress(context.Background(), path)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for i := int64(1); ; i++ {
		err := s.Write(context.Background(), func(tx *store.Tx) error {
			r := resource("n", i)
			return errors.Join(tx.Insert(r), tx.SetReferences(r.ARN, store.Target{Key: r.Key, Pattern: r.Version}))
		})
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(i)
	}
}

// openAddress opens a file or what a URL names.
func openAddress(ctx context.Context, address string) (*store.Store, error) {
	if strings.HasPrefix(address, "postgres://") {
		return store.OpenPostgres(ctx, address)
	}
	return store.Open(ctx, address)
}

func TestKilledProcessLosesNothing(t *testing.T) {
	t.Parallel()
	s := killWriter(t, filepath.Join(t.TempDir(), "rows.db"))
	var verdict string
	if err := s.DB().QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check: %q, %v", verdict, err)
	}
}

// killWriter lets a process write to a database, kills it in the middle, and
// compares what is there with what it had been told was kept.
func killWriter(t *testing.T, address string) *store.Store {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "STORE_TEST_WRITE_TO="+address)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var told int64
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, err := fmt.Sscan(lines.Text(), &told); err != nil {
			t.Errorf("the writer said %q", lines.Text())
			break
		}
		if told == 200 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // killed

	s, err := openAddress(t.Context(), address)
	if err != nil {
		t.Fatalf("opening after the kill: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	// On a server the dead process's transaction ends when its lock is free.
	if err := s.Write(t.Context(), func(*store.Tx) error { return nil }); err != nil {
		t.Fatalf("writing after the kill: %v", err)
	}
	err = s.Read(t.Context(), func(tx *store.Tx) error {
		for i := int64(1); i <= told; i++ {
			if _, ok, err := tx.Resource(resource("n", i).ARN); err != nil || !ok {
				t.Errorf("row %d, which was acknowledged, is lost (%v)", i, err)
			}
		}
		refs, err := tx.References(resource("n", 1).Key, 10000)
		rows, err2 := tx.List(store.Query{Kind: "component", Account: "123456789012", Region: "us-east-1", Limit: 10000})
		if len(refs) != len(rows) {
			t.Errorf("%d rows but %d references: a transaction was torn", len(rows), len(refs))
		}
		if told < 200 || len(rows) < int(told) {
			t.Errorf("%d rows, %d acknowledged", len(rows), told)
		}
		return errors.Join(err, err2)
	})
	if err != nil {
		t.Error(err)
	}
	return s
}

func TestCloseLeavesOneFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "rows ?mode=memory%00#.db")
	for i := range int64(3) {
		s, err := store.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.Insert(resource("n", i+1)) }); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Ping(t.Context()), s.Sync(), s.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("after Close the folder holds %v (%v), want the database only", entries, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the database's mode is %v (%v), want 0600", info.Mode(), err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rows.db")
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.DB().ExecContext(t.Context(), "INSERT INTO schema_version (version) VALUES (9999)"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), "schema 9999") {
		t.Errorf("opening a newer schema: %v, want a refusal that names it", err)
	}
}

func TestOpenRefusesWhatIsNoDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rows.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), path); err == nil {
		t.Error("a file that is no database was opened")
	}
	if _, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "no", "such", "folder", "rows.db")); err == nil {
		t.Error("a database in a folder that does not exist was opened")
	}
}

// A full disk is imitated by SQLite's own limit on the number of pages, which
// fails in the same way (SQLITE_FULL).
func TestFullDiskChangesNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	defer s.Close()
	var pages int64
	if err := s.DB().QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DB().ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages+2)); err != nil {
		t.Fatal(err)
	}
	big := resource("big", 1)
	big.Content = make([]byte, 1<<20)
	err := s.Write(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.Insert(resource("small", 1)), tx.Insert(big))
	})
	if !errors.Is(err, store.ErrNoSpace) {
		t.Errorf("Write on a full disk: %v, want ErrNoSpace", err)
	}
	if _, err := s.DB().ExecContext(t.Context(), "PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), func(tx *store.Tx) error { return errors.Join(tx.Insert(resource("small", 1)), tx.Insert(big)) }); err != nil {
		t.Errorf("Write after space was made: %v", err)
	}
}

func TestWaitingForTheWriterEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := open(t)
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Write(t.Context(), func(*store.Tx) error {
		time.AfterFunc(20*time.Millisecond, cancel)
		return s.Write(ctx, func(*store.Tx) error { return errors.New("two writers at once") })
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a Write that waited in vain: %v, want context.Canceled", err)
	}
	// A caller that goes away does not tear a transaction that has begun.
	ctx, cancel = context.WithCancel(t.Context())
	err = s.Write(ctx, func(tx *store.Tx) error {
		cancel()
		return tx.Insert(resource("n", 1))
	})
	if err != nil {
		t.Errorf("a Write whose caller went away: %v", err)
	}
}

func TestCloseEndsWaitingWrites(t *testing.T) {
	t.Parallel()
	s := open(t)
	var group sync.WaitGroup
	var kept atomic.Int64
	begun := make(chan struct{}, 100)
	for i := range int64(100) {
		group.Go(func() {
			begun <- struct{}{}
			err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.Insert(resource("n", i+1)) })
			switch {
			case err == nil:
				kept.Add(1)
			case !errors.Is(err, store.ErrClosed):
				t.Errorf("Write while the store closes: %v", err)
			}
		})
	}
	<-begun
	path := s.Path()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	group.Wait()
	again, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	err = again.Read(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.List(store.Query{Kind: "component", Account: "123456789012", Region: "us-east-1", Limit: 1000})
		if int64(len(rows)) != kept.Load() {
			t.Errorf("%d rows, %d writes succeeded", len(rows), kept.Load())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// On a full disk SQLite gives up a whole transaction, and with it the writes
// that were to be committed together: each of them has to fail, or be kept.
func TestFullDiskTellsTheTruthToEveryWriter(t *testing.T) {
	t.Parallel()
	s := open(t)
	defer s.Close()
	var pages int64
	if err := s.DB().QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DB().ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages+40)); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	results := make([]error, 80)
	for i := range results {
		group.Go(func() {
			r := resource("n", int64(i+1))
			r.Content = make([]byte, 10_000)
			results[i] = s.Write(t.Context(), func(tx *store.Tx) error { return tx.Insert(r) })
		})
	}
	group.Wait()
	full := 0
	err := s.Read(t.Context(), func(tx *store.Tx) error {
		for i, result := range results {
			_, there, err := tx.Resource(resource("n", int64(i+1)).ARN)
			if err != nil {
				return err
			}
			if there != (result == nil) {
				t.Errorf("write %d answered %v, and its row is there: %v", i, result, there)
			}
			if errors.Is(result, store.ErrNoSpace) {
				full++
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if full == 0 {
		t.Error("nobody was told of the full disk")
	}
}

// Every list is a range of an index: its plan has no sort and no scan.
func TestListsNeverSort(t *testing.T) {
	t.Parallel()
	s := open(t)
	defer s.Close()
	from := map[string]string{ // where a page begins: at the cursor, not at the list's beginning
		"builds": "(name,major,minor,patch,build)>", "versions": "(name,major,minor,patch)>", "names": "name>", "children": "id>", "AMIs": "id>", "snapshots": "id>",
	}
	for name, query := range store.ListQueries() {
		rows, err := s.DB().QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, make([]any, strings.Count(query, "?"))...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		plan := explain(t, rows)
		if strings.Contains(plan, "TEMP B-TREE") || strings.Contains(plan, "SCAN") || !strings.Contains(plan, "SEARCH") || !strings.Contains(plan, from[name]) {
			t.Errorf("%s: %s", name, plan)
		}
	}
}

func TestMigrationsAreNumberedInOrder(t *testing.T) {
	t.Parallel()
	file := &fstest.MapFile{Data: []byte("SELECT 1")}
	if _, err := store.History(fstest.MapFS{"migrations/sqlite/0001_a.sql": file, "migrations/sqlite/0002_b.sql": file}, "sqlite"); err != nil {
		t.Errorf("1, 2: %v", err)
	}
	for _, names := range [][]string{{"0002_a.sql"}, {"0001_a.sql", "0003_b.sql"}, {"0001_a.sql", "0001_b.sql"}, {"first.sql"}} {
		files := fstest.MapFS{}
		for _, name := range names {
			files["migrations/sqlite/"+name] = file
		}
		if _, err := store.History(files, "sqlite"); err == nil {
			t.Errorf("%v were taken for a history", names)
		}
	}
}

func explain(t *testing.T, rows *sql.Rows) string {
	t.Helper()
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	return strings.Join(plan, "; ")
}
