//go:build unix

package toe_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/toe"
)

func TestRunParameters(t *testing.T) {
	t.Parallel()
	const text = `schemaVersion: 1.0
parameters:
  - Color: {type: string, default: blue, allowedValues: [blue, red]}
  - Size: {type: string}
constants:
  - Template: {type: string, value: '{{ Color }}'}
phases:
  - name: build
    steps:
      - {name: Write, action: CreateFile, inputs: [{path: out, content: '{{ Color }} {{Size}} {{ Template }} {{ .Foreign }}'}]}
`
	for _, tc := range []struct {
		name            string
		global, own     map[string]string
		empty           bool
		want, wantError string
	}{
		{name: "defaults", global: map[string]string{"Size": "1"}, want: "blue 1 {{ Color }} {{ .Foreign }}"},
		{name: "undeclared", global: map[string]string{"Size": "1", "Other": "x"}, want: "blue 1 {{ Color }} {{ .Foreign }}"},
		{name: "own wins", global: map[string]string{"Size": "1", "Color": "blue"}, own: map[string]string{"Color": "red"}, want: "red 1 {{ Color }} {{ .Foreign }}"},
		{name: "not searched again", global: map[string]string{"Size": "{{ Color }}"}, want: "blue {{ Color }} {{ Color }} {{ .Foreign }}"},
		{name: "empty", empty: true, want: "blue  {{ Color }} {{ .Foreign }}"},
		{name: "missing", wantError: "d:4: The parameter 'Size' has neither a value nor a default."},
		{name: "not allowed", global: map[string]string{"Size": "1", "Color": "pink"}, wantError: "d:3: The value of the parameter 'Color' is not among its allowedValues: blue, red."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.options.Parameters, b.options.EmptyParameters = tc.global, tc.empty
			b.options.Documents = []toe.Source{{Path: "d", Data: []byte(text), Parameters: tc.own}}
			r, err := toe.Run(context.Background(), b.options)
			if err != nil {
				t.Fatal(err)
			}
			if tc.wantError != "" {
				if r.Summary.Status != "failed" || r.Summary.FailureMessage != tc.wantError || b.exists("out") {
					t.Errorf("summary %+v, want %s", r.Summary, tc.wantError)
				}
				return
			}
			if got := b.read("out"); got != tc.want {
				t.Errorf("wrote %q, want %q", got, tc.want)
			}
		})
	}
}

func TestRunChaining(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.run(`schemaVersion: 1.0
phases:
  - name: build
    steps:
      - {name: Lines, action: ExecuteBash, inputs: {commands: ['printf " a\nb\r\n\n"', 'echo error >&2']}}
      - {name: Skipped, action: ExecuteBash, if: {fileExists: /no/such}, inputs: {commands: [exit 9]}}
      - {name: Failed, action: ExecuteBash, onFailure: Ignore, inputs: {commands: ['echo partly; exit 1']}}
      - {name: Two, action: CreateFile, inputs: [{path: one.txt}, {path: '{{ build.Failed.outputs.stdout }}.txt', content: two}]}
      - {name: Read, action: ReadFile, inputs: [{path: one.txt}, {path: '{{ build.Two.inputs[1].path }}'}]}
  - name: validate
    steps:
      - name: Write
        action: CreateFile
        inputs:
          - path: out
            content: '[{{build.Lines.outputs.stdout}}][{{build.Lines.outputs[0].stdout}}][{{build.Skipped.outputs.stdout}}][{{build.Read.outputs.content}}][{{build.Read.outputs[1].content}}][{{build.Two.inputs[1].overwrite}}][{{build.Lines.inputs.commands}}]'
`)
	if r.Summary.Status != "success" || r.Summary.SkippedStepCount != 1 || r.Summary.ExecutedStepCount != 5 {
		t.Fatalf("summary %+v, failure %+v", r.Summary, r.Failure)
	}
	want := "[ a\nb][ a\nb][][][two][true][printf \" a\\nb\\r\\n\\n\",echo error >&2]"
	if diff := cmp.Diff(want, b.read("out")); diff != "" {
		t.Error(diff)
	}
	var published struct {
		Documents []map[string]struct{ Outputs []map[string]string }
	}
	if err := json.Unmarshal([]byte(b.log(r, "chaining.json")), &published); err != nil {
		t.Fatal(err)
	}
	if got := published.Documents[0]["build.Lines"].Outputs[0]["stdout"]; got != " a\nb" {
		t.Errorf("chaining.json has %q", got)
	}
}

