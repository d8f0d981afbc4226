// Command bench measures Goldsmith beside what its users would use otherwise,
// side by side in one run, and prints medians and ratios as Markdown.
//
//	go run ./test/bench [-runs 5] [api] [lists] [executor] [exports] [pipeline] [fanout] [snapshot] [distribution] [cached]
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// bench is what every measurement gets.
type bench struct {
	runs  int
	peers bool   // of "cached"
	bin   string // folder of goldsmith and toe
	venv  string // folder of the Python programs
	tmp   string
}

func main() {
	runs := flag.Int("runs", 5, "measurements of each side; medians are printed")
	beside := flag.Bool("peers", true, "cached: build with mkosi and debos, too")
	flag.Parse()
	all := map[string]func(*bench) error{"api": (*bench).api, "lists": (*bench).lists, "executor": (*bench).executor, "exports": (*bench).exports, "pipeline": (*bench).pipeline, "fanout": (*bench).fanout, "snapshot": (*bench).snapshot, "distribution": (*bench).distribution}
	names := flag.Args()
	if len(names) == 0 {
		names = []string{"executor", "api", "lists", "exports", "pipeline", "fanout", "snapshot", "distribution"}
	}
	// By name only: it builds for minutes.
	all["cached"] = (*bench).cached

	repo, err := os.Getwd()
	check(err)
	tmp, err := os.MkdirTemp("", "goldsmith-bench-")
	check(err)
	defer os.RemoveAll(tmp)
	b := &bench{runs: *runs, peers: *beside, bin: filepath.Join(repo, "bin"), venv: filepath.Join(repo, ".venv", "bin"), tmp: tmp}
	fmt.Printf("%s, %d processors, %s\n", time.Now().UTC().Format("2006-01-02"), runtime.NumCPU(), kernel())
	for _, name := range names {
		run, ok := all[name]
		if !ok {
			fmt.Fprintf(os.Stderr, "bench: there is no measurement %q\n", name)
			os.RemoveAll(tmp)
			os.Exit(2)
		}
		if err := run(b); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", name, err)
			os.RemoveAll(tmp)
			os.Exit(1)
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func kernel() string {
	out, _ := exec.Command("uname", "-sr").Output()
	return strings.TrimSpace(string(out))
}

// median is the middle of values, which it sorts.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	if n == 0 {
		return 0
	}
	if n%2 == 1 {
		return values[n/2]
	}
	return (values[n/2-1] + values[n/2]) / 2
}

// spread is "median (min to max)" with a unit.
func spread(values []float64, format string) string {
	m := median(values)
	return fmt.Sprintf(format+" ("+format+" to "+format+")", m, values[0], values[len(values)-1])
}

// timed runs f and gives its seconds.
func timed(f func() error) (float64, error) {
	start := time.Now()
	err := f()
	return time.Since(start).Seconds(), err
}

// ratios are a[i]/b[i]: pairs that were measured one after the other.
func ratios(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] / b[i]
	}
	return out
}
