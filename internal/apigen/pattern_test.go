package main

import (
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

func pattern(source string, r Rewritten) *shape.Pattern {
	return &shape.Pattern{Source: source, Expr: r.Expr, Least: r.Least, Most: r.Most, NotPrefix: r.NotPrefix}
}

func TestRewrittenPatternsMatchAsInJava(t *testing.T) {
	t.Parallel()
	for source, c := range map[string]struct{ match, differ []string }{
		`^[0-9]{2}$`:                      {[]string{"12"}, []string{"1", "123", "12\n", "\n12"}},
		`[a-z]+`:                          {[]string{"a", "abc"}, []string{"", "aB", "a ", "1a1"}},
		`^String|Integer|List$`:           {[]string{"String", "Integer", "List"}, []string{"Strings", "XInteger", "MyList", ""}},
		`^[a-zA-Z]{1,1024}$`:              {[]string{"a", strings.Repeat("b", 1024)}, []string{"", strings.Repeat("b", 1025), "1"}},
		`[\]\\x]{0,2000}`:                 {[]string{"", `]\x`, strings.Repeat("x", 2000)}, []string{strings.Repeat("x", 2001), "a"}},
		`^(?!aws:)[a-z:]*$`:               {[]string{"", "aws", "xaws:"}, []string{"aws:", "aws:x", "A"}},
		`^(?=.{2,3}$)a+b?$`:               {[]string{"aa", "aab"}, []string{"a", "aaaa", "b"}},
		`[\s]x\s`:                         {[]string{"\vx\v", " x\t"}, []string{"x", "ax "}},
		`[\u0009\u00e9\u10000-\u10FFFF]+`: {[]string{"\té", "\U0001f600"}, []string{"a", "0", "F"}},
		`(?=.{2,3}$)`:                     {nil, []string{"ab"}},
		`(?!a)`:                           {[]string{""}, []string{"a", "b"}},
		`a\\s`:                            {[]string{`a\s`}, []string{"a ", `a\`}},
	} {
		r, err := Rewrite(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		p := pattern(source, r)
		for _, s := range c.match {
			if !p.Match(s) {
				t.Errorf("%s does not match %.40q", source, s)
			}
		}
		for _, s := range c.differ {
			if p.Match(s) {
				t.Errorf("%s matches %.40q", source, s)
			}
		}
	}
}

func TestPatternsThatCannotBeRewritten(t *testing.T) {
	t.Parallel()
	for _, source := range []string{`(?<=a)b`, `a(?!b)`, `(a)\1`, `[`, `(?!a|b)c`, `x{1,1001}y`, `[a]++`} {
		if r, err := Rewrite(source); err == nil {
			t.Errorf("%s became %+v", source, r)
		}
	}
}

// Every pattern that is accepted can be compiled and used.
func FuzzRewrite(f *testing.F) {
	for _, s := range []string{`^(?!aws:)[a-z\s]*$`, `^[a-z]{1,1024}$`, `(?=.{1,2}$)\u0041`, `[^\x00]+`, `\`, `[\s`, `^(?=.{99999999999999999999,1}$)`} {
		f.Add(s, "a b")
	}
	f.Fuzz(func(t *testing.T, source, s string) {
		if r, err := Rewrite(source); err == nil {
			pattern(source, r).Match(s)
		}
	})
}
