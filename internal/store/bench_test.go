package store_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

func BenchmarkInsert(b *testing.B) {
	s, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "rows.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.ResetTimer()
	for i := range b.N {
		if err := s.Write(b.Context(), func(tx *store.Tx) error { return tx.Insert(resource(fmt.Sprint("n", i), 1)) }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkListPage shows that a page costs the same however many rows there
// are: compare its sub-benchmarks.
func BenchmarkListPage(b *testing.B) {
	for _, rows := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			s, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "rows.db"))
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			err = s.Write(b.Context(), func(tx *store.Tx) error {
				for i := range rows {
					if err := tx.Insert(resource(fmt.Sprintf("n%06d", i), 1)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			after := store.Cursor{Name: fmt.Sprintf("n%06d", rows/2), Version: store.Version{Major: 1, Build: 1}}
			for b.Loop() {
				err := s.Read(b.Context(), func(tx *store.Tx) error {
					page, err := tx.List(store.Query{Kind: "component", Account: "123456789012", Region: "us-east-1", Scope: store.Versions, After: after, Limit: 25})
					if len(page) != 25 {
						b.Fatalf("%d rows", len(page))
					}
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
