package problem_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/toe/problem"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	actions := []string{"ExecuteBash", "ExecuteBinary", "CreateFile", "CreateFolder", "CopyFile"}
	for word, want := range map[string]string{
		"ExecuteBsh":   "ExecuteBash",
		"executebash":  "ExecuteBash",
		"CreateFlie":   "CreateFile",
		"CreateFodler": "CreateFolder",
		"Shell":        "",
		"createFo":     "CreateFolder", // only one goes on like this
		"Execute":      "",             // two do
		"Copy":         "CopyFile",
		"Cop":          "", // too short to tell
		"":             "",
		"ExecuteBash":  "", // itself, and nothing else is near
	} {
		if got := problem.Nearest(word, actions); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestProblemString(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]problem.Problem{
		"a.yaml:3:5: bad":                  {Document: "a.yaml", Line: 3, Column: 5, Message: "bad"},
		"a.yaml:3: bad":                    {Document: "a.yaml", Line: 3, Message: "bad"},
		"a.yaml: bad":                      {Document: "a.yaml", Message: "bad"},
		"bad":                              {Message: "bad"},
		"3:1: bad word, did you mean 'x'?": {Line: 3, Column: 1, Message: "bad word.", Suggestion: "x"},
	} {
		if got := p.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestProblemsErr(t *testing.T) {
	t.Parallel()
	if err := problem.Problems(nil).Err(); err != nil {
		t.Errorf("no problems gave error %v", err)
	}
	ps := problem.Problems{
		{Document: "b", Line: 9, Message: "third"},
		{Document: "b", Line: 2, Column: 8, Message: "second"},
		{Document: "b", Line: 2, Column: 3, Message: "first"},
	}
	ps.Sort()
	want := "b:2:3: first\nb:2:8: second\nb:9: third"
	if diff := cmp.Diff(want, ps.Err().Error()); diff != "" {
		t.Error(diff)
	}
}
