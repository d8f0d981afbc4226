package toe_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
	wantWarnings := "every-action.yaml:31: '{{.Names}}' is not a reference of this language and stays as it is."
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
	for _, tc := range []struct{ name, step, want string }{
		{"no name", "action: ExecuteBash\ninputs: {commands: [x]}", "9:9: The step has no name."},
		{"blank in name", "name: My step\naction: ExecuteBash\ninputs: {commands: [x]}", "9:15: Invalid step name 'My step' in phase 'build'. Allowed characters are combinations of numbers [0-9], english letters [a-z,A-Z] and special characters [-_]."},
		{"short name", "name: ab\naction: ExecuteBash\ninputs: {commands: [x]}", "9:15: Invalid step name 'ab' in phase 'build'. Its length is 2; 3 to 128 characters are allowed."},
		{"long name", "name: " + strings.Repeat("a", 129) + "\naction: ExecuteBash\ninputs: {commands: [x]}", "9:15: Invalid step name '" + strings.Repeat("a", 129) + "' in phase 'build'. Its length is 129; 3 to 128 characters are allowed."},
		{"list as name", "name: [a]\naction: ExecuteBash\ninputs: {commands: [x]}", "9:15: name must be text, but this is a list."},
		{"same name", "name: First\naction: ExecuteBash\ninputs: {commands: [x]}", "9:15: The step name 'First' is already used on line 7 in phase 'build'."},
		{"no action", "name: Step\ninputs: {}", "9:9: The step 'Step' has no action."},
		{"unknown action", "name: Step\naction: ExecuteBsh\ninputs: {commands: [x]}", "10:17: unknown action 'ExecuteBsh', did you mean 'ExecuteBash'?"},
		{"action in wrong case", "name: Step\naction: executebash\ninputs: {commands: [x]}", "10:17: unknown action 'executebash', did you mean 'ExecuteBash'?"},
		{"unknown field", bash + "onfailure: Abort", "12:9: unknown field 'onfailure' in a step, did you mean 'onFailure'?"},
		{"timeout 0", bash + "timeoutSeconds: 0", "12:25: timeoutSeconds must be at least 1, or -1 for no limit."},
		{"timeout -2", bash + "timeoutSeconds: -2", "12:25: timeoutSeconds must be at least 1, or -1 for no limit."},
		{"timeout text", bash + "timeoutSeconds: soon", "12:25: timeoutSeconds must be a whole number."},
		{"timeout reference", bash + "timeoutSeconds: '{{ Color }}'", "12:25: timeoutSeconds must be a whole number; references are not allowed here."},
		{"attempts 0", bash + "maxAttempts: 0", "12:22: maxAttempts must be at least 1."},
		{"onFailure", bash + "onFailure: ignore", "12:20: onFailure must be Abort, Continue or Ignore, did you mean 'Ignore'?"},
		{"disableLogging", bash + "disableLogging: 'true'", "12:25: disableLogging must be true or false."},
		{"no inputs", "name: Step\naction: ExecuteBash", "9:9: Action ExecuteBash has no inputs; it requires an 'inputs' that is a mapping."},
		{"empty list of inputs", "name: Step\naction: S3Download\ninputs: []", "11:17: Action S3Download has no inputs; it requires an 'inputs' that is a list of mappings."},
		{"list for mapping", "name: Step\naction: ExecuteBash\ninputs: [{commands: [x]}]", "11:17: The inputs of ExecuteBash must be a mapping, but this is a list."},
		{"mapping for list", "name: Step\naction: CreateFile\ninputs: {path: /a}", "11:17: The inputs of CreateFile must be a list of mappings, but this is a mapping."},
		{"text for mapping", "name: Step\naction: ExecuteBash\ninputs: ls", "11:17: The inputs of ExecuteBash must be a mapping, but this is text."},
		{"text in list", "name: Step\naction: CreateFile\ninputs: [a]", "11:18: An element of the inputs of CreateFile must be a mapping, but this is text."},
		{"missing input", "name: Step\naction: CopyFile\ninputs: [{source: /a}]", "11:18: CopyFile needs the input 'destination'."},
		{"input without value", "name: Step\naction: DeleteFile\ninputs:\n  - path:", "12:18: The input 'path' of DeleteFile must be text, but this is nothing."},
		{"unknown input", "name: Step\naction: ExecuteBash\ninputs: {command: [x]}", "11:17: ExecuteBash needs the input 'commands'.\n11:18: unknown input 'command' of ExecuteBash, did you mean 'commands'?"},
		{"commands as text", "name: Step\naction: ExecuteBash\ninputs: {commands: ls}", "11:28: The input 'commands' of ExecuteBash must be a list of texts, but this is text."},
		{"no commands", "name: Step\naction: ExecuteBash\ninputs: {commands: []}", "11:28: The input 'commands' of ExecuteBash has no elements."},
		{"command with colon", "name: Step\naction: ExecuteBash\ninputs:\n  commands:\n    - echo a: b", "13:15: An element of the input 'commands' of ExecuteBash must be text, but this is a mapping: the ': ' in it makes YAML read a key; put the text in quotes, or use a '|' block."},
		{"bool", "name: Step\naction: CreateFile\ninputs: [{path: /a, overwrite: maybe}]", `11:40: The input 'overwrite' of CreateFile must be true or false, not "maybe".`},
		{"int", "name: Step\naction: Reboot\ninputs: {delaySeconds: soon}", `11:32: The input 'delaySeconds' of Reboot must be a whole number, not "soon".`},
		{"negative delay", "name: Step\naction: Reboot\ninputs: {delaySeconds: -1}", "11:32: The input 'delaySeconds' of Reboot must not be negative."},
		{"permissions", "name: Step\naction: CreateFile\ninputs: [{path: /a, permissions: 0888}]", `11:42: The input 'permissions' of CreateFile must be an octal number such as 0644, not "0888".`},
		{"encoding", "name: Step\naction: CreateFile\ninputs: [{path: /a, encoding: latin1}]", `11:39: The input 'encoding' of CreateFile must be utf-8, utf-16 or utf-32, the last two with -LE or -BE at wish, not "latin1".`},
		{"empty path", "name: Step\naction: CreateFile\ninputs: [{path: ''}]", "11:25: The input 'path' of CreateFile must not be empty."},
		{"wildcard in folder", "name: Step\naction: DeleteFile\ninputs: [{path: '/a*/b'}]", "11:25: The input 'path' of DeleteFile may hold '*' only after the last separator."},
		{"URL", "name: Step\naction: WebDownload\ninputs: [{source: 'ftp://a/b', destination: /c}]", `11:27: The input 'source' of WebDownload must be an http or https URL, not "ftp://a/b".`},
		{"algorithm", "name: Step\naction: WebDownload\ninputs: [{source: 'http://a/b', destination: /c, checksum: ab, algorithm: sha256}]", "11:83: The input 'algorithm' of WebDownload is one of MD5, SHA1, SHA256, SHA512 (did you mean SHA256?)."},
		{"checksum", "name: Step\naction: WebDownload\ninputs: [{source: 'http://a/b', destination: /c, checksum: xyz, algorithm: MD5}]", "11:68: The input 'checksum' of WebDownload must be hexadecimal digits."},
		{"S3 source", "name: Step\naction: S3Download\ninputs: [{source: 'bucket/key', destination: /c}]", `11:27: The input 'source' of S3Download must be s3://bucket/key, not "bucket/key".`},
		{"bucket owner", "name: Step\naction: S3Download\ninputs: [{source: 's3://b/k', destination: /c, expectedBucketOwner: 1234}]", "11:77: The input 'expectedBucketOwner' of S3Download must be an account number of 12 digits."},
		{"PowerShell both", "name: Step\naction: ExecutePowerShell\ninputs: {commands: [x], file: y}", "11:17: ExecutePowerShell needs exactly one of the inputs commands, file."},
		{"MSI property", "name: Step\naction: InstallMSI\ninputs: {path: a, properties: {Reboot: x}}", "11:40: The property Reboot of InstallMSI cannot be changed."},
		{"registry", "name: Step\naction: SetRegistry\ninputs: [{path: 'HKXX:\\a', name: b, value: c, type: DWORDS}]", "11:25: The input 'path' of SetRegistry must begin with a registry root such as HKLM: or HKEY_LOCAL_MACHINE.\n11:61: The input 'type' of SetRegistry is one of BINARY, DWORD, QWORD, SZ, EXPAND_SZ, MULTI_SZ (did you mean DWORD?)."},
		{"nested timeout", "name: Step\naction: ExecuteDocument\ntimeoutSeconds: 5\nmaxAttempts: 2\ninputs: {document: a}", "11:25: timeoutSeconds of ExecuteDocument is always -1.\n12:22: maxAttempts of ExecuteDocument is always 1."},
		{"nested parameters", "name: Step\naction: ExecuteDocument\ninputs: {document: a, parameters: [{name: b}]}", "11:44: An element of 'parameters' has no value."},
		{"assert list", "name: Step\naction: Assert\ninputs: [a]", "11:17: A condition is a mapping with one operator, but this is a list."},
		{"assert with then", "name: Step\naction: Assert\ninputs: {fileExists: a, then: Skip}", "11:33: 'then' does not belong beside the operator 'fileExists'."},
		{"if", bash + "if: {fileExist: a}", "12:13: The condition has no operator.\n12:14: unknown operator 'fileExist', did you mean 'fileExists'?"},
		{"loop text", bash + "loop: 3", "12:15: loop is a mapping with for or forEach, but this is text."},
		{"loop empty", bash + "loop: {name: abc}", "12:15: A loop needs for or forEach."},
		{"loop both", bash + "loop: {for: {start: 1, end: 2, updateBy: 1}, forEach: [a]}", "12:15: A loop has either for or forEach, not both."},
		{"loop unknown", bash + "loop: {foreach: [a]}", "12:15: A loop needs for or forEach.\n12:16: unknown field 'foreach' in a loop, did you mean 'forEach'?"},
		{"for incomplete", bash + "loop: {for: {start: 1, end: 2}}", "12:21: for has no updateBy."},
		{"for zero", bash + "loop: {for: {start: 1, end: 2, updateBy: 0}}", "12:50: updateBy must not be 0."},
		{"for away", bash + "loop: {for: {start: 1, end: 2, updateBy: -1}}", "12:21: Counting from 1 by -1 never reaches 2."},
		{"for reference", bash + "loop: {for: {start: '{{ Color }}', end: 2, updateBy: 1}}", "12:29: start must be a whole number; references are not allowed here."},
		{"forEach empty", bash + "loop: {forEach: []}", "12:25: forEach has no elements."},
		{"forEach text", bash + "loop: {forEach: abc}", "12:25: forEach takes a list, or a mapping with list and delimiter, but this is text."},
		{"delimiter", bash + "loop: {forEach: {list: abc, delimiter: '|'}}", `12:48: delimiter must be one of . , ; : - _, a blank, "\n" or "\t" (in double quotes).`},
		{"loop name", bash + "loop: {name: a b, forEach: [a]}", "12:22: Invalid loop name 'a b'. It must have 3 to 128 of the characters [0-9], [a-z,A-Z] and [-_]."},
	} {
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
		command("{{ Colour }}"):                                             "15: {{ Colour }}: no parameter or constant 'Colour' is declared, did you mean 'Color'?",
		command("{{ color }}"):                                              "15: {{ color }}: no parameter or constant 'color' is declared, did you mean 'Color'?",
		command("{{ buidl.First.outputs.stdout }}"):                         "15: {{ buidl.First.outputs.stdout }}: there is no phase 'buidl', did you mean 'build'?",
		command("{{ build.Frist.outputs.stdout }}"):                         "15: {{ build.Frist.outputs.stdout }}: the phase 'build' has no step 'Frist', did you mean 'First'?",
		command("{{ build.Step.outputs.stdout }}"):                          "15: {{ build.Step.outputs.stdout }}: the step 'Step' does not run before this one.",
		command("{{ build.First.outputs.stdut }}"):                          "15: {{ build.First.outputs.stdut }}: ExecuteBash has no output 'stdut', did you mean 'stdout'?",
		command("{{ build.First.inputs.path }}"):                            "15: {{ build.First.inputs.path }}: ExecuteBash has no input 'path'",
		command("{{ build.First.outputs[1].stdout }}"):                      "15: {{ build.First.outputs[1].stdout }}: the step 'First' has only 1 outputs.",
		command("{{ context:executionid }}"):                                "15: {{ context:executionid }}: unknown context key 'executionid', did you mean 'executionId'?",
		command("{{ aws:imds:iam/info }}"):                                  "15: {{ aws:imds:iam/info }}: credentials are not handed out from instance metadata.",
		command("{{ aws:imds:/identity-credentials/ec2 }}"):                 "15: {{ aws:imds:/identity-credentials/ec2 }}: credentials are not handed out from instance metadata.",
		command("{{ aws:ssm:resolve(Colour) }}"):                            "15: {{ aws:ssm:resolve(Colour) }}: no parameter or constant 'Colour' is declared, did you mean 'Color'?",
		command("{{ Color }} {{ Nope }} {{ .x }} {{ No2 }}"):                "15: {{ Nope }}: no parameter or constant 'Nope' is declared\n15: {{ No2 }}: no parameter or constant 'No2' is declared",
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
	const phases = "phases: [{name: build, steps: [{name: Step, action: Reboot}]}]\n"
	for text, want := range map[string]string{
		"a":                                      "1:1: A document is a mapping with schemaVersion and phases, but this is text.",
		"schemaVersion: 1.0\n":                   "1:1: Document has 0 phases. Phases list must not be empty.",
		"schemaVersion: 1.0\nphases: []\n":       "2:9: Document has 0 phases. Phases list must not be empty.",
		"schemaVersion: 1.0\nphases: x\n":        "2:9: phases must be a list, but this is text.",
		"schemaVersion: 1.0\nphases: [x]\n":      "2:10: A phase is a mapping with name and steps, but this is text.",
		phases:                                   "1:1: The document has no schemaVersion; it must be 1.0.",
		"schemaVersion: 2.0\n" + phases:          "1:16: schemaVersion must be 1.0, not '2.0'.",
		"schemaVersion: [1]\n" + phases:          "1:16: schemaVersion must be 1.0.",
		"schemaVersion: 1\nnmae: x\n" + phases:   "2:1: unknown field 'nmae' in the document, did you mean 'name'?",
		"schemaVersion: 1\nname: [x]\n" + phases: "2:7: name must be text, but this is a list.",
		"schemaVersion: 1.0\nphases: [{name: build, steps: []}]\n":                                                       "2:10: The phase 'build' has no steps.",
		"schemaVersion: 1.0\nphases: [{steps: [{name: Step, action: Reboot}]}]\n":                                        "2:10: The phase has no name.",
		"schemaVersion: 1.0\nphases: [{name: build, steps: [x]}]\n":                                                      "2:32: A step is a mapping with name and action, but this is text.",
		"schemaVersion: 1.0\nphases:\n- &p {name: build, steps: [{name: Step, action: Reboot}]}\n- *p\n":                 "3:13: The phase name 'build' is already used on line 3.",
		"schemaVersion: 1\nparameters: {Abc: {type: string}}\n" + phases:                                                 "2:13: parameters must be a list of names, each with its own mapping, but this is a mapping.",
		"schemaVersion: 1\nparameters: [{name: Abc, type: string}]\n" + phases:                                           "2:14: A parameter is written with its name as the key: '- Abc: {type: string}'.",
		"schemaVersion: 1\nparameters: [Abc]\n" + phases:                                                                 "2:14: A parameter is a mapping with exactly one key, its name.",
		"schemaVersion: 1\nparameters: [{Abc: string}]\n" + phases:                                                       "2:20: The parameter 'Abc' needs a mapping with its type, but this is text.",
		"schemaVersion: 1\nparameters: [{Abc: {default: x}}]\n" + phases:                                                 "2:15: The parameter 'Abc' has no type; it must be string.",
		"schemaVersion: 1\nparameters: [{Abc: {type: strng}}]\n" + phases:                                                "2:27: The type of the parameter 'Abc' must be string, did you mean 'string'?",
		"schemaVersion: 1\nparameters: [{Abc: {type: string, defualt: x}}]\n" + phases:                                   "2:35: unknown field 'defualt' in a parameter, did you mean 'default'?",
		"schemaVersion: 1\nparameters: [{A b: {type: string}}]\n" + phases:                                               "2:15: Invalid parameter name 'A b'. It must have 3 to 128 of the characters [0-9], [a-z,A-Z] and [-_].",
		"schemaVersion: 1\nparameters: [{Abc: {type: string, default: x, allowedValues: [y]}}]\n" + phases:               "2:44: The default of the parameter 'Abc' is not among its allowedValues.",
		"schemaVersion: 1\nparameters: [{Abc: {type: string, allowedValues: []}}]\n" + phases:                            "2:50: allowedValues must be a list of texts with at least one element.",
		"schemaVersion: 1\nparameters: [{Abc: {type: string}}]\nconstants: [{Abc: {type: string, value: x}}]\n" + phases: "3:14: The name 'Abc' is already used on line 2; parameters and constants share their names.",
		"schemaVersion: 1\nconstants: [{Abc: {type: string}}]\n" + phases:                                                "2:14: The constant 'Abc' has no value.",
	} {
		checkProblems(t, text, want)
	}
}

