package imagebuilder_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/store/storetest"
)

// BenchmarkTick is one look for schedules that are due, when none is: what a
// server does every five seconds. It does not follow the number of pipelines.
func BenchmarkTick(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("SQLite/%d", n), func(b *testing.B) {
			s, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "rows.db"))
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			benchmarkTick(b, s, n)
		})
		b.Run(fmt.Sprintf("PostgreSQL/%d", n), func(b *testing.B) {
			s, err := store.OpenPostgres(b.Context(), storetest.StartPostgres(b).Database(b))
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			benchmarkTick(b, s, n)
		})
	}
}

func benchmarkTick(b *testing.B, s *store.Store, n int) {
	doc, err := json.Marshal(&api.ImagePipeline{Name: p("web"), Schedule: &api.Schedule{ScheduleExpression: p("rate(1 day)")}})
	if err != nil {
		b.Fatal(err)
	}
	for done := 0; done < n; {
		err := s.Write(context.Background(), func(tx *store.Tx) error {
			for range min(1000, n-done) {
				done++
				name := fmt.Sprint("pipeline-", done)
				err := tx.Insert(store.Resource{
					Key: store.Key{Kind: "image-pipeline", Account: alice, Region: home, Name: name}, ARN: prefix + "image-pipeline/" + name, Status: "ENABLED",
					Created: start, Due: start.Add(time.Duration(done) * time.Second), Doc: doc,
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	service := imagebuilder.New(imagebuilder.Config{Store: s, World: cloud.New(s, nil), Now: func() time.Time { return start }})
	service.Attach(&queue{})
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for b.Loop() {
		if err := service.StartDue(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(before.HeapAlloc)/(1<<20), "MiB-heap")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/1024, "KiB/op")
}
