package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// restJSON is restJson1: the route names the operation, members are in the
// path, the query or a JSON body.
type restJSON struct {
	exact    map[string]map[string]*route // path, then method
	labelled []*route
}

// route is an operation with where its input's members are.
type route struct {
	op       *shape.Operation
	segments []string // of the path; "{name}" is a label
	path     map[string]int
	query    map[string]int
	body     bool // some members are in the body
}

func newRestJSON(s *shape.Service) (*restJSON, error) {
	c := &restJSON{exact: map[string]map[string]*route{}}
	for i := range s.Operations {
		r, err := newRoute(&s.Operations[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Operations[i].Name, err)
		}
		if len(r.path) > 0 {
			c.labelled = append(c.labelled, r)
			continue
		}
		methods := c.exact[r.op.Path]
		if methods == nil {
			methods = map[string]*route{}
			c.exact[r.op.Path] = methods
		}
		if methods[r.op.Method] != nil {
			return nil, fmt.Errorf("%s and %s have the same route", r.op.Name, methods[r.op.Method].op.Name)
		}
		methods[r.op.Method] = r
	}
	return c, nil
}

func newRoute(op *shape.Operation) (*route, error) {
	r := &route{op: op, segments: strings.Split(op.Path, "/"), path: map[string]int{}, query: map[string]int{}}
	t := reflect.TypeOf(op.NewInput()).Elem()
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		switch {
		case tag.Get("path") != "":
			r.path[tag.Get("path")] = i
		case tag.Get("query") != "":
			r.query[tag.Get("query")] = i
		default:
			r.body = true
		}
	}
	labels := 0
	for _, s := range r.segments {
		if name, ok := label(s); ok {
			labels++
			if _, known := r.path[name]; !known {
				return nil, fmt.Errorf("the route %s has a label without a member", op.Path)
			}
		}
	}
	if labels != len(r.path) {
		return nil, fmt.Errorf("a member has no label in the route %s", op.Path)
	}
	return r, nil
}

func label(segment string) (string, bool) {
	return strings.TrimSuffix(strings.TrimPrefix(segment, "{"), "}"), strings.HasPrefix(segment, "{")
}

// find gives the route of a request, and its path's labels. Routing is on the
// path as it was escaped: "/tags/arn%3Aaws%3A…%2F1.0.0" is two segments.
func (c *restJSON) find(method, path string) (*route, map[string]string, error) {
	other := false
	if methods := c.exact[path]; methods != nil {
		if r := methods[method]; r != nil {
			return r, nil, nil
		}
		other = true
	}
	segments := strings.Split(path, "/")
	for _, r := range c.labelled {
		labels, ok := r.match(segments)
		if !ok {
			continue
		}
		if r.op.Method == method {
			return r, labels, nil
		}
		other = true
	}
	if other {
		return nil, nil, fault.New("MethodNotAllowedException", "The method %.16s is not allowed here.", method)
	}
	return nil, nil, fault.New("UnknownOperationException", "The service has no operation at this path.")
}

func (r *route) match(segments []string) (map[string]string, bool) {
	if len(segments) != len(r.segments) {
		return nil, false
	}
	labels := map[string]string{}
	for i, s := range r.segments {
		name, isLabel := label(s)
		if !isLabel {
			if s != segments[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(segments[i])
		if err != nil || value == "" || !utf8.ValidString(value) {
			return nil, false
		}
		labels[name] = value
	}
	return labels, true
}

func (c *restJSON) decode(req *request) (*shape.Operation, any, error) {
	r, labels, err := c.find(req.r.Method, req.path)
	if err != nil {
		return nil, nil, err
	}
	in := r.op.NewInput()
	// An empty body is an input without body members.
	if r.body && len(req.body) > 0 {
		if err := decodeJSON(req.body, in); err != nil {
			return r.op, nil, fault.New("SerializationException", "%s", err)
		}
	}
	v := reflect.ValueOf(in).Elem()
	for name, value := range labels {
		if err := setText(v.Field(r.path[name]), value); err != nil {
			return r.op, nil, fault.New("SerializationException", "%s (at '%s')", err, name)
		}
	}
	if err := r.readQuery(v, req.query); err != nil {
		return r.op, nil, fault.New("SerializationException", "%s", err)
	}
	return r.op, in, nil
}

// readQuery sets the members that are in the query string. A list is sent as
// one parameter per item; a scalar that is there twice is refused.
func (r *route) readQuery(v reflect.Value, query []parameter) error {
	for _, p := range query {
		i, known := r.query[p.name]
		if !known {
			continue
		}
		f := v.Field(i)
		if f.Kind() == reflect.Slice && f.Type().Elem().Kind() != reflect.Uint8 {
			item := reflect.New(f.Type().Elem()).Elem()
			if err := setText(item, p.value); err != nil {
				return fmt.Errorf("%w (at '%s')", err, p.name)
			}
			f.Set(reflect.Append(f, item))
			continue
		}
		if !f.IsZero() {
			return fmt.Errorf("the parameter '%s' appears more than once", p.name)
		}
		if err := setText(f, p.value); err != nil {
			return fmt.Errorf("%w (at '%s')", err, p.name)
		}
	}
	return nil
}

func (c *restJSON) encode(_ *shape.Operation, out any, _ string) ([]byte, error) {
	return encodeJSON(out)
}

// encodeJSON writes an output. The tags of generated structures make
// encoding/json write exactly what is there.
func encodeJSON(out any) ([]byte, error) {
	var b bytes.Buffer
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	if err := j.Encode(out); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
