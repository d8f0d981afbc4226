package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Package is what one generated package holds: the operations asked for and
// every shape that they can reach, under Go names.
type Package struct {
	Config  ServiceConfig
	Model   *Model
	Ops     []Op
	Inputs  []*Struct // by name
	Outputs []*Struct
	Structs []*Struct // the others
	Enums   []string  // shape names, in order
	Errors  []APIError

	types       map[string]string // Go name to what it was made of
	seen        map[string]bool   // shapes already visited
	constrained map[string]bool   // memo: structures with a constraint below
}

// Op is an operation with the Go names of its input and output.
type Op struct {
	Name          string
	Method, Path  string
	ResultWrapper string
	Invalid       string // the code of a broken constraint, where it is not the service's
}

// Struct is a structure with its Go name.
type Struct struct {
	GoName  string
	Comment string
	Shape   Shape
	Input   bool // is an operation's input: located members allowed, gets Validate
	Output  bool
}

// APIError is an error code and its HTTP status.
type APIError struct {
	Code   string
	Status int
}

// Names that the generated packages use themselves.
var reserved = []string{"Service", "Unimplemented", "Serve", "Errors"}

// Resolve picks the configured operations out of a model and checks that the
// generator understands all that they use.
func Resolve(m *Model, c ServiceConfig) (*Package, error) {
	p := &Package{Config: c, Model: m, types: map[string]string{}, seen: map[string]bool{}, constrained: map[string]bool{}}
	for _, n := range reserved {
		p.types[n] = "a name of the generator's own"
	}
	wanted := c.Operations
	if slices.Equal(wanted, []string{"*"}) {
		wanted = m.Operations.Names
	}
	for _, name := range slices.Sorted(slices.Values(wanted)) {
		if err := p.operation(name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	byName := func(a, b *Struct) int { return strings.Compare(a.GoName, b.GoName) }
	slices.SortFunc(p.Structs, byName)
	slices.Sort(p.Enums)
	for _, name := range m.Shapes.Names {
		if s := m.Shapes.ByKey[name]; s.Exception {
			p.Errors = append(p.Errors, apiError(name, s))
		}
	}
	slices.SortFunc(p.Errors, func(a, b APIError) int { return strings.Compare(a.Code, b.Code) })
	return p, nil
}

func apiError(name string, s Shape) APIError {
	e := APIError{Code: name, Status: s.Error.HTTPStatusCode}
	if s.Error.Code != "" {
		e.Code = s.Error.Code
	}
	if e.Status == 0 {
		e.Status = 400
	}
	return e
}

func (p *Package) operation(name string) error {
	o, ok := p.Model.Operations.ByKey[name]
	if !ok {
		return fmt.Errorf("no such operation in %s", p.Config.Model)
	}
	if code := o.HTTP.ResponseCode; code != 0 && code != 200 {
		return fmt.Errorf("response code %d is not supported", code)
	}
	op := Op{Name: name, Method: o.HTTP.Method, Path: o.HTTP.RequestURI}
	if strings.ContainsAny(op.Path, "?+") {
		return fmt.Errorf("route %q is not supported", op.Path)
	}
	input := &Struct{GoName: name + "Input", Comment: "is the input of " + name + ".", Input: true}
	output := &Struct{GoName: name + "Output", Comment: "is the output of " + name + ".", Output: true}
	if o.Input != nil {
		input.Shape = p.Model.Shapes.ByKey[o.Input.Shape]
	}
	if o.Output != nil {
		output.Shape = p.Model.Shapes.ByKey[o.Output.Shape]
		op.ResultWrapper = o.Output.ResultWrapper
	}
	for _, s := range []*Struct{input, output} {
		if err := p.claim(s.GoName, name); err != nil {
			return err
		}
		if err := p.members(s); err != nil {
			return fmt.Errorf("%s: %w", s.GoName, err)
		}
	}
	op.Invalid = p.invalid(o)
	p.Ops, p.Inputs, p.Outputs = append(p.Ops, op), append(p.Inputs, input), append(p.Outputs, output)
	return nil
}

// invalid gives the operation's own code of a broken constraint: the model of
// Image Builder gives its tag operations another one than all the rest.
func (p *Package) invalid(o Operation) string {
	const other = "InvalidParameterException"
	codes := make([]string, len(o.Errors))
	for i, e := range o.Errors {
		codes[i] = apiError(e.Shape, p.Model.Shapes.ByKey[e.Shape]).Code
	}
	if p.Config.Invalid == "" || slices.Contains(codes, p.Config.Invalid) || !slices.Contains(codes, other) {
		return ""
	}
	return other
}

// claim makes sure that a Go name is used once.
func (p *Package) claim(goName, what string) error {
	if other, taken := p.types[goName]; taken {
		return fmt.Errorf("the Go name %s of %s is taken by %s", goName, what, other)
	}
	p.types[goName] = what
	return nil
}

func (p *Package) members(s *Struct) error {
	shape := s.Shape
	if shape.Payload != "" || shape.Union || shape.Document || shape.EventStream {
		return fmt.Errorf("payload members, unions, documents and event streams are not supported")
	}
	for _, name := range shape.Members.Names {
		ref := shape.Members.ByKey[name]
		if ref.Streaming || ref.XMLAttribute || ref.JSONValue || ref.HostLabel || ref.EventPayload != nil || ref.TimestampFormat != "" {
			return fmt.Errorf("member %s has a trait that is not supported", name)
		}
		located := ref.Location == "uri" || ref.Location == "querystring"
		if ref.Location != "" && !(s.Input && located) {
			return fmt.Errorf("member %s: location %q is not supported here", name, ref.Location)
		}
		if err := p.visit(ref.Shape); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// visit takes a shape and all below it into the package.
func (p *Package) visit(name string) error {
	s, ok := p.Model.Shapes.ByKey[name]
	if !ok {
		return fmt.Errorf("no shape %s", name)
	}
	if p.seen[name] {
		return nil
	}
	p.seen[name] = true
	switch s.Type {
	case "structure":
		t := &Struct{GoName: export(name), Comment: "is the model's shape of that name.", Shape: s}
		if err := p.claim(t.GoName, "shape "+name); err != nil {
			return err
		}
		p.Structs = append(p.Structs, t)
		return p.members(t)
	case "list":
		return p.visit(s.Member.Shape)
	case "map":
		if err := p.visit(s.Key.Shape); err != nil {
			return err
		}
		return p.visit(s.Value.Shape)
	case "string":
		if s.Enum != nil {
			p.Enums = append(p.Enums, name)
			return p.claim(export(name), "enumeration "+name)
		}
		return nil
	case "timestamp":
		if s.TimestampFormat != "" {
			return fmt.Errorf("timestamp format %q is not supported", s.TimestampFormat)
		}
		return nil
	case "integer", "long", "double", "float", "boolean", "blob":
		return nil
	}
	return fmt.Errorf("shape %s has the unknown type %q", name, s.Type)
}

// GoType gives the type of a value: members that are not lists, maps or blobs
// become pointers to it.
func (p *Package) GoType(name string) string {
	s := p.Model.Shapes.ByKey[name]
	switch s.Type {
	case "structure":
		return export(name)
	case "list":
		return "[]" + p.GoType(s.Member.Shape)
	case "map":
		return "map[" + p.GoType(s.Key.Shape) + "]" + p.GoType(s.Value.Shape)
	case "string":
		if s.Enum != nil {
			return export(name)
		}
		return "string"
	case "timestamp":
		return "shape.Time"
	case "blob":
		return "[]byte"
	}
	return map[string]string{"integer": "int32", "long": "int64", "double": "float64", "float": "float32", "boolean": "bool"}[s.Type]
}

// nillable types say "absent" by themselves, without a pointer.
func (p *Package) nillable(name string) bool {
	t := p.Model.Shapes.ByKey[name].Type
	return t == "list" || t == "map" || t == "blob"
}

// export makes a name of the model into an exported Go name, as the AWS SDK
// for Go does it.
func export(name string) string {
	r := []rune(name)
	r[0] = unicode.ToUpper(r[0])
	return string(r)
}

// enumName gives the constant's name of an enumeration's value, such as
// ImageStatusPending for "PENDING".
func enumName(enum, value string) string {
	out := export(enum)
	words := strings.FieldsFunc(value, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for _, w := range words {
		if strings.ToUpper(w) == w {
			w = strings.ToLower(w)
		}
		out += export(w)
	}
	return out
}
