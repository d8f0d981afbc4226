package workflow

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// value is what an input, a comparand or an output is made of.
type value interface {
	resolve(s *Scope) (any, error)
	references(f func(Path, place))
}

// place is where in the document a reference stands.
type place struct {
	line, column int
	path         string
}

// literal is a value that stands in the document: nil, bool, int64, float64 or
// string.
type literal struct{ v any }

func (l literal) resolve(*Scope) (any, error) { return l.v, nil }
func (literal) references(func(Path, place))  {}

// reference is a path that stands for its value.
type reference struct {
	path Path
	at   place
}

func (r reference) resolve(s *Scope) (any, error)  { return s.Lookup(r.path) }
func (r reference) references(f func(Path, place)) { f(r.path, r.at) }

// template is text with references in double braces.
type template struct {
	texts []string // one more than paths
	paths []Path
	at    place
}

func (t template) resolve(s *Scope) (any, error) {
	var b strings.Builder
	for i, text := range t.texts {
		b.WriteString(text)
		if i < len(t.paths) {
			v, err := s.Lookup(t.paths[i])
			if err != nil {
				return nil, err
			}
			b.WriteString(textOf(v))
		}
	}
	return b.String(), nil
}

func (t template) references(f func(Path, place)) {
	for _, p := range t.paths {
		f(p, t.at)
	}
}

// list is a list of values.
type list []value

func (l list) resolve(s *Scope) (any, error) {
	out := make([]any, 0, len(l))
	for _, item := range l {
		v, err := item.resolve(s)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (l list) references(f func(Path, place)) {
	for _, item := range l {
		item.references(f)
	}
}

// mapping is a mapping whose keys have lost their ".$".
type mapping struct {
	keys   []string
	values []value
}

func (m *mapping) resolve(s *Scope) (any, error) { return m.resolveMap(s) }

func (m *mapping) resolveMap(s *Scope) (map[string]any, error) {
	out := make(map[string]any, len(m.keys))
	for i, key := range m.keys {
		v, err := m.values[i].resolve(s)
		if err != nil {
			return nil, err
		}
		out[key] = v
	}
	return out, nil
}

func (m *mapping) references(f func(Path, place)) {
	for _, v := range m.values {
		v.references(f)
	}
}

func (m *mapping) get(key string) (value, bool) {
	i := slices.Index(m.keys, key)
	if i < 0 {
		return nil, false
	}
	return m.values[i], true
}

// textOf writes a value into a text: strings as they are, lists and mappings as
// JSON, nothing for nil.
func textOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}

// asStrings gives a parameter's value as the list of strings that the API has
// for every type.
func asStrings(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		out := make([]string, 0, len(v))
		for _, item := range v {
			out = append(out, textOf(item))
		}
		return out
	}
	return []string{textOf(v)}
}

// Inputs resolves the step's inputs. The error names the input.
func (s *Step) Inputs(scope *Scope) (map[string]any, error) {
	if s.inputs == nil {
		return map[string]any{}, nil
	}
	out := make(map[string]any, len(s.inputs.keys))
	for i, key := range s.inputs.keys {
		v, err := s.inputs.values[i].resolve(scope)
		if err != nil {
			return nil, fmt.Errorf("input '%s': %w", key, err)
		}
		out[key] = v
	}
	if err := s.Action.checkResolved(out); err != nil {
		return nil, err
	}
	return out, nil
}

// RollbackEnabled resolves the step's rollbackEnabled; the default is true.
func (s *Step) RollbackEnabled(scope *Scope) (bool, error) {
	if s.rollback == nil {
		return true, nil
	}
	v, err := s.rollback.resolve(scope)
	if err != nil {
		return false, fmt.Errorf("rollbackEnabled: %w", err)
	}
	b, ok := toBool(v)
	if !ok {
		return false, fmt.Errorf("rollbackEnabled is '%s', which is neither true nor false", shorten(textOf(v)))
	}
	return b, nil
}

// Value resolves an output.
func (o Output) Value(scope *Scope) (any, error) {
	v, err := o.value.resolve(scope)
	if err != nil {
		return nil, fmt.Errorf("output '%s': %w", o.Name, err)
	}
	return v, nil
}

// toBool reads a bool or its text.
func toBool(v any) (b, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case string:
		return strings.EqualFold(v, "true"), strings.EqualFold(v, "true") || strings.EqualFold(v, "false")
	}
	return false, false
}

// toNumber reads a number or its text.
func toNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case string:
		f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		return f, err == nil && f-f == 0 // neither NaN nor infinite
	}
	return 0, false
}
