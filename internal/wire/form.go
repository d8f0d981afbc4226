package wire

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// form is the query protocol and EC2's dialect of it: a form (or a query
// string) with Action in it, and XML back. Both name members by the form and
// element tags of generated structures.
type form struct {
	service *shape.Service
	ops     map[string]*shape.Operation
	strict  bool // refuse parameters that no member has, as EC2 does
}

func newForm(s *shape.Service) *form {
	return &form{service: s, ops: byName(s), strict: s.Protocol == shape.EC2}
}

func (c *form) decode(req *request) (*shape.Operation, any, error) {
	if req.path != "/" {
		return nil, nil, fault.New("InvalidAction", "The service answers at the path / only.")
	}
	if m := req.r.Method; m != "POST" && m != "GET" {
		return nil, nil, fault.New("MethodNotAllowed", "The method %.16s is not allowed here.", m)
	}
	sent, err := splitQuery(string(req.body))
	if err != nil {
		return nil, nil, fault.New("MalformedQueryString", "The body cannot be read as a form: %v.", err)
	}
	tree, err := newTree(append(slices.Clone(req.query), sent...))
	if err != nil {
		return nil, nil, fault.New("MalformedQueryString", "%s.", err)
	}
	action := tree.take("Action")
	if action == "" {
		return nil, nil, fault.New("MissingAction", "The request is missing an action or a required parameter.")
	}
	op := c.ops[action]
	if version := tree.take("Version"); op == nil || version != "" && version != c.service.APIVersion {
		return nil, nil, fault.New("InvalidAction", "Could not find operation %.64s for version %.32s", action, cmp.Or(version, "NO_VERSION_SPECIFIED"))
	}
	in := op.NewInput()
	if err := tree.readStruct(reflect.ValueOf(in).Elem(), ""); err != nil {
		return op, nil, fault.New("InvalidParameterValue", "%s", err)
	}
	if c.strict {
		if name := tree.unread(""); name != "" {
			return op, nil, fault.New("UnknownParameter", "The parameter %.64s is not recognized", name)
		}
	}
	return op, in, nil
}

// tree is a form with its names split at the dots. Nothing in it grows with
// the numbers that a client writes: "Filter.4000000000" is one node.
type tree struct {
	value    string
	set      bool // has a value of its own
	read     bool // some member wanted it
	children map[string]*tree
}

func newTree(parameters []parameter) (*tree, error) {
	if len(parameters) > maxParameters {
		return nil, fmt.Errorf("there are more than %d parameters", maxParameters)
	}
	root := &tree{}
	for _, p := range parameters {
		if strings.HasPrefix(p.name, "X-Amz-") {
			continue // of a presigned URL
		}
		if strings.Count(p.name, ".") >= maxDepth {
			return nil, errDepth
		}
		t := root
		for segment := range strings.SplitSeq(p.name, ".") {
			child := t.children[segment]
			if child == nil {
				if t.children == nil {
					t.children = map[string]*tree{}
				}
				child = &tree{}
				t.children[segment] = child
			}
			t = child
		}
		if t.set {
			return nil, fmt.Errorf("the parameter %.64s appears more than once", p.name)
		}
		t.value, t.set = p.value, true
	}
	return root, nil
}

// take gives a top-level value and marks it as read.
func (t *tree) take(name string) string {
	child := t.children[name]
	if child == nil {
		return ""
	}
	child.read = true
	return child.value
}

// find walks down by segments; nil if there is nothing.
func (t *tree) find(segments []string) *tree {
	for _, s := range segments {
		if t = t.children[s]; t == nil {
			return nil
		}
	}
	return t
}

// unread gives the first parameter in order that no member wanted.
func (t *tree) unread(prefix string) string {
	if t.set && !t.read {
		return prefix
	}
	for _, name := range slices.Sorted(maps.Keys(t.children)) {
		below := name
		if prefix != "" {
			below = prefix + "." + name
		}
		if found := t.children[name].unread(below); found != "" {
			return found
		}
	}
	return ""
}

