package toe

import (
	"encoding/json"
	"testing"

	"github.com/goldsmith-build/goldsmith/toe/action"
)

// TestPublishedChain looks at chaining.json's shape: lists always, nothing of
// quiet steps.
func TestPublishedChain(t *testing.T) {
	t.Parallel()
	c := newChain(1)
	c.set(0, "build", "Skipped", &chainEntry{})
	c.set(0, "build", "Quiet", &chainEntry{Quiet: true, Inputs: []map[string]string{{"a": "secret"}}})
	c.set(0, "build", "Step", &chainEntry{Inputs: []map[string]string{{"a": "b"}}, Outputs: []action.Output{{"stdout": "c"}}})
	got, err := json.Marshal(c.published())
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"version":1,"documents":[{"build.Skipped":{"inputs":[],"outputs":[]},"build.Step":{"inputs":[{"a":"b"}],"outputs":[{"stdout":"c"}]}}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
