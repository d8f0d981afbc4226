package main

import (
	"fmt"
	"slices"
	"strings"
)

// emitConstraints writes the tables that the checks refer to, one per shape
// that an input can reach.
func emitConstraints(w *printer, p *Package) error {
	reach := map[string]bool{}
	for _, s := range p.Inputs {
		p.reach(s.Shape, reach)
	}
	names := make([]string, 0, len(reach))
	for name := range reach {
		names = append(names, name)
	}
	slices.Sort(names)
	var lines []string
	for _, name := range names {
		text, err := p.constraint(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if text != "" {
			lines = append(lines, text)
		}
	}
	if len(lines) > 0 {
		w.line("// What the model demands of values, by the model's names.\nvar (\n%s\n)", strings.Join(lines, "\n"))
	}
	return nil
}

func (p *Package) reach(s Shape, seen map[string]bool) {
	below := func(r *Ref) {
		if r != nil && !seen[r.Shape] {
			seen[r.Shape] = true
			p.reach(p.Model.Shapes.ByKey[r.Shape], seen)
		}
	}
	for _, name := range s.Members.Names {
		r := s.Members.ByKey[name]
		below(&r)
	}
	below(s.Member)
	below(s.Key)
	below(s.Value)
}

// table gives the name of a shape's constraint table, "" if it has none.
func (p *Package) table(name string) string {
	s := p.Model.Shapes.ByKey[name]
	bounded := s.Max != nil || s.Min != nil && (*s.Min != "0" || isNumber(s.Type))
	switch {
	case s.Type == "string" && (bounded || s.Pattern != "" || s.Enum != nil):
		return "text" + export(name)
	case isNumber(s.Type) && bounded:
		return "number" + export(name)
	case (s.Type == "list" || s.Type == "map") && bounded:
		return "size" + export(name)
	}
	return ""
}

func isNumber(t string) bool {
	return t == "integer" || t == "long" || t == "double" || t == "float"
}

func (p *Package) constraint(name string) (string, error) {
	table, s := p.table(name), p.Model.Shapes.ByKey[name]
	if table == "" {
		return "", nil
	}
	low, high := "0", "shape.Unbounded"
	if s.Min != nil {
		low = s.Min.String()
	}
	if s.Max != nil {
		high = s.Max.String()
	}
	switch s.Type {
	case "list", "map":
		return fmt.Sprintf("%s = shape.Size{Min: %s, Max: %s}", table, low, high), nil
	case "string":
		text := fmt.Sprintf("%s = shape.Text{Max: %s", table, high)
		if low != "0" {
			text = fmt.Sprintf("%s = shape.Text{Min: %s, Max: %s", table, low, high)
		}
		if s.Sensitive {
			text += ", Secret: true"
		}
		if s.Enum != nil {
			text += fmt.Sprintf(", Values: %#v", s.Enum)
		} else if s.Pattern != "" {
			pattern, err := patternLiteral(s.Pattern)
			if err != nil {
				return "", err
			}
			text += ", Pattern: " + pattern
		}
		return text + "}", nil
	}
	kind := "shape.Int"
	if s.Type == "double" || s.Type == "float" {
		kind = "shape.Float"
	}
	text := table + " = " + kind + "{"
	if s.Min != nil {
		text += "HasMin: true, Min: " + low + ", "
	}
	if s.Max != nil {
		text += "HasMax: true, Max: " + high + ", "
	}
	return text + "}", nil
}

func patternLiteral(source string) (string, error) {
	r, err := Rewrite(source)
	if err != nil {
		return "", err
	}
	quote := func(s string) string {
		if strings.ContainsAny(s, "`\n") {
			return fmt.Sprintf("%q", s)
		}
		return "`" + s + "`"
	}
	text := "&shape.Pattern{Source: " + quote(source)
	if r.Expr != source {
		text += ", Expr: " + quote(r.Expr)
	}
	if r.Most > 0 {
		text += fmt.Sprintf(", Least: %d, Most: %d", r.Least, r.Most)
	}
	if r.NotPrefix != "" {
		text += ", NotPrefix: " + quote(r.NotPrefix)
	}
	return text + "}", nil
}

// emitInputChecks writes Validate for the inputs that the model constrains.
func emitInputChecks(w *printer, p *Package) error {
	for _, s := range p.Inputs {
		if !p.hasConstraint(s.Shape, nil) {
			continue
		}
		w.line("// Validate reports the first constraint of the model that the input breaks,")
		w.line("// as a *shape.Violation.")
		w.line("func (in *%s) Validate() error { return shape.Check(in.check) }\n", s.GoName)
		if err := p.emitCheck(w, s); err != nil {
			return err
		}
	}
	return nil
}

// emitShapeChecks writes check for every structure with a constraint below it
// that an input can reach.
func emitShapeChecks(w *printer, p *Package) error {
	reach := map[string]bool{}
	for _, s := range p.Inputs {
		p.reach(s.Shape, reach)
	}
	for _, s := range p.Structs {
		// A structure's Go name is its model name but for the first letter.
		if (reach[s.GoName] || reach[strings.ToLower(s.GoName[:1])+s.GoName[1:]]) && p.hasConstraint(s.Shape, nil) {
			if err := p.emitCheck(w, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Package) emitCheck(w *printer, s *Struct) error {
	w.line("func (in *%s) check(c *shape.Checker) {", s.GoName)
	for _, name := range s.Shape.Members.Names {
		ref, field := s.Shape.Members.ByKey[name], "in."+export(name)
		if slices.Contains(s.Shape.Required, name) {
			w.line("c.Need(%q, %s != nil)", name, field)
		}
		if !p.constrainedRef(ref.Shape, nil) {
			continue
		}
		if err := p.emitMember(w, name, ref.Shape, field); err != nil {
			return fmt.Errorf("%s.%s: %w", s.GoName, name, err)
		}
	}
	w.line("}\n")
	return nil
}

func (p *Package) emitMember(w *printer, name, shapeName, field string) error {
	s, table := p.Model.Shapes.ByKey[shapeName], p.table(shapeName)
	switch s.Type {
	case "structure":
		w.line("if %s != nil {\nc.Enter(%q)\n%s.check(c)\nc.Leave()\n}", field, name, field)
	case "string":
		w.line("shape.CheckText(c, %q, %s, &%s)", name, field, table)
	case "integer", "long":
		w.line("shape.CheckInt(c, %q, %s, &%s)", name, field, table)
	case "double", "float":
		w.line("shape.CheckFloat(c, %q, %s, &%s)", name, field, table)
	case "list":
		if table != "" {
			w.line("c.Size(%q, %s != nil, len(%s), &%s)", name, field, field, table)
		}
		switch item := p.Model.Shapes.ByKey[s.Member.Shape]; {
		case !p.constrainedRef(s.Member.Shape, nil):
		case item.Type == "string":
			w.line("shape.CheckTexts(c, %q, %s, &%s)", name, field, p.table(s.Member.Shape))
		case item.Type == "structure":
			w.line("for i := range %s {\nc.Item(%q, i)\n%s[i].check(c)\nc.Leave()\n}", field, name, field)
		case item.Type == "integer" || item.Type == "long":
			w.line("for i := range %s {\nc.Item(%q, i)\nshape.CheckInt(c, \"\", &%s[i], &%s)\nc.Leave()\n}", field, name, field, p.table(s.Member.Shape))
		default:
			return fmt.Errorf("constraints on lists of %ss are not supported", item.Type)
		}
	case "map":
		if table != "" {
			w.line("c.Size(%q, %s != nil, len(%s), &%s)", name, field, field, table)
		}
		return p.emitMap(w, name, s, field)
	default:
		return fmt.Errorf("constraints on a %s are not supported", s.Type)
	}
	return nil
}

func (p *Package) emitMap(w *printer, name string, s Shape, field string) error {
	key, value := p.table(s.Key.Shape), p.table(s.Value.Shape)
	item := p.Model.Shapes.ByKey[s.Value.Shape]
	if key == "" && !p.constrainedRef(s.Value.Shape, nil) {
		return nil
	}
	w.line("c.Enter(%q)\nfor _, k := range shape.Keys(%s) {", name, field)
	if key != "" {
		w.line("c.Text(string(k), string(k), &%s)", key)
	}
	switch {
	case !p.constrainedRef(s.Value.Shape, nil):
	case item.Type == "string":
		w.line("c.Text(string(k), string(%s[k]), &%s)", field, value)
	case item.Type == "structure":
		// A map's elements have no address: check a copy.
		w.line("item := %s[k]\nc.Enter(string(k))\nitem.check(c)\nc.Leave()", field)
	default:
		return fmt.Errorf("constraints on maps of %ss are not supported", item.Type)
	}
	w.line("}\nc.Leave()")
	return nil
}

// hasConstraint says whether a structure or anything below it is constrained.
// path holds the shapes above, since shapes may contain themselves.
func (p *Package) hasConstraint(s Shape, path []string) bool {
	if len(s.Required) > 0 {
		return true
	}
	for _, name := range s.Members.Names {
		if p.constrainedRef(s.Members.ByKey[name].Shape, path) {
			return true
		}
	}
	return false
}

func (p *Package) constrainedRef(name string, path []string) bool {
	if slices.Contains(path, name) {
		return false
	}
	if known, ok := p.constrained[name]; ok {
		return known
	}
	s, below := p.Model.Shapes.ByKey[name], append(slices.Clone(path), name)
	found := p.table(name) != "" || s.Type == "structure" && p.hasConstraint(s, below)
	for _, r := range []*Ref{s.Member, s.Key, s.Value} {
		found = found || r != nil && p.constrainedRef(r.Shape, below)
	}
	if found || len(path) == 0 {
		p.constrained[name] = found
	}
	return found
}
