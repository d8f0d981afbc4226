package access

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/fault"
)

// condition is one operator with one key of a Condition element, and the values
// of which one has to match.
type condition struct {
	key      string // in lower case
	operator *operator
	ifExists bool
	set      setOperator
	values   []value
}

// setOperator says how the several values of a key count.
type setOperator byte

const (
	single setOperator = iota
	forAnyValue
	forAllValues
)

// value is a value of a condition in the form that its operator compares.
type value struct {
	text    pattern
	arn     arnPattern
	number  float64
	time    time.Time
	truth   bool
	network netip.Prefix
	bytes   []byte
}

// operator compares values. negated operators are the opposite of their
// positive form, for absent keys too.
type operator struct {
	negated bool
	parse   func(text string, variables bool) (value, bool)
	matches func(v value, have string) bool
	null    bool // the operator Null, which asks for presence only
}

// operators are those of the User Guide, "Condition operators".
var operators = map[string]*operator{
	"StringEquals":              {parse: parseText, matches: equalText},
	"StringNotEquals":           {parse: parseText, matches: equalText, negated: true},
	"StringEqualsIgnoreCase":    {parse: parseText, matches: equalFold},
	"StringNotEqualsIgnoreCase": {parse: parseText, matches: equalFold, negated: true},
	"StringLike":                {parse: parsePattern, matches: likeText},
	"StringNotLike":             {parse: parsePattern, matches: likeText, negated: true},
	"NumericEquals":             {parse: parseNumber, matches: compareNumber(func(c int) bool { return c == 0 })},
	"NumericNotEquals":          {parse: parseNumber, matches: compareNumber(func(c int) bool { return c == 0 }), negated: true},
	"NumericLessThan":           {parse: parseNumber, matches: compareNumber(func(c int) bool { return c < 0 })},
	"NumericLessThanEquals":     {parse: parseNumber, matches: compareNumber(func(c int) bool { return c <= 0 })},
	"NumericGreaterThan":        {parse: parseNumber, matches: compareNumber(func(c int) bool { return c > 0 })},
	"NumericGreaterThanEquals":  {parse: parseNumber, matches: compareNumber(func(c int) bool { return c >= 0 })},
	"DateEquals":                {parse: parseDate, matches: compareDate(func(c int) bool { return c == 0 })},
	"DateNotEquals":             {parse: parseDate, matches: compareDate(func(c int) bool { return c == 0 }), negated: true},
	"DateLessThan":              {parse: parseDate, matches: compareDate(func(c int) bool { return c < 0 })},
	"DateLessThanEquals":        {parse: parseDate, matches: compareDate(func(c int) bool { return c <= 0 })},
	"DateGreaterThan":           {parse: parseDate, matches: compareDate(func(c int) bool { return c > 0 })},
	"DateGreaterThanEquals":     {parse: parseDate, matches: compareDate(func(c int) bool { return c >= 0 })},
	"Bool":                      {parse: parseBool, matches: equalBool},
	"BinaryEquals":              {parse: parseBinary, matches: equalBinary},
	"IpAddress":                 {parse: parseNetwork, matches: inNetwork},
	"NotIpAddress":              {parse: parseNetwork, matches: inNetwork, negated: true},
	"ArnEquals":                 {parse: parseARNPattern, matches: likeARN},
	"ArnNotEquals":              {parse: parseARNPattern, matches: likeARN, negated: true},
	"ArnLike":                   {parse: parseARNPattern, matches: likeARN},
	"ArnNotLike":                {parse: parseARNPattern, matches: likeARN, negated: true},
	"Null":                      {parse: parseBool, null: true},
}

