package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// steps is how many steps the executor's document has.
const steps = 1000

// executor compares a document of 1,000 ExecuteBash steps that run true with a
// shell loop that runs bash -c true as often.
func (b *bench) executor() error {
	var doc strings.Builder
	doc.WriteString("name: loop\nschemaVersion: 1.0\nphases:\n  - name: build\n    steps:\n")
	for i := range steps {
		fmt.Fprintf(&doc, "      - {name: step%04d, action: ExecuteBash, inputs: {commands: ['true']}}\n", i)
	}
	file := filepath.Join(b.tmp, "loop.yaml")
	if err := os.WriteFile(file, []byte(doc.String()), 0o600); err != nil {
		return err
	}
	run := func() error {
		dir, err := os.MkdirTemp(b.tmp, "toe-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		out, err := exec.Command(filepath.Join(b.bin, "toe"), "run", "-d", file, "-l", dir, "-s", filepath.Join(dir, "state")).CombinedOutput()
		if err != nil {
			return fmt.Errorf("toe run: %w: %s", err, out)
		}
		return nil
	}
	loop := func() error {
		return exec.Command("bash", "-c", fmt.Sprintf("for ((i = 0; i < %d; i++)); do bash -c true; done", steps)).Run()
	}
	for _, warm := range []func() error{run, loop} {
		if err := warm(); err != nil {
			return err
		}
	}
	var ours, theirs []float64
	for range b.runs {
		a, err := timed(run)
		if err != nil {
			return err
		}
		c, err := timed(loop)
		if err != nil {
			return err
		}
		ours, theirs = append(ours, a), append(theirs, c)
	}
	pairs := ratios(ours, theirs)
	slices.Sort(pairs)
	fmt.Printf("\n## Executor: %d steps that run `true` (%d runs each, in turn)\n\n", steps, b.runs)
	fmt.Printf("| | seconds: median (min to max) |\n| --- | --- |\n| `toe run` | %s |\n| shell loop of `bash -c true` | %s |\n| ratio | %s |\n",
		spread(ours, "%.2f"), spread(theirs, "%.2f"), spread(pairs, "%.2f"))
	return nil
}
