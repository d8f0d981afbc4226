package engine

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// flowOf is a workflow of a user.
func flowOf(t workflow.Type, name, steps string) Workflow {
	return NewWorkflow("arn:aws:imagebuilder:us-east-1:123456789012:workflow/"+t.ARN()+"/"+name+"/1.0.0/1", name, t, "schemaVersion: 1.0\n"+steps)
}

// managedFlow is one of Amazon's.
func managedFlow(t *testing.T, kind workflow.Type, name string) Workflow {
	t.Helper()
	w, ok := ManagedWorkflow("us-east-1", kind, name)
	if !ok {
		t.Fatalf("there is no %s", name)
	}
	return w
}

const (
	launchStep = "  - {name: Launch, action: LaunchInstance, inputs: {waitFor: ssmAgent}}\n"
	imageStep  = "  - {name: Image, action: CreateImage, inputs: {instanceId.$: $.stepOutputs.Launch.instanceId}}\n"
	quickBuild = "steps:\n" + launchStep + imageStep
)

// runStepYAML is a RunCommand step with one command.
func runStepYAML(name, command, more string) string {
	return fmt.Sprintf("  - name: %s\n    action: RunCommand\n    inputs:\n      instanceId.$: $.stepOutputs.Launch.instanceId\n      documentName: AWS-RunShellScript\n      parameters: {commands: [%q]}\n%s", name, command, more)
}