func TestRunTruncatedOutput(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.run(steps(sh("Big", "head -c 1100000 /dev/zero | tr \"\\0\" x"), sh("Use", "echo {{ build.Big.outputs.stdout }}")))
	if r.Failure == nil || !strings.Contains(r.Failure.ErrorMessage, "the output of step Big is longer than 262144 bytes") {
		t.Errorf("failure %+v", r.Failure)
	}
}

func TestRunIf(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ condition, status, run string }{
		{"{folderExists: /}", "success", "success"},
		{"{fileExists: /no}", "skipped", "success"},
		{"{folderExists: /, then: Skip, else: Execute}", "skipped", "success"},
		{"{fileExists: /no, then: Skip, else: Execute}", "success", "success"},
		{"{folderExists: /, then: Abort}", "failed", "failed"},
		{"{not: {binaryExists: no-such-program, then: Execute, else: Skip}}", "success", "success"},
		{"{not: {binaryExists: cd, then: Execute, else: Skip}}", "skipped", "success"},
		{"{numberEquals: '{{ env:HOME }}', value: 1}", "failed", "failed"},
	} {
		b := newBench(t)
		r := b.run(steps(sh("Step", "true", "if: "+tc.condition)))
		if got := stepStatuses(r)["Step"]; got != tc.status || r.Summary.Status != tc.run {
			t.Errorf("%s: step %s, run %s; want %s and %s", tc.condition, got, r.Summary.Status, tc.status, tc.run)
		}
	}
}

func TestRunLoops(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ loop, ref, want string }{
		{"{for: {start: 1, end: 5, updateBy: 2}}", "{{ loop.index }}={{ loop.value }}", "0=1\n1=3\n2=5"},
		{"{for: {start: 1, end: -1, updateBy: -1}}", "{{ loop.value }}", "1\n0\n-1"},
		{"{name: words, forEach: [Hello, '{{ context:phase }}']}", "{{ words.index }}{{ words.value }}{{ loop.value }}", "0HelloHello\n1buildbuild"},
		{"{forEach: {list: 'a,,b'}}", "[{{ loop.value }}]", "[a]\n[]\n[b]"},
		{"{forEach: {list: 'a-b', delimiter: '-'}}", "{{ loop.value }}", "a\nb"},
		{"{forEach: {list: \"x\\ny\", delimiter: \"\\n\"}}", "{{ loop.value }}", "x\ny"},
	} {
		b := newBench(t)
		r := b.run(steps(sh("Loop", "echo \""+tc.ref+"\"", "loop: "+tc.loop), "{name: Write, action: CreateFile, inputs: [{path: out, content: '{{ build.Loop.outputs.stdout }}'}]}"))
		if r.Summary.Status != "success" {
			t.Errorf("%s: %+v", tc.loop, r.Failure)
			continue
		}
		if diff := cmp.Diff(tc.want, b.read("out")); diff != "" {
			t.Errorf("%s: %s", tc.loop, diff)
		}
	}
}

// TestRunLoopFailure: the first failing iteration ends the loop, an attempt
// begins with the first iteration again, and what succeeded stays as output.
func TestRunLoopFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.run(steps(
		sh("Loop", "echo {{ loop.value }} >> log; echo {{ loop.value }}; test {{ loop.value }} != 2", "loop: {for: {start: 1, end: 3, updateBy: 1}}", "maxAttempts: 2", "onFailure: Ignore"),
		sh("Use", "echo \"{{ build.Loop.outputs.stdout }}\" > out"),
	))
	if r.Summary.Status != "success" || b.read("log") != "1\n2\n1\n2\n" || b.read("out") != "1\n2\n" && b.read("out") != "1\n" {
		t.Errorf("status %s, log %q, out %q", r.Summary.Status, b.read("log"), b.read("out"))
	}
	step := r.Detail.Documents[0].Phases[0].Steps[0]
	if step.FailureMessage != "loop iteration 1 failed: exit status 1" || step.Loop.Iterations != 2 {
		t.Errorf("message %q, loop %+v", step.FailureMessage, step.Loop)
	}
}

func TestRunLoopTimeout(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.run(steps(sh("Loop", "sleep 1", "loop: {for: {start: 1, end: 1000, updateBy: 1}}", "timeoutSeconds: 2")))
	if r.Summary.Status != "timedOut" || r.Failure.ErrorMessage != "the loop timed out after 2 seconds" {
		t.Errorf("summary %+v, failure %+v", r.Summary, r.Failure)
	}
}
