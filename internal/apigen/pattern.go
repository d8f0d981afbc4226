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
	// (?=.{20,2048}$) at the start: a number of characters.
	sized = regexp.MustCompile(`^\^?\(\?=\.\{([0-9]+),([0-9]+)\}\$?\)(.*)$`)
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
	if m := sized.FindStringSubmatch(r.Expr); m != nil {
		r.Least, r.Most, r.Expr = number(m[1]), number(m[2]), m[3]
	}
	if m := counted.FindStringSubmatch(r.Expr); m != nil && number(m[3]) > 1000 {
		r.Expr, r.Least, r.Most = m[1]+"*", number(m[2]), number(m[3])
	}
	r.Expr = escapes(r.Expr)
	if r.Expr == "" {
		r.Expr = "(?:)" // an empty Expr would mean the source
	}
	if _, err := regexp.Compile(`^(?:` + r.Expr + `)$`); err != nil {
		return r, fmt.Errorf("pattern %q cannot be checked by RE2: %w", pattern, err)
	}
	return r, nil
}

func number(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0 // more than an int holds: no limit
	}
	return n
}

// escapes translates Java's escapes that RE2 reads differently. \s has the
// vertical tab in Java; inside a class the two can simply stand side by side.
// \uXXXX is a code point; the models also write \u10000 and \u10FFFF and mean
// the code points above the first 65,536.
func escapes(expr string) string {
	var out strings.Builder
	class := false
	for i := 0; i < len(expr); i++ {
		c := expr[i]
		if c != '\\' || i+1 == len(expr) {
			class = c == '[' || class && c != ']'
			out.WriteByte(c)
			continue
		}
		i++
		switch point := codePoint.FindString(expr[i:]); {
		case expr[i] == 's' && class:
			out.WriteString(`\s\x0B`)
		case expr[i] == 's':
			out.WriteString(`[\s\x0B]`)
		case point != "":
			out.WriteString(`\x{` + point[1:] + `}`)
			i += len(point) - 1
		default:
			out.WriteByte(c)
			out.WriteByte(expr[i])
		}
	}
	return out.String()
}

var codePoint = regexp.MustCompile(`^u(10000|10FFFF|[0-9A-Fa-f]{4})`)
