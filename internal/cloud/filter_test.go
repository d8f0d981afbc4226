package cloud

import (
	"strings"
	"testing"
)

func TestWildcard(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, value string
		want           bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "abc", true}, {"a*c", "abbbc", true}, {"a*c", "abcd", false}, {"?", "", false}, {"?", "ü", true},
		{"a?c", "abc", true}, {`\*`, "*", true}, {`\*`, "a", false}, {`\?`, "?", true}, {`\\`, `\`, true}, {`a\`, `a\`, true}, {"*.com", "a.com.com", true}, {"**a**", "bab", true},
		{`*\*x`, "a*x", true}, {`*\*x`, "abx", false},
	} {
		if got := wildcard(test.pattern, test.value); got != test.want {
			t.Errorf("wildcard(%q, %q) = %v", test.pattern, test.value, got)
		}
	}
}

// FuzzWildcard compares with the plain recursive definition on short inputs.
func FuzzWildcard(f *testing.F) {
	f.Add("a*?b", "axxb")
	f.Add(`\*\?\\`, `*?\`)
	f.Add(strings.Repeat("*a", 20), strings.Repeat("a", 200)+"b")
	f.Fuzz(func(t *testing.T, pattern, value string) {
		got := wildcard(pattern, value)
		if len(pattern) < 12 && len(value) < 12 {
			if want := slowWildcard([]rune(pattern), []rune(value)); got != want {
				t.Errorf("wildcard(%q, %q) = %v, want %v", pattern, value, got, want)
			}
		}
	})
}

func slowWildcard(p, v []rune) bool {
	switch {
	case len(p) == 0:
		return len(v) == 0
	case p[0] == '*':
		return slowWildcard(p[1:], v) || len(v) > 0 && slowWildcard(p, v[1:])
	case len(v) == 0:
		return false
	case p[0] == '\\' && len(p) > 1:
		return p[1] == v[0] && slowWildcard(p[2:], v[1:])
	}
	return (p[0] == '?' || p[0] == v[0]) && slowWildcard(p[1:], v[1:])
}
