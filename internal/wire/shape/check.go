package shape

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Rule names the constraint that a value broke.
type Rule string

// The constraints of a service model.
const (
	Required  Rule = "required"
	Enum      Rule = "enum"
	Matches   Rule = "pattern"
	MinLength Rule = "min length"
	MaxLength Rule = "max length"
	MinItems  Rule = "min items"
	MaxItems  Rule = "max items"
	MinValue  Rule = "min value"
	MaxValue  Rule = "max value"
)

// Violation is the first constraint that an input broke.
type Violation struct {
	Path  string // the member as a client writes it: "distributions[0].region"
	Rule  Rule
	Limit string // the bound, the pattern, or the enumeration's values
	Value string // what was sent, shortened; "" for secrets, lists and maps
}

// Error says what is wrong in neutral words; each protocol has its own.
func (v *Violation) Error() string {
	return v.Path + " breaks the constraint " + string(v.Rule) + " " + v.Limit
}

// Must says what the value must be, in the words that AWS services use:
// "must match pattern ^[a-z]+$".
func (v *Violation) Must() string {
	switch v.Rule {
	case Required:
		return "must not be null"
	case Enum:
		return "must satisfy enum value set: [" + v.Limit + "]"
	case Matches:
		return "must match pattern " + v.Limit
	case MinLength, MinItems:
		return "must have length greater than or equal to " + v.Limit
	case MaxLength, MaxItems:
		return "must have length less than or equal to " + v.Limit
	case MinValue:
		return "must have value greater than or equal to " + v.Limit
	}
	return "must have value less than or equal to " + v.Limit
}

// Checker walks an input and remembers the first violation.
// Generated code drives it; nothing is allocated while all is well.
type Checker struct {
	path  []segment
	first *Violation
}

type segment struct {
	name  string
	index int // -1: none
}

// Check runs a generated check and returns a *Violation as an error, or nil.
func Check(check func(*Checker)) error {
	var c Checker
	check(&c)
	if c.first != nil {
		return c.first
	}
	return nil
}

// Enter steps into a structure member; Leave steps out again.
func (c *Checker) Enter(member string) { c.path = append(c.path, segment{member, -1}) }

// Item steps into a list's element.
func (c *Checker) Item(member string, i int) { c.path = append(c.path, segment{member, i}) }

// Leave undoes Enter or Item.
func (c *Checker) Leave() { c.path = c.path[:len(c.path)-1] }

// Need reports a required member that is absent.
func (c *Checker) Need(member string, present bool) {
	if !present {
		c.report(member, -1, Required, "", "")
	}
}

// Text checks a string that is there.
func (c *Checker) Text(member, value string, t *Text) { c.text(member, -1, value, t) }

// CheckText checks a string member; nil breaks nothing.
func CheckText[S ~string](c *Checker, member string, value *S, t *Text) {
	if value != nil {
		c.text(member, -1, string(*value), t)
	}
}

// CheckTexts checks every element of a list of strings.
func CheckTexts[S ~string](c *Checker, member string, values []S, t *Text) {
	for i, v := range values {
		c.text(member, i, string(v), t)
	}
}

// Keys gives a map's keys in order, so that the same input always breaks the
// same constraint first.
func Keys[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// CheckInt checks an integer member; nil breaks nothing.
func CheckInt[I ~int32 | ~int64](c *Checker, member string, value *I, n *Int) {
	switch {
	case value == nil:
	case n.HasMin && int64(*value) < n.Min:
		c.report(member, -1, MinValue, fmt.Sprint(n.Min), fmt.Sprint(*value))
	case n.HasMax && int64(*value) > n.Max:
		c.report(member, -1, MaxValue, fmt.Sprint(n.Max), fmt.Sprint(*value))
	}
}

// CheckFloat checks a floating-point member; nil breaks nothing.
func CheckFloat[F ~float32 | ~float64](c *Checker, member string, value *F, n *Float) {
	switch {
	case value == nil:
	case n.HasMin && !(float64(*value) >= n.Min): // also for what is not a number
		c.report(member, -1, MinValue, fmt.Sprint(n.Min), fmt.Sprint(*value))
	case n.HasMax && !(float64(*value) <= n.Max):
		c.report(member, -1, MaxValue, fmt.Sprint(n.Max), fmt.Sprint(*value))
	}
}

// Size checks the number of items of a list or map member, if it is there.
func (c *Checker) Size(member string, present bool, items int, s *Size) {
	switch {
	case !present:
	case items < s.Min:
		c.report(member, -1, MinItems, strconv.Itoa(s.Min), "")
	case s.Max != Unbounded && items > s.Max:
		c.report(member, -1, MaxItems, strconv.Itoa(s.Max), "")
	}
}

func (c *Checker) text(member string, index int, value string, t *Text) {
	if c.first != nil {
		return
	}
	length := len(value)
	if t.Min > 0 || t.Max != Unbounded {
		length = utf8.RuneCountInString(value)
	}
	shown := cut(value)
	if t.Secret {
		shown = ""
	}
	switch {
	case length < t.Min:
		c.report(member, index, MinLength, strconv.Itoa(t.Min), shown)
	case t.Max != Unbounded && length > t.Max:
		c.report(member, index, MaxLength, strconv.Itoa(t.Max), shown)
	case t.Values != nil && !slices.Contains(t.Values, value):
		c.report(member, index, Enum, strings.Join(t.Values, ", "), shown)
	case t.Pattern != nil && !t.Pattern.Match(value):
		c.report(member, index, Matches, t.Pattern.Source, shown)
	}
}

func (c *Checker) report(member string, index int, rule Rule, limit, value string) {
	if c.first != nil {
		return
	}
	var path strings.Builder
	for _, s := range append(slices.Clone(c.path), segment{member, index}) {
		if s.name == "" {
			continue // an item itself
		}
		if path.Len() > 0 {
			path.WriteByte('.')
		}
		path.WriteString(cut(s.name)) // a map's key comes from the client
		if s.index >= 0 {
			path.WriteString("[" + strconv.Itoa(s.index) + "]")
		}
	}
	c.first = &Violation{Path: path.String(), Rule: rule, Limit: limit, Value: value}
}

// cut shortens what a client sent, for messages.
func cut(s string) string {
	const most = 256
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
