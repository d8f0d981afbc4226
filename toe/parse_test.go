package toe_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/goldsmith-build/goldsmith/toe"
)

func TestParseEveryAction(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/every-action.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d, problems := toe.Parse("every-action.yaml", data)
	if problems != nil {
		t.Fatal(problems)
	}
	used := map[string]bool{}
	for _, ph := range d.Phases {
		for _, s := range ph.Steps {
			used[s.Action] = true
		}
	}
	for _, name := range toe.Actions() {
		if !used[name] {
			t.Errorf("the document does not use %s", name)
		}
	}
	if got, want := d.PhaseNames(), []string{"build", "language", "windows-only"}; !slices.Equal(got, want) {
		t.Errorf("phases %v, want %v", got, want)
	}
	blue := "blue"
	if diff := cmp.Diff([]toe.Parameter{
		{Name: "Color", Type: "string", Default: &blue, Description: "of the shed", AllowedValues: []string{"blue", "red"}, Line: 7},
		{Name: "Unset", Type: "string", Line: 8},
	}, d.Parameters); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]toe.Constant{{Name: "Limit", Type: "string", Value: "3", Line: 11}}, d.Constants); diff != "" {
		t.Error(diff)
	}
	bash := d.Phases[0].Steps[1]
	if bash.TimeoutSeconds != 60 || bash.MaxAttempts != 3 || bash.OnFailure != toe.Continue || bash.Line != 21 {
		t.Errorf("ExecuteBash was read as %+v", bash)
	}
	if nested := d.Phases[0].Steps[3]; nested.TimeoutSeconds != -1 || nested.MaxAttempts != 1 {
		t.Errorf("ExecuteDocument has timeout %d and %d attempts", nested.TimeoutSeconds, nested.MaxAttempts)
	}
	wantWarnings := "every-action.yaml:31:35: '{{.Names}}' is not a reference of this language and stays as it is."
	if got := d.Warnings()[0].String(); got != wantWarnings {
		t.Errorf("first warning %q, want %q", got, wantWarnings)
	}
}

func TestCheckPlatforms(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/every-action.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d, problems := toe.Parse("d", data)
	if problems != nil {
		t.Fatal(problems)
	}
	count := map[string]int{}
	for _, platform := range []string{"linux", "windows", "darwin"} {
		for _, p := range d.Check(toe.CheckOptions{Platform: platform}) {
			if p.Rule != "wrong-platform" {
				t.Errorf("%s: unexpected %v", platform, p)
			}
			count[platform]++
		}
	}
	// linux: 5 steps of Windows modules. windows: 7 steps of ExecuteBash and
	// the ownership modules, and 6 inputs. darwin: those of linux, three of
	// Reboot and UpdateOS.
	if diff := cmp.Diff(map[string]int{"linux": 5, "windows": 14, "darwin": 8}, count); diff != "" {
		t.Error(diff)
	}
	blocked := d.Check(toe.CheckOptions{Platform: "linux", BlockedActions: []string{"Reboot"}})
	if len(blocked) != 7 || blocked[0].Message != "The action Reboot in step 'Reboot' is blocked." {
		t.Errorf("blocked: %v", blocked)
	}
}

// document wraps a step's lines, indented by nothing, into a document. Line 9
// of the result is the step's first line.
func document(step string) string {
	return "schemaVersion: 1.0\nparameters:\n  - Color: {type: string, default: a}\nphases:\n  - name: build\n    steps:\n" +
		"      - {name: First, action: ExecuteBash, inputs: {commands: [x]}}\n      -\n        " +
		strings.ReplaceAll(step, "\n", "\n        ") + "\n"
}

const bash = "name: Step\naction: ExecuteBash\ninputs: {commands: [x]}\n"

func TestParseStepProblems(t *testing.T) {
	t.Parallel()
	for _, tc := range stepProblems {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			checkProblems(t, document(tc.step), tc.want)
		})
	}
}

func checkProblems(t *testing.T, text, want string) {
	t.Helper()
	d, problems := toe.Parse("", []byte(text))
	if (d == nil) != (len(problems) > 0) {
		t.Errorf("document %v beside %d problems", d != nil, len(problems))
	}
	if diff := cmp.Diff(want, problems.Error()); diff != "" {
		t.Errorf("%s\nproblems (-want +got):\n%s", text, diff)
	}
	for _, p := range problems {
		if p.Rule == "" {
			t.Errorf("no rule in %v", p)
		}
	}
}

