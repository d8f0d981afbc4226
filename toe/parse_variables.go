package toe

import (
	"slices"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe/problem"
	"github.com/goldsmith-build/goldsmith/toe/source"
)

// variables reads parameters and constants, which share one space of names.
func (p *parser) variables(n *source.Node) {
	seen := map[string]int{}
	p.variableList(n.Get("parameters"), "parameters", func(name, body *source.Node) { p.parameter(name, body, seen) })
	p.variableList(n.Get("constants"), "constants", func(name, body *source.Node) { p.constant(name, body, seen) })
}

// variableList reads a list of mappings of one name to one mapping.
func (p *parser) variableList(n *source.Node, field string, read func(name, body *source.Node)) {
	if n == nil || n.Kind == source.Null {
		return
	}
	if n.Kind != source.List {
		p.problem(n, "wrong-type", "%s must be a list of names, each with its own mapping, but this is %s.", field, n.Describe())
		return
	}
	singular := strings.TrimSuffix(field, "s")
	for _, item := range n.Items {
		if item.Kind == source.Map && item.Get("name") != nil && item.Get("type") != nil {
			// Workflow documents declare their parameters so; component documents
			// never did, and their readers would find a parameter called "name".
			p.problem(item, "variable-form", "A %s is written with its name as the key: '- %s: {type: string}'; only workflows have it beside 'name:'.", singular, p.quietText(item.Get("name")))
			continue
		}
		if item.Kind != source.Map || len(item.Entries) != 1 {
			p.problem(item, "variable-form", "A %s is a mapping with exactly one key, its name.", singular)
			continue
		}
		name, body := item.Entries[0].Key, item.Entries[0].Value
		if body.Kind != source.Map {
			p.problem(body, "variable-form", "The %s '%s' needs a mapping with its type, but this is %s.", singular, shorten(name.Text), body.Describe())
			continue
		}
		read(name, body)
	}
}

// quietText gives a scalar's text for use in a message.
func (p *parser) quietText(n *source.Node) string {
	if n.Kind != source.Scalar {
		return "Name"
	}
	return shorten(n.Text)
}

func (p *parser) variableName(name *source.Node, kind string, seen map[string]int) {
	if !nameForm.MatchString(name.Text) {
		p.problem(name, "bad-name", "Invalid %s name '%s'. It must have 3 to 128 of the characters [0-9], [a-z,A-Z] and [-_].", kind, shorten(name.Text))
	}
	if line, ok := seen[name.Text]; ok {
		p.problem(name, "duplicate-name", "The name '%s' is already used on line %d; parameters and constants share their names.", shorten(name.Text), line)
		return
	}
	seen[name.Text] = name.Line
}

func (p *parser) variableType(name, body *source.Node, kind string) {
	t := body.Get("type")
	if t == nil || t.Kind == source.Null {
		p.problem(name, "missing-field", "The %s '%s' has no type; it must be string.", kind, shorten(name.Text))
		return
	}
	if t.Kind != source.Scalar || t.Text != "string" {
		pr := t.Problem("bad-value", "The type of the "+kind+" '"+shorten(name.Text)+"' must be string.")
		if near := problem.Nearest(p.quietText(t), []string{"string"}); near != "" {
			pr.Suggestion = near
		}
		p.report(pr)
	}
}

func (p *parser) parameter(name, body *source.Node, seen map[string]int) {
	p.keys(body, "a parameter", "type", "default", "description", "allowedValues")
	p.variableName(name, "parameter", seen)
	p.variableType(name, body, "parameter")
	v := Parameter{Name: name.Text, Type: "string", Line: name.Line, Description: p.text(body.Get("description"), "description")}
	if d := body.Get("default"); d != nil && d.Kind != source.Null {
		text := p.text(d, "default")
		v.Default = &text
	}
	v.AllowedValues = p.allowedValues(body.Get("allowedValues"))
	if v.Default != nil && v.AllowedValues != nil && !slices.Contains(v.AllowedValues, *v.Default) {
		p.problem(body.Get("default"), "bad-value", "The default of the parameter '%s' is not among its allowedValues.", shorten(name.Text))
	}
	p.doc.Parameters = append(p.doc.Parameters, v)
}

func (p *parser) allowedValues(n *source.Node) []string {
	if n == nil || n.Kind == source.Null {
		return nil
	}
	if n.Kind != source.List || len(n.Items) == 0 {
		p.problem(n, "wrong-type", "allowedValues must be a list of texts with at least one element.")
		return nil
	}
	values := make([]string, 0, len(n.Items))
	for _, item := range n.Items {
		values = append(values, p.text(item, "An element of allowedValues"))
	}
	return values
}

func (p *parser) constant(name, body *source.Node, seen map[string]int) {
	p.keys(body, "a constant", "type", "value")
	p.variableName(name, "constant", seen)
	p.variableType(name, body, "constant")
	value := body.Get("value")
	if value == nil || value.Kind == source.Null {
		p.problem(name, "missing-field", "The constant '%s' has no value.", shorten(name.Text))
		return
	}
	p.doc.Constants = append(p.doc.Constants, Constant{Name: name.Text, Type: "string", Value: p.text(value, "value"), Line: name.Line})
}