// steps gives the image's steps as "workflow/step STATUS", in order.
func (w *world) steps() (all []string, rows []store.StepExecution, flows []store.WorkflowExecution) {
	w.t.Helper()
	err := w.store.Read(context.Background(), func(tx *store.Tx) (err error) {
		if flows, err = tx.WorkflowExecutions(testARN); err != nil {
			return err
		}
		for _, wf := range flows {
			steps, err := tx.StepExecutions(wf.ID)
			if err != nil {
				return err
			}
			for _, row := range steps {
				parts := strings.Split(wf.WorkflowARN, "/")
				all = append(all, parts[2]+"/"+row.Name+" "+row.Status)
				rows = append(rows, row)
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all, rows, flows
}

// build runs the plan to its end.
func (w *world) build() {
	w.t.Helper()
	e, stop := w.start()
	defer stop()
	w.enqueue(e)
	w.waitEnd()
}

func (w *world) last() Status { return w.states[len(w.states)-1] }

func TestAUsersWorkflowsRunLikeManagedOnes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	build := flowOf(workflow.Build, "mine", `parameters:
  - {name: greeting, default: hello}
  - {name: loud, type: boolean}
steps:
`+launchStep+runStepYAML("Greet", "echo {{ $.parameters.greeting }} from {{ $.imagebuilder.imageName }} {{ $.imagebuilder.workflowPhase }}", "    if: {booleanEquals: true, value: $.parameters.loud}\n")+
		runStepYAML("Whisper", "never", "    if: {booleanEquals: false, value: $.parameters.loud}\n")+imageStep+
		"  - {name: End, action: TerminateInstance, inputs: {instanceId.$: $.stepOutputs.Launch.instanceId, waitForTermination: true}}\n"+
		"outputs:\n  - {name: said, value: \"$.stepOutputs.Greet.output[0]\"}\n")
	build.Parameters = []WorkflowParameter{{Name: "loud", Value: []string{"true"}}}
	test := flowOf(workflow.Test, "check", "steps:\n"+launchStep+runStepYAML("Check", "test '{{ $.workflowOutputs.said }}'", "")+
		"  - {name: Agent, action: WaitForSSMAgent, inputs: {instanceId.$: $.stepOutputs.Launch.instanceId}}\n")
	w.plan.Workflows = []Workflow{build, test, managedFlow(t, workflow.Distribution, workflow.DistributeImage)}
	var scripts []string
	w.script = func(_ context.Context, kind, text string, stdout, _ io.Writer) (int, error) {
		scripts = append(scripts, kind+": "+text)
		io.WriteString(stdout, "it works\n\n")
		return 0, nil
	}
	w.build()
	if w.last() != Available {
		t.Fatalf("states %v: %s", w.states, w.reason)
	}
	if diff := cmp.Diff([]string{"sandbox: echo hello from demo Build\n", "vm: test 'it works'\n"}, scripts); diff != "" {
		t.Errorf("scripts (-want +got):\n%s", diff)
	}
	got, rows, flows := w.steps()
	want := []string{"mine/Launch COMPLETED", "mine/Greet COMPLETED", "mine/Whisper SKIPPED", "mine/Image COMPLETED", "mine/End COMPLETED", "check/Launch COMPLETED", "check/Check COMPLETED", "check/Agent COMPLETED",
		"distribute-image/DistributeImage COMPLETED", "distribute-image/ModifyImageAttributes COMPLETED", "distribute-image/ApplyImageConfigurations COMPLETED"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if f := flows[0]; f.TotalSteps != 5 || f.Succeeded != 4 || f.Skipped != 1 || f.WorkflowARN != build.ARN {
		t.Errorf("the build's execution is %+v", f)
	}
	if r := rows[1]; !strings.Contains(r.Inputs, "echo hello from demo Build") || !strings.Contains(r.Outputs, `"output":["it works"]`) || r.TimeoutSeconds != 43200 {
		t.Errorf("the step Greet is %+v", r)
	}
	log, err := os.ReadFile(filepath.Join(w.dir, "logs/demo/1.0.0/1", flows[0].ID, "Greet/console.log"))
	if err != nil || string(log) != "it works\n\n" {
		t.Errorf("console.log is %q, %v", log, err)
	}
	w.clean()
}

func TestRetry(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		failures int
		want     Status
		attempt  int
	}{"at last": {2, Available, 3}, "never": {9, Failed, 3}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", "steps:\n"+launchStep+runStepYAML("Try", "try", "    retry: {maxAttempts: 3, backoffSeconds: 0}\n")+imageStep)}
			var calls atomic.Int32
			w.script = func(_ context.Context, _, _ string, _, stderr io.Writer) (int, error) {
				if int(calls.Add(1)) <= tc.failures {
					io.WriteString(stderr, "not yet")
					return 7, nil
				}
				return 0, nil
			}
			w.build()
			_, rows, _ := w.steps()
			if r := rows[1]; w.last() != tc.want || r.Attempt != tc.attempt || r.MaxAttempts != 3 || int(calls.Load()) != tc.attempt {
				t.Errorf("image %s (%s), step %+v after %d calls", w.last(), w.reason, r, calls.Load())
			}
			if tc.want == Failed && (!strings.Contains(w.reason, "exit status 7: not yet") || w.failure.FailedStep != "Try") {
				t.Errorf("reason %q, failure %+v", w.reason, w.failure)
			}
			w.clean()
		})
	}
}

// TestInstanceTypesAreTriedInTurn and a failed launch is tried again by retry.
func TestInstanceTypesAreTriedInTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", "steps:\n  - name: Launch\n    action: LaunchInstance\n    retry: {maxAttempts: 2, backoffSeconds: 0}\n    inputs: {waitFor: ssmAgent, instanceTypesOverride: [m5.large, t3.micro]}\n"+imageStep)}
	e := &Engine{Config: Config{Builds: 2}}
	large, _ := shapeOf("m5.large")
	micro, _ := shapeOf("t3.micro")
	large, micro = e.fit(large), e.fit(micro)
	first, second := fmt.Sprintf("%dx%d", large.vcpu, large.memory), fmt.Sprintf("%dx%d", micro.vcpu, micro.memory)
	w.refuse = map[string]int{first: 2, second: 1}
	w.build()
	if diff := cmp.Diff([]string{first, second, first, second}, w.shapes); diff != "" || w.last() != Available {
		t.Errorf("image %s (%s); launches (-want +got):\n%s", w.last(), w.reason, diff)
	}
	_, rows, _ := w.steps()
	if r := rows[0]; r.Attempt != 2 || !strings.Contains(r.Outputs, `"instanceType":"t3.micro"`) {
		t.Errorf("the step is %+v", r)
	}
	w.clean()
}

