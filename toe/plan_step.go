package toe

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/goldsmith-build/goldsmith/toe/action"
	"github.com/goldsmith-build/goldsmith/toe/internal/condition"
	"github.com/goldsmith-build/goldsmith/toe/internal/reference"
)

// harmless are the actions that leave the machine as it is.
var harmless = []string{"Assert", "ListFiles", "ReadFile"}

// stepPlanner plans one step.
type stepPlanner struct {
	*planner
	ctx        context.Context
	at         *place
	loop       *iteration
	unresolved []string
}

// resolver gives a resolver that knows what is known before the run.
func (s *stepPlanner) resolver() *resolver {
	r := &resolver{ctx: s.ctx, x: s.x, at: s.at, loop: s.loop}
	r.look = func(ref reference.Ref) (string, bool, error) { return s.look(r, ref) }
	return r
}

// known expands a text; references without a value yet stay as they are
// written, and are noted.
func (s *stepPlanner) known(t reference.Text) (text string, all bool, err error) {
	r := s.resolver()
	all = true
	text, err = t.Expand(func(ref reference.Ref) (string, bool, error) {
		value, keep, err := s.look(r, ref)
		if errors.Is(err, condition.ErrUnknown) {
			all = false
			s.note(ref.Text)
			return "", true, nil
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", ref.Text, err)
		}
		return value, keep, err
	})
	return text, all, err
}

func (s *stepPlanner) note(ref string) {
	if !slices.Contains(s.unresolved, ref) {
		s.unresolved = append(s.unresolved, ref)
	}
}

func (s *stepPlanner) plan() PlannedStep {
	step := s.at.step
	planned := PlannedStep{
		Name: step.Name, Action: step.Action, TimeoutSeconds: step.TimeoutSeconds, OnFailure: step.OnFailure, MaxAttempts: step.MaxAttempts,
		Decision: PlanRun,
	}
	if s.ended {
		planned.Decision = PlanNotReached
		return planned
	}
	entry := &plannedEntry{}
	s.steps[s.at.document][s.at.phase.Name+"."+step.Name] = entry
	err := s.decide(&planned)
	if err == nil && planned.Decision != PlanSkip && planned.Decision != PlanFail {
		err = s.work(&planned, entry)
	}
	if err != nil {
		planned.Decision, planned.Reason = PlanFail, summary(err)
	}
	entry.skipped = planned.Decision == PlanSkip
	if planned.Decision == PlanFail && step.OnFailure == Abort {
		s.ended = true
	}
	if planned.Decision != PlanSkip && !slices.Contains(harmless, step.Action) {
		s.changed = true
	}
	planned.Unresolved = s.unresolved
	return planned
}

// environment is what conditions are decided in.
func (s *stepPlanner) environment() condition.Env {
	env := s.resolver().conditionEnv()
	env.Expand = func(t reference.Text) (string, error) {
		text, all, err := s.known(t)
		if err == nil && !all {
			err = condition.ErrUnknown
		}
		return text, err
	}
	return env
}

// shown is a condition with what is known put in.
func (s *stepPlanner) shown(e *condition.Expr) any {
	return e.Expanded(func(t reference.Text) (string, error) {
		text, _, err := s.known(t)
		return text, err
	})
}

// decide plans the step's "if".
func (s *stepPlanner) decide(planned *PlannedStep) error {
	w := s.at.step.when
	if w == nil {
		return nil
	}
	if !s.quiet() {
		planned.If = s.shown(w.expr)
	}
	holds, known, err := w.expr.Decide(s.environment(), !s.changed)
	switch {
	case err != nil:
		return fmt.Errorf("deciding the step's if: %w", err)
	case !known:
		planned.Decision, planned.Reason = PlanUndecided, "the condition depends on what earlier steps do"
		return nil
	}
	outcome := w.decide(holds)
	planned.Reason = fmt.Sprintf("the condition is %t: %s", holds, outcome)
	planned.Decision = map[string]string{"Execute": PlanRun, "Skip": PlanSkip, "Abort": PlanFail}[outcome]
	return nil
}

func (s *stepPlanner) quiet() bool {
	return s.at.doc.doc.DisableLogging || s.at.phase.DisableLogging || s.at.step.DisableLogging
}

// work plans what the step's action would do.
func (s *stepPlanner) work(planned *PlannedStep, entry *plannedEntry) error {
	step := s.at.step
	if step.condition != nil {
		if !s.quiet() {
			planned.Inputs = []map[string]any{s.shown(step.condition).(map[string]any)}
		}
		return s.assertion(planned)
	}
	if step.Loop == nil {
		inputs, err := s.inputs(entry)
		if err == nil && !s.quiet() {
			planned.Inputs = inputs
		}
		if err == nil && step.module.Name == "ExecuteDocument" {
			planned.Document, planned.Reason = s.nested(entry, planned.Reason)
		}
		return err
	}
	return s.iterations(planned, entry)
}

