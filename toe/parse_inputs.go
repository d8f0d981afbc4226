package toe

import (
	"fmt"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe/action"
	"github.com/goldsmith-build/goldsmith/toe/internal/condition"
	"github.com/goldsmith-build/goldsmith/toe/internal/reference"
	"github.com/goldsmith-build/goldsmith/toe/problem"
	"github.com/goldsmith-build/goldsmith/toe/source"
)

// inputs reads a step's inputs by the schema of its module.
func (p *parser) inputs(step *source.Node, s *Step) {
	n, m := s.inputs, s.module
	if n == nil || n.Kind == source.Null || len(n.Items)+len(n.Entries) == 0 && n.Kind != source.Scalar {
		if !m.Optional {
			at := step
			if n != nil {
				at = n
			}
			p.problem(at, "missing-inputs", "Action %s has no inputs; it requires an 'inputs' that is %s.", m.Name, m.Shape)
		} else {
			s.entries = []entry{{}}
		}
		return
	}
	switch {
	case m.Shape == action.Condition:
		s.condition = condition.Parse(n, nil, p.report)
	case m.Shape == action.Map && n.Kind == source.Map:
		s.entries = []entry{p.entry(n, m)}
	case m.Shape == action.List && n.Kind == source.List:
		for _, item := range n.Items {
			if item.Kind != source.Map {
				p.problem(item, "wrong-type", "An element of the inputs of %s must be a mapping, but this is %s.", m.Name, item.Describe())
				continue
			}
			s.entries = append(s.entries, p.entry(item, m))
		}
	default:
		p.problem(n, "wrong-type", "The inputs of %s must be %s, but this is %s.", m.Name, m.Shape, n.Describe())
	}
}

func (p *parser) entry(n *source.Node, m *action.Module) entry {
	e := entry{node: n}
	given := map[string]bool{}
	for _, pairing := range n.Entries {
		schema := m.Field(pairing.Key.Text)
		if schema == nil {
			pr := pairing.Key.Problem("unknown-input", fmt.Sprintf("unknown input '%s' of %s", shorten(pairing.Key.Text), m.Name))
			pr.Suggestion = problem.Nearest(pairing.Key.Text, m.FieldNames())
			p.report(pr)
			continue
		}
		if schema.Ignored != "" {
			p.warn(pairing.Key, "ignored-input", "The input '%s' has no effect: %s.", schema.Name, schema.Ignored)
		}
		if pairing.Value.Kind == source.Null && !schema.Required {
			continue // a key without a value is an input left out
		}
		given[schema.Name] = true
		e.fields = append(e.fields, p.field(pairing.Value, m, schema))
	}
	for i := range m.Fields {
		if f := &m.Fields[i]; f.Required && !given[f.Name] {
			p.problem(n, "missing-input", "%s needs the input '%s'.", m.Name, f.Name)
		}
	}
	p.oneOf(n, m, given)
	return e
}

func (p *parser) oneOf(n *source.Node, m *action.Module, given map[string]bool) {
	if len(m.OneOf) == 0 {
		return
	}
	count := 0
	for _, name := range m.OneOf {
		if given[name] {
			count++
		}
	}
	if count != 1 {
		p.problem(n, "bad-inputs", "%s needs exactly one of the inputs %s.", m.Name, strings.Join(m.OneOf, ", "))
	}
}

func (p *parser) field(n *source.Node, m *action.Module, schema *action.Field) field {
	f := field{schema: schema, node: n}
	switch schema.Type {
	case action.Strings:
		p.stringList(n, m, &f)
	case action.StringMap:
		p.stringMap(n, m, &f)
	case action.Pairs:
		p.pairs(n, m, &f)
	case action.Any:
		if n.Kind == source.List {
			p.stringList(n, m, &f)
			break
		}
		fallthrough
	default:
		f.text = p.inputText(n, m, schema)
	}
	return f
}

// inputText reads a text input and checks it if it is a literal.
func (p *parser) inputText(n *source.Node, m *action.Module, schema *action.Field) reference.Text {
	if n.Kind != source.Scalar {
		p.problem(n, "wrong-type", "The input '%s' of %s must be %s, but this is %s%s.", schema.Name, m.Name, schema.Type, n.Describe(), mappingHint(n))
		return reference.Text{}
	}
	text, _ := reference.Parse(n.Text)
	if text.Literal() {
		if err := schema.Check(n.Text); err != nil {
			p.problem(n, "bad-value", "The input '%s' of %s %v.", schema.Name, m.Name, err)
		}
	}
	return text
}

// mappingHint explains why a line that was meant as text is a mapping.
func mappingHint(n *source.Node) string {
	if n.Kind == source.Map && len(n.Entries) > 0 {
		return ": the ': ' in it makes YAML read a key; put the text in quotes, or use a '|' block"
	}
	return ""
}

func (p *parser) stringList(n *source.Node, m *action.Module, f *field) {
	f.isList = true
	if n.Kind != source.List {
		p.problem(n, "wrong-type", "The input '%s' of %s must be a list of texts, but this is %s.", f.schema.Name, m.Name, n.Describe())
		return
	}
	if len(n.Items) == 0 && f.schema.Required {
		p.problem(n, "empty-list", "The input '%s' of %s has no elements.", f.schema.Name, m.Name)
	}
	for _, item := range n.Items {
		if item.Kind == source.Null { // "- " alone: an empty line of a script, an empty argument
			f.list = append(f.list, reference.Text{})
			continue
		}
		if item.Kind != source.Scalar {
			p.problem(item, "wrong-type", "An element of the input '%s' of %s must be text, but this is %s%s.", f.schema.Name, m.Name, item.Describe(), mappingHint(item))
			continue
		}
		text, _ := reference.Parse(item.Text)
		f.list = append(f.list, text)
	}
}

func (p *parser) stringMap(n *source.Node, m *action.Module, f *field) {
	if n.Kind != source.Map {
		p.problem(n, "wrong-type", "The input '%s' of %s must be a mapping of texts, but this is %s.", f.schema.Name, m.Name, n.Describe())
		return
	}
	for _, e := range n.Entries {
		name, _ := reference.Parse(e.Key.Text)
		value, _ := reference.Parse(p.text(e.Value, e.Key.Text))
		switch strings.ToUpper(e.Key.Text) {
		case "REBOOT", "REINSTALLMODE", "REINSTALL":
			p.problem(e.Key, "bad-value", "The property %s of %s cannot be changed.", e.Key.Text, m.Name)
		}
		f.pairs = append(f.pairs, pair{name, value})
	}
}

func (p *parser) pairs(n *source.Node, m *action.Module, f *field) {
	if n.Kind != source.List {
		p.problem(n, "wrong-type", "The input '%s' of %s must be a list of {name, value}, but this is %s.", f.schema.Name, m.Name, n.Describe())
		return
	}
	for _, item := range n.Items {
		if item.Kind != source.Map {
			p.problem(item, "wrong-type", "An element of '%s' must be a mapping with name and value, but this is %s.", f.schema.Name, item.Describe())
			continue
		}
		p.keys(item, "an element of "+f.schema.Name, "name", "value")
		var read pair
		for key, to := range map[string]*reference.Text{"name": &read.name, "value": &read.value} {
			v := item.Get(key)
			if v == nil || v.Kind == source.Null {
				p.problem(item, "missing-field", "An element of '%s' has no %s.", f.schema.Name, key)
				continue
			}
			*to, _ = reference.Parse(p.text(v, key))
		}
		f.pairs = append(f.pairs, read)
	}
}
