package toe

import (
	"context"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe/internal/condition"
	"github.com/goldsmith-build/goldsmith/toe/internal/reference"
)

// Plan says what a run would do, as far as that is known before it.
type Plan struct {
	Documents []PlannedDocument `json:"documents"`
}

// PlannedDocument is a document that would run.
type PlannedDocument struct {
	Name         string            `json:"name"`
	Path         string            `json:"path"`
	ComponentArn string            `json:"componentArn,omitempty"`
	Values       map[string]string `json:"values"` // of parameters and constants
	Phases       []PlannedPhase    `json:"phases"`
}

// PlannedPhase is a phase that would run.
type PlannedPhase struct {
	Name  string        `json:"name"`
	Steps []PlannedStep `json:"steps"`
}

// Decisions about a step.
const (
	PlanRun        = "run"
	PlanSkip       = "skip"       // its "if" is decided so
	PlanFail       = "fail"       // it would fail, and Reason says why
	PlanUndecided  = "undecided"  // only the run will know whether its "if" holds
	PlanNotReached = "notReached" // an earlier step would end the run
)

// PlannedStep is a step in a plan.
type PlannedStep struct {
	Name           string       `json:"name"`
	Action         string       `json:"action"`
	TimeoutSeconds int          `json:"timeoutSeconds"`
	OnFailure      string       `json:"onFailure"`
	MaxAttempts    int          `json:"maxAttempts"`
	Decision       string       `json:"decision"`
	Reason         string       `json:"reason,omitempty"`
	If             any          `json:"if,omitempty"` // the condition, with what is known put in
	Loop           *PlannedLoop `json:"loop,omitempty"`

	// Inputs are those that the action would get, one for each element of a
	// list. References that have no value yet stand as they are written. They
	// are left out where a loop's iterations have them, and where logging is
	// disabled.
	Inputs []map[string]any `json:"inputs,omitempty"`

	// Unresolved are the references that only the run can resolve.
	Unresolved []string `json:"unresolved,omitempty"`

	// Document is the plan of a document that the step would run.
	Document *PlannedDocument `json:"document,omitempty"`
}

// PlannedLoop is what a step would run over.
type PlannedLoop struct {
	Name       string             `json:"name,omitempty"`
	Count      int                `json:"count"` // of iterations; -1 if it is not known
	Iterations []PlannedIteration `json:"iterations,omitempty"`
}

// PlannedIteration is one turn of a loop.
type PlannedIteration struct {
	Index  int              `json:"index"`
	Value  string           `json:"value"`
	Inputs []map[string]any `json:"inputs,omitempty"`
}

// MaxPlannedIterations is how many iterations of a loop a plan lists.
const MaxPlannedIterations = 100

// MakePlan says what Run would do with the same options. It runs nothing,
// writes nothing, and asks AWS for nothing but the documents of the options:
// references to aws:ssm and aws:imds stay unresolved.
//
// Conditions are decided where their operands are known. Those about files and
// programs are decided only before the first step that may change the machine.
//
// The problems are those for which Run would refuse the documents; the error is
// a *UsageError, or what kept the outputs of an earlier run from being read.
func MakePlan(ctx context.Context, o Options) (*Plan, Problems, error) {
	if err := o.check(); err != nil {
		return nil, nil, err
	}
	docs, problems := loadAll(ctx, &o)
	if len(problems) > 0 {
		return nil, problems, nil
	}
	x := &executor{o: &o, docs: docs}
	problems, err := x.withStart()
	if err != nil || len(problems) > 0 {
		return nil, problems, err
	}
	if err := x.environment(); err != nil {
		return nil, nil, err
	}
	offline := o
	offline.Cloud, offline.DocumentBucketOwner = nil, ""
	x.o = &offline
	p := newPlanner(x, &machine{})
	plan := &Plan{}
	for i := range docs {
		if x.from == nil || i >= x.from.document {
			plan.Documents = append(plan.Documents, p.document(ctx, i))
		}
	}
	return plan, nil, nil
}

// machine is what the steps planned so far have done to the machine.
type machine struct {
	changed bool // a step may have changed it
	ended   bool // a step ends the run
}

// planner plans the documents of an executor that has no logs and no state.
type planner struct {
	x *executor
	*machine
	steps []map[string]*plannedEntry // by document and "phase.step"
}

// plannedEntry is what later steps can refer to of a planned one.
type plannedEntry struct {
	skipped bool // its outputs will be empty
	texts   []map[string]string
	unknown []map[string]bool // inputs that are not known yet
}

func newPlanner(x *executor, m *machine) *planner {
	p := &planner{x: x, machine: m}
	for range x.docs {
		p.steps = append(p.steps, map[string]*plannedEntry{})
	}
	return p
}

func (p *planner) document(ctx context.Context, index int) PlannedDocument {
	d := p.x.docs[index]
	planned := PlannedDocument{Name: d.name(), Path: d.source.Path, ComponentArn: d.source.ComponentArn, Values: d.values, Phases: []PlannedPhase{}}
	for i := range d.doc.Phases {
		ph := &d.doc.Phases[i]
		if !p.x.selected(ph.Name) || p.x.from.skips(index, i, len(ph.Steps)-1) {
			continue
		}
		phase := PlannedPhase{Name: ph.Name}
		for j := range ph.Steps {
			if !p.x.from.skips(index, i, j) {
				s := &stepPlanner{planner: p, ctx: ctx, at: &place{document: index, doc: d, index: i, phase: ph, step: &ph.Steps[j]}}
				phase.Steps = append(phase.Steps, s.plan())
			}
		}
		planned.Phases = append(planned.Phases, phase)
	}
	return planned
}

// look gives the value of a reference, or ErrUnknown if only the run will know
// it.
func (p *planner) look(r *resolver, ref reference.Ref) (value string, keep bool, err error) {
	switch ref.Kind {
	case reference.Env:
		value, _ = lookupEnv(p.x.env, ref.Name)
		return value, false, nil
	case reference.Chain:
		value, err = p.chained(r, ref)
		return value, false, err
	case reference.SSM, reference.IMDS:
		return "", false, condition.ErrUnknown
	case reference.Context:
		switch ref.Name {
		case "date", "dateTime", "uuid":
			return "", false, condition.ErrUnknown
		case "executionId":
			if p.x.o.ExecutionID == "" {
				return "", false, condition.ErrUnknown
			}
			return p.x.o.ExecutionID, false, nil
		}
	}
	return r.value(ref)
}

func (p *planner) chained(r *resolver, ref reference.Ref) (string, error) {
	e := p.steps[r.at.document][ref.Phase+"."+ref.Step]
	switch {
	case e == nil:
		return p.x.chain.value(r.at.document, ref.Phase, ref.Step, ref.Side, ref.Index, ref.Key)
	case ref.Side == "outputs":
		if e.skipped {
			return "", nil
		}
		return "", condition.ErrUnknown
	case ref.Index >= len(e.texts):
		return "", nil
	case e.unknown[ref.Index][ref.Key]:
		return "", condition.ErrUnknown
	}
	return e.texts[ref.Index][ref.Key], nil
}

// summary gives an error in one line.
func summary(err error) string {
	return cutString(strings.ReplaceAll(err.Error(), "\n", " "), maxMessage)
}
