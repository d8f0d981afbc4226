package workflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe/source"
)

// chainMark ends a key whose value is a reference.
const chainMark = ".$"

// inputs reads a step's inputs by the action's catalogue entry.
func (p *parser) inputs(step *source.Node, a *Action) *mapping {
	n := step.Get("inputs")
	if given(n) && n.Kind != source.Map {
		p.problem(n, "wrong-type", "inputs is a mapping, but this is %s.", n.Describe())
		return nil
	}
	if !given(n) {
		n = &source.Node{Kind: source.Map, Line: step.Line, Column: step.Column}
	}
	return p.members(n, "the inputs of "+a.Name, a.Inputs)
}

// members reads a mapping with known members.
func (p *parser) members(n *source.Node, what string, known []Input) *mapping {
	names := make([]string, 0, len(known))
	for _, in := range known {
		names = append(names, in.Name)
	}
	m := &mapping{}
	for _, e := range n.Entries {
		name, chained := strings.CutSuffix(e.Key.Text, chainMark)
		in := find(known, name)
		if in == nil {
			key := *e.Key
			key.Text = name
			p.unknown(&key, "unknown-input", fmt.Sprintf("unknown '%s' in %s", shorten(name), what), names)
			continue
		}
		if _, twice := m.get(name); twice {
			p.problem(e.Key, "duplicate-key", "'%s' is given twice, with and without '.$'.", name)
			continue
		}
		if e.Value.Kind == source.Null && !in.Required {
			continue
		}
		m.keys, m.values = append(m.keys, name), append(m.values, p.value(e.Value, in, chained))
	}
	for _, in := range known {
		if _, ok := m.get(in.Name); in.Required && !ok {
			p.problem(n, "missing-input", "'%s' is missing in %s.", in.Name, what)
		}
	}
	return m
}

// value reads what stands for an input; chained says that its key ends in ".$".
// A path without that mark counts too, as in Amazon's own examples.
func (p *parser) value(n *source.Node, in *Input, chained bool) value {
	if chained || n.Kind == source.Scalar && looksLikePath(n.Text) {
		return p.reference(n, in)
	}
	if in.Chained {
		p.problem(n, "not-chained", "'%s' takes a reference to the output of an earlier step: '%s.$: $.stepOutputs.STEP.OUTPUT'.", in.Name, in.Name)
		return literal{}
	}
	switch n.Kind {
	case source.Scalar:
		return p.scalar(n, in)
	case source.List:
		if in.Kind == KindList || in.Kind == KindAny {
			return p.list(n, in)
		}
	case source.Map:
		if in.Kind == KindMap || in.Kind == KindAny {
			return p.mapping(n, in)
		}
		if in.Kind == KindList && in.OneOrList {
			return list{p.mapping(n, &Input{Name: in.Name, Kind: KindMap, Items: in.Items, Element: in.Element})}
		}
	}
	p.problem(n, "wrong-type", "%s must be %s, but this is %s.", inputTitle(in), in.Kind, n.Describe())
	return literal{}
}

func inputTitle(in *Input) string {
	if in.Name == "" {
		return "This"
	}
	return "'" + in.Name + "'"
}

func (p *parser) reference(n *source.Node, in *Input) value {
	if n.Kind != source.Scalar {
		p.problem(n, "bad-reference", "A key that ends in '.$' takes a path such as $.stepOutputs.STEP.OUTPUT, but this is %s.", n.Describe())
		return literal{}
	}
	path, err := ParsePath(n.Text)
	if err != nil {
		p.problem(n, "bad-reference", "'%s' is not a path: %v.", shorten(n.Text), err)
		return literal{}
	}
	if in.Chained && path.Root != StepOutputs {
		p.problem(n, "not-chained", "'%s' takes a path that begins with $.stepOutputs.", in.Name)
	}
	return reference{path: path, at: placeOf(n)}
}

func placeOf(n *source.Node) place { return place{line: n.Line, column: n.Column, path: n.Path()} }

