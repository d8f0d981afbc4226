package toe

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe/action"
	"github.com/goldsmith-build/goldsmith/toe/problem"
)

// CheckOptions say where a document shall run.
type CheckOptions struct {
	// Platform is "linux", "windows" or "darwin"; "" is the one of this
	// process.
	Platform string

	// BlockedActions are actions that must not be used.
	BlockedActions []string
}

// Check finds what is wrong with a document on a platform: actions and inputs
// that do not exist there, and actions that are blocked.
func (d *Document) Check(o CheckOptions) Problems {
	if o.Platform == "" {
		o.Platform = runtime.GOOS
	}
	var problems Problems
	add := func(pr Problem) {
		if len(problems) < maxProblems {
			pr.Document = d.location
			problems = append(problems, pr)
		}
	}
	for i := range d.Phases {
		for j := range d.Phases[i].Steps {
			s := &d.Phases[i].Steps[j]
			place := problem.Problem{Line: s.Line, Column: s.Column, Path: fmt.Sprintf("phases[%d].steps[%d]", i, j)}
			s.check(o, place, add)
		}
	}
	return problems
}

func (s *Step) check(o CheckOptions, place Problem, add func(Problem)) {
	if s.module == nil {
		return
	}
	if slices.Contains(o.BlockedActions, s.Action) {
		place.Rule, place.Message = "blocked-action", fmt.Sprintf("The action %s in step '%s' is blocked.", s.Action, s.Name)
		add(place)
	}
	if !s.module.On(o.Platform) {
		place.Rule = "wrong-platform"
		place.Message = fmt.Sprintf("The action %s in step '%s' does not exist on %s, only on %s.", s.Action, s.Name, o.Platform, strings.Join(s.module.Platforms, ", "))
		add(place)
		return
	}
	for _, e := range s.entries {
		for _, f := range e.fields {
			if slices.Contains(f.schema.NotOn, o.Platform) {
				add(f.node.Problem("wrong-platform", fmt.Sprintf("The input '%s' of %s does not exist on %s.", f.schema.Name, s.Action, o.Platform)))
			}
		}
	}
}

// Actions names every action of the language, also those that this build can
// check but not run.
func Actions() []string { return action.Names() }

// CanRun says whether this build can run an action on its own platform.
func CanRun(name string) bool {
	m := action.Lookup(name)
	return m != nil && m.Available()
}