func TestParseReferenceProblems(t *testing.T) {
	t.Parallel()
	command := func(text string) string {
		return "name: Step\naction: ExecuteBash\ninputs:\n  commands:\n    - |\n      true\n      echo " + text
	}
	for text, want := range map[string]string{
		command("{{ Colour }}"):                                             "15:20: {{ Colour }}: no parameter or constant 'Colour' is declared, did you mean 'Color'?",
		command("{{ color }}"):                                              "15:20: {{ color }}: no parameter or constant 'color' is declared, did you mean 'Color'?",
		command("{{ buidl.First.outputs.stdout }}"):                         "15:20: {{ buidl.First.outputs.stdout }}: there is no phase 'buidl', did you mean 'build'?",
		command("{{ build.Frist.outputs.stdout }}"):                         "15:20: {{ build.Frist.outputs.stdout }}: the phase 'build' has no step 'Frist', did you mean 'First'?",
		command("{{ build.Step.outputs.stdout }}"):                          "15:20: {{ build.Step.outputs.stdout }}: the step 'Step' does not run before this one.",
		command("{{ build.First.outputs.stdut }}"):                          "15:20: {{ build.First.outputs.stdut }}: ExecuteBash has no output 'stdut', did you mean 'stdout'?",
		command("{{ build.First.inputs.path }}"):                            "15:20: {{ build.First.inputs.path }}: ExecuteBash has no input 'path'",
		command("{{ build.First.outputs[1].stdout }}"):                      "15:20: {{ build.First.outputs[1].stdout }}: the step 'First' has only 1 outputs.",
		command("{{ context:executionid }}"):                                "15:20: {{ context:executionid }}: unknown context key 'executionid', did you mean 'executionId'?",
		command("{{ aws:imds:iam/info }}"):                                  "15:20: {{ aws:imds:iam/info }}: credentials are not handed out from instance metadata.",
		command("{{ aws:imds:/identity-credentials/ec2 }}"):                 "15:20: {{ aws:imds:/identity-credentials/ec2 }}: credentials are not handed out from instance metadata.",
		command("{{ aws:ssm:resolve(Colour) }}"):                            "15:20: {{ aws:ssm:resolve(Colour) }}: no parameter or constant 'Colour' is declared, did you mean 'Color'?",
		command("{{ Color }} {{ Nope }} {{ .x }} {{ No2 }}"):                "15:32: {{ Nope }}: no parameter or constant 'Nope' is declared\n15:52: {{ No2 }}: no parameter or constant 'No2' is declared",
		bash + "if: {stringEquals: '{{ Nope }}', value: a}":                 "12:28: {{ Nope }}: no parameter or constant 'Nope' is declared",
		bash + "loop: {forEach: ['{{ Nope }}']}":                            "12:26: {{ Nope }}: no parameter or constant 'Nope' is declared",
		bash + "loop: {forEach: {list: '{{ Nope }}'}}":                      "12:32: {{ Nope }}: no parameter or constant 'Nope' is declared",
		bash + "loop: {forEach: ['{{ loop.value }}']}":                      "12:26: {{ loop.value }}: the values of a loop cannot come out of the loop itself.",
		bash + "loop: {forEach: [a]}\nif: {fileExists: '{{ loop.value }}'}": "13:26: {{ loop.value }}: the if of a step is decided before its loop begins.",
		"name: Step\naction: ExecuteBash\nloop: {name: mine, forEach: [a]}\ninputs: {commands: ['{{ mien.value }}']}": "12:29: {{ mien.value }}: the loop of this step is not named 'mien', did you mean 'mine'?",
		"name: Step\naction: Assert\ninputs: {stringEquals: '{{ Nope }}', value: a}":                                  "11:32: {{ Nope }}: no parameter or constant 'Nope' is declared",
		"name: Step\naction: ExecuteDocument\ninputs: {document: a, parameters: [{name: b, value: '{{ Nope }}'}]}":    "11:61: {{ Nope }}: no parameter or constant 'Nope' is declared",
		"name: Step\naction: Reboot\ninputs: {delaySeconds: '{{ Nope }}'}":                                            "11:32: {{ Nope }}: no parameter or constant 'Nope' is declared",
	} {
		checkProblems(t, document(text), want)
	}
}

func TestParseDocumentProblems(t *testing.T) {
	t.Parallel()
	for text, want := range documentProblems {
		checkProblems(t, text, want)
	}
}

func TestParseAcceptsRealHabits(t *testing.T) {
	t.Parallel()
	for name, text := range realHabits {
		if _, problems := toe.Parse(name, []byte(text)); problems != nil {
			t.Errorf("%s: %v\n%s", name, problems, text)
		}
	}
}

func TestParseHostile(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&many, "wrong%d: x\n", i)
	}
	steps := "schemaVersion: 1.0\nphases:\n  - name: build\n    steps:\n"
	for i := range 5_000 {
		steps += fmt.Sprintf("      - {name: Step%d, action: ExecuteBash, inputs: {commands: ['{{ build.Step0.outputs.stdout }}']}}\n", i+1)
	}
	for name, text := range map[string]string{
		"10 MiB":           strings.Repeat("a: b\n", 2<<20),
		"many problems":    many.String(),
		"many bad steps":   steps,
		"braces":           document("name: Step\naction: ExecuteBash\ninputs: {commands: ['" + strings.Repeat("{{ ", 100_000) + " }}']}\nwrong: x"),
		"deep":             strings.Repeat("{a: ", 20_000),
		"deep block":       strings.Repeat("- ", 20_000) + "a",
		"endless anchors":  "a: &a\n  - &b [*a, *a]\n  - *b\n",
		"long unknown key": strings.Repeat("k", 900_000) + ": x\n",
		"control":          "a: \x01\n",
	} {
		d, problems := toe.Parse("", []byte(text))
		if d != nil || len(problems) == 0 || len(problems) > 200 {
			t.Errorf("%s: %d problems", name, len(problems))
		}
	}
}

func FuzzParse(f *testing.F) {
	every, err := os.ReadFile("testdata/every-action.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(every)
	f.Add([]byte(document(bash)))
	f.Add([]byte("schemaVersion: 1\nphases: &p [*p]"))
	cases, err := filepath.Glob("testdata/conformance/*.txtar")
	if err != nil || len(cases) == 0 {
		f.Fatal("there are no cases", err)
	}
	for _, name := range cases {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, problems := toe.Parse("x", data)
		if (d == nil) != (len(problems) > 0) {
			t.Fatalf("document %v beside %d problems", d != nil, len(problems))
		}
		if d == nil {
			return
		}
		d.Check(toe.CheckOptions{Platform: "windows"})
		for _, ph := range d.Phases {
			if len(ph.Steps) == 0 {
				t.Fatal("a phase without steps was accepted")
			}
			for _, s := range ph.Steps {
				if s.MaxAttempts < 1 || s.TimeoutSeconds == 0 || s.TimeoutSeconds < -1 {
					t.Fatalf("impossible step %+v", s)
				}
			}
		}
	})
}
