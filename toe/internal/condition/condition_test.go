package condition_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/toe/internal/condition"
	"github.com/goldsmith-build/goldsmith/toe/internal/reference"
	"github.com/goldsmith-build/goldsmith/toe/problem"
	"github.com/goldsmith-build/goldsmith/toe/source"
)

func parse(t *testing.T, text string, outcome *condition.Outcome) (*condition.Expr, problem.Problems) {
	t.Helper()
	n, problems := source.Parse([]byte(text))
	if n == nil {
		t.Fatal(problems)
	}
	e := condition.Parse(n, outcome, func(p problem.Problem) { problems = append(problems, p) })
	return e, problems
}

// environment expands {{ name }} to name, and fails for {{ fail }}.
func environment(dir string) condition.Env {
	return condition.Env{
		Dir:          dir,
		BinaryExists: func(name string) bool { return name == "tar" },
		Expand: func(text reference.Text) (string, error) {
			return text.Expand(func(r reference.Ref) (string, bool, error) {
				if r.Name == "fail" {
					return "", false, errors.New("no value for fail")
				}
				return r.Name, false, nil
			})
		},
	}
}

func TestEval(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "abc"), []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		// The user guide's vectors.
		"{numberEquals: 1, value: '1'}":                                              true,
		"{numberEquals: '1', value: 1}":                                              true,
		"{numberEquals: 5.0, value: 5.0}":                                            true,
		"{numberEquals: -1, value: -1}":                                              true,
		"{numberLessThan: 2, value: 1}":                                              true,
		"{numberLessThan: 2, value: 1.9}":                                            true,
		"{numberLessThan: 2, value: '2'}":                                            false,
		"{numberLessThanEquals: 2, value: 2.1}":                                      false,
		"{numberGreaterThan: 1, value: 1.1}":                                         true,
		"{numberGreaterThan: 1, value: '1'}":                                         false,
		"{numberGreaterThan: 1, value: 2}":                                           true,
		"{numberGreaterThanEquals: 1, value: 0.8}":                                   false,
		"{stringIsWhitespace: '   '}":                                                true,
		"{stringIsWhitespace: ''}":                                                   false,
		"{stringIsWhitespace: ' a '}":                                                false,
		"{stringIsEmpty: ''}":                                                        true,
		"{stringIsEmpty: ' '}":                                                       false,
		"{stringLessThan: a, value: 0}":                                              true,
		"{stringLessThan: 0, value: a}":                                              false,
		"{stringLessThan: b, value: a}":                                              true,
		"{stringGreaterThan: 0, value: a}":                                           true,
		"{stringGreaterThan: a, value: 0}":                                           false,
		"{stringGreaterThan: A, value: a}":                                           false,
		"{stringLessThanEquals: A, value: a}":                                        true,
		"{stringGreaterThanEquals: b, value: a}":                                     false,
		"{stringEquals: Hello, value: ' Hello'}":                                     false,
		"{stringEquals: Hello, value: 'Hello '}":                                     false,
		"{stringEquals: Hello, value: hello}":                                        true,
		"{patternMatches: '^[a-z]+$', value: ThisIsIt}":                              true,
		"{patternMatches: '[0-9]', value: abc1def}":                                  true,
		"{patternMatches: '^[0-9]+$', value: abc1}":                                  false,
		"{numberEquals: 1.0, value: '1.0'}":                                          true,
		"{numberEquals: 10, value: a10}":                                             false,
		"{numberEquals: 10, value: '1e1'}":                                           false,
		"{numberEquals: 10, value: ' 10'}":                                           false,
		"{numberEquals: 10, value: '+10.000'}":                                       true,
		"{numberLessThan: 0.3, value: 0.1}":                                          true,
		"{numberGreaterThan: '99999999999999999998', value: '99999999999999999999'}": true,
		// Files and programs.
		"{fileExists: abc}":         true,
		"{fileExists: .}":           false,
		"{fileExists: nope}":        false,
		"{folderExists: .}":         true,
		"{folderExists: abc}":       false,
		"{binaryExists: tar}":       true,
		"{binaryExists: nope}":      false,
		"{binaryExists: '{{tar}}'}": true,
		"{fileMD5Equals: 900150983CD24FB0D6963F7D28E17F72, path: abc}":                                                                                                  true,
		"{fileSHA1Equals: a9993e364706816aba3e25717850c26c9cd0d89d, path: abc}":                                                                                         true,
		"{fileSHA256Equals: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad, path: abc}":                                                               true,
		"{fileSHA256Equals: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ae, path: abc}":                                                               false,
		"{fileSHA256Equals: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, path: nope}":                                                              false,
		"{fileSHA256Equals: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, path: .}":                                                                 false,
		"fileSHA512Equals: ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f\npath: abc": true,
		// Logic; an operand after the one that settles is not looked at.
		"{and: [{fileExists: abc}, {folderExists: .}]}":                       true,
		"{and: [{fileExists: nope}, {stringEquals: '{{ fail }}', value: x}]}": false,
		"{or: [{fileExists: abc}, {stringEquals: '{{ fail }}', value: x}]}":   true,
		"{or: [{fileExists: nope}, {fileExists: nope}]}":                      false,
		"{not: {fileExists: nope}}":                                           true,
		"{not: [{fileExists: abc}]}":                                          false,
		"{and: [{fileExists: abc}]}":                                          true,
		"{not: {not: {and: [{fileExists: abc}]}}}":                            true,
		"{stringEquals: '{{ Color }}', value: 'c{{ env:olor }}'}":             true,
	} {
		e, problems := parse(t, text, nil)
		if len(problems) > 0 {
			t.Errorf("%s: %v", text, problems)
			continue
		}
		if got, err := e.Eval(environment(dir)); err != nil || got != want {
			t.Errorf("%s is %v, %v; want %v", text, got, err, want)
		}
	}
}

