package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Rewritten is a model's pattern in terms that RE2 can check; the fields are
// those of shape.Pattern.
type Rewritten struct {
	Expr        string
	Least, Most int
	NotPrefix   string
}

var (
	// (?!aws:) at the start: a prefix that is not allowed.
	forbidden = regexp.MustCompile(`^\^?\(\?!([A-Za-z0-9:_-]+)\)(.*)$`)
	// One class, repeated more often than RE2's limit of 1000: a plain
	// repetition and a number of characters.
	counted = regexp.MustCompile(`^\^?(\[(?:\\.|[^\]\\])+\])\{([0-9]+),([0-9]+)\}\$?$`)
)

// Rewrite turns a model's pattern, which is Java's dialect and matches the
// whole string, into one that Go can check; it fails rather than guess.
func Rewrite(pattern string) (Rewritten, error) {
	r := Rewritten{Expr: pattern}
	if m := forbidden.FindStringSubmatch(r.Expr); m != nil {
		r.NotPrefix, r.Expr = m[1], m[2]
	}
	if m := counted.FindStringSubmatch(r.Expr); m != nil {
		least, _ := strconv.Atoi(m[2])
		most, _ := strconv.Atoi(m[3])
		if most > 1000 {
			r.Expr, r.Least, r.Most = m[1]+"*", least, most
		}
	}
	// Java's \s has the vertical tab, RE2's has not. Inside a class the two
	// can simply stand side by side.
	r.Expr = verticalTab(r.Expr)
	if _, err := regexp.Compile(`^(?:` + r.Expr + `)$`); err != nil {
		return r, fmt.Errorf("pattern %q cannot be checked by RE2: %w", pattern, err)
	}
	return r, nil
}

func verticalTab(expr string) string {
	var out strings.Builder
	class := false
	for i := 0; i < len(expr); i++ {
		switch c := expr[i]; {
		case c == '\\' && i+1 < len(expr):
			i++
			switch {
			case expr[i] == 's' && class:
				out.WriteString(`\s\x0B`)
			case expr[i] == 's':
				out.WriteString(`[\s\x0B]`)
			default:
				out.WriteByte(c)
				out.WriteByte(expr[i])
			}
			continue
		case c == '[':
			class = true
		case c == ']':
			class = false
		}
		out.WriteByte(expr[i])
	}
	return out.String()
}
