package workflow

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/goldsmith-build/goldsmith/toe/problem"
	"github.com/goldsmith-build/goldsmith/toe/source"
)

// Limits are the quotas that a document must keep to.
type Limits struct {
	Bytes           int // of the text
	Steps           int
	Parameters      int
	ParameterLength int // characters of a parameter's value, of each element of a list
	Outputs         int
}

// DefaultLimits are Amazon's (General Reference, "EC2 Image Builder endpoints
// and quotas"; User Guide for the outputs).
var DefaultLimits = Limits{Bytes: 64 << 10, Steps: 15, Parameters: 25, ParameterLength: 1024, Outputs: 25}

// Parse reads a workflow document under the default limits. name says where it
// came from and stands before the line in every problem; it may be "".
//
// It finds every problem at once: of YAML, of unknown or misspelt keys, actions
// and inputs, of missing, ill-typed or impossible values, of time limits, and
// of references to what is not there yet. The document is nil exactly if there
// are problems. What depends on the workflow's type is left to CheckType.
//
// Parse is safe for hostile text: its time and memory are bounded.
func Parse(name string, data []byte) (*Document, Problems) { return DefaultLimits.Parse(name, data) }

// Parse is like the function of that name, under these limits.
func (l Limits) Parse(name string, data []byte) (*Document, Problems) {
	p := &parser{limits: l, doc: &Document{SchemaVersion: "1.0", location: name}}
	if len(data) > l.Bytes {
		return nil, Problems{{Document: name, Rule: "too-large", Message: fmt.Sprintf("The document has %d bytes; at most %d are allowed.", len(data), l.Bytes)}}
	}
	root, problems := source.Parse(data)
	p.problems = problems
	if root != nil {
		p.document(root)
	}
	if len(p.problems) == 0 {
		return p.doc, nil
	}
	for i := range p.problems {
		p.problems[i].Document = name
	}
	p.problems.Sort()
	return nil, p.problems
}

// maxProblems is where a parser stops collecting: a document this wrong needs
// no longer list.
const maxProblems = 200

// parser reads a tree into a document and collects problems.
type parser struct {
	limits   Limits
	doc      *Document
	problems Problems
}

func (p *parser) report(pr Problem) {
	if len(p.problems) < maxProblems {
		p.problems = append(p.problems, pr)
	}
}

func (p *parser) problem(n *source.Node, rule, format string, args ...any) {
	p.report(n.Problem(rule, fmt.Sprintf(format, args...)))
}

// unknown reports a word that is none of those known, and the nearest of them.
func (p *parser) unknown(n *source.Node, rule, message string, known []string) {
	pr := n.Problem(rule, message)
	if n.Kind == source.Scalar {
		pr.Suggestion = problem.Nearest(n.Text, known)
	}
	p.report(pr)
}

// keys reports the keys of a mapping that it does not know.
func (p *parser) keys(n *source.Node, what string, known ...string) {
	for _, e := range n.Entries {
		if !slices.Contains(known, e.Key.Text) {
			p.unknown(e.Key, "unknown-field", fmt.Sprintf("unknown field '%s' in %s", shorten(e.Key.Text), what), known)
		}
	}
}

// given reports whether a key is there with a value.
func given(n *source.Node) bool { return n != nil && n.Kind != source.Null }

// text reads a scalar as text; "" if it is not there.
func (p *parser) text(n *source.Node, what string) string {
	if !given(n) {
		return ""
	}
	if n.Kind != source.Scalar {
		p.problem(n, "wrong-type", "%s must be text, but this is %s.", what, n.Describe())
		return ""
	}
	return n.Text
}

// whole reads a whole number from least to most; ok is false if it is not there
// or wrong.
func (p *parser) whole(n *source.Node, what string, least, most int) (v int, ok bool) {
	if !given(n) {
		return 0, false
	}
	if n.Kind == source.Scalar {
		if v, err := strconv.Atoi(n.Text); err == nil && v >= least && v <= most {
			return v, true
		}
	}
	p.problem(n, "bad-value", "%s must be a whole number from %d to %d.", what, least, most)
	return 0, false
}

