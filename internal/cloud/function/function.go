package function

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// maxOutput is the most bytes of an answer (Step Functions quotas: input and
// output of an execution have at most 256 KiB).
const maxOutput = 256 << 10

// Function is one entry of the configuration: either Command or URL is set.
type Function struct {
	Name    string   // an ARN, or the name behind "function:" or "stateMachine:" in one, in any account and region
	Command []string // a program and its arguments; the input is its standard input, what it prints the output
	URL     string   // gets the input by POST; the body of its 2xx answer is the output
	Secret  string   // signs the requests as Standard Webhooks say; "": they are not signed
}

// Call is one call of a function.
type Call struct {
	ID    string // the same when the call is made again after a crash; the receiver tells repetitions by it
	Input []byte // JSON
}

// ErrUnknown says that the configuration names no such function.
var ErrUnknown = errors.New("the configuration file names no such function")

// Set is the functions of a server. The zero Set has none.
type Set struct{ byName map[string]Function }

// New returns a Set. Of two functions with one name the later counts.
func New(functions []Function) *Set {
	s := &Set{byName: make(map[string]Function, len(functions))}
	for _, f := range functions {
		s.byName[f.Name] = f
	}
	return s
}

// Has reports whether a name or ARN has a function.
func (s *Set) Has(name string) bool {
	_, ok := s.find(name)
	return ok
}

// find looks for the whole ARN first, then for the name in it.
func (s *Set) find(name string) (Function, bool) {
	if s == nil {
		return Function{}, false
	}
	if f, ok := s.byName[name]; ok {
		return f, true
	}
	for _, kind := range []string{"function:", "stateMachine:"} {
		if _, bare, ok := strings.Cut(name, ":"+kind); ok && strings.HasPrefix(name, "arn:") {
			bare, _, _ = strings.Cut(bare, ":") // a version or alias
			f, ok := s.byName[bare]
			return f, ok
		}
	}
	return Function{}, false
}

// Invoke calls a function and gives its output, at most 256 KiB. When ctx ends,
// so does the call: a program gets SIGTERM and, three seconds later, SIGKILL,
// with all of its process group.
func (s *Set) Invoke(ctx context.Context, name string, c Call) ([]byte, error) {
	f, ok := s.find(name)
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, ErrUnknown)
	}
	run := f.run
	if f.URL != "" {
		run = f.post
	}
	out, err := run(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("the function %s: %w", f.Name, err)
	}
	return out, nil
}
