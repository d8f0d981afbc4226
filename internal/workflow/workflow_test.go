package workflow_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// steps is a document with the given steps, indented by two blanks each.
func steps(text string) string {
	return "schemaVersion: 1.0\nsteps:\n" + text
}

const launch = "  - {name: Launch, action: LaunchInstance, inputs: {waitFor: ssmAgent}}\n"

func parse(t *testing.T, text string) *workflow.Document {
	t.Helper()
	doc, problems := workflow.Parse("", []byte(text))
	if err := problems.Err(); err != nil {
		t.Fatalf("%v\nin\n%s", err, text)
	}
	return doc
}

func TestManagedWorkflowsAreOfTheirTypes(t *testing.T) {
	t.Parallel()
	for _, m := range workflow.ManagedWorkflows() {
		problems := m.Document.CheckType(m.Type, nil)
		problems = slices.DeleteFunc(problems, func(p workflow.Problem) bool { return p.Rule == "unavailable" })
		if err := problems.Err(); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
		if got, ok := workflow.FindManaged(m.Type, m.Name); !ok || got.Data != m.Data {
			t.Errorf("%s %s is not found", m.Type, m.Name)
		}
	}
	m, _ := workflow.FindManaged(workflow.Build, workflow.BuildImage)
	if got, want := m.ARN("eu-west-1"), "arn:aws:imagebuilder:eu-west-1:aws:workflow/build/build-image/1.0.0/1"; got != want {
		t.Errorf("ARN %s, want %s", got, want)
	}
	if n := len(m.Document.Steps); n != 7 {
		t.Errorf("build-image has %d steps; Amazon's has 7", n)
	}
}