// assertion says that an Assert step would fail, if that is known.
func (s *stepPlanner) assertion(planned *PlannedStep) error {
	holds, known, err := s.at.step.condition.Decide(s.environment(), !s.changed)
	if err == nil && known && !holds && planned.Decision == PlanRun && s.at.step.Loop == nil {
		planned.Decision, planned.Reason = PlanFail, "the assertion is false"
	}
	return err
}

// iterations plans a loop as far as its values are known.
func (s *stepPlanner) iterations(planned *PlannedStep, entry *plannedEntry) error {
	loop := s.at.step.Loop
	planned.Loop = &PlannedLoop{Name: loop.Name, Count: -1}
	for _, t := range append(slices.Clone(loop.items), loop.list) {
		if _, all, err := s.known(t); err != nil {
			return fmt.Errorf("the list of the loop: %w", err)
		} else if !all { // the values are not known: show what every iteration gets
			inputs, err := s.inputs(entry)
			if !s.quiet() {
				planned.Inputs = inputs
			}
			return err
		}
	}
	next, err := loop.values(s.resolver())
	if err != nil {
		return err
	}
	count := 0
	for value, ok := next(); ok; value, ok = next() {
		if count == MaxPlannedIterations && loop.For != nil {
			count = (loop.For.End-loop.For.Start)/loop.For.UpdateBy + 1
			break
		}
		if count < MaxPlannedIterations {
			s.loop = &iteration{name: loop.Name, index: count, value: value}
			inputs, err := s.inputs(entry)
			s.loop = nil
			if err != nil {
				return fmt.Errorf("loop iteration %d: %w", count, err)
			}
			if !s.quiet() {
				planned.Loop.Iterations = append(planned.Loop.Iterations, PlannedIteration{Index: count, Value: value, Inputs: inputs})
			}
		}
		count++
	}
	planned.Loop.Count = count
	return nil
}

// inputs resolves what is known of the step's inputs, and checks it as the run
// would.
func (s *stepPlanner) inputs(entry *plannedEntry) ([]map[string]any, error) {
	step, r := s.at.step, s.resolver()
	entry.texts, entry.unknown = nil, nil
	var shown []map[string]any
	for i := range step.entries {
		values, texts, unknown := map[string]any{}, map[string]string{}, map[string]bool{}
		for j := range step.entries[i].fields {
			f := &step.entries[i].fields[j]
			value, text, err := r.field(f)
			if errors.Is(err, condition.ErrUnknown) {
				value, err = s.partly(f)
				unknown[f.schema.Name] = true
			}
			if err != nil {
				return nil, fmt.Errorf("the input '%s': %w", f.schema.Name, err)
			}
			values[f.schema.Name], texts[f.schema.Name] = value, text
		}
		for _, f := range step.module.Fields {
			if _, given := texts[f.Name]; !given && f.Default != "" {
				texts[f.Name] = f.Default
			}
		}
		shown, entry.texts, entry.unknown = append(shown, values), append(entry.texts, texts), append(entry.unknown, unknown)
	}
	return shown, nil
}

// partly shows an input of which a part is not known.
func (s *stepPlanner) partly(f *field) (any, error) {
	switch {
	case f.isList:
		list := make([]string, len(f.list))
		for i, t := range f.list {
			text, _, err := s.known(t)
			if err != nil {
				return nil, err
			}
			list[i] = text
		}
		return list, nil
	case len(f.pairs) > 0:
		pairs := make([]action.Pair, len(f.pairs))
		for i, p := range f.pairs {
			name, _, err := s.known(p.name)
			if err != nil {
				return nil, err
			}
			value, _, err := s.known(p.value)
			if err != nil {
				return nil, err
			}
			pairs[i] = action.Pair{Name: name, Value: value}
		}
		return pairs, nil
	}
	text, _, err := s.known(f.text)
	return text, err
}

// nested plans the document that an ExecuteDocument step would run, if it can
// be read now.
func (s *stepPlanner) nested(entry *plannedEntry, reason string) (*PlannedDocument, string) {
	location := entry.texts[0]["document"]
	if unknown := entry.unknown[0]; unknown["document"] || unknown["phases"] || unknown["parameters"] {
		return nil, reason
	}
	if isRemote(location) {
		return nil, "the document is not read before the run"
	}
	call := action.DocumentCall{Location: location, Phases: entry.texts[0]["phases"]}
	for _, f := range s.at.step.entries[0].fields {
		if f.schema.Name == "parameters" {
			if value, _, err := s.resolver().field(&f); err == nil {
				call.Parameters, _ = value.([]action.Pair)
			}
		}
	}
	child, err := s.x.child(s.ctx, s.at, nil, call)
	if err != nil {
		return nil, "the document cannot be planned now: " + summary(err)
	}
	p := newPlanner(child, s.machine)
	d := p.document(s.ctx, 0)
	if p.ended { // it fails this step, and onFailure decides
		s.ended = s.at.step.OnFailure == Abort
	}
	return &d, reason
}