func TestRollback(t *testing.T) {
	t.Parallel()
	broken := func(more string) string {
		return "steps:\n  - name: Launch\n    action: LaunchInstance\n" + more + "    inputs: {waitFor: ssmAgent}\n" +
			"  - {name: Meta, action: CollectImageMetadata, inputs: {instanceId.$: $.stepOutputs.Launch.instanceId}}\n" + runStepYAML("Break", "false", "") + imageStep
	}
	for name, tc := range map[string]struct {
		steps     string
		terminate bool
		status    string
		undone    []string // rollbackStatus of Launch, Meta, Break
		kept      int
	}{
		"everything":               {broken(""), true, flowRolledBack, []string{stepCompleted, stepCompleted, ""}, 0},
		"instance kept by setting": {broken(""), false, flowRolledBack, []string{stepSkipped, stepCompleted, ""}, 1},
		"instance kept by step":    {broken("    rollbackEnabled: false\n"), true, flowRolledBack, []string{stepSkipped, stepCompleted, ""}, 1},
		"kept by reference":        {broken("    rollbackEnabled.$: $.imagebuilder.collectImageScanFindings\n"), true, flowRolledBack, []string{stepSkipped, stepCompleted, ""}, 1},
		"nothing to do":            {"steps:\n  - {name: Only, action: TerminateInstance, inputs: {instanceId: i-1}}\n  - {name: Bad, action: WaitForSSMAgent, inputs: {instanceId: i-1}}\n", true, stepFailed, []string{"", ""}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.plan.Infrastructure.TerminateOnFailure = tc.terminate
			w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", tc.steps)}
			w.script = func(context.Context, string, string, io.Writer, io.Writer) (int, error) { return 1, nil }
			e, stop := w.start()
			defer stop()
			w.enqueue(e)
			w.waitEnd()
			_, rows, flows := w.steps()
			var undone []string
			for _, r := range rows {
				undone = append(undone, r.RollbackStatus)
			}
			if diff := cmp.Diff(tc.undone, undone); diff != "" || flows[0].Status != tc.status || w.last() != Failed {
				t.Errorf("image %s (%s), execution %s; rollback (-want +got):\n%s", w.last(), w.reason, flows[0].Status, diff)
			}
			if len(w.alive) != tc.kept || strings.Contains(w.reason, "was kept") != (tc.kept > 0) {
				t.Errorf("%d instances are alive, want %d: %s", len(w.alive), tc.kept, w.reason)
			}
		})
	}
}

func TestOnFailureContinueOfAStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", "steps:\n"+launchStep+runStepYAML("Break", "false", "    onFailure: Continue\n")+
		"  - {name: Uses, action: WaitForSSMAgent, onFailure: Continue, inputs: {instanceId.$: $.stepOutputs.Break.status}}\n"+imageStep)}
	w.script = func(context.Context, string, string, io.Writer, io.Writer) (int, error) { return 1, nil }
	w.build()
	got, rows, flows := w.steps()
	want := []string{"mine/Launch COMPLETED", "mine/Break FAILED", "mine/Uses FAILED", "mine/Image COMPLETED"}
	if diff := cmp.Diff(want, got); diff != "" || w.last() != Available || flows[0].Status != stepCompleted || flows[0].Failed != 2 {
		t.Errorf("image %s (%s), execution %+v; steps (-want +got):\n%s", w.last(), w.reason, flows[0], diff)
	}
	if !strings.Contains(rows[2].Message, "no outputs, since it was skipped or failed") {
		t.Errorf("message %q", rows[2].Message)
	}
	w.clean()
}

func TestStepTimesOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", "steps:\n"+launchStep+runStepYAML("Hang", "sleep", "    timeoutSeconds: 2\n    waitSeconds: 1\n    retry: {maxAttempts: 2, backoffSeconds: 0}\n")+imageStep)}
	var calls atomic.Int32
	w.script = func(ctx context.Context, _, _ string, _, _ io.Writer) (int, error) {
		calls.Add(1)
		<-ctx.Done()
		return 0, ctx.Err()
	}
	w.build()
	if w.last() != Failed || !strings.Contains(w.reason, "step Hang took longer than its 2 seconds") || calls.Load() != 2 {
		t.Errorf("image %s after %d calls: %s", w.last(), calls.Load(), w.reason)
	}
	w.clean()
}

// TestGroupsOfTests runs the guide's example and a group that is larger than
// what may run at a time.
func TestGroupsOfTests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	test := func(name, group string) Workflow {
		f := flowOf(workflow.Test, name, "steps:\n"+launchStep+runStepYAML("Check", name, ""))
		f.Group = group
		return f
	}
	w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", quickBuild), test("a-test", ""), test("b-test", "g1"), test("c-test", ""), test("d-test", "g1"), test("e-test", "g2")}
	for i := range 7 {
		w.plan.Workflows = append(w.plan.Workflows, test(fmt.Sprintf("many-%d", i), "many"))
	}
	var order []string
	now, most := 0, 0
	w.script = func(_ context.Context, _, text string, _, _ io.Writer) (int, error) {
		w.mu.Lock()
		order = append(order, strings.TrimSpace(text))
		now++
		most = max(most, now)
		w.mu.Unlock()
		time.Sleep(30 * time.Millisecond)
		w.mu.Lock()
		now--
		w.mu.Unlock()
		return 0, nil
	}
	w.build()
	if w.last() != Available {
		t.Fatalf("states %v: %s", w.states, w.reason)
	}
	slices.Sort(order[1:3])
	if want := []string{"a-test", "b-test", "d-test", "c-test", "e-test"}; !slices.Equal(order[:5], want) || len(order) != 12 {
		t.Errorf("the tests ran in the order %v, want first %v", order, want)
	}
	if most < 2 || most > maxSideBySide {
		t.Errorf("%d tests ran at a time; at least 2 and at most %d should", most, maxSideBySide)
	}
	_, _, flows := w.steps()
	for _, f := range flows {
		if f.Status != stepCompleted || strings.Contains(f.WorkflowARN, "many") != (f.ParallelGroup == "many") {
			t.Errorf("execution %+v", f)
		}
	}
	w.clean()
}

func TestFailingTests(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		onFailure, group string
		want             Status
	}{
		"abort": {abort, "", Failed}, "continue": {proceeds, "", Available}, "abort in a group": {abort, "g", Failed}, "continue in a group": {proceeds, "g", Available},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			bad, other := flowOf(workflow.Test, "bad", "steps:\n"+launchStep+runStepYAML("Check", "bad", "")), flowOf(workflow.Test, "other", "steps:\n"+launchStep+runStepYAML("Check", "other", ""))
			bad.OnFailure, bad.Group, other.Group = tc.onFailure, tc.group, tc.group
			w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", quickBuild), bad, other, managedFlow(t, workflow.Distribution, workflow.DistributeImage)}
			w.script = func(ctx context.Context, _, text string, _, _ io.Writer) (int, error) {
				if text == "bad\n" {
					return 1, nil
				}
				if tc.group != "" && tc.want == Failed { // runs beside the one that fails, until it is told to end
					<-ctx.Done()
					return 0, ctx.Err()
				}
				return 0, nil
			}
			w.build()
			_, _, flows := w.steps()
			status := map[string]string{}
			for _, f := range flows {
				status[strings.Split(f.WorkflowARN, "/")[2]] = f.Status
			}
			if w.last() != tc.want || status["bad"] != flowRolledBack {
				t.Errorf("image %s (%s), executions %v", w.last(), w.reason, status)
			}
			switch {
			case tc.want == Available && (status["other"] != stepCompleted || status["distribute-image"] != stepCompleted):
				t.Errorf("the image did not go on: %v", status)
			case tc.want == Failed && tc.group == "" && status["other"] != "":
				t.Errorf("the next test was run: %v", status)
			case tc.want == Failed && tc.group != "" && status["other"] != stepCancelled && status["other"] != "":
				t.Errorf("the test beside it was not ended: %v", status)
			}
			if tc.want == Failed && w.failure.FailedStep != "Check" {
				t.Errorf("failure %+v", w.failure)
			}
			w.clean()
		})
	}
}