// TestDeepest: four levels are run, with a warning; see TestParseProblems for
// five.
func TestDeepest(t *testing.T) {
	t.Parallel()
	e, problems := parse(t, "{not: {not: {and: [{or: [{fileExists: abc}]}]}}}", nil)
	if len(problems) != 1 || problems[0].Severity != problem.Warning || problems[0].Rule != "deep-condition" {
		t.Errorf("problems %v", problems)
	}
	if got, err := e.Eval(environment(t.TempDir())); got || err != nil {
		t.Errorf("it is %v, %v", got, err)
	}
}

func TestEvalErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{stringEquals: '{{ fail }}', value: x}":                 "stringEquals: no value for fail",
		"{stringEquals: x, value: '{{ fail }}'}":                 "stringEquals: no value for fail",
		"{numberEquals: '{{ Color }}', value: 1}":                `numberEquals: the operand "Color" is not a number (digits with an optional sign and decimal point)`,
		"{patternMatches: '{{ Color }}(', value: 1}":             `patternMatches: the operand "Color(" is not a regular expression: missing closing ): ` + "`(?i)Color(`",
		"{not: {and: [{fileExists: '{{ fail }}'}]}}":             "fileExists: no value for fail",
		"{or: [{fileExists: nope}, {fileExists: '{{ fail }}'}]}": "fileExists: no value for fail",
	} {
		e, problems := parse(t, text, nil)
		if len(problems) > 0 {
			t.Errorf("%s: %v", text, problems)
			continue
		}
		if got, err := e.Eval(environment(t.TempDir())); err == nil || err.Error() != want || got {
			t.Errorf("%s is %v, error %v; want error %s", text, got, err, want)
		}
	}
}

