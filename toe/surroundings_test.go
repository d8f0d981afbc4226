//go:build unix

package toe_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/toe"
)

// bench is a run's surroundings: its own folders, and what it reported.
type bench struct {
	t       *testing.T
	dir     string
	options toe.Options
	events  []toe.Event
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{t: t, dir: dir}
	b.options = toe.Options{
		LogDirectory: filepath.Join(dir, "logs"), StateDirectory: filepath.Join(dir, "state"), Dir: dir,
		Events: func(e toe.Event) { b.events = append(b.events, e) },
	}
	return b
}

// run runs documents given as text.
func (b *bench) run(documents ...string) *toe.Result {
	b.t.Helper()
	r, err := b.try(documents...)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *bench) try(documents ...string) (*toe.Result, error) {
	b.options.Documents = nil
	for i, d := range documents {
		b.options.Documents = append(b.options.Documents, toe.Source{Path: fmt.Sprintf("doc%d.yaml", i), Data: []byte(d)})
	}
	return toe.Run(context.Background(), b.options)
}

func (b *bench) read(name string) string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

func (b *bench) exists(name string) bool {
	_, err := os.Stat(filepath.Join(b.dir, name))
	return err == nil
}

func (b *bench) log(r *toe.Result, name string) string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.Summary.LogURL, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

// steps wraps lines of steps into a document with one phase.
func steps(lines ...string) string {
	return "schemaVersion: 1.0\nphases:\n  - name: build\n    steps:\n      - " + strings.Join(lines, "\n      - ") + "\n"
}

// sh is a step that runs a script. The script must not hold a single quote.
func sh(name, script string, more ...string) string {
	return fmt.Sprintf("{name: %s, action: ExecuteBash, inputs: {commands: ['%s']}%s}", name, script, strings.Join(append([]string{""}, more...), ", "))
}

func stepStatuses(r *toe.Result) map[string]string {
	m := map[string]string{}
	for _, d := range r.Detail.Documents {
		for _, ph := range d.Phases {
			for _, s := range ph.Steps {
				m[s.Name] = s.Status
			}
		}
	}
	return m
}
