package cloud

import (
	"slices"
	"strings"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/fault"
)

// attributes are what the filters of a Describe operation look at: the values
// that a resource has for a filter's name.
type attributes[T any] map[string]func(T) []string

// filter is a test that a resource has to pass: one of the values matches.
type filter[T any] struct {
	values   []string
	resource func(T) []string
}

// compile checks the names of filters. Besides the given names there are
// tag:KEY and tag-key.
func (known attributes[T]) compile(filters []ec2.Filter, tags func(T) map[string]string) ([]filter[T], error) {
	var all []filter[T]
	for _, f := range filters {
		name := text(f.Name)
		if len(f.Values) == 0 {
			return nil, fault.New("InvalidParameterValue", "The filter '%s' has no values", name)
		}
		get, ok := known[name]
		if key, isTag := strings.CutPrefix(name, "tag:"); isTag {
			ok = true
			get = func(t T) []string {
				if v, has := tags(t)[key]; has {
					return []string{v}
				}
				return nil
			}
		} else if name == "tag-key" {
			ok = true
			get = func(t T) []string {
				var keys []string
				for k := range tags(t) {
					keys = append(keys, k)
				}
				return keys
			}
		}
		if !ok {
			return nil, fault.New("InvalidParameterValue", "The filter '%s' is invalid", name)
		}
		all = append(all, filter[T]{f.Values, get})
	}
	return all, nil
}

// pass reports whether a resource passes every filter.
func pass[T any](filters []filter[T], t T) bool {
	for _, f := range filters {
		have := f.resource(t)
		if !slices.ContainsFunc(f.values, func(pattern string) bool {
			return slices.ContainsFunc(have, func(v string) bool { return wildcard(pattern, v) })
		}) {
			return false
		}
	}
	return true
}

// wildcard matches EC2's filter values: "*" stands for any characters, "?" for
// one, a backslash takes the meaning off the next character (EC2 User Guide,
// "Listing and filtering your resources"). Its time is linear in the value for
// each star, whatever the pattern.
func wildcard(pattern, value string) bool {
	p, v := []rune(pattern), []rune(value)
	i, j := 0, 0
	star, mark := -1, 0
	for j < len(v) {
		if i < len(p) && p[i] == '*' {
			star, mark = i, j
			i++
			continue
		}
		if i < len(p) {
			want, width, any := p[i], 1, p[i] == '?'
			if p[i] == '\\' && i+1 < len(p) {
				want, width, any = p[i+1], 2, false
			}
			if any || want == v[j] {
				i += width
				j++
				continue
			}
		}
		if star < 0 {
			return false
		}
		mark++
		i, j = star+1, mark
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func ptr[T any](v T) *T { return &v }

// some gives a pointer to a string, nil for an empty one.
func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func boolean(b bool) string {
	if b {
		return "true"
	}
	return "false"
}