// parseCondition reads an operator with its prefix and suffix, a key and its
// values.
func parseCondition(name, key string, texts []string, variables bool) (condition, error) {
	c := condition{key: lower(key)}
	base := name
	switch {
	case strings.HasPrefix(base, "ForAnyValue:"):
		c.set, base = forAnyValue, strings.TrimPrefix(base, "ForAnyValue:")
	case strings.HasPrefix(base, "ForAllValues:"):
		c.set, base = forAllValues, strings.TrimPrefix(base, "ForAllValues:")
	}
	if rest, ok := strings.CutSuffix(base, "IfExists"); ok && rest != "Null" {
		c.ifExists, base = true, rest
	}
	c.operator = operators[base]
	switch {
	case c.operator == nil, c.operator.null && c.set != single:
		return condition{}, fmt.Errorf("%q is not a condition operator", fault.Clip(name))
	case !strings.Contains(key, ":"):
		return condition{}, fmt.Errorf("%q is not a condition key", fault.Clip(key))
	case len(texts) == 0:
		return condition{}, fmt.Errorf("the condition key %q has no value", fault.Clip(key))
	}
	for _, text := range texts {
		v, ok := c.operator.parse(text, variables)
		if !ok {
			return condition{}, fmt.Errorf("%q is not a value for %s", fault.Clip(text), fault.Clip(name))
		}
		c.values = append(c.values, v)
	}
	return c, nil
}

// holds evaluates a condition. valid is false if one of its variables has no
// value in this request.
func (c *condition) holds(context Lookup) (ok, valid bool) {
	have, present := context(c.key)
	present = present && len(have) > 0
	if c.operator.null {
		return slices.ContainsFunc(c.values, func(v value) bool { return v.truth != present }), true
	}
	values, valid := c.expanded(context)
	if !valid {
		return false, false
	}
	if !present {
		switch {
		case c.ifExists, c.set == forAllValues:
			return true, true
		case c.set == forAnyValue:
			return false, true
		}
		return c.operator.negated, true
	}
	one := func(h string) bool {
		return slices.ContainsFunc(values, func(v value) bool { return c.operator.matches(v, h) }) != c.operator.negated
	}
	switch {
	case c.set == forAllValues, c.set == single && c.operator.negated:
		return !slices.ContainsFunc(have, func(h string) bool { return !one(h) }), true
	}
	return slices.ContainsFunc(have, one), true
}

// expanded puts the request's values in the place of variables.
func (c *condition) expanded(context Lookup) ([]value, bool) {
	out := c.values
	for i, v := range c.values {
		text, ok := v.text.expand(context)
		if !ok {
			return nil, false
		}
		arn, ok := v.arn.expand(context)
		if !ok {
			return nil, false
		}
		if i == 0 {
			out = slices.Clone(c.values)
		}
		out[i].text, out[i].arn = text, arn
	}
	return out, true
}

// parseText reads text in which "*" and "?" mean themselves.
func parseText(text string, variables bool) (value, bool) {
	p, ok := compile(text, syntax{variables: variables})
	return value{text: p}, ok
}

func parsePattern(text string, variables bool) (value, bool) {
	p, ok := compile(text, syntax{wildcards: true, variables: variables})
	return value{text: p}, ok
}

func equalText(v value, have string) bool { return v.text.match(have) }

func equalFold(v value, have string) bool { return lower(v.text.text()) == lower(have) }

func likeText(v value, have string) bool { return v.text.match(have) }

func parseARNPattern(text string, variables bool) (value, bool) {
	a, ok := compileARN(text, variables)
	return value{arn: a}, ok
}

func likeARN(v value, have string) bool { return v.arn.match(have) }

func parseBool(text string, _ bool) (value, bool) {
	switch lower(text) {
	case "true":
		return value{truth: true}, true
	case "false":
		return value{}, true
	}
	return value{}, false
}

func equalBool(v value, have string) bool {
	h, ok := parseBool(have, false)
	return ok && h.truth == v.truth
}

func parseBinary(text string, _ bool) (value, bool) {
	b, err := base64.StdEncoding.DecodeString(text)
	return value{bytes: b}, err == nil
}

func equalBinary(v value, have string) bool {
	h, ok := parseBinary(have, false)
	return ok && string(h.bytes) == string(v.bytes)
}

// parseNetwork reads an address or a range of them.
func parseNetwork(text string, _ bool) (value, bool) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return value{}, false
		}
		a = a.Unmap()
		return value{network: netip.PrefixFrom(a, a.BitLen())}, true
	}
	p, err := netip.ParsePrefix(text)
	return value{network: p}, err == nil
}

func inNetwork(v value, have string) bool {
	a, err := netip.ParseAddr(have)
	return err == nil && v.network.Contains(a.WithZone("").Unmap())
}
