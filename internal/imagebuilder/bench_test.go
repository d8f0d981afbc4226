package imagebuilder_test

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
)

// BenchmarkCreateAndGetComponent is a CreateComponent and a GetComponent of what
// it made, by 16 clients at once, without the wire.
func BenchmarkCreateAndGetComponent(b *testing.B) {
	f := open(b, func(c *imagebuilder.Config) { c.Quotas.Components = -1 })
	var n atomic.Int64
	b.SetParallelism(8)
	defer processorTime(b)()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			out, err := f.CreateComponent(f.ctx, f.componentInput(fmt.Sprint("component-", n.Add(1)), "1.0.0", document))
			if err != nil {
				b.Error(err)
				return
			}
			if _, err := f.GetComponent(f.ctx, &api.GetComponentInput{ComponentBuildVersionArn: out.ComponentBuildVersionArn}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// processorTime adds what an operation costs to the report: unlike the time it
// takes, it does not depend on who else is on the machine.
func processorTime(b *testing.B) (end func()) {
	used := func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1000
	}
	before := used()
	return func() { b.ReportMetric((used()-before)/float64(b.N), "cpu-µs/op") }
}

// BenchmarkGetComponent is reading alone.
func BenchmarkGetComponent(b *testing.B) {
	f := open(b)
	arn := f.component("web", "1.0.0", document)
	b.SetParallelism(8)
	defer processorTime(b)()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := f.GetComponent(f.ctx, &api.GetComponentInput{ComponentBuildVersionArn: &arn}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
