package toe

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe/action"
	"github.com/goldsmith-build/goldsmith/toe/internal/reference"
	"github.com/goldsmith-build/goldsmith/toe/problem"
	"github.com/goldsmith-build/goldsmith/toe/source"
)

// contextKeys are what "context:" knows (user guide,
// toe-user-defined-variables.html).
var contextKeys = []string{
	"executionId", "accountId", "region", "osPlatform", "osName", "osVersion",
	"date", "dateTime", "uuid", "hostname", "phase", "step",
}

// site is where a text with references stands.
type site struct {
	phase, step int
	inIf        bool // in the step's "if"
	inLoop      bool // in the loop's own lists
}

// references checks every reference of the document against what is declared
// before it.
func (p *parser) references() {
	p.phaseIndex = map[string]int{}
	p.stepIndex = make([]map[string]int, len(p.doc.Phases))
	for i, ph := range p.doc.Phases {
		p.phaseIndex[ph.Name] = i
		p.stepIndex[i] = make(map[string]int, len(ph.Steps))
		for j := range ph.Steps {
			p.stepIndex[i][ph.Steps[j].Name] = j
		}
	}
	for i := range p.doc.Phases {
		for j := range p.doc.Phases[i].Steps {
			p.stepReferences(i, j)
		}
	}
}

func (p *parser) stepReferences(phase, step int) {
	s := &p.doc.Phases[phase].Steps[step]
	check := func(at site) func(*source.Node) {
		return func(n *source.Node) { p.checkText(n, n.Text, at) }
	}
	s.inputTexts(check(site{phase: phase, step: step}))
	s.whenTexts(check(site{phase: phase, step: step, inIf: true}))
	s.loopTexts(check(site{phase: phase, step: step, inLoop: true}))
}

// texts visits every text of a step that may hold references.
func (s *Step) texts(visit func(*source.Node)) {
	s.inputTexts(visit)
	s.whenTexts(visit)
	s.loopTexts(visit)
}

func (s *Step) inputTexts(visit func(*source.Node)) {
	for _, e := range s.entries {
		e.nodes(visit)
	}
	if s.condition != nil {
		s.condition.Texts(func(_ reference.Text, n *source.Node) { visit(n) })
	}
}

func (s *Step) whenTexts(visit func(*source.Node)) {
	if s.when != nil {
		s.when.expr.Texts(func(_ reference.Text, n *source.Node) { visit(n) })
	}
}

// nodes visits every text of the entry.
func (e *entry) nodes(visit func(*source.Node)) {
	var walk func(n *source.Node)
	walk = func(n *source.Node) {
		if n.Kind == source.Scalar {
			visit(n)
		}
		for _, item := range n.Items {
			walk(item)
		}
		for _, pairing := range n.Entries {
			walk(pairing.Value)
		}
	}
	for _, f := range e.fields {
		walk(f.node)
	}
}

func (s *Step) loopTexts(visit func(*source.Node)) {
	if s.Loop == nil || s.Loop.node == nil {
		return
	}
	for _, item := range s.Loop.node.Items {
		if item.Kind == source.Scalar {
			visit(item)
		}
	}
	if list := s.Loop.node.Get("list"); list != nil && list.Kind == source.Scalar {
		visit(list)
	}
}

func (p *parser) checkText(n *source.Node, text string, at site) {
	parsed, foreign := reference.Parse(text)
	for _, f := range foreign {
		if len(p.doc.warnings) >= maxProblems {
			break
		}
		p.warning(n.ProblemAt(f.Offset, "foreign-braces", fmt.Sprintf("'%s' is not a reference of this language and stays as it is.", shorten(f.Text))))
	}
	for _, r := range parsed.Refs() {
		if len(p.problems) >= maxProblems {
			return
		}
		p.checkReference(n, r, at)
	}
}

func (p *parser) checkReference(n *source.Node, r reference.Ref, at site) {
	bad := func(suggestion, format string, args ...any) {
		pr := n.ProblemAt(r.Offset, "bad-reference", shorten(r.Text)+": "+fmt.Sprintf(format, args...))
		pr.Suggestion = suggestion
		p.report(pr)
	}
	switch r.Kind {
	case reference.Name:
		p.checkName(r.Name, bad)
	case reference.Chain:
		p.checkChain(r, at, bad)
	case reference.Loop:
		p.checkLoop(n, r, at, bad)
	case reference.SSM:
		if r.Resolve != nil && r.Resolve.Kind == reference.Name {
			p.checkName(r.Resolve.Name, bad)
		}
	case reference.IMDS:
		if root, _, _ := strings.Cut(r.Name, "/"); root == "iam" || root == "identity-credentials" {
			bad("", "credentials are not handed out from instance metadata.")
		}
	case reference.Context:
		if !slices.Contains(contextKeys, r.Name) {
			bad(problem.Nearest(r.Name, contextKeys), "unknown context key '%s'", r.Name)
		}
	case reference.Env: // any name
	}
}

type badReference func(suggestion, format string, args ...any)

func (p *parser) checkName(name string, bad badReference) {
	if p.doc.parameter(name) != nil || p.doc.constant(name) != nil {
		return
	}
	var known []string
	for _, v := range p.doc.Parameters {
		known = append(known, v.Name)
	}
	for _, v := range p.doc.Constants {
		known = append(known, v.Name)
	}
	bad(problem.Nearest(name, known), "no parameter or constant '%s' is declared", name)
}

func (p *parser) checkChain(r reference.Ref, at site, bad badReference) {
	phase, ok := p.phaseIndex[r.Phase]
	if !ok {
		bad(problem.Nearest(r.Phase, p.doc.PhaseNames()), "there is no phase '%s'", r.Phase)
		return
	}
	steps := p.doc.Phases[phase].Steps
	step, ok := p.stepIndex[phase][r.Step]
	if !ok {
		names := make([]string, len(steps))
		for i := range steps {
			names[i] = steps[i].Name
		}
		bad(problem.Nearest(r.Step, names), "the phase '%s' has no step '%s'", r.Phase, r.Step)
		return
	}
	if phase > at.phase || phase == at.phase && step >= at.step {
		bad("", "the step '%s' does not run before this one.", r.Step)
		return
	}
	if m := steps[step].module; m != nil {
		p.checkKey(r, &steps[step], m, bad)
	}
}

func (p *parser) checkKey(r reference.Ref, s *Step, m *action.Module, bad badReference) {
	known := m.Outputs
	count := len(s.entries)
	if r.Side == "inputs" {
		known = m.FieldNames()
	} else if m.Shape == action.Map || m.Name == "WebDownload" {
		count = 1
	}
	if !slices.Contains(known, r.Key) {
		bad(problem.Nearest(r.Key, known), "%s has no %s '%s'", m.Name, strings.TrimSuffix(r.Side, "s"), r.Key)
		return
	}
	if r.Index >= count && count > 0 {
		bad("", "the step '%s' has only %d %s.", s.Name, count, r.Side)
	}
}

func (p *parser) checkLoop(n *source.Node, r reference.Ref, at site, bad badReference) {
	s := &p.doc.Phases[at.phase].Steps[at.step]
	switch {
	case s.Loop == nil:
		p.warn(n, "loop-reference", "'%s' stands in a step without a loop and stays as it is.", r.Text)
	case at.inIf:
		bad("", "the if of a step is decided before its loop begins.")
	case at.inLoop:
		bad("", "the values of a loop cannot come out of the loop itself.")
	case r.Name != "loop" && r.Name != s.Loop.Name:
		bad(problem.Nearest(r.Name, []string{"loop", s.Loop.Name}), "the loop of this step is not named '%s'", r.Name)
	}
}
