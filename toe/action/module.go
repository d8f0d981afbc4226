package action

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// Platforms of the component language.
const (
	Linux   = "linux"
	Windows = "windows"
	Darwin  = "darwin"
)

// Shape is the form of a step's inputs.
type Shape int

// The shapes of inputs.
const (
	Map       Shape = iota // one mapping
	List                   // a list of mappings, one operation each, in order
	Condition              // a comparison or logical operator (Assert)
)

// String names the shape for messages.
func (s Shape) String() string {
	return [...]string{"a mapping", "a list of mappings", "a condition"}[s]
}

// Module is one action of the component language.
type Module struct {
	Name      string
	Platforms []string
	Shape     Shape
	Optional  bool     // the step may leave its inputs out
	Fields    []Field  // of the mapping, or of each mapping in the list
	OneOf     []string // fields of which exactly one must be given
	Outputs   []string // keys that later steps may refer to
	Endless   bool     // the step's timeout does not apply
	Once      bool     // timeoutSeconds is -1 and maxAttempts 1, and nothing else is allowed

	run func(ctx context.Context, h *Host, in Inputs) (Result, error)
}

// Field gives the schema of an input, or nil.
func (m *Module) Field(name string) *Field {
	for i := range m.Fields {
		if m.Fields[i].Name == name {
			return &m.Fields[i]
		}
	}
	return nil
}

// FieldNames lists the inputs the module takes.
func (m *Module) FieldNames() []string {
	names := make([]string, len(m.Fields))
	for i, f := range m.Fields {
		names[i] = f.Name
	}
	return names
}

// On says whether the module exists on a platform.
func (m *Module) On(platform string) bool { return slices.Contains(m.Platforms, platform) }

// Available says whether this process can run the module, or only check it.
func (m *Module) Available() bool { return m.On(runtime.GOOS) }

// Run does the module's work once. What it returns beside an error is what was
// done until then: output that was captured, entries that were finished. A
// module that this platform does not have fails.
func (m *Module) Run(ctx context.Context, h *Host, in Inputs) (Result, error) {
	if !m.Available() {
		return Result{}, fmt.Errorf("the action %s does not exist on %s, only on %s", m.Name, runtime.GOOS, strings.Join(m.Platforms, ", "))
	}
	return m.run(ctx, h, in)
}

// each makes a list module's run out of the work on one entry. Entries that
// were done before a failure stay done.
func each(do func(ctx context.Context, h *Host, e Entry) (Output, error)) func(context.Context, *Host, Inputs) (Result, error) {
	return func(ctx context.Context, h *Host, in Inputs) (Result, error) {
		var r Result
		for i, e := range in.Entries {
			if err := ctx.Err(); err != nil {
				return r, err
			}
			out, err := do(ctx, h, e)
			if err != nil {
				if len(in.Entries) > 1 {
					err = fmt.Errorf("entry %d: %w", i, err)
				}
				return r, err
			}
			if out != nil {
				r.Outputs = append(r.Outputs, out)
			}
		}
		return r, nil
	}
}
