package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/server"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// workerFinding is a worker in the doctor's report.
type workerFinding struct {
	engine.Worker
	Alive       bool    `json:"alive"`
	LastSeenAgo float64 `json:"lastSeenSecondsAgo"`
}

// silence is after how long a worker counts as gone: where several share a
// database the others take its images then, and where it is alone it says every
// minute that it is there.
func silence(cfg *config.Config) time.Duration {
	if cfg.Database != "" {
		return 30 * time.Second
	}
	return 2 * time.Minute
}

// findWorkers reads what the workers tell of themselves in the database. Without
// a database there are none.
func findWorkers(ctx context.Context, cfg *config.Config, data datadir.Dir) ([]workerFinding, error) {
	found := []workerFinding{}
	if _, err := os.Stat(data.Database()); err != nil && cfg.Database == "" {
		return found, nil
	}
	rows, err := server.OpenStore(ctx, cfg, data)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	err = rows.Read(ctx, func(tx *store.Tx) error {
		all, now, err := engine.Workers(tx)
		for _, w := range all {
			ago := now.Sub(w.Seen)
			found = append(found, workerFinding{w, ago <= silence(cfg), ago.Seconds()})
		}
		return err
	})
	return found, err
}

// describeWorkers is the report for people.
func describeWorkers(all []workerFinding) string {
	var text strings.Builder
	for _, w := range all {
		state := "alive"
		if !w.Alive {
			state = "SILENT"
		}
		ago := time.Duration(w.LastSeenAgo * float64(time.Second)).Round(time.Second)
		fmt.Fprintf(&text, "\nworker %s (%s), %s\n", printable(w.Host), w.ID, state)
		fmt.Fprintf(&text, "  since %s, last heard of %s ago, version %s\n", w.Started.Format(time.RFC3339), ago, printable(w.Version))
		fmt.Fprintf(&text, "  %d of %d images at work; %s, %d processors, %d MiB of memory and %d MiB of disk free\n", w.Running, w.Builds, printable(w.Architecture), w.Processors, w.MemoryFree, w.DiskFree)
		if len(w.Kinds) == 0 {
			text.WriteString("  it has not said yet which instances it can run\n")
		}
		for _, k := range w.Kinds {
			mark := "ok"
			if !k.Usable {
				mark = "MISSING"
			}
			fmt.Fprintf(&text, "  %-8s %-8s %s\n", mark, printable(k.Kind), printable(k.How))
			if k.Remedy != "" {
				fmt.Fprintf(&text, "  %-8s %-8s → %s\n", "", "", printable(k.Remedy))
			}
		}
	}
	return text.String()
}
