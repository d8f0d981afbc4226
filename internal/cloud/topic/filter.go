package topic

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// filter is a subscription's filter policy: which messages it wants (SNS
// Developer Guide, "Amazon SNS message filtering"). The nil filter wants all.
type filter struct {
	fields map[string]any // name → list of conditions, or for bodies fields below it
	body   bool
}

// maxConditions bounds the product of the lengths of a policy's lists, as SNS
// does.
const maxConditions = 150

// parseFilter reads a policy; "" is none.
func parseFilter(policy, scope string) (*filter, error) {
	if policy == "" {
		return nil, nil
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(policy), &fields); err != nil || fields == nil {
		return nil, fmt.Errorf("it is not a JSON object")
	}
	f := &filter{fields: fields, body: scope == "MessageBody"}
	if len(fields) > 5 {
		return nil, badFilter("Filter policy can not have more than 5 keys")
	}
	combinations := 1
	if err := f.check(fields, &combinations, 0); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *filter) check(fields map[string]any, combinations *int, depth int) error {
	for name, v := range fields {
		switch v := v.(type) {
		case []any:
			if len(v) == 0 {
				return fmt.Errorf("%q has an empty list", name)
			}
			if *combinations *= len(v); *combinations > maxConditions {
				return badFilter("Filter policy is too complex")
			}
			for _, condition := range v {
				if err := checkCondition(name, condition); err != nil {
					return err
				}
			}
		case map[string]any:
			if !f.body {
				return badFilter("Filter policy scope MessageAttributes does not support nested filter policy")
			}
			if depth > 10 {
				return fmt.Errorf("it is nested too deep")
			}
			if err := f.check(v, combinations, depth+1); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%q must be an object or an array", name)
		}
	}
	return nil
}

func checkCondition(name string, condition any) error {
	object, ok := condition.(map[string]any)
	if !ok {
		if _, ok := condition.([]any); ok {
			return badFilter("Match value must be String, number, true, false, or null")
		}
		return nil
	}
	if len(object) != 1 {
		return fmt.Errorf("a condition of %q must have one keyword", name)
	}
	for keyword, v := range object {
		good := false
		switch keyword {
		case "prefix", "suffix", "equals-ignore-case":
			_, good = v.(string)
		case "exists":
			_, good = v.(bool)
		case "numeric":
			_, good = ranges(v)
		case "anything-but":
			switch v := v.(type) {
			case string, float64:
				good = true
			case []any:
				good = len(v) > 0
			case map[string]any:
				good = len(v) == 1 && checkCondition(name, v) == nil && (v["prefix"] != nil || v["suffix"] != nil || v["equals-ignore-case"] != nil)
			}
		default:
			return badFilter("Unrecognized match type %s", keyword)
		}
		if !good {
			return fmt.Errorf("the value of %s for %q is not valid", keyword, name)
		}
	}
	return nil
}

// bound is one comparison of a numeric condition.
type bound struct {
	operator string
	value    float64
}

func ranges(v any) ([]bound, bool) {
	list, ok := v.([]any)
	if !ok || len(list) != 2 && len(list) != 4 {
		return nil, false
	}
	var all []bound
	for i := 0; i < len(list); i += 2 {
		operator, ok := list[i].(string)
		value, isNumber := list[i+1].(float64)
		if !ok || !isNumber || !slices.Contains([]string{"=", "<", "<=", ">", ">="}, operator) {
			return nil, false
		}
		all = append(all, bound{operator, value})
	}
	return all, true
}

func (b bound) holds(x float64) bool {
	switch b.operator {
	case "=":
		return x == b.value
	case "<":
		return x < b.value
	case "<=":
		return x <= b.value
	case ">":
		return x > b.value
	}
	return x >= b.value
}

// wants reports whether a message passes.
func (f *filter) wants(c content) bool {
	if f == nil {
		return true
	}
	if f.body {
		var body map[string]any
		if json.Unmarshal([]byte(c.Message), &body) != nil {
			return false
		}
		return matches(f.fields, body)
	}
	values := map[string]any{}
	for name, a := range c.Attributes {
		values[name] = a.plain()
	}
	return matches(f.fields, values)
}

// plain is an attribute as a JSON value: a number, a list, or a string.
func (a attribute) plain() any {
	if strings.HasPrefix(a.Type, "Number") {
		if n, err := strconv.ParseFloat(a.Value, 64); err == nil {
			return n
		}
	}
	if a.Type == "String.Array" {
		var list []any
		if json.Unmarshal([]byte(a.Value), &list) == nil {
			return list
		}
	}
	return a.Value
}

// matches reports whether every field has a value that some condition of it
// takes.
func matches(fields, values map[string]any) bool {
	for name, v := range fields {
		have, there := values[name]
		if below, ok := v.(map[string]any); ok {
			object, _ := have.(map[string]any)
			if !matches(below, object) {
				return false
			}
			continue
		}
		if !slices.ContainsFunc(v.([]any), func(condition any) bool { return takes(condition, have, there) }) {
			return false
		}
	}
	return true
}

// takes reports whether a condition takes a value, or one of a list.
func takes(condition, have any, there bool) bool {
	if object, ok := condition.(map[string]any); ok {
		if exists, ok := object["exists"].(bool); ok {
			return exists == there
		}
	}
	if !there {
		return false
	}
	list, ok := have.([]any)
	if !ok {
		list = []any{have}
	}
	if object, ok := condition.(map[string]any); ok && object["anything-but"] != nil {
		return len(list) > 0 && !slices.ContainsFunc(list, func(v any) bool { return !takesOne(condition, v) })
	}
	return slices.ContainsFunc(list, func(v any) bool { return takesOne(condition, v) })
}

func takesOne(condition, v any) bool {
	object, ok := condition.(map[string]any)
	if !ok {
		switch v.(type) {
		case string, float64, bool, nil:
			return condition == v
		}
		return false
	}
	text, isText := v.(string)
	for keyword, want := range object {
		switch keyword {
		case "prefix":
			return isText && strings.HasPrefix(text, want.(string))
		case "suffix":
			return isText && strings.HasSuffix(text, want.(string))
		case "equals-ignore-case":
			return isText && strings.EqualFold(text, want.(string))
		case "numeric":
			n, ok := v.(float64)
			bounds, _ := ranges(want)
			return ok && !slices.ContainsFunc(bounds, func(b bound) bool { return !b.holds(n) })
		case "anything-but":
			return !isAny(want, v)
		}
	}
	return false
}

// isAny reports whether v is what an anything-but condition excludes.
func isAny(excluded, v any) bool {
	switch excluded := excluded.(type) {
	case []any:
		return slices.ContainsFunc(excluded, func(e any) bool { return takesOne(e, v) })
	default:
		return takesOne(excluded, v)
	}
}

// badFilter is an error in SNS's words.
func badFilter(format string, args ...any) error { return fmt.Errorf(format, args...) }
