package toe

import (
	"fmt"
	"slices"

	"github.com/goldsmith-build/goldsmith/toe/action"
	"github.com/goldsmith-build/goldsmith/toe/internal/condition"
	"github.com/goldsmith-build/goldsmith/toe/internal/reference"
	"github.com/goldsmith-build/goldsmith/toe/problem"
	"github.com/goldsmith-build/goldsmith/toe/source"
)

// DefaultTimeoutSeconds is how long a step may take if it does not say.
const DefaultTimeoutSeconds = 7200

func (p *parser) step(n *source.Node, phase string, names, loops map[string]int) Step {
	p.keys(n, "a step", "name", "action", "timeoutSeconds", "onFailure", "maxAttempts", "inputs", "loop", "if", "disableLogging")
	s := Step{TimeoutSeconds: DefaultTimeoutSeconds, OnFailure: Abort, MaxAttempts: 1, Line: n.Line, Column: n.Column}
	s.Name = p.uniqueName(n, "step", phase, names)
	s.DisableLogging = p.boolean(n.Get("disableLogging"), "disableLogging")
	p.action(n, &s)
	p.timing(n, &s)
	p.onFailure(n.Get("onFailure"), &s)
	if l := n.Get("loop"); l != nil {
		s.Loop = p.loop(l, loops)
	}
	if c := n.Get("if"); c != nil {
		w := &when{}
		w.expr = condition.Parse(c, &w.outcome, p.report)
		if w.expr != nil {
			s.when = w
		}
	}
	s.inputs = n.Get("inputs")
	if s.module != nil {
		p.inputs(n, &s)
	}
	return s
}

func (p *parser) action(n *source.Node, s *Step) {
	v := n.Get("action")
	if v == nil || v.Kind != source.Scalar {
		at := n
		if v != nil {
			at = v
		}
		p.problem(at, "missing-field", "The step '%s' has no action.", shorten(s.Name))
		return
	}
	s.Action = v.Text
	s.module = action.Lookup(v.Text)
	if s.module == nil {
		pr := v.Problem("unknown-action", fmt.Sprintf("unknown action '%s'", shorten(v.Text)))
		pr.Suggestion = problem.Nearest(v.Text, action.Names())
		p.report(pr)
	}
}

func (p *parser) timing(n *source.Node, s *Step) {
	once := s.module != nil && s.module.Once
	if v, ok := p.integer(n.Get("timeoutSeconds"), "timeoutSeconds"); ok {
		if v < 1 && v != -1 {
			p.problem(n.Get("timeoutSeconds"), "bad-value", "timeoutSeconds must be at least 1, or -1 for no limit.")
		}
		if once && v != -1 {
			p.problem(n.Get("timeoutSeconds"), "bad-value", "timeoutSeconds of %s is always -1.", s.Action)
		}
		s.TimeoutSeconds = v
	}
	if v, ok := p.integer(n.Get("maxAttempts"), "maxAttempts"); ok {
		if v < 1 {
			p.problem(n.Get("maxAttempts"), "bad-value", "maxAttempts must be at least 1.")
		}
		if once && v > 1 {
			p.problem(n.Get("maxAttempts"), "bad-value", "maxAttempts of %s is always 1.", s.Action)
		}
		s.MaxAttempts = v
	}
	if once {
		s.TimeoutSeconds, s.MaxAttempts = -1, 1
	}
}

func (p *parser) onFailure(n *source.Node, s *Step) {
	if n == nil {
		return
	}
	values := []string{Abort, Continue, Ignore}
	if n.Kind != source.Scalar || !slices.Contains(values, n.Text) {
		pr := n.Problem("bad-value", "onFailure must be Abort, Continue or Ignore.")
		pr.Suggestion = problem.Nearest(n.Text, values)
		p.report(pr)
		return
	}
	s.OnFailure = n.Text
}