func (p *parser) document(n *source.Node) {
	if n.Kind != source.Map {
		p.problem(n, "wrong-type", "A workflow document is a mapping with schemaVersion and steps, but this is %s.", n.Describe())
		return
	}
	p.keys(n, "the document", "name", "description", "schemaVersion", "parameters", "steps", "outputs")
	p.doc.Name = p.text(n.Get("name"), "name")
	p.doc.Description = p.text(n.Get("description"), "description")
	switch v := n.Get("schemaVersion"); {
	case !given(v):
		p.problem(n, "missing-field", "The document has no schemaVersion; it must be 1.0.")
	case v.Kind != source.Scalar || v.Text != "1.0" && v.Text != "1":
		p.problem(v, "schema-version", "schemaVersion must be 1.0.")
	}
	p.parameters(n.Get("parameters"))
	p.steps(n)
	p.outputs(n.Get("outputs"))
	p.references()
}

// items gives the mappings of a list that has at most so many.
func (p *parser) items(n *source.Node, what string, most int) []*source.Node {
	if !given(n) {
		return nil
	}
	if n.Kind != source.List {
		p.problem(n, "wrong-type", "%s must be a list, but this is %s.", what, n.Describe())
		return nil
	}
	if len(n.Items) > most {
		p.problem(n, "too-many", "The document has %d %s; at most %d are allowed.", len(n.Items), what, most)
	}
	var maps []*source.Node
	for _, item := range n.Items {
		if item.Kind != source.Map {
			p.problem(item, "wrong-type", "Each of the %s is a mapping, but this is %s.", what, item.Describe())
			continue
		}
		maps = append(maps, item)
	}
	return maps
}

var (
	stepName     = regexp.MustCompile(`^[A-Za-z0-9_]{3,128}$`)
	variableName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
)

// name reads a mapping's name and reports one that is missing, ill-formed or
// taken.
func (p *parser) name(n *source.Node, what string, form *regexp.Regexp, rule string, seen map[string]int) string {
	v := n.Get("name")
	if !given(v) {
		p.problem(n, "missing-field", "The %s has no name.", what)
		return ""
	}
	name := p.text(v, "name")
	if name != "" && !form.MatchString(name) || name == "" && v.Kind == source.Scalar {
		p.problem(v, "bad-name", "The name '%s' of a %s must have %s.", shorten(name), what, rule)
	}
	if line, ok := seen[name]; ok && name != "" {
		p.problem(v, "duplicate-name", "The name '%s' is already used on line %d.", shorten(name), line)
	} else {
		seen[name] = v.Line
	}
	return name
}

func (p *parser) steps(doc *source.Node) {
	n := doc.Get("steps")
	if !given(n) || n.Kind == source.List && len(n.Items) == 0 {
		at := doc
		if n != nil {
			at = n
		}
		p.problem(at, "no-steps", "The document has no steps; it needs at least one.")
		return
	}
	seen := map[string]int{}
	for _, item := range p.items(n, "steps", p.limits.Steps) {
		p.step(item, seen)
	}
}

func (p *parser) step(n *source.Node, seen map[string]int) {
	p.keys(n, "a step", "name", "action", "description", "inputs", "if", "onFailure", "rollbackEnabled", "rollbackEnabled.$", "timeoutSeconds", "waitSeconds", "retry")
	s := Step{line: n.Line, column: n.Column, OnFailure: Abort, Retry: Retry{MaxAttempts: 1}}
	s.Name = p.name(n, "step", stepName, "3 to 128 letters, digits and '_'", seen)
	s.Description = p.description(n.Get("description"))
	s.Action = p.action(n)
	if c := n.Get("if"); given(c) {
		s.If = p.condition(c)
	}
	if v := n.Get("onFailure"); given(v) {
		s.OnFailure = OnFailure(p.text(v, "onFailure"))
		if s.OnFailure != Abort && s.OnFailure != Continue && v.Kind == source.Scalar {
			p.unknown(v, "bad-value", "onFailure is Abort or Continue, not '"+shorten(v.Text)+"'", []string{string(Abort), string(Continue)})
		}
	}
	s.rollback = p.rollbackEnabled(n)
	p.times(n, &s)
	s.Retry = p.retry(n.Get("retry"))
	if s.Action != nil {
		s.inputs = p.inputs(n, s.Action)
	}
	p.doc.Steps = append(p.doc.Steps, s)
}