func TestParseReadsTheWholeSchema(t *testing.T) {
	t.Parallel()
	doc := parse(t, `
name: all
description: every key
schemaVersion: "1.0"
parameters:
  - name: greeting
    type: string
    default: hello
    description: what to say
  - {name: count, type: integer, default: 3}
  - {name: loud, type: boolean, default: true}
  - {name: words, type: stringList, default: [a, b]}
  - name: needed
steps:
  - name: Launch
    description: starts it
    action: LaunchInstance
    onFailure: Abort
    rollbackEnabled.$: $.imagebuilder.terminateInstanceOnFailure
    timeoutSeconds: 600
    waitSeconds: 5
    retry: {maxAttempts: 3, backoffSeconds: 0}
    inputs:
      waitFor: ssmAgent
      healthCheck: RUNNING
      instanceTypesOverride: [t3.large, "{{ $.parameters.greeting }}.small"]
  - name: Run
    action: RunCommand
    onFailure: Continue
    if:
      and:
        - numberGreaterThan: 2
          value: $.parameters.count
        - not:
            booleanEquals: false
            value: $.parameters.loud
    inputs:
      instanceId: $.stepOutputs.Launch.instanceId
      documentName: AWS-RunShellScript
      parameters:
        commands:
          - |
            echo {{ $.parameters.greeting }} {{not-ours}}
            echo $.parameters.greeting
        executionTimeout: ["3600"]
        workingDirectory.$: $.parameters.words
outputs:
  - name: first
    value: $.stepOutputs.Run.output[0]
  - {name: text, value: "on {{ $.stepOutputs.Launch.instanceId }}"}
`)
	scope := &workflow.Scope{ImageBuilder: map[string]any{"terminateInstanceOnFailure": false}, StepOutputs: map[string]map[string]any{
		"Launch": {"instanceId": "i-1"}, "Run": {"output": []any{"one", "two"}},
	}}
	var problems workflow.Problems
	if scope.Parameters, problems = doc.Values([]workflow.Given{{Name: "needed", Value: []string{""}}}); len(problems) > 0 {
		t.Fatal(problems)
	}
	l, r := &doc.Steps[0], &doc.Steps[1]
	if l.Timeout != 10*time.Minute || l.Wait != 5*time.Second || l.Retry != (workflow.Retry{MaxAttempts: 3}) || r.Timeout != 720*time.Minute || r.OnFailure != workflow.Continue {
		t.Errorf("times or retry are wrong: %+v %+v", l, r)
	}
	if back, err := l.RollbackEnabled(scope); back || err != nil {
		t.Errorf("rollbackEnabled is %v, %v", back, err)
	}
	if !r.Uses("Launch") || l.Uses("Run") {
		t.Error("Uses does not see the reference of Run to Launch")
	}
	if holds, err := r.If.Holds(scope); !holds || err != nil {
		t.Errorf("the condition of Run is %v, %v", holds, err)
	}
	got := []map[string]any{inputs(t, l, scope), inputs(t, r, scope)}
	want := []map[string]any{
		{"waitFor": "ssmAgent", "healthCheck": "RUNNING", "instanceTypesOverride": []any{"t3.large", "hello.small"}},
		{"instanceId": "i-1", "documentName": "AWS-RunShellScript", "parameters": map[string]any{
			"commands": []any{"echo hello {{not-ours}}\necho $.parameters.greeting\n"}, "executionTimeout": []any{"3600"}, "workingDirectory": []any{"a", "b"},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	for i, want := range []any{"one", "on i-1"} {
		if got, err := doc.Outputs[i].Value(scope); err != nil || got != want {
			t.Errorf("output %d is %v, %v; want %v", i, got, err, want)
		}
	}
	if got := doc.Parameters[3].DefaultStrings(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("the default of words is shown as %q", got)
	}
}

func inputs(t *testing.T, s *workflow.Step, scope *workflow.Scope) map[string]any {
	t.Helper()
	in, err := s.Inputs(scope)
	if err != nil {
		t.Fatalf("step %s: %v", s.Name, err)
	}
	return in
}

func TestParseFindsEveryProblemWithItsPlace(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, want string }{
		{"no mapping", "- a", "1:1: A workflow document is a mapping with schemaVersion and steps, but this is a list."},
		{"nothing", "name: x\n", "1:1: The document has no schemaVersion; it must be 1.0.\n1:1: The document has no steps; it needs at least one."},
		{"version", "schemaVersion: 2.0\nsteps:\n" + launch, "1:16: schemaVersion must be 1.0."},
		{"misspelt key", steps("  - {name: Launch, acton: LaunchInstance}\n"), "3:5: The step has no action.\n3:20: unknown field 'acton' in a step, did you mean 'action'?"},
		{"misspelt action", steps("  - {name: Launch, action: LaunchInstanc}\n"), "3:28: unknown action 'LaunchInstanc', did you mean 'LaunchInstance'?"},
		{"misspelt input", steps("  - {name: Launch, action: LaunchInstance, inputs: {waitfor: ssmAgent}}\n"), "3:52: 'waitFor' is missing in the inputs of LaunchInstance.\n3:53: unknown 'waitfor' in the inputs of LaunchInstance, did you mean 'waitFor'?"},
		{"value outside the list", steps("  - {name: Launch, action: LaunchInstance, inputs: {waitFor: smsAgent}}\n"), "3:62: 'waitFor': 'smsAgent' is not one of ssmAgent, did you mean 'ssmAgent'?"},
		{"no inputs", steps("  - {name: Launch, action: LaunchInstance}\n"), "3:5: 'waitFor' is missing in the inputs of LaunchInstance."},
		{"short name", steps("  - {name: ab, action: WaitForAction}\n"), "3:12: The name 'ab' of a step must have 3 to 128 letters, digits and '_'."},
		{"hyphen in name", steps("  - {name: a-b-c, action: WaitForAction}\n"), "3:12: The name 'a-b-c' of a step must have 3 to 128 letters, digits and '_'."},
		{"same name", steps("  - {name: abc, action: WaitForAction}\n  - {name: abc, action: WaitForAction}\n"), "4:12: The name 'abc' is already used on line 3."},
		{"timeout", steps("  - {name: abc, action: WaitForAction, timeoutSeconds: 604801}\n"), "3:56: timeoutSeconds of WaitForAction must be a whole number from 1 to 604800."},
		{"no timeout", steps("  - {name: abc, action: WaitForAction, timeoutSeconds: 0}\n"), "3:56: timeoutSeconds of WaitForAction must be a whole number from 1 to 604800."},
		{"wait", steps("  - {name: abc, action: WaitForAction, timeoutSeconds: 5, waitSeconds: 5}\n"), "3:72: waitSeconds must be less than the step's timeoutSeconds, which is 5."},
		{"retry", steps("  - {name: abc, action: WaitForAction, retry: {backoffSeconds: 601}}\n"), "3:47: retry has no maxAttempts.\n3:64: backoffSeconds must be a whole number from 0 to 600."},
		{"attempts", steps("  - {name: abc, action: WaitForAction, retry: {maxAttempts: 11}}\n"), "3:61: maxAttempts must be a whole number from 1 to 10."},
		{"onFailure", steps("  - {name: abc, action: WaitForAction, onFailure: ABORT}\n"), "3:51: onFailure is Abort or Continue, not 'ABORT', did you mean 'Abort'?"},
		{"empty description", steps("  - {name: abc, action: WaitForAction, description: ''}\n"), "3:53: The description of a step has 1 to 1024 characters."},
		{"payload", steps("  - {name: abc, action: WaitForAction, inputs: {payload: " + strings.Repeat("x", 16<<10+1) + "}}\n"), "3:58: 'payload': it has 16385 bytes; at most 16384 are allowed."},
		{"own output", steps("  - {name: abc, action: WaitForSSMAgent, inputs: {instanceId.$: $.stepOutputs.abc.status}}\n"), "3:65: $.stepOutputs.abc.status: the step 'abc' runs only later."},
		{"unknown step", steps(launch + "  - {name: abc, action: WaitForSSMAgent, inputs: {instanceId.$: $.stepOutputs.Lanch.instanceId}}\n"), "4:65: $.stepOutputs.Lanch.instanceId: there is no step 'Lanch', did you mean 'Launch'?"},
		{"unknown output", steps(launch + "  - {name: abc, action: WaitForSSMAgent, inputs: {instanceId.$: $.stepOutputs.Launch.instanceID}}\n"), "4:65: $.stepOutputs.Launch.instanceID: the action LaunchInstance has no output 'instanceID', did you mean 'instanceId'?"},
		{"unknown parameter", steps("  - {name: abc, action: WaitForAction, inputs: {payload: '{{ $.parameters.x }}'}}\n"), "3:58: $.parameters.x: the document declares no parameter 'x'."},
		{"unknown variable", steps("  - {name: abc, action: WaitForAction, inputs: {payload.$: $.imagebuilder.imageid}}\n"), "3:60: $.imagebuilder.imageid: there is no variable 'imageid', did you mean 'imageId'?"},
		{"no path", steps("  - {name: abc, action: WaitForAction, inputs: {payload.$: hello}}\n"), "3:60: 'hello' is not a path: a path begins with '$.' and one of parameters, stepOutputs, workflowOutputs, imagebuilder."},
		{"twice", steps("  - {name: abc, action: WaitForAction, inputs: {payload: a, payload.$: $.imagebuilder.imageId}}\n"), "3:61: 'payload' is given twice, with and without '.$'."},
		{"chained", steps("  - {name: abc, action: ModifyImageAttributes, inputs: {distributedImages: [a]}}\n"), "3:76: 'distributedImages' takes a reference to the output of an earlier step: 'distributedImages.$: $.stepOutputs.STEP.OUTPUT'."},
		{"chained elsewhere", steps("  - {name: abc, action: ModifyImageAttributes, inputs: {distributedImages.$: $.workflowOutputs.x}}\n"), "3:78: 'distributedImages' takes a path that begins with $.stepOutputs."},
		{"nested input", steps("  - {name: abc, action: DistributeImage, inputs: {distributions: [{name: x}]}}\n"), "3:67: 'region' is missing in 'distributions'."},
		{"nested type", steps("  - {name: abc, action: RegisterImage, inputs: {blockDeviceMapping: [{DeviceName: /dev/xvda, Ebs: {VolumeSize: big}}]}}\n"), "3:112: 'VolumeSize': it must be a whole number, but is the text 'big'."},
		{"commands as text", steps(launch + "  - {name: abc, action: RunCommand, inputs: {instanceId: i-1, documentName: x, parameters: {commands: ls}}}\n"), "4:103: 'commands' must be a list, but this is text."},
		{"empty condition", steps("  - {name: abc, action: WaitForAction, if: {}}\n"), "3:44: The condition has no operator."},
		{"unknown operator", steps("  - {name: abc, action: WaitForAction, if: {stringEqual: a, value: $.imagebuilder.platform}}\n"), "3:44: The condition has no operator.\n3:45: unknown operator 'stringEqual', did you mean 'stringEquals'?"},
		{"two operators", steps("  - {name: abc, action: WaitForAction, if: {stringEquals: a, numberEquals: 1, value: $.imagebuilder.platform}}\n"), "3:62: A condition has one operator, but 'numberEquals' stands beside 'stringEquals'; join them with and, or."},
		{"no value", steps("  - {name: abc, action: WaitForAction, if: {stringEquals: a}}\n"), "3:45: 'stringEquals' needs a 'value' beside it: the path of what is compared."},
		{"no path as value", steps("  - {name: abc, action: WaitForAction, if: {stringEquals: a, value: platform}}\n"), "3:69: 'platform' is not a path; 'value' takes one, such as $.imagebuilder.platform."},
		{"no number", steps("  - {name: abc, action: WaitForAction, if: {numberLessThan: a, value: $.imagebuilder.imageBuildNumber}}\n"), "3:61: 'numberLessThan' cannot compare with 'a'."},
		{"and without a list", steps("  - {name: abc, action: WaitForAction, if: {and: {stringEquals: a, value: $.imagebuilder.platform}}}\n"), "3:50: 'and' takes a list of conditions, but this is a mapping."},
		{"empty or", steps("  - {name: abc, action: WaitForAction, if: {or: []}}\n"), "3:49: 'or' has no conditions."},
		{"rollback", steps("  - {name: abc, action: WaitForAction, rollbackEnabled: maybe}\n"), "3:57: 'rollbackEnabled': it must be true or false, but is the text 'maybe'."},
		{"parameter type", "schemaVersion: 1.0\nparameters: [{name: a, type: list}]\nsteps:\n" + launch, "2:30: The type of a parameter is one of string, integer, boolean, stringList, not 'list'."},
		{"parameter default", "schemaVersion: 1.0\nparameters: [{name: a, type: integer, default: x}]\nsteps:\n" + launch, "2:48: The default 'x' is not of the type integer."},
		{"same output", "schemaVersion: 1.0\nsteps:\n" + launch + "outputs: [{name: a, value: x}, {name: a, value: y}]\n", "4:39: The name 'a' is already used on line 4."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			doc, problems := workflow.Parse("", []byte(tc.text))
			if doc != nil {
				t.Error("there is a document")
			}
			if diff := cmp.Diff(tc.want, problems.Error()); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseKeepsToTheQuotas(t *testing.T) {
	t.Parallel()
	var many, parameters, outputs strings.Builder
	for i := range 26 {
		fmt.Fprintf(&many, "  - {name: step%d, action: WaitForAction}\n", i)
		fmt.Fprintf(&parameters, "  - {name: p%d}\n", i)
		fmt.Fprintf(&outputs, "  - {name: o%d, value: x}\n", i)
	}
	text := "schemaVersion: 1.0\nparameters:\n" + parameters.String() + "steps:\n" + many.String() + "outputs:\n" + outputs.String()
	_, problems := workflow.Parse("d.yaml", []byte(text))
	want := "d.yaml:3:3: The document has 26 parameters; at most 25 are allowed.\nd.yaml:30:3: The document has 26 steps; at most 15 are allowed.\nd.yaml:57:3: The document has 26 outputs; at most 25 are allowed."
	if diff := cmp.Diff(want, problems.Error()); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	limits := workflow.Limits{Bytes: 1 << 20, Steps: 26, Parameters: 26, ParameterLength: 4, Outputs: 26}
	if _, problems := limits.Parse("", []byte(text)); len(problems) > 0 {
		t.Errorf("under wider limits: %v", problems)
	}
	_, problems = workflow.Parse("", []byte(steps(launch)+strings.Repeat("#", 64<<10)))
	if !strings.HasPrefix(problems.Error(), "The document has 65") {
		t.Errorf("a document of more than 64 KiB: %v", problems)
	}
}

func TestCheckType(t *testing.T) {
	t.Parallel()
	components := steps(launch + "  - {name: Apply, action: ExecuteComponents, inputs: {instanceId.$: $.stepOutputs.Launch.instanceId}}\n")
	both := steps("  - {name: Push, action: DistributeContainerImage, inputs: {instanceId.$: $.workflowOutputs.x}}\n  - {name: Copy, action: DistributeImage}\n")
	machine := steps("  - {name: Ask, action: ExecuteStateMachine, inputs: {stateMachineArn: x}}\n")
	known := steps("  - {name: Scan, action: ExecuteStateMachine, inputs: {stateMachineArn: scan}}\n")
	noJSON := steps("  - {name: Scan, action: ExecuteStateMachine, inputs: {stateMachineArn: scan, input: '{'}}\n")
	asks := func(name string) string {
		return steps("  - {name: Ask, action: WaitForAction, inputs: {lambdaFunctionName: " + name + "}}\n")
	}
	has := func(name string) bool { return name == "scan" }
	scan := steps("  - {name: Scan, action: CollectImageScanFindings, inputs: {instanceId: i-1}}\n")
	for _, tc := range []struct {
		text string
		as   workflow.Type
		want []string // rules
	}{
		{components, workflow.Build, nil}, {components, workflow.Test, nil}, {components, workflow.Distribution, []string{"wrong-stage"}},
		{both, workflow.Distribution, []string{"unavailable", "mixed-distribution"}}, {machine, workflow.Test, []string{"unavailable"}},
		{known, workflow.Distribution, nil}, {noJSON, workflow.Build, []string{"unavailable"}}, {asks("scan"), workflow.Build, nil}, {asks("other"), workflow.Build, []string{"unavailable"}},
		{scan, workflow.Test, nil}, {scan, workflow.Build, []string{"wrong-stage"}},
	} {
		var got []string
		for _, p := range parse(t, tc.text).CheckType(tc.as, has) {
			got = append(got, p.Rule)
			if p.Line == 0 || p.Message == "" {
				t.Errorf("incomplete problem %+v", p)
			}
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("as %s (-want +got):\n%s\n%s", tc.as, diff, tc.text)
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	doc := parse(t, "schemaVersion: 1.0\nparameters: [{name: s}, {name: i, type: integer, default: 7}, {name: b, type: boolean, default: 'false'}, {name: l, type: stringList, default: []}]\nsteps:\n"+launch)
	got, problems := doc.Values([]workflow.Given{{Name: "s", Value: []string{"x"}}, {Name: "b", Value: []string{"TRUE"}}, {Name: "l", Value: []string{"1", "2"}}})
	if diff := cmp.Diff(map[string]any{"s": "x", "i": int64(7), "b": true, "l": []any{"1", "2"}}, got); diff != "" || len(problems) > 0 {
		t.Errorf("values (-want +got):\n%s%v", diff, problems)
	}
	_, problems = doc.Values([]workflow.Given{
		{Name: "i", Value: []string{"many"}}, {Name: "i", Value: []string{"1"}}, {Name: "sss", Value: nil}, {Name: "b", Value: []string{"true", "false"}}, {Name: "l", Value: []string{strings.Repeat("x", 1025)}},
	})
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.Path+": "+p.Text())
	}
	want := []string{
		"parameters[0].value: The value of the parameter 'i' 'many' is not of the type integer.",
		"parameters[1].name: The parameter 'i' is given twice.",
		"parameters[2].name: The workflow has no parameter 'sss'.",
		"parameters[3].value: The value of the parameter 'b' has 2 values; a parameter of type boolean takes one.",
		"parameters[4].value: The value of the parameter 'l' has 1025 characters; at most 1024 are allowed.",
		"parameters: The parameter 's' has no default and must be given.",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	scope := &workflow.Scope{
		Parameters:  map[string]any{"list": []any{"a", map[string]any{"b": "c"}}},
		StepOutputs: map[string]map[string]any{"Run": {"output": []any{"x"}}, "Skipped": nil},
	}
	for path, want := range map[string]string{
		"$.parameters.list[1].b":        "c",
		"$.stepOutputs.Run.output[0]":   "x",
		"$.parameters.list[2]":          "error: $.parameters.list[2]: there is no '2'",
		"$.parameters.list.b":           "error: $.parameters.list.b: there is no 'b'",
		"$.parameters.other":            "error: $.parameters.other: there is no 'other'",
		"$.workflowOutputs.x":           "error: $.workflowOutputs.x: there is no 'x'",
		"$.stepOutputs.Skipped.output":  "error: $.stepOutputs.Skipped.output: the step 'Skipped' has no outputs, since it was skipped or failed",
		"$.stepOutputs.Later.output":    "error: $.stepOutputs.Later.output: the step 'Later' has not run",
		"$.parameters":                  "error: the path names nothing below parameters",
		"$.parameters.list[":            "error: 'list[' lacks a ]",
		"$.parameters.list[x]":          "error: 'x' is not an index",
		"$.parameters.list[-1]":         "error: '-1' is not an index",
		"$.parameters.list[0]x":         "error: 'list[0]x' has text after ]",
		"$.parameters..list":            "error: '' is not a name of letters, digits, '_' and '-'",
		"$.stepOutputs.Run[0]":          "error: 'Run' is not a list",
		"$.secrets.list":                "error: 'secrets' is not one of the root nodes parameters, stepOutputs, workflowOutputs, imagebuilder",
		"parameters.list":               "error: a path begins with '$.' and one of parameters, stepOutputs, workflowOutputs, imagebuilder",
		"$.parameters.list[4294967296]": "error: '4294967296' is not an index",
	} {
		got := ""
		p, err := workflow.ParsePath(path)
		if err == nil {
			var v any
			v, err = scope.Lookup(p)
			got = fmt.Sprint(v)
		}
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != want {
			t.Errorf("%s gives\n\t%s\nwant\n\t%s", path, got, want)
		}
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	scope := &workflow.Scope{
		Parameters:   map[string]any{"n": int64(5), "s": "5", "b": true, "t": "true", "l": []any{"x"}},
		ImageBuilder: map[string]any{"platform": "Linux", "imageBuildNumber": 5.0},
		StepOutputs:  map[string]map[string]any{"Launch": nil},
	}
	for cond, want := range map[string]string{
		"{stringEquals: Linux, value: $.imagebuilder.platform}":                                                                     "true",
		"{stringEquals: linux, value: $.imagebuilder.platform}":                                                                     "false",
		"{stringEquals: '{{ $.parameters.s }}', value: $.parameters.n}":                                                             "true",
		"{stringEquals: $.parameters.s, value: $.parameters.n}":                                                                     "true",
		"{stringEquals: a, value: '{{ $.imagebuilder.platform }}-x'}":                                                               "false",
		"{stringEquals: x, value: $.parameters.l}":                                                                                  "error",
		"{booleanEquals: true, value: $.parameters.b}":                                                                              "true",
		"{booleanEquals: 'true', value: $.parameters.t}":                                                                            "true",
		"{booleanEquals: true, value: $.parameters.n}":                                                                              "error",
		"{numberEquals: 5.0, value: $.parameters.s}":                                                                                "true",
		"{numberEquals: 5, value: $.imagebuilder.imageBuildNumber}":                                                                 "true",
		"{numberGreaterThan: 4, value: $.parameters.n}":                                                                             "true",
		"{numberGreaterThan: 5, value: $.parameters.n}":                                                                             "false",
		"{numberGreaterThanEquals: 5, value: $.parameters.n}":                                                                       "true",
		"{numberLessThan: 5, value: $.parameters.n}":                                                                                "false",
		"{numberLessThan: 6, value: $.parameters.n}":                                                                                "true",
		"{numberLessThanEquals: 5, value: $.parameters.n}":                                                                          "true",
		"{numberEquals: 5, value: $.imagebuilder.platform}":                                                                         "error",
		"{not: {stringEquals: Windows, value: $.imagebuilder.platform}}":                                                            "true",
		"{not: [{stringEquals: Linux, value: $.imagebuilder.platform}]}":                                                            "false",
		"{and: [{stringEquals: Windows, value: $.imagebuilder.platform}, {numberEquals: 1, value: $.imagebuilder.platform}]}":       "false", // decided by the first
		"{or: [{stringEquals: Linux, value: $.imagebuilder.platform}, {stringEquals: x, value: $.stepOutputs.Launch.instanceId}]}":  "true",
		"{and: [{stringEquals: Linux, value: $.imagebuilder.platform}, {stringEquals: x, value: $.stepOutputs.Launch.instanceId}]}": "error",
		"{not: {stringEquals: x, value: $.stepOutputs.Launch.instanceId}}":                                                          "error",
	} {
		text := "schemaVersion: 1.0\nparameters: [{name: n}, {name: s}, {name: b}, {name: t}, {name: l}]\nsteps:\n" + launch + "  - {name: Wait, action: WaitForAction, if: " + cond + "}\n"
		holds, err := parse(t, text).Steps[1].If.Holds(scope)
		got := fmt.Sprint(holds)
		if err != nil {
			got = "error"
			if holds {
				t.Errorf("%s holds with the error %v", cond, err)
			}
		}
		if got != want {
			t.Errorf("%s is %s (%v), want %s", cond, got, err, want)
		}
	}
}

func TestInputsAreCheckedAgainWithTheirValues(t *testing.T) {
	t.Parallel()
	doc := parse(t, "schemaVersion: 1.0\nparameters: [{name: h}, {name: types}, {name: img}]\nsteps:\n  - name: Launch\n    action: LaunchInstance\n    inputs: {waitFor: ssmAgent, healthCheck.$: $.parameters.h, instanceTypesOverride.$: $.parameters.types, imageIdOverride: $.parameters.img}\n")
	for _, tc := range []struct {
		h, types, img any
		want          string
	}{
		{"RUNNING", []any{"t3.micro"}, "ami-1", ""},
		{"HEALTHY", []any{"t3.micro"}, "ami-1", "input 'healthCheck': 'HEALTHY' is not one of RUNNING, STATUS_CHECK_PASSED"},
		{"RUNNING", "t3.micro", "ami-1", "input 'instanceTypesOverride': it must be a list, but is the text 't3.micro'"},
		{"RUNNING", []any{[]any{}}, "ami-1", "input 'instanceTypesOverride': [0]: it must be text, but is a list"},
		{"RUNNING", []any{}, map[string]any{}, "input 'imageIdOverride': it must be text, but is a mapping"},
	} {
		_, err := doc.Steps[0].Inputs(&workflow.Scope{Parameters: map[string]any{"h": tc.h, "types": tc.types, "img": tc.img}})
		if got := fmt.Sprint(err); got != tc.want && (err != nil || tc.want != "") {
			t.Errorf("%v gives\n\t%v\nwant\n\t%s", tc, err, tc.want)
		}
	}
}
