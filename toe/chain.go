package toe

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe/action"
)

// chainEntry is what later steps can refer to of a step: its inputs and
// outputs, as text.
type chainEntry struct {
	Inputs    []map[string]string `json:"inputs"`
	Outputs   []action.Output     `json:"outputs"`
	Truncated bool                `json:"truncated,omitempty"` // an output was cut
	Quiet     bool                `json:"quiet,omitempty"`     // not for log files
}

// chain holds what the steps of each document have left for later ones.
type chain struct {
	documents []map[string]*chainEntry // by "phase.step"
}

func newChain(documents int) *chain {
	c := &chain{documents: make([]map[string]*chainEntry, documents)}
	for i := range c.documents {
		c.documents[i] = map[string]*chainEntry{}
	}
	return c
}

func (c *chain) set(document int, phase, step string, e *chainEntry) {
	c.documents[document][phase+"."+step] = e
}

// value resolves a reference. What a step that was skipped or that failed did
// not leave is empty; a step of a phase that was not selected is an error.
func (c *chain) value(document int, phase, step, side string, index int, key string) (string, error) {
	e := c.documents[document][phase+"."+step]
	if e == nil {
		return "", fmt.Errorf("the step %s was not run: is the phase '%s' among those selected?", step, phase)
	}
	if side == "inputs" {
		if index < len(e.Inputs) {
			return e.Inputs[index][key], nil
		}
		return "", nil
	}
	if e.Truncated {
		return "", fmt.Errorf("the output of step %s is longer than %d bytes, the most that can be referred to", step, action.MaxOutput)
	}
	if index < len(e.Outputs) {
		return e.Outputs[index][key], nil
	}
	return "", nil
}

// published is the content of chaining.json.
func (c *chain) published() publishedChain {
	documents := make([]map[string]*chainEntry, len(c.documents))
	for i, d := range c.documents {
		documents[i] = make(map[string]*chainEntry, len(d))
		for name, e := range d {
			if !e.Quiet {
				shown := *e // lists, also where there is nothing in them
				shown.Inputs = append([]map[string]string{}, e.Inputs...)
				shown.Outputs = append([]action.Output{}, e.Outputs...)
				documents[i][name] = &shown
			}
		}
	}
	return publishedChain{chainVersion, documents}
}

// chainFile is the file of the log folder with what steps left for later ones.
const (
	chainFile    = "chaining.json"
	chainVersion = 1
)

type publishedChain struct {
	Version   int                      `json:"version"`
	Documents []map[string]*chainEntry `json:"documents"` // by "phase.step"
}

// joined gives the outputs of a loop: for each key the values of its
// iterations, one a line.
func joined(iterations []action.Output) action.Output {
	if len(iterations) == 0 {
		return nil
	}
	values := map[string][]string{}
	for _, it := range iterations {
		for key, v := range it {
			values[key] = append(values[key], v)
		}
	}
	out := action.Output{}
	for key, v := range values {
		out[key] = strings.Join(v, "\n")
	}
	return out
}

// jsonText gives a value as the text of a JSON array, for detailedoutput.json.
func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil || string(b) == "null" {
		return "[]"
	}
	return string(b)
}
