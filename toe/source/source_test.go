package source_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/toe/source"
)

func TestParsePlaces(t *testing.T) {
	t.Parallel()
	n, problems := source.Parse([]byte("# comment\na:\n  - b: 0777\n    c: 'x'\n"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	b := n.Get("a").Items[0].Get("b")
	if b.Line != 3 || b.Column != 8 || b.Text != "0777" || b.Quoted || b.Path() != "a[0].b" {
		t.Errorf("b is %q at %d:%d, path %q, quoted %v", b.Text, b.Line, b.Column, b.Path(), b.Quoted)
	}
	if c := n.Get("a").Items[0].Get("c"); !c.Quoted || c.Line != 4 {
		t.Errorf("c is quoted %v on line %d", c.Quoted, c.Line)
	}
	if n.Get("missing") != nil || b.Get("x") != nil {
		t.Error("a key that is not there was found")
	}
}

func TestProblemAt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"block":          {"a: |\n  one\n    Ünï X\n", "3:9: "},
		"blank lines":    {"a: |\n\n\n   X\n", "4:4: "},
		"end of a line":  {"a: |\n  one X\n  two\n", "2:7: "},
		"carriage":       {"a: |\r\n  one\r\n  X\r\n", "3:3: "},
		"indent given":   {"a: |2\n    X\n", "2:5: "},
		"comment":        {"a: | # why\n  X\n", "2:3: "},
		"in a list":      {"- - |-\n    X", "2:5: "},
		"folded":         {"a: >\n  one\n  X\n", "1:4: "},
		"quoted":         {"a: 'one X'\n", "1:4: "},
		"other line end": {"a: |\n  one\u2028  X\n", "2: "}, // for YAML it ends the line, for nobody else
	} {
		n, problems := source.Parse([]byte(tc.text))
		if len(problems) > 0 {
			t.Fatal(name, problems)
		}
		for n.Kind != source.Scalar {
			if n.Kind == source.List {
				n = n.Items[0]
			} else {
				n = n.Get("a")
			}
		}
		got := n.ProblemAt(strings.Index(n.Text, "X"), "rule", "m").String()
		if got != tc.want+"m" {
			t.Errorf("%s: %q, want %q", name, got, tc.want+"m")
		}
	}
}

func TestParseProblems(t *testing.T) {
	t.Parallel()
	bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 9; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	for _, tc := range []struct {
		name, text string
		want       string // the start of the only problem
		tree       bool
	}{
		{"empty", "", "1:1: The document is empty.", false},
		{"only a comment", "# hi\n", "1:1: The document is empty.", false},
		{"NUL", "a: 1\nb: \x00\n", "2:4: The document holds a NUL byte.", false},
		{"latin-1", "a: caf\xe9\n", "1:7: The document is not UTF-8 text.", false},
		{"UTF-16", "\xff\xfea\x00", "1:4: The document holds a NUL byte.", false},
		{"too large", strings.Repeat("# comment\n", source.MaxBytes/8), "The document has 1310720 bytes; at most 1048576 are allowed.", false},
		{"duplicate", "a: 1\nb: 2\na: 3\n", "3:1: The key 'a' was already given on line 1.", true},
		{"second document", "a: 1\n---\nb: 1\n", "2:1: The file holds a second YAML document; only one is allowed.", true},
		{"list as key", "? [a]\n: 1\n", "1:3: A key must be text.", true},
		{"unquoted braces", "a: {{ b }}\n", "1:5: A key must be text; put text that begins with '{{' in quotes.", true},
		{"broken line", "a:\n  - b: 1\n  - c: 2\n    d: e: f\n  - g: 1\n", "4:5: not valid YAML: mapping values are not allowed in this context (put text that holds ': ' in quotes, or use a '|' block)", false},
		{"broken indent", "a:\n  b: 1\n  c: 2\n d: 3\ne: 4\n", "4:2: not valid YAML: did not find expected key", false},
		{"tab", "a:\n  b: 1\n\tc: 2\n", "3:2: not valid YAML: found a tab character that violates indentation (indent with blanks, not with tabs)", false},
		{"text after braces", "a: {{ b }}/c\n", "1:1: not valid YAML: did not find expected key (put text that begins with '{{' in quotes)", false},
		{"unknown anchor", "a: *b\n", "1:1: not valid YAML: unknown anchor 'b' referenced", false},
		{"alias bomb", bomb, "1:18: The document has more than 200000 parts", false},
		{"alias of itself", "a: &a\n  b: *a\n", "", false},
		{"merge of itself", "a: &a\n  <<: *a\n", "", false},
		{"deep flow", strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "1:66: Lists and mappings lie more than 64 levels deep within each other.", false},
		{"bad merge", "<<: x\na: 1\n", "1:5: '<<' takes a mapping or a list of mappings.", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			n, problems := source.Parse([]byte(tc.text))
			if len(problems) != 1 || !strings.HasPrefix(problems[0].String(), tc.want) {
				t.Errorf("problems:\n%v\nwant:\n%v", problems, tc.want)
			}
			if (n != nil) != tc.tree {
				t.Errorf("tree there: %v, want %v", n != nil, tc.tree)
			}
		})
	}
}

func TestParseMerge(t *testing.T) {
	t.Parallel()
	n, problems := source.Parse([]byte("base: &base {a: 1, b: 2}\nx:\n  <<: *base\n  b: 3\n"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	x := n.Get("x")
	if x.Get("a").Text != "1" || x.Get("b").Text != "3" {
		t.Errorf("a is %q, b is %q", x.Get("a").Text, x.Get("b").Text)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a: 1", "a: &x [1]\nb: *x\n<<: {c: d}", "{\"a\": [1, null]}", "a:\n - |\n  x\n", "? ? ? a", "a: &a [*a]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, problems := source.Parse(data)
		if n == nil && len(problems) == 0 {
			t.Fatal("neither a tree nor a problem")
		}
		for _, p := range problems {
			if p.Message == "" || p.Rule == "" || p.Line < 0 {
				t.Fatalf("incomplete problem %+v", p)
			}
		}
	})
}
