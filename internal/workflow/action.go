package workflow

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Action describes a step action: what it takes, gives and is limited to (User
// Guide, "Supported step actions").
type Action struct {
	Name       string
	Types      []Type // the workflows that may use it
	Inputs     []Input
	Outputs    []string
	Timeout    time.Duration // default of timeoutSeconds
	MaxTimeout time.Duration // limit of timeoutSeconds
	RollsBack  bool          // a rollback undoes something

	// Unavailable says why this version does not run the action; "" if it does.
	// Documents that use it are read, and refused by CheckType.
	Unavailable string
}

// Kind is the form of an input.
type Kind string

// The forms of inputs. Any is not looked into.
const (
	KindString  Kind = "text"
	KindBoolean Kind = "true or false"
	KindInteger Kind = "a whole number"
	KindList    Kind = "a list"
	KindMap     Kind = "a mapping"
	KindAny     Kind = "a value"
)

// Input is an input of an action, or a member of one.
type Input struct {
	Name     string
	Kind     Kind
	Required bool
	Values   []string // the only ones allowed; nil: any
	Chained  bool     // must be a reference to a step's output
	Most     int      // entries of a list or mapping, bytes of a text; 0: no limit here

	// Items are the members of a mapping, or of the mappings in a list; nil if
	// they are not looked into. Element is the form of a list's elements or of
	// the values of a mapping without known members.
	Items   []Input
	Element *Input

	// OneOrList lets a mapping stand for a list of one.
	OneOrList bool
}

// Lookup finds an action by its name.
func Lookup(name string) (*Action, bool) {
	a, ok := catalogue[name]
	return a, ok
}

// Actions gives the names of all actions, sorted.
func Actions() []string {
	names := make([]string, 0, len(catalogue))
	for name := range catalogue {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// checkResolved looks at inputs whose references have been resolved: what came
// from outside the document has to have the right form too.
func (a *Action) checkResolved(inputs map[string]any) error {
	for _, in := range a.Inputs {
		v, given := inputs[in.Name]
		if !given || v == nil {
			if in.Required {
				return fmt.Errorf("the input '%s' has no value", in.Name)
			}
			delete(inputs, in.Name)
			continue
		}
		fixed, err := in.conform(v)
		if err != nil {
			return fmt.Errorf("input '%s': %w", in.Name, err)
		}
		inputs[in.Name] = fixed
	}
	return nil
}

// conform gives v in the form of the input, or says why it cannot be.
func (in *Input) conform(v any) (any, error) {
	switch in.Kind {
	case KindString:
		switch v.(type) {
		case map[string]any, []any:
			return nil, fmt.Errorf("it must be %s, but is %s", in.Kind, describe(v))
		}
		text := textOf(v)
		if in.Values != nil && !slices.Contains(in.Values, text) {
			return nil, fmt.Errorf("'%s' is not one of %s", shorten(text), strings.Join(in.Values, ", "))
		}
		if in.Most > 0 && len(text) > in.Most {
			return nil, fmt.Errorf("it has %d bytes; at most %d are allowed", len(text), in.Most)
		}
		return text, nil
	case KindBoolean:
		if b, ok := toBool(v); ok {
			return b, nil
		}
	case KindInteger:
		if f, ok := toNumber(v); ok && f == float64(int64(f)) {
			return int64(f), nil
		}
	case KindList:
		if _, ok := v.(map[string]any); ok && in.OneOrList {
			v = []any{v}
		}
		if l, ok := v.([]any); ok {
			return in.conformList(l)
		}
	case KindMap:
		if m, ok := v.(map[string]any); ok {
			return in.conformMap(m)
		}
	case KindAny:
		return v, nil
	}
	return nil, fmt.Errorf("it must be %s, but is %s", in.Kind, describe(v))
}

func (in *Input) conformList(l []any) (any, error) {
	if in.Most > 0 && len(l) > in.Most {
		return nil, fmt.Errorf("it has %d entries; at most %d are allowed", len(l), in.Most)
	}
	element := in.Element
	if in.Items != nil {
		element = &Input{Kind: KindMap, Items: in.Items}
	}
	if element == nil {
		return l, nil
	}
	out := make([]any, len(l))
	for i, item := range l {
		fixed, err := element.conform(item)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		out[i] = fixed
	}
	return out, nil
}

func (in *Input) conformMap(m map[string]any) (any, error) {
	if in.Most > 0 && len(m) > in.Most {
		return nil, fmt.Errorf("it has %d entries; at most %d are allowed", len(m), in.Most)
	}
	if in.Items == nil && in.Element == nil {
		return m, nil
	}
	out := make(map[string]any, len(m))
	for key, v := range m {
		item := in.Element
		if in.Items != nil {
			item = find(in.Items, key)
		}
		if item == nil {
			return nil, fmt.Errorf("unknown member '%s'", shorten(key))
		}
		if v == nil {
			continue
		}
		fixed, err := item.conform(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", shorten(key), err)
		}
		out[key] = fixed
	}
	for _, item := range in.Items {
		if _, ok := out[item.Name]; item.Required && !ok {
			return nil, fmt.Errorf("the member '%s' is missing", item.Name)
		}
	}
	return out, nil
}

// find gives the input with a name, or nil.
func find(inputs []Input, name string) *Input {
	for i := range inputs {
		if inputs[i].Name == name {
			return &inputs[i]
		}
	}
	return nil
}

// describe names the form of a value for a message.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	case string:
		return "the text '" + shorten(v) + "'"
	}
	return "'" + shorten(textOf(v)) + "'"
}

// shorten cuts what a message repeats of a document.
func shorten(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return s
}
