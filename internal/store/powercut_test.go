package store_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// TestPowerCutTakesOnlyTheNewest imitates power cuts: what was synced is on the
// disk, and of what was written to the log after that any part may be, with
// anything in the place of the rest. Whatever there is, the database opens, is
// whole, and holds a beginning of what was committed, with all that was synced.
func TestPowerCutTakesOnlyTheNewest(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rows.db")
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const first, all = 40, 120 // together they do not fill the log, which would be emptied
	write := func(n int) {
		var group sync.WaitGroup // so that some are committed together
		for range n {
			group.Go(func() {
				err := s.Write(t.Context(), func(tx *store.Tx) error {
					n, err := tx.NextBuild(resource("n", 0).Key, resource("n", 0).Version)
					if err != nil {
						return err
					}
					return tx.Insert(resource("n", n))
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
	write(first)
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	database, synced := read(t, path), len(read(t, path+"-wal"))
	write(all - first)
	log := read(t, path+"-wal")
	if string(read(t, path)) != string(database) || len(log) <= synced {
		t.Fatal("the log was emptied meanwhile: write less in this test")
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		cut := append([]byte(nil), log[:synced+random.IntN(len(log)-synced+1)]...)
		for rest := random.IntN(3) * random.IntN(9000); rest > 0; rest-- {
			cut = append(cut, byte(random.UintN(256)))
		}
		kept := afterwards(t, database, cut)
		if kept < first || kept > all {
			t.Errorf("cut at %d of %d bytes (synced %d): %d writes are there, of which %d had been synced", len(cut), len(log), synced, kept, first)
		}
	}
	if kept := afterwards(t, database, log); kept != all {
		t.Errorf("with the whole log %d writes are there, want %d", kept, all)
	}
}

// afterwards opens a database with a log and counts its writes.
func afterwards(t *testing.T, database, log []byte) int {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rows.db")
	for name, data := range map[string][]byte{path: database, path + "-wal": log} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatalf("opening after a power cut: %v", err)
	}
	defer s.Close()
	var verdict string
	if err := s.DB().QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check: %q, %v", verdict, err)
	}
	var rows []store.Resource
	err = s.Read(t.Context(), func(tx *store.Tx) (err error) {
		rows, err = tx.List(store.Query{Kind: "component", Account: "123456789012", Region: "us-east-1", Limit: 1000})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rows {
		if r.Version.Build != int64(i+1) {
			t.Fatalf("write %d is there and write %d is not", r.Version.Build, i+1)
		}
	}
	return len(rows)
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
