package shape

import (
	"cmp"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// Unbounded as a maximum means that the model gives none.
const Unbounded = -1

// Text is what a service model says about a string: its length in characters,
// a pattern for the whole of it, the values of an enumeration.
type Text struct {
	Min, Max int // Max may be Unbounded
	Pattern  *Pattern
	Values   []string // of an enumeration; nil: any
	Secret   bool     // never repeated in a message
}

// Int is what a model says about an integer.
type Int struct {
	Min, Max       int64
	HasMin, HasMax bool
}

// Float is what a model says about a floating-point number.
type Float struct {
	Min, Max       float64
	HasMin, HasMax bool
}

// Size is what a model says about the number of items of a list or a map.
type Size struct {
	Min, Max int // Max may be Unbounded
}

// Pattern is a model's pattern. It always has to match the whole string.
type Pattern struct {
	// Source is the pattern as the model has it; messages show this one.
	Source string

	// Expr, Least, Most and NotPrefix together say the same in terms that RE2
	// can check: the expression ("": the source), a number of characters (Most
	// 0: any), and a prefix that is not allowed.
	Expr        string
	Least, Most int
	NotPrefix   string

	once sync.Once
	re   *regexp.Regexp
}

// Match reports whether the whole of s matches. The expression is compiled at
// the first use: a program that only prints its help pays nothing for it.
func (p *Pattern) Match(s string) bool {
	// The pattern of every inline document, which has up to 16,000 characters:
	// searching a byte is a hundred times faster than an automaton.
	switch p.Source {
	case `[^\x00]+`:
		return s != "" && strings.IndexByte(s, 0) < 0
	case `[^\x00]*`:
		return strings.IndexByte(s, 0) < 0
	}
	p.once.Do(func() { p.re = regexp.MustCompile(`^(?:` + cmp.Or(p.Expr, p.Source) + `)$`) })
	if p.NotPrefix != "" && strings.HasPrefix(s, p.NotPrefix) {
		return false
	}
	if p.Most > 0 {
		if n := utf8.RuneCountInString(s); n < p.Least || n > p.Most {
			return false
		}
	}
	return p.re.MatchString(s)
}
