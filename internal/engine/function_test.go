package engine

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/cloud/function"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

func shell(name, script string) function.Function {
	return function.Function{Name: name, Command: []string{"/bin/sh", "-c", script}}
}

// TestExecuteStateMachine runs a program in a state machine's place and hands
// its answer on.
func TestExecuteStateMachine(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:states:us-east-1:123456789012:stateMachine:scan"
	step := "  - name: Scan\n    action: ExecuteStateMachine\n    retry: {maxAttempts: 2, backoffSeconds: 0}\n    inputs:\n      stateMachineArn: " + arn + "\n      input: '{\"image\": \"{{ $.imagebuilder.imageName }}\"}'\n"
	say := runStepYAML("Say", "{{ $.stepOutputs.Scan.output }} of {{ $.stepOutputs.Scan.executionArn }}", "")
	w := newWorld(t)
	failed := filepath.Join(t.TempDir(), "failed")
	w.functions = function.New([]function.Function{shell("scan", `[ -e '`+failed+`' ] || { touch '`+failed+`'; echo busy >&2; exit 1; }; cat; echo " $GOLDSMITH_CALL_ID"`)})
	w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", "steps:\n"+launchStep+step+say+imageStep)}
	said := ""
	w.script = func(_ context.Context, _, text string, _, _ io.Writer) (int, error) { said = text; return 0, nil }
	w.build()
	output, execution, _ := strings.Cut(strings.TrimSpace(said), " of ")
	input, id, _ := strings.Cut(output, "} ")
	if w.last() != Available || input != `{"image": "demo"` || id != execution || !strings.HasPrefix(id, strings.Replace(arn, "stateMachine", "execution", 1)+":step-") || !strings.HasSuffix(id, "-2") {
		t.Errorf("image %s (%s), said %q", w.last(), w.reason, said)
	}
	w.clean()
}

// TestFunctionAsks calls a function once before the step is seen to wait; one
// that fails fails the step.
func TestFunctionAsks(t *testing.T) {
	t.Parallel()
	ask := "steps:\n  - {name: Ask, action: WaitForAction, inputs: {lambdaFunctionName: 'arn:aws:lambda:us-east-1:123456789012:function:ask', payload: '{\"to\": \"ops\"}'}}\n" + launchStep + imageStep
	calls := filepath.Join(t.TempDir(), "calls")
	w := newWorld(t)
	w.functions = function.New([]function.Function{shell("ask", `cat >> '`+calls+`'; echo >> '`+calls+`'`)})
	w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", ask)}
	e, stop := w.start()
	w.enqueue(e)
	step := w.waiting()
	stop()
	_, stop = w.start()
	defer stop()
	if err := w.answer(w.waiting(), "RESUME", ""); err != nil {
		t.Fatal(err)
	}
	w.waitEnd()
	data, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("%v in %q", err, data)
	}
	want := map[string]any{
		"workflow-execution-id": step.WorkflowExecutionID, "workflow-step-execution-id": step.ID, "workflow-step-name": "Ask", "image-build-version-arn": testARN,
		"workflow-build-version-arn": w.plan.Workflows[0].ARN, "payload": map[string]any{"to": "ops"},
	}
	if diff := cmp.Diff(want, got); diff != "" || w.last() != Available {
		t.Errorf("image %s (%s); the function got (-want +got):\n%s", w.last(), w.reason, diff)
	}
	w.clean()

	broken := newWorld(t)
	broken.functions = function.New([]function.Function{shell("ask", "echo no mail today >&2; exit 1")})
	broken.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", ask)}
	broken.build()
	if broken.last() != Failed || !strings.Contains(broken.reason, "no mail today") || len(broken.told) != 0 {
		t.Errorf("image %s (%s), told %v", broken.last(), broken.reason, broken.told)
	}
	broken.clean()
}
