package blackbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/test/harness"
)

// ownBuild is a build workflow with commands of its own, a step that fails once,
// and a question to somebody while the instance runs.
const ownBuild = `schemaVersion: 1.0
parameters:
  - {name: word, type: string}
steps:
  - name: Launch
    action: LaunchInstance
    inputs: {waitFor: ssmAgent}
  - name: Components
    action: ExecuteComponents
    inputs: {instanceId.$: $.stepOutputs.Launch.instanceId}
  - name: Flaky
    action: RunCommand
    retry: {maxAttempts: 2, backoffSeconds: 0}
    inputs:
      instanceId.$: $.stepOutputs.Launch.instanceId
      documentName: AWS-RunShellScript
      parameters:
        workingDirectory: [/opt]
        commands:
          - "if ! test -e once; then touch once; exit 3; fi"
          - echo {{ $.parameters.word }} $(cat /opt/trace) in $PWD
  - name: Ask
    action: WaitForAction
  - name: Answered
    action: RunCommand
    inputs:
      instanceId.$: $.stepOutputs.Launch.instanceId
      documentName: AWS-RunShellScript
      parameters: {commands: ["test '{{ $.stepOutputs.Ask.reason }}' = go"]}
  - name: Image
    action: CreateImage
    inputs: {instanceId.$: $.stepOutputs.Launch.instanceId}
  - name: End
    action: TerminateInstance
    inputs: {instanceId.$: $.stepOutputs.Launch.instanceId}
`

// TestOwnWorkflow builds an image by a workflow of one's own, and kills the
// server while it waits for an answer.
func TestOwnWorkflow(t *testing.T) {
	t.Parallel()
	s := harness.StartWithParent(t)
	pipeline := s.Define(harness.Pipeline{Name: "own", Components: []string{harness.Document("own", "build", "echo traced > /opt/trace")}})
	plan, stderr, code := s.Run("", "plan", pipeline)
	if code != 0 || !strings.Contains(plan, "ApplyBuildComponents") || !strings.Contains(plan, "image/own/1.0.0/1") {
		t.Errorf("goldsmith plan: exit status %d\n%s\n%s", code, plan, stderr)
	}
	file := filepath.Join(t.TempDir(), "own.yaml")
	if err := os.WriteFile(file, []byte(ownBuild), 0o600); err != nil {
		t.Fatal(err)
	}
	flow := s.AWS("imagebuilder", "create-workflow", "--name", "own", "--semantic-version", "1.0.0", "--type", "BUILD", "--data", "file://"+file).Str("workflowBuildVersionArn")
	image := s.AWS("imagebuilder", "create-image", "--execution-role", "golden", "--image-recipe-arn", "arn:aws:imagebuilder:us-east-1:123456789012:image-recipe/own/1.0.0",
		"--infrastructure-configuration-arn", "arn:aws:imagebuilder:us-east-1:123456789012:infrastructure-configuration/own",
		"--workflows", fmt.Sprintf(`[{"workflowArn":%q,"parameters":[{"name":"word","value":["hello"]}]}]`, flow)).Str("imageBuildVersionArn")
	first := waitingStep(t, s, "")
	s.Kill() // its instance dies with the server: the workflow starts anew, and asks again
	s.Restart()
	second := waitingStep(t, s, first)
	s.AWS("imagebuilder", "send-workflow-step-action", "--step-execution-id", second, "--image-build-version-arn", image, "--action", "RESUME", "--reason", "go")
	s.Wait(image, long, "AVAILABLE")
	console, stderr, code := s.Run("", "logs", image)
	if code != 0 || !strings.Contains(console, "hello traced in /opt\n") || !strings.Contains(console, "Attempt 1 of 2 failed for step Flaky") {
		t.Errorf("goldsmith logs: exit status %d\n%s\n%s", code, console, stderr)
	}
	if n := s.AMIs("us-east-1").Len("Images"); n != 1 {
		t.Errorf("%d AMIs, want one", n)
	}
	if left := leftovers(t, s.Dir); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

// waitingStep waits until one step waits for an answer, and it is not the one
// that is known already.
func waitingStep(t *testing.T, s *harness.Server, known string) string {
	t.Helper()
	for end := time.Now().Add(long); ; time.Sleep(200 * time.Millisecond) {
		waiting := s.AWS("imagebuilder", "list-waiting-workflow-steps")
		n := waiting.Len("steps")
		if n == 1 && waiting.Str("steps", 0, "stepExecutionId") != known {
			return waiting.Str("steps", 0, "stepExecutionId")
		}
		if n > 1 || time.Now().After(end) {
			t.Fatalf("%d steps wait", n)
		}
	}
}

// TestOnFailure builds what cannot be built, and looks into its instance.
func TestOnFailure(t *testing.T) {
	t.Parallel()
	s := harness.StartWithParent(t)
	pipeline := s.Define(harness.Pipeline{Name: "bad", Components: []string{harness.Document("bad", "build", "echo here I am > /opt/trace\nexit 1")}, NoTests: true})
	stdout, stderr, code := s.Run("cat /opt/trace; exit 7\n", "build", pipeline, "--on-failure", "shell")
	if code != 1 || !strings.Contains(stdout, "here I am") || !strings.Contains(stderr, "the image is FAILED") {
		t.Errorf("--on-failure shell: exit status %d\n%s\n%s", code, stdout, stderr)
	}
	_, stderr, code = s.Run("", "build", pipeline, "--on-failure", "retry")
	if code != 1 || !strings.Contains(stderr, "1.0.0/3 from the last state that is still right") {
		t.Errorf("--on-failure retry: exit status %d\n%s", code, stderr)
	}
	if _, _, code = s.Run("", "build", pipeline, "--on-failure", "cry"); code != 2 {
		t.Errorf("--on-failure cry: exit status %d, want 2", code)
	}
}