// TestABuildWithoutAnAMIFails, and says what is missing.
func TestABuildWithoutAnAMIFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", "steps:\n"+launchStep)}
	w.build()
	if w.last() != Failed || !strings.Contains(w.reason, "needs a step with the action CreateImage or RegisterImage") {
		t.Errorf("image %s: %s", w.last(), w.reason)
	}
	w.clean()
}

// TestTestsOfTheParentAlone runs a test workflow without a build.
func TestTestsOfTheParentAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan.Workflows = []Workflow{managedFlow(t, workflow.Test, workflow.TestImage)}
	w.build()
	if w.last() != Available || len(w.outputs) != 0 || !slices.Equal(w.launched, []string{"vm"}) {
		t.Errorf("image %s (%s) with outputs %v, launched %v", w.last(), w.reason, w.outputs, w.launched)
	}
	w.clean()
}

func TestActionsThatRefuse(t *testing.T) {
	t.Parallel()
	run := func(document, parameters string) string {
		return "  - {name: Bad, action: RunCommand, inputs: {instanceId.$: $.stepOutputs.Launch.instanceId, documentName: " + document + ", parameters: " + parameters + "}}\n"
	}
	again := "  - {name: Bad, action: WaitForSSMAgent, inputs: {instanceId.$: $.stepOutputs.Launch.instanceId}}\n"
	for step, want := range map[string]string{
		run("AWS-RunPowerShellScript", "{commands: [x]}"):                       "for Windows instances",
		run("AWS-UpdateSSMAgent", "{}"):                                         "RunCommand runs AWS-RunShellScript",
		run("AWS-RunShellScript", "{}"):                                         "needs the parameter 'commands'",
		run("AWS-RunShellScript", "{commands: [x], comands: [y]}"):              "has no parameter 'comands'",
		run("AWS-RunShellScript", "{commands: [x], executionTimeout: ['0']}"):   "executionTimeout is '0'",
		"  - {name: Bad, action: WaitForSSMAgent, inputs: {instanceId: i-0}}\n": "\"i-0\" is not running",
		"  - {name: Bad, action: RunSysPrep, inputs: {instanceId: i-0}}\n":      "Windows",
		imageStep + again: "was stopped when its image was made",
		"  - {name: Bad, action: RegisterImage, inputs: {uefiData: x}}\n":                                                               "uefiData is not available",
		"  - {name: Bad, action: RegisterImage, inputs: {rootDeviceName: /dev/xvda}}\n":                                                 "no entry with a snapshot for the root device /dev/xvda",
		"  - {name: Bad, action: WaitForAction, inputs: {payload: '{'}}\n":                                                              "payload is not JSON",
		"  - {name: Bad, action: WaitForAction, inputs: {lambdaFunctionName: x}}\n":                                                     "no entry 'x' under functions",
		"  - {name: Bad, action: ExecuteStateMachine, inputs: {stateMachineArn: x}}\n":                                                  "no entry 'x' under functions",
		"  - {name: Bad, action: LaunchInstance, inputs: {waitFor: ssmAgent, imageIdOverride: ami-0}}\n":                                "the AMI 'ami-0' does not exist in us-east-1",
		"  - {name: Bad, action: LaunchInstance, inputs: {waitFor: ssmAgent}, if: {numberEquals: 1, value: $.imagebuilder.platform}}\n": "the condition of the step cannot be decided",
	} {
		w := newWorld(t)
		w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", "steps:\n"+launchStep+step)}
		w.build()
		if w.last() != Failed || !strings.Contains(w.reason, want) || w.failure.FailedStep != "Bad" {
			t.Errorf("%s\nimage %s, step %s, reason %q; want it to say %q", step, w.last(), w.failure.FailedStep, w.reason, want)
		}
		w.clean()
	}
}