// TestParseAcceptsRealHabits holds what public documents do and the guide does
// not forbid.
func TestParseAcceptsRealHabits(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"JSON":             `{"schemaVersion": "1.0", "phases": [{"name": "build", "steps": [{"name": "Step", "action": "ExecuteBash", "inputs": {"commands": ["ls"]}}]}]}`,
		"marker":           "---\n# comment\n" + document(bash),
		"byte order mark":  "\ufeff" + document(bash),
		"CRLF":             strings.ReplaceAll(document(bash), "\n", "\r\n"),
		"indented":         " " + strings.ReplaceAll(strings.TrimSpace(document(bash)), "\n", "\n ") + "\n",
		"empty update":     document("name: Step\naction: UpdateOS\ninputs: {}"),
		"null inputs":      document("name: Step\naction: UpdateOS\ninputs:"),
		"blank default":    "schemaVersion: 1\nparameters:\n  - Abc: {type: string, default: ' '}\n  - Def: {type: string, default: 3}\nphases: [{name: build, steps: [{name: Step, action: Reboot}]}]\n",
		"null content":     document("name: Step\naction: CreateFile\ninputs:\n  - path: /a\n    content:"),
		"empty command":    document("name: Step\naction: ExecuteBash\ninputs:\n  commands:\n    -\n    - ls"),
		"loop outside":     document("name: Step\naction: ExecuteBash\ninputs: {commands: ['{{ loop.index }} {{ other.value }}']}"),
		"unquoted number":  document("name: Step\naction: ExecuteBash\ninputs: {commands: [1, true, 0777]}"),
		"reference as any": document("name: Step\naction: CreateFile\ninputs: [{path: /a, overwrite: '{{ Color }}', permissions: '{{ Color }}', encoding: '{{Color}}'}]"),
	} {
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