// delimiters a list text may be split at.
var delimiters = []string{".", ",", ";", ":", "\n", "\t", " ", "-", "_"}

func (p *parser) loop(n *source.Node, names map[string]int) *Loop {
	if n.Kind != source.Map {
		p.problem(n, "wrong-type", "loop is a mapping with for or forEach, but this is %s.", n.Describe())
		return nil
	}
	p.keys(n, "a loop", "name", "for", "forEach")
	l := &Loop{node: n.Get("forEach")}
	if v := n.Get("name"); v != nil {
		l.Name = p.text(v, "name")
		if !nameForm.MatchString(l.Name) {
			p.problem(v, "bad-name", "Invalid loop name '%s'. It must have 3 to 128 of the characters [0-9], [a-z,A-Z] and [-_].", shorten(l.Name))
		} else if line, ok := names[l.Name]; ok {
			p.problem(v, "duplicate-name", "The loop name '%s' is already used in this phase on line %d.", shorten(l.Name), line)
		}
		names[l.Name] = v.Line
	}
	counted, each := n.Get("for"), n.Get("forEach")
	switch {
	case counted == nil && each == nil:
		p.problem(n, "missing-field", "A loop needs for or forEach.")
	case counted != nil && each != nil:
		p.problem(n, "bad-value", "A loop has either for or forEach, not both.")
	case counted != nil:
		p.counted(counted, l)
	case each.Kind == source.List:
		p.forEachList(each, l)
	case each.Kind == source.Map:
		p.forEachDelimited(each, l)
	default:
		p.problem(each, "wrong-type", "forEach takes a list, or a mapping with list and delimiter, but this is %s.", each.Describe())
	}
	return l
}

func (p *parser) counted(n *source.Node, l *Loop) {
	if n.Kind != source.Map {
		p.problem(n, "wrong-type", "for is a mapping with start, end and updateBy, but this is %s.", n.Describe())
		return
	}
	p.keys(n, "for", "start", "end", "updateBy")
	f := &For{}
	complete := true
	for field, to := range map[string]*int{"start": &f.Start, "end": &f.End, "updateBy": &f.UpdateBy} {
		v := n.Get(field)
		if v == nil {
			p.problem(n, "missing-field", "for has no %s.", field)
		}
		value, ok := p.integer(v, field)
		*to, complete = value, complete && ok
	}
	if !complete {
		return
	}
	l.For = f
	switch {
	case f.UpdateBy == 0:
		p.problem(n.Get("updateBy"), "endless-loop", "updateBy must not be 0.")
	case f.UpdateBy > 0 && f.Start > f.End, f.UpdateBy < 0 && f.Start < f.End:
		p.problem(n, "endless-loop", "Counting from %d by %d never reaches %d.", f.Start, f.UpdateBy, f.End)
	}
}

func (p *parser) forEachList(n *source.Node, l *Loop) {
	if len(n.Items) == 0 {
		p.problem(n, "empty-list", "forEach has no elements.")
	}
	for _, item := range n.Items {
		text := p.text(item, "An element of forEach")
		l.ForEach = append(l.ForEach, text)
		parsed, _ := reference.Parse(text)
		l.items = append(l.items, parsed)
	}
}

func (p *parser) forEachDelimited(n *source.Node, l *Loop) {
	p.keys(n, "forEach", "list", "delimiter")
	l.delimited, l.Delimiter = true, ","
	if list := n.Get("list"); list == nil || list.Kind == source.Null {
		p.problem(n, "missing-field", "forEach has no list.")
	} else {
		l.List = p.text(list, "list")
		l.list, _ = reference.Parse(l.List)
	}
	if v := n.Get("delimiter"); v != nil {
		l.Delimiter = p.text(v, "delimiter")
		if !slices.Contains(delimiters, l.Delimiter) {
			p.problem(v, "bad-value", "delimiter must be one of . , ; : - _, a blank, \"\\n\" or \"\\t\" (in double quotes).")
		}
	}
}