// TestRegisterImage makes an AMI of a snapshot that an earlier image left.
func TestRegisterImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var old cloud.AMI
	err := w.store.Write(context.Background(), func(tx *store.Tx) (err error) {
		old, err = w.cloud.Register(tx, cloud.AMI{Account: "123456789012", Region: "us-east-1", Name: "older", RootDevice: "/dev/sda1", Tags: map[string]string{"from": "older", "aws:x": "y", "CreatedBy": "me"},
			Devices: []cloud.BlockDevice{{DeviceName: "/dev/sda1", Manifest: "old", SizeGiB: 3}}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	register := flowOf(workflow.Build, "mine", fmt.Sprintf(`parameters: [{name: snap}]
steps:
  - name: Register
    action: RegisterImage
    inputs:
      bootMode: uefi
      rootDeviceName: /dev/sda1
      includeSnapshotTags: true
      blockDeviceMapping:
        - DeviceName: /dev/sda1
          Ebs: {SnapshotId.$: $.parameters.snap, VolumeSize: 5, DeleteOnTermination: false}
        - {DeviceName: /dev/sdb, VirtualName: ephemeral0}
  - name: Boot
    action: LaunchInstance
    inputs: {waitFor: ssmAgent, imageIdOverride: %s}
`, old.ID))
	register.Parameters = []WorkflowParameter{{Name: "snap", Value: []string{old.Devices[0].SnapshotID}}}
	w.plan.Workflows = []Workflow{register}
	w.build()
	if w.last() != Available || len(w.outputs) != 1 {
		t.Fatalf("image %s: %s; outputs %v", w.last(), w.reason, w.outputs)
	}
	var made cloud.AMI
	w.store.Read(context.Background(), func(tx *store.Tx) (err error) { made, _, err = w.cloud.AMI(tx, w.outputs[0].AMI); return err })
	root, _ := made.Root()
	if root.Manifest != "old" || root.SizeGiB != 5 || root.DeleteOnTermination || root.SnapshotID == old.Devices[0].SnapshotID || made.BootMode != "uefi" || len(made.Devices) != 2 {
		t.Errorf("the AMI is %+v", made)
	}
	if diff := cmp.Diff(map[string]string{"from": "older", "CreatedBy": "EC2 Image Builder", "Ec2ImageBuilderArn": testARN}, made.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	w.clean()
}

// TestOwnDistribution distributes as the steps say, not as the configuration
// does.
func TestOwnDistribution(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", quickBuild), flowOf(workflow.Distribution, "spread", `parameters: [{name: region, default: ap-south-1}]
steps:
  - name: Copy
    action: DistributeImage
    inputs:
      distributions:
        - region.$: $.parameters.region
          name: spread {{imagebuilder:buildVersion}}
          targetAccountIds: ["111122223333"]
          amiTags: {Built: "{{imagebuilder:buildVersion}}"}
  - name: Open
    action: ModifyImageAttributes
    inputs:
      distributedImages.$: $.stepOutputs.Copy.distributedImages
      attributes: [{region: ap-south-1, launchPermission: {userIds: ["444455556666"]}}]
  - name: Apply
    action: ApplyImageConfigurations
    onFailure: Continue
    inputs:
      distributedImages.$: $.stepOutputs.Copy.distributedImages
      configurations: [{region: ap-south-1, fastLaunchConfigurations: [{enabled: true}]}]
`)}
	w.build()
	if w.last() != Available || len(w.outputs) != 2 || w.outputs[0].Region != "ap-south-1" || w.outputs[1].Account != "111122223333" {
		t.Fatalf("image %s (%s), outputs %+v", w.last(), w.reason, w.outputs)
	}
	var copied cloud.AMI
	w.store.Read(context.Background(), func(tx *store.Tx) (err error) { copied, _, err = w.cloud.AMI(tx, w.outputs[0].AMI); return err })
	if copied.Name != "spread 1" || copied.Tags["Built"] != "1" || !slices.Equal(copied.Permissions.UserIDs, []string{"444455556666"}) {
		t.Errorf("the copy is %+v", copied)
	}
	_, rows, _ := w.steps()
	if r := rows[len(rows)-1]; r.Status != stepFailed || !strings.Contains(r.Message, "fast launch") {
		t.Errorf("the last step is %+v", r)
	}
}

// TestCancelAtAnyMoment cancels in a step's pause, in its work, between two
// attempts, and while the workflow waits with and without an instance.
func TestCancelAtAnyMoment(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		steps string
		at    func(w *world) bool
	}{
		"pause":        {"steps:\n  - {name: Launch, action: LaunchInstance, waitSeconds: 60, inputs: {waitFor: ssmAgent}}\n" + imageStep, func(w *world) bool { return w.last() == Building }},
		"command":      {"steps:\n" + launchStep + runStepYAML("Hang", "hang", "") + imageStep, func(w *world) bool { return w.calls > 0 }},
		"backoff":      {"steps:\n" + launchStep + runStepYAML("Bad", "bad", "    retry: {maxAttempts: 2, backoffSeconds: 600}\n") + imageStep, func(w *world) bool { return w.calls > 0 }},
		"waiting":      {"steps:\n" + launchStep + "  - {name: Ask, action: WaitForAction}\n" + imageStep, func(w *world) bool { return len(w.alive) > 0 }},
		"waiting idle": {"steps:\n  - {name: Ask, action: WaitForAction}\n" + launchStep + imageStep, func(w *world) bool { return w.last() == Building && w.idle() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", tc.steps)}
			w.script = func(ctx context.Context, _, text string, _, _ io.Writer) (int, error) {
				w.mu.Lock()
				w.calls++
				w.mu.Unlock()
				if text == "bad\n" {
					return 1, nil
				}
				<-ctx.Done()
				return 0, ctx.Err()
			}
			e, stop := w.start()
			defer stop()
			w.enqueue(e)
			w.wait("the moment", func() bool { return tc.at(w) })
			w.mu.Lock()
			w.cancel = true
			w.mu.Unlock()
			e.Interrupt(testARN)
			w.waitEnd()
			_, rows, flows := w.steps()
			if w.last() != Cancelled || w.amis() != 0 {
				t.Errorf("image %s (%s), %d AMIs", w.last(), w.reason, w.amis())
			}
			for _, r := range rows {
				if r.Status == stepRunning {
					t.Errorf("step %s stays RUNNING", r.Name)
				}
			}
			for _, f := range flows {
				if f.Status != stepCancelled {
					t.Errorf("execution %+v", f)
				}
			}
			w.clean()
		})
	}
}

// idle reports whether no image is at work. Its caller holds w.mu.
func (w *world) idle() bool {
	w.engine.mu.Lock()
	defer w.engine.mu.Unlock()
	return len(w.engine.running) == 0
}

func TestBatches(t *testing.T) {
	t.Parallel()
	of := func(kinds ...string) (all []Workflow) {
		for _, k := range kinds {
			kind, group, _ := strings.Cut(k, ":")
			all = append(all, Workflow{Type: kind, Group: group})
		}
		return all
	}
	for _, tc := range []struct {
		in   []Workflow
		want string
	}{
		{of("BUILD", "TEST", "TEST:g1", "TEST", "TEST:g1", "TEST:g2", "DISTRIBUTION"), "[[0] [1] [2 4] [3] [5] [6]]"},
		{of("DISTRIBUTION", "TEST:g", "BUILD", "TEST:g"), "[[2] [1 3] [0]]"},
		{of("TEST"), "[[0]]"},
		{nil, "[]"},
	} {
		if got := fmt.Sprint(batches(tc.in)); got != tc.want {
			t.Errorf("batches %v, want %s", got, tc.want)
		}
	}
}

func TestShapes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]shape{
		"t2.nano": {2, 512}, "t3.micro": {2, 1024}, "t4g.2xlarge": {8, 32768}, "m5.large": {2, 8192}, "c6i.xlarge": {4, 8192}, "r7g.4xlarge": {16, 131072}, "m6i.24xlarge": {96, 393216}, "m7g.medium": {1, 4096},
		"": {}, "m5": {}, "m5.huge": {}, "p4d.24xlarge": {}, "mac1.metal": {}, "t9.micro": {}, "m5.xxlarge": {}, "m5.0xlarge": {}, "m5.99999xlarge": {}, "c.large": {},
	} {
		if got, ok := shapeOf(name); got != want || ok != (want.vcpu > 0) {
			t.Errorf("%q has %+v, %v; want %+v", name, got, ok, want)
		}
	}
	e := &Engine{Config: Config{Builds: 2}}
	if got := e.fit(shape{96, 1 << 19}); got.memory >= 1<<19 || got.vcpu > 96 || e.fit(shape{0, 1}) != (shape{1, leastMemory}) {
		t.Errorf("a machine of any size gives %+v", got)
	}
}

// TestEveryActionIsRun: what the catalogue does not refuse has to be there.
func TestEveryActionIsRun(t *testing.T) {
	t.Parallel()
	for _, name := range workflow.Actions() {
		a, _ := workflow.Lookup(name)
		if _, ok := actions[name]; ok != (a.Unavailable == "") {
			t.Errorf("%s: run here: %v, refused with %q", name, ok, a.Unavailable)
		}
	}
}

// managed publishes one AMI.
type managed cloud.AMI

func (m managed) PublicAMIs(_ context.Context, region string) ([]cloud.AMI, error) {
	m.Region = region
	return []cloud.AMI{cloud.AMI(m)}, nil
}

// TestAManagedParentIsDistributed gives every account and region a copy of the
// parent when there is no build.
func TestAManagedParentIsDistributed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cloud.Publish(managed{
		ID: "ami-managed", Account: cloud.AmazonAccount, OwnerAlias: "amazon", Name: "debian", RootDevice: "/dev/xvda", State: "available", BootMode: "uefi", Permissions: cloud.Permissions{Groups: []string{store.Everyone}},
		Devices: []cloud.BlockDevice{{DeviceName: "/dev/xvda", Manifest: "parent", SizeGiB: 2}},
	})
	w.plan.Parent.AMI = "ami-managed"
	w.plan.Workflows = []Workflow{managedFlow(t, workflow.Distribution, workflow.DistributeImage)}
	w.build()
	if w.last() != Available || len(w.outputs) != len(w.plan.Destinations) {
		t.Fatalf("image %s (%s) with outputs %v", w.last(), w.reason, w.outputs)
	}
	for _, out := range w.outputs {
		var ami cloud.AMI
		err := w.store.Read(context.Background(), func(tx *store.Tx) (err error) { ami, _, err = w.cloud.AMI(tx, out.AMI); return err })
		root, _ := ami.Root()
		if err != nil || ami.ID == "ami-managed" || ami.OwnerAlias != "" || ami.Account != out.Account || root.Manifest != "parent" || ami.BootMode != "uefi" {
			t.Errorf("the copy for %+v is %+v, %v", out, ami, err)
		}
	}
	w.clean()
}