func (p *parser) description(n *source.Node) string {
	const most = 1024
	if n == nil {
		return ""
	}
	text := p.text(n, "description")
	if length := len([]rune(text)); n.Kind == source.Null || n.Kind == source.Scalar && (length == 0 || length > most) {
		p.problem(n, "bad-value", "The description of a step has 1 to %d characters.", most)
	}
	return text
}

func (p *parser) action(n *source.Node) *Action {
	v := n.Get("action")
	if !given(v) {
		p.problem(n, "missing-field", "The step has no action.")
		return nil
	}
	name := p.text(v, "action")
	a, ok := Lookup(name)
	if !ok && v.Kind == source.Scalar {
		p.unknown(v, "unknown-action", fmt.Sprintf("unknown action '%s'", shorten(name)), Actions())
	}
	return a
}

// rollbackEnabled reads a bool or a reference to one, with or without ".$".
func (p *parser) rollbackEnabled(n *source.Node) value {
	plain, chained := n.Get("rollbackEnabled"), n.Get("rollbackEnabled.$")
	switch {
	case given(plain) && given(chained):
		p.problem(chained, "duplicate-key", "rollbackEnabled is given twice.")
		return nil
	case given(chained):
		return p.value(chained, &Input{Name: "rollbackEnabled", Kind: KindBoolean}, true)
	case given(plain):
		return p.value(plain, &Input{Name: "rollbackEnabled", Kind: KindBoolean}, false)
	}
	return nil
}

// times reads timeoutSeconds and waitSeconds. The wait is part of the time.
func (p *parser) times(n *source.Node, s *Step) {
	most := 7 * 24 * time.Hour
	if s.Action != nil {
		s.Timeout, most = s.Action.Timeout, s.Action.MaxTimeout
	}
	if v := n.Get("timeoutSeconds"); given(v) {
		what := "timeoutSeconds"
		if s.Action != nil {
			what += " of " + s.Action.Name
		}
		seconds, ok := p.whole(v, what, 1, int(most.Seconds()))
		if !ok {
			return
		}
		s.Timeout = time.Duration(seconds) * time.Second
	}
	v := n.Get("waitSeconds")
	seconds, ok := p.whole(v, "waitSeconds", 0, int(most.Seconds()))
	s.Wait = time.Duration(seconds) * time.Second
	if ok && s.Action != nil && s.Wait >= s.Timeout {
		p.problem(v, "bad-value", "waitSeconds must be less than the step's timeoutSeconds, which is %d.", int(s.Timeout.Seconds()))
	}
}

func (p *parser) retry(n *source.Node) Retry {
	r := Retry{MaxAttempts: 1}
	if !given(n) {
		return r
	}
	if n.Kind != source.Map {
		p.problem(n, "wrong-type", "retry is a mapping with maxAttempts, but this is %s.", n.Describe())
		return r
	}
	p.keys(n, "retry", "maxAttempts", "backoffSeconds")
	if !given(n.Get("maxAttempts")) {
		p.problem(n, "missing-field", "retry has no maxAttempts.")
	}
	if attempts, ok := p.whole(n.Get("maxAttempts"), "maxAttempts", 1, 10); ok {
		r.MaxAttempts = attempts
	}
	r.Backoff = 30 * time.Second
	if seconds, ok := p.whole(n.Get("backoffSeconds"), "backoffSeconds", 0, 600); ok {
		r.Backoff = time.Duration(seconds) * time.Second
	}
	return r
}

func (p *parser) outputs(n *source.Node) {
	seen := map[string]int{}
	for _, item := range p.items(n, "outputs", p.limits.Outputs) {
		p.keys(item, "an output", "name", "value")
		o := Output{Name: p.name(item, "output", variableName, "1 to 128 letters, digits, '_' and '-'", seen)}
		if v := item.Get("value"); given(v) {
			o.value = p.value(v, &Input{Kind: KindString}, false)
		} else {
			p.problem(item, "missing-field", "The output has no value.")
		}
		p.doc.Outputs = append(p.doc.Outputs, o)
	}
}