func TestParseProblems(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[a]":                                       "1:1: A condition is a mapping with one operator, but this is a list.",
		"{}":                                        "1:1: The condition has no operator.",
		"{stringEqual: a, value: b}":                "1:2: unknown operator 'stringEqual', did you mean 'stringEquals'?",
		"{stringEquals: a}":                         "1:2: 'stringEquals' needs the key 'value' beside it.",
		"{fileSHA256Equals: a, value: b}":           "1:23: 'value' does not belong beside the operator 'fileSHA256Equals'.\n1:2: 'fileSHA256Equals' needs the key 'path' beside it.",
		"{stringEquals: a, valeu: b}":               "1:19: 'valeu' does not belong beside the operator 'stringEquals', did you mean 'value'?\n1:2: 'stringEquals' needs the key 'value' beside it.",
		"{fileExists: a, folderExists: b}":          "1:17: A condition has one operator, but 'folderExists' stands beside 'fileExists'; join them with and, or.",
		"{numberEquals: x, value: 1}":               "1:16: The operand of 'numberEquals' is not a number (digits with an optional sign and decimal point).",
		"{patternMatches: '(', value: 1}":           "1:18: The operand of 'patternMatches' is not a regular expression: missing closing ): `(?i)(`.",
		"{fileExists: [a]}":                         "1:14: 'fileExists' takes text or a number, but this is a list.",
		"{and: {fileExists: a}}":                    "1:7: 'and' takes a list of conditions, but this is a mapping.",
		"{and: []}":                                 "1:7: 'and' has no conditions.",
		"{not: []}":                                 "1:7: 'not' has no conditions.",
		"{not: [{fileExists: a}, {fileExists: b}]}": "1:7: 'not' takes one condition, but 2 are given.",
		"{not: text}":                               "1:7: 'not' takes a list of conditions, but this is text.",
		"{not: {not: {not: {not: {not: {fileExists: a}}}}}}": "1:26: and, or, not lie more than 4 levels deep within each other.",
		"{fileExists: a, then: Skip}":                        "1:17: 'then' does not belong beside the operator 'fileExists'.",
		"{booleanEquals: true, value: true}":                 "1:2: unknown operator 'booleanEquals'",
	} {
		_, problems := parse(t, text, nil)
		if diff := cmp.Diff(want, problems.Error()); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestParseOutcome(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]condition.Outcome{
		"{fileExists: a}":                                       {},
		"{then: Skip, fileExists: a}":                           {Then: "Skip"},
		"{fileExists: a, then: Abort, else: Execute}":           {Then: "Abort", Else: "Execute"},
		"{not: {binaryExists: tar, then: Execute, else: Skip}}": {Then: "Execute", Else: "Skip"},
	} {
		var got condition.Outcome
		if _, problems := parse(t, text, &got); len(problems) > 0 || got != want {
			t.Errorf("%s gave %+v, %v; want %+v", text, got, problems, want)
		}
	}
	for text, want := range map[string]string{
		"{fileExists: a, then: skip}":                    "1:23: 'then' is Abort, Execute or Skip, did you mean 'Skip'?",
		"{not: {fileExists: a, then: Skip}, then: Skip}": "1:23: 'then' is given twice for one if.",
		"{fileExists: a, than: Skip}":                    "1:17: 'than' does not belong beside the operator 'fileExists', did you mean 'then'?",
	} {
		_, problems := parse(t, text, &condition.Outcome{})
		if diff := cmp.Diff(want, problems.Error()); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestExpanded(t *testing.T) {
	t.Parallel()
	e, _ := parse(t, "{and: [{not: {fileExists: '{{ Color }}'}}, {stringEquals: a, value: '{{ fail }}'}]}", nil)
	want := map[string]any{"and": []any{
		map[string]any{"not": map[string]any{"fileExists": "Color"}},
		map[string]any{"stringEquals": "a", "value": "{{ fail }}"},
	}}
	if diff := cmp.Diff(want, e.Expanded(environment("").Expand)); diff != "" {
		t.Error(diff)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("{and: [{not: {fileExists: a}}, {numberEquals: 1, value: 2}], then: Skip}")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "path") || strings.Contains(text, "xists") {
			t.Skip("no files here: a device may never end")
		}
		n, _ := source.Parse([]byte(text))
		if n == nil {
			return
		}
		var problems problem.Problems
		e := condition.Parse(n, &condition.Outcome{}, func(p problem.Problem) { problems = append(problems, p) })
		if e == nil && len(problems) == 0 {
			t.Fatal("neither an expression nor a problem")
		}
		if len(problems) == 0 {
			_, _ = e.Eval(environment(""))
		}
	})
}
