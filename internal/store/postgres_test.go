package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/store/storetest"
)

func openPostgres(t *testing.T, address string) *store.Store {
	t.Helper()
	s, err := store.OpenPostgres(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPostgres holds PostgreSQL to what SQLite promises, and to what only a
// server that several processes share can break.
func TestPostgres(t *testing.T) {
	t.Parallel()
	server := storetest.StartPostgres(t, "fsync=off")
	t.Run("Suite", func(t *testing.T) {
		t.Parallel()
		storetest.Suite(t, func(t *testing.T) *store.Store { return openPostgres(t, server.Database(t)) })
	})
	for name, test := range map[string]func(*testing.T, string){
		"KilledProcessLosesNothing": func(t *testing.T, address string) { killWriter(t, address) },
		"ProcessesTakeTurns":        processesTakeTurns,
		"LateFailuresAreToldToAll":  lateFailures,
		"OpenedByAllAtOnce":         openedByAllAtOnce,
		"NewerSchemaIsRefused":      newerSchemaIsRefused,
		"ListsNeverSort":            postgresListsNeverSort,
		"LocksOfAllProcesses":       locksOfAllProcesses,
		"TornTransactionIsToldToAll": func(t *testing.T, address string) {
			tornTransaction(t, address, func() error { return server.Do("postgres", endSessions) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, server.Database(t))
		})
	}
}

// processesTakeTurns has several stores on one database, as the processes of
// several machines have: numbers are given once, and a name is taken once.
func processesTakeTurns(t *testing.T, address string) {
	const processes, each = 4, 25
	stores := make([]*store.Store, processes)
	for i := range stores {
		stores[i] = openPostgres(t, address)
		defer stores[i].Close()
	}
	var group sync.WaitGroup
	var won atomic.Int64
	for _, s := range stores {
		for i := range each {
			group.Go(func() {
				err := s.Write(t.Context(), func(tx *store.Tx) error {
					r := resource("n", 0)
					n, err := tx.NextBuild(r.Key, r.Version)
					if err != nil {
						return err
					}
					return tx.Insert(resource("n", n))
				})
				if err != nil {
					t.Error(err)
				}
				err = s.Write(t.Context(), func(tx *store.Tx) error {
					name := fmt.Sprint("taken-", i)
					_, there, err := tx.Match(resource(name, 0).Key, store.Version{Major: store.Any, Minor: store.Any, Patch: store.Any, Build: store.Any})
					if err != nil || there {
						return errors.Join(err, store.ErrExists)
					}
					return tx.Insert(resource(name, 1))
				})
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, store.ErrExists) || strings.Contains(err.Error(), "23505") {
					t.Errorf("a name that is taken was not seen in time: %v", err)
				}
			})
		}
	}
	group.Wait()
	if won.Load() != each {
		t.Errorf("%d names were given %d times", each, won.Load())
	}
	err := stores[0].Read(t.Context(), func(tx *store.Tx) error {
		builds, err := tx.List(store.Query{Kind: "component", Account: "123456789012", Region: "us-east-1", Name: "n", Limit: 1000})
		for i, r := range builds {
			if r.Version.Build != int64(i+1) {
				t.Errorf("build number %d is %d", i+1, r.Version.Build)
			}
		}
		if len(builds) != processes*each {
			t.Errorf("%d builds, want %d", len(builds), processes*each)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// lateFailures has a statement that nobody waits for, and that fails when others'
// are sent: whatever each writer was told is true.
func lateFailures(t *testing.T, address string) {
	s := openPostgres(t, address)
	defer s.Close()
	for range 20 {
		var group sync.WaitGroup
		results := make([]error, 12)
		for i := range results {
			group.Go(func() {
				results[i] = s.Write(t.Context(), func(tx *store.Tx) error {
					if err := tx.Insert(resource("n", int64(i+1))); err != nil || i%4 != 1 {
						return err
					}
					return store.FailLater(tx)
				})
			})
		}
		group.Wait()
		for i := 1; i < len(results); i += 4 {
			if results[i] == nil {
				t.Errorf("writer %d, whose statement failed, was told that all is well", i)
			}
		}
		sameAsTold(t, s, results)
		err := s.Write(t.Context(), func(tx *store.Tx) error {
			for i, result := range results {
				if result == nil {
					if err := tx.Delete(resource("n", int64(i+1)).ARN); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// openedByAllAtOnce has many processes that find an empty database.
func openedByAllAtOnce(t *testing.T, address string) {
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			s, err := store.OpenPostgres(t.Context(), address)
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	group.Wait()
}

func newerSchemaIsRefused(t *testing.T, address string) {
	openPostgres(t, address).Close()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "INSERT INTO schema_version (version) VALUES (9999)"); err != nil {
		t.Fatal(err)
	}
	if s, err := store.OpenPostgres(t.Context(), address); err == nil || !strings.Contains(err.Error(), "schema 9999") {
		if err == nil {
			s.Close()
		}
		t.Errorf("opening a newer schema: %v, want a refusal that names it", err)
	}
}

const endSessions = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'torn'`

// tornTransaction breaks the connection in the middle of a transaction that
// several writers share.
func tornTransaction(t *testing.T, address string, tear func() error) {
	s := openPostgres(t, address+"&application_name=torn")
	defer s.Close()
	var group sync.WaitGroup
	inside, waiting := make(chan struct{}), make(chan struct{})
	results := make([]error, 10)
	for i := range results {
		group.Go(func() {
			if i > 0 {
				<-inside
			}
			results[i] = s.Write(t.Context(), func(tx *store.Tx) error {
				if i == 0 {
					close(inside)
					<-waiting
				}
				return tx.Insert(resource("n", int64(i+1)))
			})
		})
	}
	<-inside
	if err := tear(); err != nil {
		t.Error(err)
	}
	close(waiting)
	group.Wait()
	if !errors.Is(results[0], store.ErrUnavailable) {
		t.Errorf("the write whose connection was cut: %v, want ErrUnavailable", results[0])
	}
	sameAsTold(t, s, results)
}

// sameAsTold compares the rows with what their writers were told.
func sameAsTold(t *testing.T, s *store.Store, results []error) {
	t.Helper()
	err := s.Read(t.Context(), func(tx *store.Tx) error {
		for i, result := range results {
			_, there, err := tx.Resource(resource("n", int64(i+1)).ARN)
			if err != nil {
				return err
			}
			if there != (result == nil) {
				t.Errorf("write %d answered %v, and its row is there: %v", i, result, there)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestPostgresServerRestarts kills the server under its writers: what was
// acknowledged is there afterwards, what failed says that the server was away,
// nothing is there in part, and the same store works again.
func TestPostgresServerRestarts(t *testing.T) {
	t.Parallel()
	server := storetest.StartPostgres(t)
	s := openPostgres(t, server.Database(t))
	defer s.Close()
	const writers = 8
	var group sync.WaitGroup
	var kept sync.Map
	var count, failures atomic.Int64
	stop := make(chan struct{})
	for w := range int64(writers) {
		group.Go(func() {
			for i := int64(0); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				r := resource("n", w*1_000_000+i+1)
				err := s.Write(t.Context(), func(tx *store.Tx) error {
					return errors.Join(tx.Insert(r), tx.SetReferences(r.ARN, store.Target{Key: r.Key, Pattern: r.Version}))
				})
				switch {
				case err == nil:
					kept.Store(r.ARN, true)
					count.Add(1)
				case errors.Is(err, store.ErrUnavailable):
					failures.Add(1)
				default:
					t.Errorf("a write while the server restarts: %v", err)
				}
			}
		})
	}
	for round := range int64(3) {
		for want := count.Load() + 50; count.Load() < want; {
			time.Sleep(time.Millisecond)
		}
		server.Kill()
		if round == 2 { // longer than writers wait
			if err := s.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Ping without a server: %v", err)
			}
			for before := failures.Load(); failures.Load() < before+writers; {
				time.Sleep(10 * time.Millisecond)
			}
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for want := count.Load() + 50; count.Load() < want; {
		time.Sleep(time.Millisecond)
	}
	close(stop)
	group.Wait()
	t.Logf("%d writes were kept, %d failed", count.Load(), failures.Load())
	err := s.Read(t.Context(), func(tx *store.Tx) error {
		kept.Range(func(arn, _ any) bool {
			if _, ok, err := tx.Resource(arn.(string)); err != nil || !ok {
				t.Errorf("%s was acknowledged and is lost (%v)", arn, err)
			}
			return true
		})
		refs, err := tx.References(resource("n", 1).Key, 1_000_000)
		rows, err2 := tx.List(store.Query{Kind: "component", Account: "123456789012", Region: "us-east-1", Limit: 1_000_000})
		if len(refs) != len(rows) {
			t.Errorf("%d rows but %d references: a transaction was torn", len(rows), len(refs))
		}
		return errors.Join(err, err2)
	})
	if err != nil {
		t.Error(err)
	}
}

// TestPostgresServerHangs stops the server's processes with the connections
// open: nobody waits for ever, and all goes on when it does.
func TestPostgresServerHangs(t *testing.T) {
	t.Parallel()
	server := storetest.StartPostgres(t, "fsync=off")
	s := openPostgres(t, server.Database(t))
	defer s.Close()
	store.Hurry(s, time.Second)
	put := func(n int64) error {
		return s.Write(t.Context(), func(tx *store.Tx) error { return tx.Insert(resource("n", n)) })
	}
	if err := put(1); err != nil {
		t.Fatal(err)
	}
	if err := server.Pause(true); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		if err := put(2); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Write while the server hangs: %v, want ErrUnavailable", err)
		}
	})
	group.Go(func() {
		err := s.Read(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Count("component", "123456789012", "us-east-1")
			return err
		})
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Read while the server hangs: %v, want ErrUnavailable", err)
		}
	})
	group.Wait()
	if err := server.Pause(false); err != nil {
		t.Fatal(err)
	}
	if err := put(3); err != nil {
		t.Errorf("Write after the server hung: %v", err)
	}
}

func TestPostgresAddressesStaySecret(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"postgres://user:s3cr3t@127.0.0.1:1/db", "postgres://user@127.0.0.1:1/db?password=s3cr3t",
		"postgres://user:s3cr3t@host:notaport/db", "host=127.0.0.1 port=1 password=s3cr3t", "postgres://user:s3cr3t@127.0.0.1:1/db?sslmode=wrong",
	} {
		_, err := store.OpenPostgres(t.Context(), address)
		if err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("the error of a wrong address shows its password: %v", err)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	if got, want := store.Number("a = ? AND b IN (?, ?)"), "a = $1 AND b IN ($2, $3)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Every list is a range of an index on PostgreSQL, too: with scans of whole
// tables made dear, its plan has none, and no sort.
func postgresListsNeverSort(t *testing.T, address string) {
	openPostgres(t, address).Close()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "SET enable_seqscan = off; SET enable_bitmapscan = off; SET plan_cache_mode = force_generic_plan"); err != nil {
		t.Fatal(err)
	}
	for name, query := range store.ListQueries() {
		n := strings.Count(query, "?")
		if _, err := conn.Exec(t.Context(), "DEALLOCATE ALL; PREPARE page AS "+store.Number(query)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		found, err := conn.Query(t.Context(), "EXPLAIN EXECUTE page("+strings.TrimSuffix(strings.Repeat("NULL,", n), ",")+")", pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		lines, err := pgx.CollectRows(found, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		plan := strings.Join(lines, "\n")
		if strings.Contains(plan, "Sort") || strings.Contains(plan, "Seq Scan") || !strings.Contains(plan, "Index Cond") {
			t.Errorf("%s:\n%s", name, plan)
		}
	}
}

// locksOfAllProcesses has an advisory lock held shared by some and alone by
// others, and its connection cut while it is held.
func locksOfAllProcesses(t *testing.T, address string) {
	var shared, alone atomic.Int32
	var group sync.WaitGroup
	for i := range 12 {
		group.Go(func() {
			err := store.NewAdvisoryLock(address, "blocks").Locked(t.Context(), i%3 == 0, func(context.Context) error {
				mine, others := &shared, &alone
				if i%3 == 0 {
					mine, others = &alone, &shared
				}
				if n := mine.Add(1); others.Load() > 0 || i%3 == 0 && n > 1 {
					t.Errorf("%d hold it, and %d the other way", n, others.Load())
				}
				time.Sleep(5 * time.Millisecond)
				mine.Add(-1)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	held := store.NewAdvisoryLock(address, "blocks")
	err := held.Locked(t.Context(), true, func(ctx context.Context) error {
		other := store.NewAdvisoryLock(address, "others")
		if err := other.Locked(ctx, true, func(context.Context) error { return nil }); err != nil {
			t.Errorf("a lock of another name: %v", err)
		}
		waiting, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		if err := store.NewAdvisoryLock(address, "blocks").Locked(waiting, false, func(context.Context) error { return nil }); err == nil {
			t.Error("two hold it")
		}
		conn, err := pgx.Connect(ctx, address)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = 1196379204 AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Minute):
			return errors.New("the holder was not told that the lock is lost")
		}
	})
	if err == nil || !strings.Contains(err.Error(), "held the lock") {
		t.Errorf("a lock whose connection was cut: %v", err)
	}
}
