package fault

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClip(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                        "",
		"web":                     "web",
		strings.Repeat("ä", 200):  strings.Repeat("ä", 200),
		strings.Repeat("ä", 201):  strings.Repeat("ä", 200) + "…",
		strings.Repeat("a", 1e6):  strings.Repeat("a", 200) + "…",
		"a\xffb":                  "a\uFFFDb",
		strings.Repeat("\xff", 3): "\uFFFD",
	} {
		if got := Clip(in); got != want {
			t.Errorf("Clip(%.20q… of %d bytes) = %q", in, len(in), got)
		}
	}
}

func FuzzClip(f *testing.F) {
	f.Add("web")
	f.Add(strings.Repeat("\xe2\x82", 300))
	f.Fuzz(func(t *testing.T, s string) {
		if got := Clip(s); !utf8.ValidString(got) || utf8.RuneCountInString(got) > mostRepeated+1 {
			t.Errorf("Clip(%q) = %q", s, got)
		}
	})
}
