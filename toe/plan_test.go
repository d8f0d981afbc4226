//go:build unix

package toe_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/toe"
)

// decisions makes a plan of documents and gives "step decision" of its steps.
func decisions(t *testing.T, b *bench, documents ...string) []string {
	t.Helper()
	for i, d := range documents {
		b.options.Documents = append(b.options.Documents, toe.Source{Path: fmt.Sprintf("doc%d.yaml", i), Data: []byte(d)})
	}
	plan, problems, err := toe.MakePlan(context.Background(), b.options)
	if err != nil || problems != nil {
		t.Fatal(err, problems)
	}
	var all []string
	for _, d := range plan.Documents {
		for _, ph := range d.Phases {
			for _, s := range ph.Steps {
				all = append(all, s.Name+" "+s.Decision)
			}
		}
	}
	entries, err := os.ReadDir(b.dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("the plan left %v, %v", entries, err)
	}
	return all
}

func TestPlanDecisions(t *testing.T) {
	t.Parallel()
	const assert = "action: Assert, inputs: {folderExists: /}"
	for name, tc := range map[string]struct {
		steps []string
		want  []string
	}{
		"files are looked at while nothing has changed": {
			[]string{
				"{name: One, if: {folderExists: /}, " + assert + "}",
				"{name: Two, if: {fileExists: /nowhere}, " + assert + "}",
				sh("Change", "true"),
				"{name: Three, if: {folderExists: /}, " + assert + "}",
				"{name: Four, if: {stringEquals: a, value: A}, " + assert + "}",
			},
			[]string{"One run", "Two skip", "Change run", "Three undecided", "Four run"},
		},
		"an unknown part that cannot matter": {
			[]string{
				sh("Change", "true"),
				"{name: And, if: {and: [{fileExists: /x}, {stringEquals: a, value: b}]}, " + assert + "}",
				"{name: Orr, if: {or: [{fileExists: /x}, {stringEquals: a, value: a}]}, " + assert + "}",
				"{name: Not, if: {not: {or: [{fileExists: /x}, {stringEquals: a, value: b}]}}, " + assert + "}",
			},
			[]string{"Change run", "And skip", "Orr run", "Not undecided"},
		},
		"an abort ends the plan": {
			[]string{
				"{name: Stop, if: {stringEquals: a, value: a, then: Abort}, " + assert + "}",
				sh("Later", "true"),
			},
			[]string{"Stop fail", "Later notReached"},
		},
		"a tolerated failure does not": {
			[]string{
				"{name: Stop, onFailure: Ignore, if: {stringEquals: a, value: a, then: Abort}, " + assert + "}",
				sh("Later", "true"),
			},
			[]string{"Stop fail", "Later run"},
		},
		"outputs of skipped steps are empty": {
			[]string{
				"{name: Skip, if: {stringEquals: a, value: b}, action: ExecuteBash, inputs: {commands: [x]}}",
				"{name: Use, if: {stringIsEmpty: '{{ build.Skip.outputs.stdout }}'}, " + assert + "}",
			},
			[]string{"Skip skip", "Use run"},
		},
		"an input that would be refused": {
			[]string{"{name: Bad, action: CreateFile, inputs: [{path: a, overwrite: '{{ env:NO_SUCH }}'}]}", sh("Later", "true")},
			[]string{"Bad fail", "Later notReached"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, decisions(t, newBench(t), steps(tc.steps...))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlanLoops(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.Documents = []toe.Source{{Path: "d", Data: []byte(steps(
		"{name: Long, action: ExecuteBash, loop: {for: {start: 10, end: -2000000000, updateBy: -5}}, inputs: {commands: ['{{ loop.value }}']}}",
		"{name: Unknown, action: ExecuteBash, loop: {forEach: {list: '{{ build.Long.outputs.stdout }}'}}, inputs: {commands: ['{{ loop.value }}']}}",
		"{name: Split, action: ExecuteBash, loop: {forEach: {list: 'a;;b', delimiter: ';'}}, inputs: {commands: ['{{ loop.value }}{{ loop.index }}']}}",
	))}}
	plan, problems, err := toe.MakePlan(context.Background(), b.options)
	if err != nil || problems != nil {
		t.Fatal(err, problems)
	}
	all := plan.Documents[0].Phases[0].Steps
	if l := all[0].Loop; l.Count != 400000003 || len(l.Iterations) != toe.MaxPlannedIterations || l.Iterations[2].Value != "0" {
		t.Errorf("a long loop has %d iterations, %d listed", l.Count, len(l.Iterations))
	}
	if s := all[1]; s.Loop.Count != -1 || len(s.Inputs) != 1 {
		t.Errorf("a loop over what is not known: %+v, %+v", s, s.Loop)
	}
	if got, want := fmt.Sprint(all[2].Loop.Iterations), "[{0 a [map[commands:[a0]]]} {1  [map[commands:[1]]]} {2 b [map[commands:[b2]]]}]"; got != want {
		t.Errorf("iterations %s, want %s", got, want)
	}
}

// TestPlanNested: documents within documents, cycles, and what is not there.
func TestPlanNested(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	path := filepath.Join(b.dir, "self.yaml")
	if err := os.WriteFile(path, []byte(steps(
		"{name: Self, action: ExecuteDocument, onFailure: Continue, inputs: {document: "+path+"}}",
		"{name: None, action: ExecuteDocument, inputs: {document: none.yaml}}",
		"{name: Far, action: ExecuteDocument, inputs: {document: 's3://b/k'}}",
	)), 0o600); err != nil {
		t.Fatal(err)
	}
	b.options.Documents = []toe.Source{{Path: path}}
	plan, problems, err := toe.MakePlan(context.Background(), b.options)
	if err != nil || problems != nil {
		t.Fatal(err, problems)
	}
	for i, want := range []string{"would run itself", "no such file", "is not read before the run"} {
		if got := plan.Documents[0].Phases[0].Steps[i]; got.Document != nil || !strings.Contains(got.Reason, want) {
			t.Errorf("%s: %q, want %q", got.Name, got.Reason, want)
		}
	}
}

// TestPlanMatchesRun: what a plan says of inputs is what the run gets.
func TestPlanMatchesRun(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.Env = append(os.Environ(), "MOOD=good")
	b.options.ExecutionID = "same"
	document := "constants:\n  - Place: {type: string, value: here}\n" + steps(
		"{name: Write, action: CreateFile, inputs: [{path: '{{ Place }}.txt', content: '{{ env:MOOD }} {{ context:executionId }} {{ context:phase }}.{{ context:step }}', permissions: 0600}]}",
		sh("Echo", "echo {{ build.Write.inputs[0].path }} {{ build.Write.inputs.overwrite }}"),
	)
	b.options.Documents = []toe.Source{{Path: "d", Data: []byte(document)}}
	plan, problems, err := toe.MakePlan(context.Background(), b.options)
	if err != nil || problems != nil {
		t.Fatal(err, problems)
	}
	r, err := toe.Run(context.Background(), b.options)
	if err != nil || r.Summary.Status != "success" {
		t.Fatal(err, r)
	}
	for i, s := range plan.Documents[0].Phases[0].Steps {
		var want strings.Builder
		fmt.Fprintf(&want, "%v", decode(t, r.Detail.Documents[0].Phases[0].Steps[i].Inputs))
		if got := fmt.Sprintf("%v", s.Inputs); got != want.String() {
			t.Errorf("planned %s, ran %s", got, want.String())
		}
	}
}

// decode reads the text of a JSON array.
func decode(t *testing.T, text string) (all []map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestFromResumes: a run that started in the middle goes on after a restart
// only with the same start.
func TestFromResumes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	document := steps(sh("First", "echo first >> order"), "{name: Restart, action: Reboot}", sh("Last", "echo last >> order"))
	b.options.From = "build.Restart"
	if r := b.run(document); r.ExitCode() != toe.ExitReboot {
		t.Fatalf("%+v", r.Summary)
	}
	b.options.From = ""
	var mismatch *toe.StateMismatchError
	if _, err := b.try(document); !errors.As(err, &mismatch) {
		t.Errorf("another start: %v", err)
	}
	b.options.From = "build.Restart"
	if r := b.run(document); r.Summary.Status != "success" || r.Summary.ExecutedStepCount != 2 || b.read("order") != "last\n" {
		t.Errorf("%+v, order %q", r.Summary, b.read("order"))
	}
}
