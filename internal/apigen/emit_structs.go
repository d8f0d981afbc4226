package main

import (
	"fmt"
	"slices"
	"strings"
)

func emitStructs(w *printer, p *Package, structs []*Struct) error {
	for _, s := range structs {
		w.line("// %s %s", s.GoName, s.Comment)
		w.line("type %s struct {", s.GoName)
		for _, name := range s.Shape.Members.Names {
			ref := s.Shape.Members.ByKey[name]
			tag, err := p.tag(name, ref)
			if err != nil {
				return fmt.Errorf("%s.%s: %w", s.GoName, name, err)
			}
			if c := p.comment(ref, slices.Contains(s.Shape.Required, name)); c != "" {
				w.line("// %s", c)
			}
			goType := p.GoType(ref.Shape)
			if !p.nillable(ref.Shape) {
				goType = "*" + goType
			}
			w.line("%s %s `%s`", export(name), goType, tag)
		}
		w.line("}\n")
		if _, has := s.Shape.Members.ByKey["requestId"]; has && s.Output && !p.xml() {
			w.line("// SetRequestID lets the wire put in the request's id.")
			w.line("func (out *%s) SetRequestID(id string) { out.RequestId = &id }\n", s.GoName)
		}
	}
	return nil
}

// tag gives a member's names on the wire. JSON: json, and query or path for
// members outside the body. The XML protocols: form for the input's parameter,
// element for the output's; their json name only serves storing.
func (p *Package) tag(name string, ref Ref) (string, error) {
	wire := name
	if ref.LocationName != "" {
		wire = ref.LocationName
	}
	if !p.xml() {
		switch ref.Location {
		case "uri":
			return fmt.Sprintf(`json:"%s,omitzero" path:"%s"`, name, wire), nil
		case "querystring":
			return fmt.Sprintf(`json:"%s,omitzero" query:"%s"`, name, wire), nil
		}
		return fmt.Sprintf(`json:"%s,omitzero"`, wire), nil
	}
	form := wire
	if p.Model.Metadata.Protocol == "ec2" {
		form = export(wire)
		if ref.QueryName != "" {
			form = ref.QueryName
		}
	}
	form, element, err := p.collection(form, wire, ref)
	return fmt.Sprintf(`json:"%s,omitzero" form:"%s" element:"%s"`, name, form, element), err
}

// collection adds what lists and maps have around their items to a member's
// names: "Tags.member" and "Tags>member", for maps also the names of key and
// value: "Attributes.entry,key,value".
func (p *Package) collection(form, element string, ref Ref) (string, string, error) {
	s := p.Model.Shapes.ByKey[ref.Shape]
	flat := s.Flattened || ref.Flattened
	named := func(r *Ref, fallback string) string {
		if r.LocationName != "" {
			return r.LocationName
		}
		return fallback
	}
	switch s.Type {
	case "list":
		if t := p.Model.Shapes.ByKey[s.Member.Shape].Type; t == "list" || t == "map" {
			return "", "", fmt.Errorf("lists of %ss are not supported in %s", t, p.Model.Metadata.Protocol)
		}
		item := named(s.Member, "member")
		switch {
		case p.Model.Metadata.Protocol == "ec2" && !flat:
			return form, element + ">" + item, nil
		case p.Model.Metadata.Protocol == "ec2":
			return form, element, nil
		case flat && s.Member.LocationName != "":
			return item, item, nil
		case flat:
			return form, element, nil
		}
		return form + "." + item, element + ">" + item, nil
	case "map":
		if t := p.Model.Shapes.ByKey[s.Value.Shape].Type; t == "list" || t == "map" {
			return "", "", fmt.Errorf("maps of %ss are not supported in %s", t, p.Model.Metadata.Protocol)
		}
		names := "," + named(s.Key, "key") + "," + named(s.Value, "value")
		if flat {
			return form + names, element + names, nil
		}
		return form + ".entry" + names, element + ">entry" + names, nil
	}
	return form, element, nil
}

// comment says what the model demands of a member.
func (p *Package) comment(ref Ref, required bool) string {
	var facts []string
	if required {
		facts = append(facts, "Required.")
	}
	s := p.Model.Shapes.ByKey[ref.Shape]
	if b := bounds(s, map[string]string{"string": " characters", "list": " items", "map": " items"}[s.Type]); b != "" {
		facts = append(facts, b+".")
	}
	if s.Pattern != "" && s.Enum == nil {
		facts = append(facts, "Matches "+s.Pattern)
	}
	return strings.Join(facts, " ")
}

func bounds(s Shape, unit string) string {
	low, high := s.Min, s.Max
	if low != nil && *low == "0" && unit != "" {
		low = nil
	}
	switch {
	case low != nil && high != nil:
		return fmt.Sprintf("%s to %s%s", *low, *high, unit)
	case low != nil && *low == "1":
		return "At least 1" + strings.TrimSuffix(unit, "s")
	case low != nil:
		return fmt.Sprintf("At least %s%s", *low, unit)
	case high != nil:
		return fmt.Sprintf("At most %s%s", *high, unit)
	}
	return ""
}