// scalar reads text, a number or a bool, in the form of the input.
func (p *parser) scalar(n *source.Node, in *Input) value {
	if in.Kind == KindList || in.Kind == KindMap {
		p.problem(n, "wrong-type", "%s must be %s, but this is %s.", inputTitle(in), in.Kind, n.Describe())
		return literal{}
	}
	if t, ok := p.template(n); ok {
		return t
	}
	var v any = n.Text
	if in.Kind == KindAny || in.Kind == KindBoolean || in.Kind == KindInteger {
		v = plain(n)
	}
	fixed, err := in.conform(v)
	if err != nil {
		message := fmt.Sprintf("%s: %v.", inputTitle(in), err)
		if in.Values != nil {
			p.unknown(n, "bad-value", strings.TrimSuffix(message, "."), in.Values)
		} else {
			p.problem(n, "bad-value", "%s", message)
		}
		return literal{}
	}
	return literal{fixed}
}

// plain gives a scalar as YAML has it: text in quotes is text.
func plain(n *source.Node) any {
	if n.Quoted {
		return n.Text
	}
	switch n.Text {
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	}
	if i, err := strconv.ParseInt(n.Text, 10, 64); err == nil {
		return i
	}
	if f, ok := toNumber(n.Text); ok {
		return f
	}
	return n.Text
}

func (p *parser) list(n *source.Node, in *Input) value {
	if in.Most > 0 && len(n.Items) > in.Most {
		p.problem(n, "too-many", "%s has %d entries; at most %d are allowed.", inputTitle(in), len(n.Items), in.Most)
	}
	element := in.Element
	switch {
	case in.Items != nil:
		element = &Input{Name: in.Name, Kind: KindMap, Items: in.Items}
	case element == nil:
		element = &Input{Kind: KindAny}
	}
	l := make(list, 0, len(n.Items))
	for _, item := range n.Items {
		if item.Kind == source.Null && element.Kind != KindAny {
			p.problem(item, "wrong-type", "%s has an empty entry.", inputTitle(in))
			continue
		}
		l = append(l, p.element(item, element))
	}
	return l
}

// element reads an entry of a list or a mapping.
func (p *parser) element(n *source.Node, in *Input) value {
	if n.Kind == source.Null {
		return literal{}
	}
	return p.value(n, in, false)
}

func (p *parser) mapping(n *source.Node, in *Input) value {
	if in.Items != nil {
		return p.members(n, inputTitle(in), in.Items)
	}
	if in.Most > 0 && len(n.Entries) > in.Most {
		p.problem(n, "too-many", "%s has %d entries; at most %d are allowed.", inputTitle(in), len(n.Entries), in.Most)
	}
	element := in.Element
	if element == nil {
		element = &Input{Kind: KindAny}
	}
	m := &mapping{}
	for _, e := range n.Entries {
		name, chained := strings.CutSuffix(e.Key.Text, chainMark)
		if slices.Contains(m.keys, name) {
			p.problem(e.Key, "duplicate-key", "'%s' is given twice, with and without '.$'.", shorten(name))
			continue
		}
		member := *element
		member.Name = name
		v := value(literal{})
		if e.Value.Kind != source.Null {
			v = p.value(e.Value, &member, chained)
		}
		m.keys, m.values = append(m.keys, name), append(m.values, v)
	}
	return m
}

// template reads text with references in double braces; ok is false if it holds
// none. Other braces, such as {{imagebuilder:buildDate}}, stay as they are.
func (p *parser) template(n *source.Node) (value, bool) {
	t := template{at: placeOf(n)}
	text, from := n.Text, 0
	for at := 0; ; {
		open := strings.Index(text[at:], "{{")
		if open < 0 {
			break
		}
		open += at
		length := strings.Index(text[open+2:], "}}")
		if length < 0 {
			break
		}
		inner := text[open+2 : open+2+length]
		if last := strings.LastIndex(inner, "{{"); last >= 0 { // braces within braces: the innermost count
			at = open + 2 + last
			continue
		}
		end := open + 2 + length + 2
		at = end
		trimmed := strings.TrimSpace(inner)
		if !strings.HasPrefix(trimmed, "$.") {
			continue
		}
		path, err := ParsePath(trimmed)
		if err != nil {
			p.report(n.ProblemAt(open, "bad-reference", fmt.Sprintf("'%s' is not a path: %v.", shorten(trimmed), err)))
			continue
		}
		t.texts, t.paths = append(t.texts, text[from:open]), append(t.paths, path)
		from = end
	}
	if len(t.paths) == 0 {
		return nil, false
	}
	t.texts = append(t.texts, text[from:])
	return t, true
}