// formField is where a form has a member.
type formField struct {
	index      int
	name       string
	segments   []string // with what a collection puts before its items
	key, value string   // of a map
}

var formFields sync.Map // reflect.Type to []formField

func fieldsOf(t reflect.Type) []formField {
	if known, ok := formFields.Load(t); ok {
		return known.([]formField)
	}
	var fields []formField
	for i := range t.NumField() {
		names := strings.Split(t.Field(i).Tag.Get("form"), ",")
		f := formField{index: i, name: names[0], segments: strings.Split(names[0], ".")}
		if len(names) == 3 {
			f.key, f.value = names[1], names[2]
		}
		fields = append(fields, f)
	}
	known, _ := formFields.LoadOrStore(t, fields)
	return known.([]formField)
}

func (t *tree) readStruct(v reflect.Value, prefix string) error {
	for _, f := range fieldsOf(v.Type()) {
		target, name := v.Field(f.index), prefix+f.name
		node := t.find(f.segments)
		if node == nil {
			// "Tags=" alone is an empty list or map.
			owner := t.children[f.segments[0]]
			if len(f.segments) > 1 && owner != nil && owner.set && owner.value == "" {
				owner.read = true
				target.Set(empty(target.Type()))
			}
			continue
		}
		var err error
		switch kind := target.Kind(); {
		case kind == reflect.Slice && target.Type().Elem().Kind() != reflect.Uint8:
			err = node.readList(target, name)
		case kind == reflect.Map:
			err = node.readMap(target, name, f)
		default:
			err = node.readValue(target, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func empty(t reflect.Type) reflect.Value {
	if t.Kind() == reflect.Map {
		return reflect.MakeMap(t)
	}
	return reflect.MakeSlice(t, 0, 0)
}

// readValue reads a scalar or a structure.
func (t *tree) readValue(v reflect.Value, name string) error {
	target := v
	if v.Kind() == reflect.Pointer {
		target = reflect.New(v.Type().Elem()).Elem()
	}
	if target.Kind() == reflect.Struct && target.Type() != timeType {
		if len(t.children) == 0 && t.set {
			return fmt.Errorf("the parameter %.64s is a structure", name)
		}
		if err := t.readStruct(target, name+"."); err != nil {
			return err
		}
	} else {
		if !t.set {
			return fmt.Errorf("the parameter %.64s is a single value", name)
		}
		t.read = true
		if err := setText(target, t.value); err != nil {
			return fmt.Errorf("the value for parameter %.64s is invalid: %w", name, err)
		}
	}
	if v.Kind() == reflect.Pointer {
		v.Set(target.Addr())
	}
	return nil
}

// items gives the numbered children in the order of their numbers. Gaps are
// allowed; what is no plain number stays unread.
func (t *tree) items() []int {
	var numbers []int
	for name := range t.children {
		if n, err := strconv.Atoi(name); err == nil && n >= 0 && strconv.Itoa(n) == name {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}

func (t *tree) readList(v reflect.Value, name string) error {
	numbers := t.items()
	if len(numbers) == 0 {
		if !t.set || t.value != "" {
			return nil // stays unread
		}
		t.read = true
	}
	list := reflect.MakeSlice(v.Type(), len(numbers), len(numbers))
	for i, n := range numbers {
		index := strconv.Itoa(n)
		if err := t.children[index].readValue(list.Index(i), name+"."+index); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

func (t *tree) readMap(v reflect.Value, name string, f formField) error {
	m := reflect.MakeMap(v.Type())
	for _, n := range t.items() {
		index := strconv.Itoa(n)
		entry, prefix := t.children[index], name+"."+index
		key, value := entry.children[f.key], entry.children[f.value]
		if key == nil || value == nil {
			return fmt.Errorf("the parameter %.64s needs both .%s and .%s", prefix, f.key, f.value)
		}
		k, item := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		if err := key.readValue(k, prefix+"."+f.key); err != nil {
			return err
		}
		if err := value.readValue(item, prefix+"."+f.value); err != nil {
			return err
		}
		m.SetMapIndex(k, item)
	}
	v.Set(m)
	return nil
}
