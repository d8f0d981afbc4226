package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/stepcache"
	toeaction "github.com/goldsmith-build/goldsmith/toe/action"
)

// maxFetches is how many files a component may fetch whose state is kept: each
// is fetched again to look whether it is still the same.
const maxFetches = 1000

// fetches are the files that components got from elsewhere.
type fetches struct {
	list   []toeaction.Fetch
	hidden bool // some are not known, or not to be known
}

// add takes a fetch. What a guest says of it is not trusted to be short.
func (f *fetches) add(got toeaction.Fetch) {
	if len(f.list) >= maxFetches || got.Source == "" || len(got.Source)+len(got.Object)+len(got.Owner) > 4096 || len(got.SHA256) > 64 {
		f.hidden = true
		return
	}
	f.list = append(f.list, got)
}

// all gives the fetches in an order of their own, each once.
func (f *fetches) all() []toeaction.Fetch { return slices.Compact(inOrder(slices.Clone(f.list))) }

func inOrder(list []toeaction.Fetch) []toeaction.Fetch {
	slices.SortFunc(list, func(a, b toeaction.Fetch) int {
		return strings.Compare(a.Source+"\x00"+a.Object+"\x00"+a.SHA256, b.Source+"\x00"+b.Object+"\x00"+b.SHA256)
	})
	return list
}

// lookups are the downloads that tell whether fetched files are still the same:
// one for each source, with what it gave then.
func lookups(fetched []toeaction.Fetch) [][]toeaction.Fetch {
	var groups [][]toeaction.Fetch
	at := map[toeaction.Fetch]int{}
	for _, f := range fetched {
		source := f
		source.Object, source.SHA256 = "", ""
		i, ok := at[source]
		if !ok {
			i = len(groups)
			at[source] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], f)
	}
	return groups
}

// stillSame fetches again what the components of a chain fetched, in the
// instance: from where they did, and with no more rights than they had. It gives
// how many components of the chain, from its beginning, got the same as then.
func (c *call) stillSame(ctx context.Context, m *machine, chain []stepcache.Link) (int, error) {
	for i, link := range chain {
		for n, group := range lookups(link.Fetched) {
			same, err := c.fetchesSame(ctx, m, fmt.Sprintf("lookup-%d-%d", i, n), group)
			if err != nil {
				return 0, err
			}
			if !same {
				c.log.printf("Component %s fetched %s, which is no longer the same: it runs again", link.Component, group[0].Source)
				return i, nil
			}
		}
	}
	return len(chain), nil
}

// fetchesSame fetches a source again and compares the digests. A source that
// does not answer is not the same.
func (c *call) fetchesSame(ctx context.Context, m *machine, name string, want []toeaction.Fetch) (bool, error) {
	base := path.Join(m.Scratch(), c.row.ID, name)
	if strings.Contains(want[0].Source, "{{") {
		return false, nil // it would be read as a reference
	}
	document, err := json.Marshal(lookupDocument(name, base, want[0]))
	if err != nil {
		return false, err
	}
	file := path.Join(base, "lookup.yaml")
	if err := m.Put(ctx, file, 0o600, bytes.NewReader(document)); err != nil {
		return false, fmt.Errorf("looking whether %s is still the same: %w", want[0].Source, err)
	}
	var got fetches
	events := newEventReader(io.Discard)
	events.fetched = &got
	exit, err := m.Exec(ctx, instance.Command{
		Argv:   []string{m.Toe(), "run", "--documents", file, "--log-directory", path.Join(base, "logs"), "--reboot-mode", "forbid", "--events"},
		Env:    c.environment(c.row, m),
		Stdout: events,
	})
	events.flush()
	if err != nil {
		return false, fmt.Errorf("looking whether %s is still the same: %w", want[0].Source, err)
	}
	if _, err := m.Exec(ctx, command("rm", "-rf", base)); err != nil {
		return false, err
	}
	return exit == 0 && !got.hidden && slices.Equal(got.all(), inOrder(slices.Clone(want))), nil
}

// lookupDocument is the component document that fetches a source. JSON is YAML.
func lookupDocument(name, base string, f toeaction.Fetch) any {
	inputs := map[string]any{"source": f.Source, "destination": path.Join(base, "content"), "overwrite": true}
	if f.Object != "" || strings.HasSuffix(f.Source, "*") {
		inputs["destination"] = path.Join(base, "content") + "/"
	}
	if f.Owner != "" {
		inputs["expectedBucketOwner"] = f.Owner
	}
	if f.IgnoreCertificateErrors {
		inputs["ignoreCertificateErrors"] = true
	}
	step := map[string]any{"name": name, "action": f.Action, "inputs": []any{inputs}}
	return map[string]any{"schemaVersion": 1.0, "phases": []any{map[string]any{"name": "build", "steps": []any{step}}}}
}
