package workflow

import "fmt"

// Condition is what a step's if holds: a comparison, or conditions under and,
// or, not.
type Condition struct {
	Op       string
	Children []*Condition // of and, or, not
	literal  value        // of a comparison: what stands beside the operator
	value    value        // of a comparison: what stands under value
}

// The operators of conditions.
const (
	opAnd = "and"
	opOr  = "or"
	opNot = "not"
)

// comparators decide whether value OP literal holds. The guide does not say
// which side the literal is on; it is the right one, as with components.
var comparators = map[string]func(value, literal any) (bool, error){
	"stringEquals": func(value, literal any) (bool, error) {
		if _, ok := value.(map[string]any); ok {
			return false, fmt.Errorf("a mapping cannot be compared with text")
		}
		if _, ok := value.([]any); ok {
			return false, fmt.Errorf("a list cannot be compared with text")
		}
		return textOf(value) == textOf(literal), nil
	},
	"booleanEquals": func(value, literal any) (bool, error) {
		v, ok := toBool(value)
		l, okLiteral := toBool(literal)
		if !ok || !okLiteral {
			return false, fmt.Errorf("'%s' and '%s' are not both true or false", shorten(textOf(value)), shorten(textOf(literal)))
		}
		return v == l, nil
	},
	"numberEquals":            numbers(func(v, l float64) bool { return v == l }),
	"numberGreaterThan":       numbers(func(v, l float64) bool { return v > l }),
	"numberGreaterThanEquals": numbers(func(v, l float64) bool { return v >= l }),
	"numberLessThan":          numbers(func(v, l float64) bool { return v < l }),
	"numberLessThanEquals":    numbers(func(v, l float64) bool { return v <= l }),
}

// operators are all words that a condition can begin with, for suggestions.
var operators = []string{
	opAnd, opOr, opNot, "booleanEquals", "numberEquals", "numberGreaterThan", "numberGreaterThanEquals", "numberLessThan", "numberLessThanEquals", "stringEquals",
}

func numbers(holds func(value, literal float64) bool) func(value, literal any) (bool, error) {
	return func(value, literal any) (bool, error) {
		v, ok := toNumber(value)
		l, okLiteral := toNumber(literal)
		if !ok || !okLiteral {
			return false, fmt.Errorf("'%s' and '%s' are not both numbers", shorten(textOf(value)), shorten(textOf(literal)))
		}
		return holds(v, l), nil
	}
}

// Holds decides the condition. and and or stop at the first branch that settles
// them, so that later branches need not have values.
func (c *Condition) Holds(s *Scope) (bool, error) {
	switch c.Op {
	case opAnd, opOr:
		settles := c.Op == opOr
		for _, child := range c.Children {
			holds, err := child.Holds(s)
			if err != nil || holds == settles {
				return holds, err
			}
		}
		return !settles, nil
	case opNot:
		holds, err := c.Children[0].Holds(s)
		return !holds && err == nil, err
	}
	v, err := c.value.resolve(s)
	if err != nil {
		return false, fmt.Errorf("%s: %w", c.Op, err)
	}
	l, err := c.literal.resolve(s)
	if err != nil {
		return false, fmt.Errorf("%s: %w", c.Op, err)
	}
	holds, err := comparators[c.Op](v, l)
	if err != nil {
		return false, fmt.Errorf("%s: %w", c.Op, err)
	}
	return holds, nil
}

func (c *Condition) references(f func(Path, place)) {
	for _, child := range c.Children {
		child.references(f)
	}
	if c.value != nil {
		c.value.references(f)
	}
	if c.literal != nil {
		c.literal.references(f)
	}
}
