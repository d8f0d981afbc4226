package imagebuilder

import (
	"strings"
	"testing"
	"unicode/utf8"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/toe"
)

// Whatever a script holds, its document is one with one phase and one step, or
// it is refused.
func FuzzScriptDocument(f *testing.F) {
	for _, script := range []string{"echo hello", "a: b\n- c", "{{ x }}{{{{", "\t\r\n\x01\u2028\ufeff", "'\"`$(id)`", "#cloud-config\n---\n...\n", " leading", "trailing \n\n", "{{{ OpeningBraces }}"} {
		f.Add(script)
	}
	in := &api.ImportComponentInput{Name: ptr("fuzz"), Platform: ptr(api.PlatformLinux), Type: ptr(api.ComponentTypeBuild)}
	f.Fuzz(func(t *testing.T, script string) {
		if script == "" || !utf8.ValidString(script) || len(script) > componentSize {
			t.Skip("such scripts are refused before")
		}
		data, err := scriptDocument(in, script)
		if err != nil {
			t.Fatalf("%q: %v", script, err)
		}
		doc, problems := toe.Parse("", data)
		if doc == nil {
			if strings.IndexFunc(script, func(r rune) bool { return r < ' ' || r >= 0x7f }) < 0 {
				t.Fatalf("%q is plain text and is refused: %v", script, problems)
			}
			return
		}
		if len(doc.Phases) != 1 || len(doc.Phases[0].Steps) != 1 || len(doc.Parameters) != 0 {
			t.Fatalf("%q became %s", script, data)
		}
	})
}
