package workflow_test

import (
	"encoding/json"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// FuzzParse feeds documents, and runs what comes out of them: conditions,
// inputs and outputs over a scope that has something below every root.
func FuzzParse(f *testing.F) {
	for _, m := range workflow.ManagedWorkflows() {
		f.Add([]byte(m.Data))
	}
	f.Add([]byte("schemaVersion: 1.0\nparameters: [{name: a, type: stringList, default: [x]}]\nsteps:\n  - name: abc\n    action: WaitForAction\n    if: {not: [{numberLessThan: 1, value: '{{ $.parameters.a }}'}]}\n    inputs: {payload: '{{{{ $.parameters.a[0] }}'}\noutputs: [{name: o, value: $.stepOutputs.abc.reason}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, problems := workflow.Parse("fuzz", data)
		if (doc == nil) != (len(problems) > 0) {
			t.Fatalf("document %v with problems %v", doc != nil, problems)
		}
		for _, p := range problems {
			if p.Message == "" || p.Rule == "" || p.Line < 0 {
				t.Fatalf("incomplete problem %+v", p)
			}
		}
		if doc == nil {
			return
		}
		for _, typ := range []workflow.Type{workflow.Build, workflow.Test, workflow.Distribution} {
			doc.CheckType(typ, nil)
		}
		values, problems := doc.Values(nil)
		if (values == nil) == (len(problems) == 0) {
			t.Fatalf("values %v with problems %v", values, problems)
		}
		scope := &workflow.Scope{Parameters: values, ImageBuilder: map[string]any{"platform": "Linux"}, WorkflowOutputs: map[string]any{"x": []any{1}}, StepOutputs: map[string]map[string]any{}}
		for i := range doc.Steps {
			s := &doc.Steps[i]
			if s.If != nil {
				if holds, err := s.If.Holds(scope); err != nil && holds {
					t.Fatal("a condition holds with an error")
				}
			}
			if in, err := s.Inputs(scope); err == nil {
				if _, err := json.Marshal(in); err != nil {
					t.Fatalf("inputs that are no JSON: %v", err)
				}
			}
			s.RollbackEnabled(scope)
			scope.StepOutputs[s.Name] = map[string]any{"output": []any{"x"}, "instanceId": "i-1"}
		}
		for _, o := range doc.Outputs {
			o.Value(scope)
		}
	})
}

// FuzzPath feeds paths to the resolver.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"$.parameters.a", "$.stepOutputs.Run.output[0]", "$.workflowOutputs.x[1][2].y", "$.imagebuilder.s3Logs.s3Logs.s3BucketName", "$.parameters.a[", "$..", "$.parameters.a[99999999999999999999]"} {
		f.Add(seed)
	}
	scope := &workflow.Scope{
		Parameters: map[string]any{"a": []any{"b"}}, StepOutputs: map[string]map[string]any{"Run": {"output": []any{"x"}}, "Skipped": nil},
		WorkflowOutputs: map[string]any{"x": []any{1, []any{1, 2, map[string]any{"y": true}}}}, ImageBuilder: map[string]any{"s3Logs": nil},
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := workflow.ParsePath(text)
		if err != nil {
			return
		}
		if p.String() != text || p.Name == "" {
			t.Fatalf("%q was read as %+v", text, p)
		}
		scope.Lookup(p)
	})
}

// FuzzCondition feeds conditions with their comparands.
func FuzzCondition(f *testing.F) {
	f.Add("stringEquals", "Linux", "$.imagebuilder.platform")
	f.Add("numberLessThan", "1e999", "$.parameters.n")
	f.Add("booleanEquals", "True", "{{ $.parameters.n }}")
	scope := &workflow.Scope{Parameters: map[string]any{"n": "7"}, ImageBuilder: map[string]any{"platform": "Linux"}}
	f.Fuzz(func(t *testing.T, op, literal, value string) {
		text, err := json.Marshal(map[string]any{"schemaVersion": "1.0", "parameters": []any{map[string]any{"name": "n"}}, "steps": []any{
			map[string]any{"name": "abc", "action": "WaitForAction", "if": map[string]any{"or": []any{map[string]any{op: literal, "value": value}}}},
		}})
		if err != nil {
			t.Skip()
		}
		doc, _ := workflow.Parse("", text)
		if doc == nil {
			return
		}
		once, err := doc.Steps[0].If.Holds(scope)
		twice, _ := doc.Steps[0].If.Holds(scope)
		if once != twice || err != nil && once {
			t.Fatalf("%s %q %q: %v then %v (%v)", op, literal, value, once, twice, err)
		}
	})
}
