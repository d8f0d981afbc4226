package clients

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/test/harness"
)

var update = flag.Bool("update", false, "write docs/compatibility-table.md")

// outcome is how a call went.
type outcome string

const (
	succeeded     outcome = "done"
	errorAsWanted outcome = "error as wanted"
	unknown       outcome = "the client does not know it"
	refused       outcome = "the server does not have it"
	unreached     outcome = "not reached"
	failed        outcome = "failed"
)

// record is what became of every call.
type record struct {
	mu   sync.Mutex
	seen map[string]map[string]map[outcome]int // by operation and client
}

func (r *record) add(op, client string, o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[op] == nil {
		r.seen[op] = map[string]map[outcome]int{}
	}
	if r.seen[op][client] == nil {
		r.seen[op][client] = map[outcome]int{}
	}
	r.seen[op][client][o]++
}

// cell is an operation's entry in a client's column.
func (r *record) cell(op, client string) string {
	o := r.seen[op][client]
	switch {
	case o[failed] > 0:
		return "**fails**"
	case o[refused] > 0:
		return "not yet"
	case o[succeeded] > 0:
		return "yes"
	case o[unknown] > 0:
		return "–"
	case o[errorAsWanted] > 0:
		return "refuses"
	}
	return "untested"
}

const tableHead = `# Operations and clients

Written by the tests (` + "`go test ./test/clients -update`" + `), which drive each client through the same story against a
running server; CI fails when a cell is no longer true.

- **yes**: its calls did what they should, results and errors
- **refuses**: its only answers are errors, as documented in [compatibility.md](compatibility.md)
- **not yet**: the server answers UnsupportedOperationException
- **–**: the client is older than the operation and does not know it

`

// table writes the record as a page. Columns of clients that were not there are
// taken from the page as it was.
func (r *record) table(tb testing.TB, clients []client, told map[string]bool, before string) string {
	tb.Helper()
	var b strings.Builder
	b.WriteString(tableHead)
	b.WriteString("| operation |")
	for _, c := range clients {
		fmt.Fprintf(&b, " %s %s |", c.title, c.version(tb))
	}
	b.WriteString("\n| --- |" + strings.Repeat(" --- |", len(clients)) + "\n")
	totals := map[string]int{}
	names := operations()
	for _, op := range names {
		fmt.Fprintf(&b, "| %s |", op)
		for i, c := range clients {
			cell := r.cell(op, c.name)
			if !told[c.name] {
				cell = cellBefore(before, op, i+1)
			}
			if cell == "yes" || cell == "refuses" {
				totals[c.name]++
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "| **yes or refuses, of %d** |", len(names))
	for _, c := range clients {
		fmt.Fprintf(&b, " %d |", totals[c.name])
	}
	b.WriteString("\n")
	return b.String()
}

// cellBefore is a cell of the page as it was.
func cellBefore(page, op string, column int) string {
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) > column+1 && strings.TrimSpace(cells[1]) == op {
			return strings.TrimSpace(cells[column+1])
		}
	}
	return "untested"
}

// operations are all of the API's, in alphabetical order.
func operations() []string {
	service := imagebuilder.Serve(imagebuilder.Unimplemented{})
	var names []string
	for _, op := range service.Operations {
		names = append(names, op.Name)
	}
	slices.Sort(names)
	return names
}

// holdTable compares the page with the record, or writes it.
func holdTable(t *testing.T, r *record, clients []client, told map[string]bool) {
	t.Helper()
	path := filepath.Join(harness.Repo(t), "docs", "compatibility-table.md")
	want, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	got := r.table(t, clients, told, string(want))
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("docs/compatibility-table.md is not what the clients saw; go test ./test/clients -update writes it anew (-page +seen):\n%s", diff)
	}
}

func TestTheStoryHasEveryOperation(t *testing.T) {
	t.Parallel()
	left := map[string]bool{}
	for _, op := range operations() {
		left[op] = true
	}
	for _, ch := range story() {
		for _, c := range ch.calls {
			if !strings.HasPrefix(c.op, "wait:") && !slices.Contains(operations(), c.op) {
				t.Errorf("%s: there is no operation %s", ch.name, c.op)
			}
			delete(left, c.op)
		}
	}
	for _, op := range slices.Sorted(maps.Keys(left)) {
		t.Errorf("no call of %s", op)
	}
}
