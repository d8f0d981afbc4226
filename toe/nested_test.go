//go:build unix

package toe_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func (b *bench) write(name, content string) {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

const child = `name: child
schemaVersion: 1.0
parameters:
  - Color: {type: string, default: blue}
phases:
  - name: build
    steps:
      - {name: Say, action: ExecuteBash, inputs: {commands: ['echo build {{ Color }} >> log']}}
      - {name: Bad, action: ExecuteBash, onFailure: Ignore, inputs: {commands: ['exit 1']}}
  - name: validate
    steps:
      - {name: Say, action: ExecuteBash, inputs: {commands: ['echo validate {{ Color }} >> log']}}
`

func TestNested(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("child.yaml", child)
	r := b.run(steps(
		"{name: Twice, action: ExecuteDocument, loop: {forEach: [red, green]}, inputs: {document: child.yaml, phases: ' build , ', parameters: [{name: Color, value: '{{ loop.value }}'}]}}",
		"{name: All, action: ExecuteDocument, inputs: {document: '"+b.dir+"/child.yaml'}}",
		"{name: Write, action: CreateFile, inputs: [{path: out, content: '{{ build.All.outputs.status }} {{ build.All.outputs.executedStepCount }} {{ build.All.outputs.ignoredFailedStepCount }} {{ build.Twice.outputs.executedStepCount }}'}]}",
	))
	if r.Summary.Status != "success" || r.Summary.ExecutedStepCount != 3 {
		t.Fatalf("summary %+v, failure %+v", r.Summary, r.Failure)
	}
	if got, want := b.read("log"), "build red\nbuild green\nbuild blue\nvalidate blue\n"; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
	if got, want := b.read("out"), "success 3 1 2\n2"; got != want {
		t.Errorf("out %q, want %q", got, want)
	}
	if got, want := r.Detail.Documents[0].Phases[0].Steps[1].Inputs, `[{"document":"`+b.dir+`/child.yaml","document-s3-bucket-owner":"","parameters":null,"phases":""}]`; got != want {
		t.Errorf("inputs %s, want %s", got, want)
	}
	details := r.Detail.Documents[0].Phases[0].Steps[0].DetailedOutput
	if len(details) != 2 || details[0].Documents[0].Name != "child" || details[0].ExecutionID == details[1].ExecutionID {
		t.Errorf("detailed output %+v", details)
	}
}

func TestNestedFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("child.yaml", "name: child\n"+steps(sh("Fail", "echo why >&2; exit 9")))
	r := b.run(steps("{name: Run, action: ExecuteDocument, inputs: {document: child.yaml}}"))
	want := "Document " + b.dir + "/child.yaml failed! Step Fail in phase build: exit status 9"
	if f := r.Failure; f == nil || f.ErrorMessage != want || f.Stderr != "why" || f.Step != "Run" {
		t.Errorf("failure %+v, want %s", f, want)
	}
}

func TestNestedErrors(t *testing.T) {
	t.Parallel()
	run := func(document string) string {
		return steps("{name: Run, action: ExecuteDocument, inputs: {document: " + document + "}}")
	}
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"missing":           {nil, "child.yaml: reading the document: open "},
		"invalid":           {map[string]string{"child.yaml": "nonsense"}, "child.yaml is not valid:\n"},
		"itself":            {map[string]string{"child.yaml": run("child.yaml")}, "the document child.yaml would run itself"},
		"ancestor":          {map[string]string{"child.yaml": run("other.yaml"), "other.yaml": run("./child.yaml")}, "would run itself"},
		"too deep":          {map[string]string{"child.yaml": run("c2.yaml"), "c2.yaml": run("c3.yaml"), "c3.yaml": run("c4.yaml"), "c4.yaml": steps(sh("Never", "touch never"))}, "documents are nested more than 3 levels deep"},
		"bucket":            {map[string]string{"child.yaml": run("s3://bucket/key")}, "reading the document s3://bucket/key: this run has no access to AWS"},
		"missing parameter": {map[string]string{"child.yaml": "parameters: [{Color: {type: string}}]\n" + steps(sh("Never", "touch never"))}, "The parameter 'Color' has neither a value nor a default."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			for file, content := range tc.files {
				b.write(file, content)
			}
			r := b.run(run("child.yaml"))
			if r.Failure == nil || !strings.Contains(r.Failure.ErrorMessage, tc.want) || b.exists("never") {
				t.Errorf("failure %+v, want %q", r.Failure, tc.want)
			}
		})
	}
}

func TestNestedBlockedActions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.BlockedActions = []string{"ExecuteBash"}
	b.write("child.yaml", steps(sh("Never", "touch never")))
	r := b.run(steps("{name: Run, action: ExecuteDocument, inputs: {document: child.yaml}}"))
	if r.Failure == nil || !strings.Contains(r.Failure.ErrorMessage, "The action ExecuteBash in step 'Never' is blocked.") || b.exists("never") {
		t.Errorf("failure %+v", r.Failure)
	}
}

// TestNestedReboot: a restart within a nested document, within a loop, goes on
// where it was.
func TestNestedReboot(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("child.yaml", "parameters: [{Color: {type: string}}]\n"+steps(
		sh("First", "echo first {{ Color }} >> log"),
		"{name: Restart, action: Reboot}",
		"{name: Deeper, action: ExecuteDocument, inputs: {document: grandchild.yaml}}",
		sh("Last", "echo last {{ Color }} >> log"),
	))
	b.write("grandchild.yaml", steps(sh("Again", "echo again >> log; test $(( $(grep -c again log) % 2 )) -eq 0 || exit 194")))
	r, restarts := b.again(steps("{name: Run, action: ExecuteDocument, loop: {forEach: [a, b]}, inputs: {document: child.yaml, parameters: [{name: Color, value: '{{ loop.value }}'}]}}"))
	if r.Summary.Status != "success" || restarts != 4 {
		t.Fatalf("status %s after %d restarts: %+v", r.Summary.Status, restarts, r.Failure)
	}
	if got, want := b.read("log"), "first a\nagain\nagain\nlast a\nfirst b\nagain\nagain\nlast b\n"; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
}
