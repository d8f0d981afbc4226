package engine

import (
	"fmt"
	"strconv"
	"strings"
)

// scope is what a workflow's references can reach: the roots stepOutputs,
// workflowOutputs and imagebuilder (User Guide, "Dynamic variables").
type scope map[string]any

// lookup finds a path such as $.stepOutputs.Launch.instanceId. A list element
// is named by its zero-based index: $.stepOutputs.Copy.images[0].
func (s scope) lookup(path string) (any, error) {
	rest, ok := strings.CutPrefix(path, "$.")
	if !ok {
		return nil, fmt.Errorf("%q is not a path: it does not begin with \"$.\" followed by a name", path)
	}
	var at any = map[string]any(s)
	for _, part := range strings.Split(rest, ".") {
		name, indexes, err := splitIndexes(part)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		node, ok := at.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s: nothing is below %q", path, name)
		}
		if at, ok = node[name]; !ok {
			return nil, fmt.Errorf("%s: there is no %q", path, name)
		}
		for _, i := range indexes {
			list, ok := at.([]any)
			if !ok || i >= len(list) {
				return nil, fmt.Errorf("%s: there is no element %d of %q", path, i, name)
			}
			at = list[i]
		}
	}
	return at, nil
}

// splitIndexes takes "images[0][1]" apart.
func splitIndexes(part string) (name string, indexes []int, err error) {
	name, rest, found := strings.Cut(part, "[")
	for found {
		var digits string
		digits, rest, found = strings.Cut(rest, "]")
		if !found {
			return "", nil, fmt.Errorf("%q lacks a ]", part)
		}
		n, err := strconv.Atoi(digits)
		if err != nil || n < 0 {
			return "", nil, fmt.Errorf("%q is not an index", digits)
		}
		indexes = append(indexes, n)
		if rest == "" {
			break
		}
		if rest, found = strings.CutPrefix(rest, "["); !found {
			return "", nil, fmt.Errorf("%q has text after ]", part)
		}
	}
	return name, indexes, nil
}

// inputs resolves a step's inputs: a key that ends in ".$" takes the value its
// path names.
func (s scope) inputs(in map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(in))
	for key, value := range in {
		name, chained := strings.CutSuffix(key, ".$")
		if !chained {
			out[key] = value
			continue
		}
		path, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("input %s: a path must be a string", key)
		}
		v, err := s.lookup(path)
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", name, err)
		}
		out[name] = v
	}
	return out, nil
}

// holds evaluates an if: a comparison, or and, or, not over comparisons.
func (s scope) holds(cond map[string]any) (bool, error) {
	for op, arg := range cond {
		switch op {
		case "value":
			continue
		case "and", "or":
			return s.holdsList(op, arg)
		case "not":
			inner, ok := arg.(map[string]any)
			if !ok {
				return false, fmt.Errorf("not: takes one condition")
			}
			ok, err := s.holds(inner)
			return !ok, err
		case "stringEquals", "booleanEquals":
			path, _ := cond["value"].(string)
			got, err := s.lookup(path)
			return got == arg, err
		default:
			return false, fmt.Errorf("unknown condition %q", op)
		}
	}
	return false, fmt.Errorf("an empty condition")
}

// holdsList evaluates the branches of an and or an or, left to right, and
// stops at the first that decides.
func (s scope) holdsList(op string, arg any) (bool, error) {
	list, ok := arg.([]any)
	if !ok || len(list) == 0 {
		return false, fmt.Errorf("%s: takes a list of conditions", op)
	}
	for _, item := range list {
		cond, ok := item.(map[string]any)
		if !ok {
			return false, fmt.Errorf("%s: takes a list of conditions", op)
		}
		holds, err := s.holds(cond)
		if err != nil {
			return false, err
		}
		if holds == (op == "or") {
			return holds, nil
		}
	}
	return op == "and", nil
}
