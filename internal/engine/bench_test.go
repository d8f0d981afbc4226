package engine

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/store/storetest"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// BenchmarkStep is what the engine costs a workflow step that does nothing: its
// rows, its log, its inputs and outputs. An operation is a step.
func BenchmarkStep(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) {
		s, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "goldsmith.db"))
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		benchmarkSteps(b, s)
	})
	b.Run("PostgreSQL", func(b *testing.B) { benchmarkSteps(b, openDurable(b)) })
}

func benchmarkSteps(b *testing.B, s *store.Store) {
	const steps = 90 // a workflow has 100 at most
	var document strings.Builder
	document.WriteString("steps:\n" + launchStep)
	for i := range steps {
		fmt.Fprintf(&document, "  - {name: Step%d, action: TerminateInstance, inputs: {instanceId: i-0123456789abcdef0}}\n", i)
	}
	document.WriteString(imageStep)
	var used, spent time.Duration
	done := 0
	for b.Loop() {
		if done++; done%steps != 1 {
			continue // an image counts for all of its steps
		}
		b.StopTimer()
		w := &world{dir: b.TempDir(), alive: map[string]string{}, planned: map[string]bool{}, states: []Status{Pending}, store: s, cloud: cloud.New(s, nil)}
		w.plan = benchPlan(flowOf(workflow.Build, "steps", document.String()))
		e, err := New(b.Context(), Config{
			Store: s, Cloud: w.cloud, Disks: paperDisks{}, Builder: paperKind{w, "sandbox"}, Tester: paperKind{w, "vm"}, Resolver: w, Recorder: w,
			Dir: w.dir, Node: w.dir, Log: slog.New(slog.DiscardHandler), Reserve: 1,
		})
		if err != nil {
			b.Fatal(err)
		}
		arn := fmt.Sprintf("%s%d", strings.TrimSuffix(testARN, "1"), done+1)
		w.plan.Image.ARN = arn
		r := e.newRun(arn, Pending)
		ctx := context.Background()
		if err := r.prepare(ctx); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		cpu, start := processorTime(), time.Now()
		if err := r.runBatch(ctx, batch{0}, nil); err != nil {
			b.Fatal(err)
		}
		used, spent = used+processorTime()-cpu, spent+time.Since(start)
	}
	whole := (done + steps - 1) / steps * steps // of the last image all steps were run
	b.ReportMetric(float64(used.Microseconds())/float64(whole)/1000, "cpu-ms/step")
	b.ReportMetric(float64(spent.Microseconds())/float64(whole)/1000, "ms/step")
	b.ReportMetric(0, "ns/op")
}

func benchPlan(flow Workflow) *Plan {
	return &Plan{
		Image:     Image{Name: "demo", Slug: "demo", Version: "1.0.0", Build: 1, Account: "123456789012", Region: "us-east-1"},
		Parent:    Parent{Requested: "debian-12-x86", Snapshot: "parent", SizeGiB: 2, OSVersion: "Debian 12", Platform: "Linux", Architecture: "x86_64"},
		Volume:    Volume{SizeGiB: 2, Devices: []BlockDevice{{DeviceName: "/dev/xvda", DeleteOnTermination: true}}},
		Workflows: []Workflow{flow}, WorkingDir: "/tmp",
		Destinations: []Destination{{Region: "us-east-1", Name: "demo {{ imagebuilder:buildDate }}"}},
	}
}

// openDurable opens a database on a server with the settings that it comes with:
// a commit waits for the disk.
func openDurable(b *testing.B) *store.Store {
	s, err := store.OpenPostgres(b.Context(), storetest.StartPostgres(b).Database(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
