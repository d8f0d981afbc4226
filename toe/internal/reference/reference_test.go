package reference_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/toe/internal/reference"
)

func TestParseForms(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]reference.Ref{
		"{{ Color }}":                             {Kind: reference.Name, Name: "Color"},
		"{{Color}}":                               {Kind: reference.Name, Name: "Color"},
		"{{ my-param_1 }}":                        {Kind: reference.Name, Name: "my-param_1"},
		"{{ build.GetIt.outputs.stdout }}":        {Kind: reference.Chain, Phase: "build", Step: "GetIt", Side: "outputs", Key: "stdout"},
		"{{ build.GetIt.outputs[2].content }}":    {Kind: reference.Chain, Phase: "build", Step: "GetIt", Side: "outputs", Index: 2, Key: "content"},
		"{{build.Get-It.inputs[0].destination}}":  {Kind: reference.Chain, Phase: "build", Step: "Get-It", Side: "inputs", Key: "destination"},
		"{{ loop.index }}":                        {Kind: reference.Loop, Name: "loop", Property: "index"},
		"{{ files.value }}":                       {Kind: reference.Loop, Name: "files", Property: "value"},
		"{{ env:ProgramFiles(x86) }}":             {Kind: reference.Env, Name: "ProgramFiles(x86)"},
		"{{ context:executionId }}":               {Kind: reference.Context, Name: "executionId"},
		"{{ aws:imds:placement/region }}":         {Kind: reference.IMDS, Name: "placement/region"},
		"{{ aws:imds:/instance-id }}":             {Kind: reference.IMDS, Name: "instance-id"},
		"{{ aws:ssm:/my/path }}":                  {Kind: reference.SSM, Name: "/my/path"},
		"{{ aws:ssm:resolve(Color) }}":            {Kind: reference.SSM, Resolve: &reference.Ref{Kind: reference.Name, Name: "Color"}},
		"{{ aws:ssm:resolve( aws:ssm:/where ) }}": {Kind: reference.SSM, Resolve: &reference.Ref{Kind: reference.SSM, Name: "/where"}},
	} {
		got, foreign := reference.Parse("<" + text + ">")
		if len(foreign) != 0 || len(got.Refs()) != 1 {
			t.Errorf("%s: %d references, foreign %v", text, len(got.Refs()), foreign)
			continue
		}
		want.Text, want.Offset = text, 1
		if diff := cmp.Diff(want, got.Refs()[0]); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestParseForeign(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"{{ .Names }}", "{{.State.Health}}", "{{- range . }}", "{{ a | b }}", "{{ x }}", "{{}}", "{{ item.name }}",
		"{{ build.step }}", "{{ build.step.outputs }}", "{{ a\nb }}", "{{ context: }}", "{{ env: }}", "{{ aws:ssm:resolve() }}",
		"{{ aws:ssm:resolve(aws:ssm:resolve(Color)) }}", "{{ build.step.outputs[x].stdout }}", "{{ build.step.outputs[9999999].stdout }}", "{{ env:A=B }}",
	} {
		got, foreign := reference.Parse(text)
		if len(got.Refs()) != 0 || len(foreign) != 1 || foreign[0].Text != text {
			t.Errorf("%q: references %v, foreign %v", text, got.Refs(), foreign)
		}
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"no braces":                     "no braces",
		"{{ aaa }}{{bbb}}":              "[aaa][bbb]",
		"${{{ aaa }}}":                  "${[aaa]}",
		"x {{ aaa }} y {{ .Foo }} z":    "x [aaa] y {{ .Foo }} z",
		"open {{ only":                  "open {{ only",
		"open {{ then {{ aaa }}":        "open {{ then [aaa]",
		"{{ keep-me }}":                 "{{ keep-me }}",
		"{{ braces }}":                  "[{{ aaa }}]",
		"}} {{ aaa }} {{":               "}} [aaa] {{",
		"{{ .Range }} {{ aaa }}\n{{bbb": "{{ .Range }} [aaa]\n{{bbb",
	} {
		text, _ := reference.Parse(in)
		got, err := text.Expand(func(r reference.Ref) (string, bool, error) {
			if r.Name == "braces" {
				return "[{{ aaa }}]", false, nil
			}
			return "[" + r.Name + "]", r.Name == "keep-me", nil
		})
		if err != nil || got != want {
			t.Errorf("Expand(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestExpandError(t *testing.T) {
	t.Parallel()
	text, _ := reference.Parse("{{ aaa }}")
	boom := errors.New("boom")
	if _, err := text.Expand(func(reference.Ref) (string, bool, error) { return "", false, boom }); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
}

// FuzzParse holds that keeping every reference gives the text back, and that
// reading any text takes linear time (quadratic time would exhaust the fuzzer).
func FuzzParse(f *testing.F) {
	f.Add("a {{ bbb }} {{{ ccc }}} {{ x.y.outputs[0].z }} {{ {{ }} }}")
	f.Add(strings.Repeat("{{", 100) + strings.Repeat("}}", 100))
	f.Add(strings.Repeat("{{ ", 100) + "}}")
	f.Fuzz(func(t *testing.T, s string) {
		text, foreign := reference.Parse(s)
		got, err := text.Expand(func(reference.Ref) (string, bool, error) { return "", true, nil })
		if err != nil || got != s {
			t.Fatalf("kept references gave %q, %v", got, err)
		}
		for _, r := range text.Refs() {
			if s[r.Offset:r.Offset+len(r.Text)] != r.Text {
				t.Fatalf("reference %q is not at %d", r.Text, r.Offset)
			}
		}
		for _, x := range foreign {
			if s[x.Offset:x.Offset+len(x.Text)] != x.Text {
				t.Fatalf("foreign text %q is not at %d", x.Text, x.Offset)
			}
		}
	})
}

// TestParseHostileBraces would run for many minutes if the search were
// quadratic.
func TestParseHostileBraces(t *testing.T) {
	t.Parallel()
	const n = 1 << 20
	for _, tc := range []struct {
		text          string
		refs, foreign int
	}{
		{strings.Repeat("{", n) + "}}", 0, 1},
		{strings.Repeat("{{ ", n/3) + "}}", 0, 1},
		{strings.Repeat("{{ a }} ", n/8), 0, n / 8},
		{strings.Repeat("{{}", n/3), 0, 0},
	} {
		text, foreign := reference.Parse(tc.text)
		if len(text.Refs()) != tc.refs || len(foreign) != tc.foreign {
			t.Errorf("%.10q…: %d references, %d foreign; want %d and %d", tc.text, len(text.Refs()), len(foreign), tc.refs, tc.foreign)
		}
	}
}

// FuzzExpand: values go in as they are, each where its reference stood, and
// are not searched for references themselves.
func FuzzExpand(f *testing.F) {
	f.Add("a {{ bbb }} c {{ x.y.outputs[0].z }}", "{{ ccc }}")
	f.Add("{{{ bbb }}}", "}}")
	f.Add("{{ aaa }}{{ bbb }}", "{{")
	f.Fuzz(func(t *testing.T, s, value string) {
		text, _ := reference.Parse(s)
		var want strings.Builder
		end := 0
		for _, r := range text.Refs() {
			want.WriteString(s[end:r.Offset] + value)
			end = r.Offset + len(r.Text)
		}
		want.WriteString(s[end:])
		got, err := text.Expand(func(reference.Ref) (string, bool, error) { return value, false, nil })
		if err != nil || got != want.String() {
			t.Fatalf("%q with %q gave %q, %v; want %q", s, value, got, err, want.String())
		}
	})
}
