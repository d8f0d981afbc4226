package workflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goldsmith-build/goldsmith/toe/problem"
	"github.com/goldsmith-build/goldsmith/toe/source"
)

var parameterTypes = []string{string(String), string(Integer), string(Boolean), string(StringList)}

func (p *parser) parameters(n *source.Node) {
	seen := map[string]int{}
	for _, item := range p.items(n, "parameters", p.limits.Parameters) {
		p.keys(item, "a parameter", "name", "type", "default", "description")
		v := Parameter{Type: String, Name: p.name(item, "parameter", variableName, "1 to 128 letters, digits, '_' and '-'", seen), Description: p.text(item.Get("description"), "description")}
		if t := item.Get("type"); given(t) {
			v.Type = ParameterType(p.text(t, "type"))
			if t.Kind == source.Scalar && !slices.Contains(parameterTypes, t.Text) {
				p.unknown(t, "bad-value", fmt.Sprintf("The type of a parameter is one of %s, not '%s'.", strings.Join(parameterTypes, ", "), shorten(t.Text)), parameterTypes)
				continue
			}
		}
		if d := item.Get("default"); given(d) {
			v.Default = p.defaultValue(d, v.Type)
		}
		p.doc.Parameters = append(p.doc.Parameters, v)
	}
}

// defaultValue reads a default as a parameter's type has it.
func (p *parser) defaultValue(n *source.Node, t ParameterType) any {
	items := []*source.Node{n}
	if n.Kind == source.List && t == StringList {
		items = n.Items
	}
	var texts []string
	for _, item := range items {
		if item.Kind != source.Scalar {
			p.problem(item, "wrong-type", "The default must be of the parameter's type %s, but this is %s.", t, item.Describe())
			return nil
		}
		texts = append(texts, item.Text)
	}
	v, err := convert(texts, t, p.limits.ParameterLength)
	if err != nil {
		p.problem(n, "bad-value", "The default %v.", err)
	}
	return v
}

// convert makes a parameter's value of a list of strings.
func convert(texts []string, t ParameterType, longest int) (any, error) {
	for _, text := range texts {
		if n := utf8.RuneCountInString(text); n > longest {
			return nil, fmt.Errorf("has %d characters; at most %d are allowed", n, longest)
		}
	}
	if t == StringList {
		list := make([]any, 0, len(texts))
		for _, text := range texts {
			list = append(list, text)
		}
		return list, nil
	}
	if len(texts) != 1 {
		return nil, fmt.Errorf("has %d values; a parameter of type %s takes one", len(texts), t)
	}
	switch text := texts[0]; t {
	case Integer:
		if i, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil {
			return i, nil
		}
		return nil, fmt.Errorf("'%s' is not of the type integer", shorten(text))
	case Boolean:
		if b, ok := toBool(text); ok {
			return b, nil
		}
		return nil, fmt.Errorf("'%s' is not of the type boolean: it must be true or false", shorten(text))
	default:
		return text, nil
	}
}

// Given is a parameter's value as the API has it: a list of strings for every
// type.
type Given struct {
	Name  string
	Value []string
}

// Values makes the values of $.parameters of what the caller of the workflow
// gave and of the defaults. The problems have paths as the API names its
// members, below "parameters": "parameters[0].value".
func (d *Document) Values(given []Given) (map[string]any, Problems) {
	values := make(map[string]any, len(d.Parameters))
	var problems Problems
	report := func(path, rule, suggestion, format string, args ...any) {
		problems = append(problems, Problem{Document: d.location, Path: path, Rule: rule, Suggestion: suggestion, Message: fmt.Sprintf(format, args...)})
	}
	names := make([]string, 0, len(d.Parameters))
	for _, p := range d.Parameters {
		names = append(names, p.Name)
	}
	for i, g := range given {
		path := fmt.Sprintf("parameters[%d]", i)
		at := slices.Index(names, g.Name)
		if at < 0 {
			report(path+".name", "unknown-parameter", problem.Nearest(g.Name, names), "The workflow has no parameter '%s'.", shorten(g.Name))
			continue
		}
		if _, twice := values[g.Name]; twice {
			report(path+".name", "duplicate-name", "", "The parameter '%s' is given twice.", g.Name)
			continue
		}
		v, err := convert(g.Value, d.Parameters[at].Type, DefaultLimits.ParameterLength)
		if err != nil {
			report(path+".value", "bad-value", "", "The value of the parameter '%s' %v.", g.Name, err)
		}
		values[g.Name] = v
	}
	for _, p := range d.Parameters {
		if _, ok := values[p.Name]; ok {
			continue
		}
		if p.Default == nil {
			report("parameters", "missing-parameter", "", "The parameter '%s' has no default and must be given.", p.Name)
			continue
		}
		values[p.Name] = p.Default
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return values, nil
}
