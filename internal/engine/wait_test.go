package engine

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/riverqueue/river"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// waiting gives the step that waits, once there is one.
func (w *world) waiting() store.StepExecution {
	w.t.Helper()
	var found []store.StepExecution
	for range 3000 {
		err := w.store.Read(context.Background(), func(tx *store.Tx) (err error) { found, err = tx.WaitingSteps(); return err })
		if err != nil {
			w.t.Fatal(err)
		}
		if len(found) == 1 && found[0].Message == waitingMessage {
			return found[0]
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatalf("%d steps wait", len(found))
	panic("unreachable")
}

// answer answers a waiting step.
func (w *world) answer(step store.StepExecution, action, reason string) error {
	err := w.store.Write(context.Background(), func(tx *store.Tx) error {
		step, _, err := tx.StepExecution(step.ID)
		if err != nil {
			return err
		}
		return Answer(tx, step, action, reason, time.Now())
	})
	w.engine.Interrupt(testARN)
	return err
}

const askFirst = "steps:\n  - name: Ask\n    action: WaitForAction\n    inputs: {payload: '{\"to\": \"{{ $.imagebuilder.imageName }}\"}', snsTopicArn: 'arn:aws:sns:us-east-1:123456789012:ask'}\n"

// TestWaitForAction waits with an instance and without one, and over the end of
// the server, and goes on with the step that was answered.
func TestWaitForAction(t *testing.T) {
	t.Parallel()
	say := runStepYAML("Say", "echo {{ $.stepOutputs.Ask.action }} {{ $.stepOutputs.Ask.reason }}", "")
	held := strings.TrimPrefix(askFirst, "steps:\n")
	for name, tc := range map[string]struct {
		steps   string
		restart bool
		same    bool // the step that waits after the restart is the one before it
	}{
		"idle":                               {askFirst + launchStep + say + imageStep, false, true},
		"idle over a restart":                {askFirst + launchStep + say + imageStep, true, true},
		"with an instance":                   {"steps:\n" + launchStep + held + say + imageStep, false, true},
		"with an instance over a restart":    {"steps:\n" + launchStep + held + say + imageStep, true, false},
		"before its end only over a restart": {"steps:\n" + launchStep + imageStep + held + "  - {name: End, action: TerminateInstance, inputs: {instanceId.$: $.stepOutputs.Launch.instanceId}}\n", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", tc.steps)}
			said := ""
			w.script = func(_ context.Context, _, text string, _, _ io.Writer) (int, error) { said = text; return 0, nil }
			e, stop := w.start()
			w.enqueue(e)
			step := w.waiting()
			if tc.restart {
				w.wait("what the step needs", func() bool { return strings.Contains(tc.steps, "steps:\n"+askFirst) || len(w.launched) > 0 || w.idle() })
				stop()
				_, stop = w.start()
			}
			defer stop()
			again := w.waiting()
			for range 300 { // the old step may be there for a moment
				if (again.ID == step.ID) == tc.same {
					break
				}
				time.Sleep(10 * time.Millisecond)
				again = w.waiting()
			}
			if (again.ID == step.ID) != tc.same {
				t.Errorf("the waiting step is %s after %s", again.ID, step.ID)
			}
			if err := w.answer(again, "RESUME", "fine"); err != nil {
				t.Fatal(err)
			}
			w.waitEnd()
			if w.last() != Available || strings.Contains(tc.steps, "Say") && said != "echo RESUME fine\n" {
				t.Errorf("image %s (%s), said %q", w.last(), w.reason, said)
			}
			if err := w.answer(again, "STOP", ""); fault.Code(err) != "InvalidRequestException" {
				t.Errorf("a second answer gives %v", err)
			}
			for i, told := range w.told {
				if told.StepExecutionID != []string{step.ID, again.ID}[i] || told.TopicARN != "arn:aws:sns:us-east-1:123456789012:ask" || told.Payload != `{"to": "demo"}` || told.WorkflowARN != w.plan.Workflows[0].ARN {
					t.Errorf("somebody was told %+v", told)
				}
			}
			if n := len(w.told); n != map[bool]int{true: 1, false: 2}[tc.same] {
				t.Errorf("somebody was told %d times", n)
			}
			w.clean()
		})
	}
}

func TestWaitForActionStopsAndTimesOut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		steps, action, want string
	}{
		"stopped":                {askFirst + launchStep + imageStep, "STOP", "was stopped by SendWorkflowStepAction: too late"},
		"timed out":              {"steps:\n" + launchStep + "  - {name: Ask, action: WaitForAction, timeoutSeconds: 1}\n" + imageStep, "", "nobody answered within 1 seconds"},
		"tried again, timed out": {"steps:\n" + launchStep + "  - {name: Ask, action: WaitForAction, timeoutSeconds: 1, retry: {maxAttempts: 2, backoffSeconds: 0}}\n" + imageStep, "", "nobody answered within 1 seconds"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", tc.steps)}
			e, stop := w.start()
			defer stop()
			w.enqueue(e)
			if tc.action != "" {
				if err := w.answer(w.waiting(), tc.action, "too late"); err != nil {
					t.Fatal(err)
				}
			}
			w.waitEnd()
			if w.last() != Failed || !strings.Contains(w.reason, tc.want) && !strings.Contains(w.reason, "took longer than its 1 seconds") || w.failure.FailedStep != "Ask" {
				t.Errorf("image %s: %s", w.last(), w.reason)
			}
			w.clean()
		})
	}
}

// TestAWaitingImageTakesNoPlace lets an image wait while all places are asked
// for: another one is built meanwhile.
func TestAWaitingImageTakesNoPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", askFirst+launchStep+imageStep)}
	w.builds = 1
	e, stop := w.start()
	defer stop()
	w.enqueue(e)
	step := w.waiting()
	w.wait("a free place", w.idle)
	err := w.store.Write(context.Background(), func(tx *store.Tx) error { return e.Enqueue(context.Background(), tx, testARN+"0") })
	if err != nil {
		t.Fatal(err)
	}
	w.wait("the other image at work or waiting", func() bool { return w.planned[testARN+"0"] })
	if err := w.answer(step, "RESUME", ""); err != nil {
		t.Fatal(err)
	}
	w.waitEnd()
	if w.last() != Available {
		t.Errorf("image %s: %s", w.last(), w.reason)
	}
}

// retry does what the service does for RetryImage.
func (w *world) retry() {
	w.t.Helper()
	err := w.store.Write(context.Background(), func(tx *store.Tx) error {
		if err := CheckRetry(tx, w.cloud, testARN); err != nil {
			return err
		}
		w.mu.Lock()
		w.states, w.reason, w.failure, w.cancel = append(w.states, Pending), "", nil, false
		w.mu.Unlock()
		return errors.Join(tx.ClearCancel(testARN), w.engine.Enqueue(context.Background(), tx, testARN))
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestRetryImage fails or cancels an image after its build, and runs it again:
// what was done is not done again.
func TestRetryImage(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		stage  string
		cancel bool
		want   []string // launches in all
	}{
		"test":              {"test", false, []string{"sandbox", "vm", "vm"}},
		"cancelled test":    {"test", true, []string{"sandbox", "vm", "vm"}},
		"distribution":      {"distribution", false, []string{"sandbox", "vm"}},
		"half distribution": {"half", false, []string{"sandbox", "vm"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var taken cloud.AMI
			take := func(name, region string) {
				err := w.store.Write(context.Background(), func(tx *store.Tx) (err error) {
					taken, err = w.cloud.Register(tx, cloud.AMI{Account: "123456789012", Region: region, Name: name, RootDevice: "/dev/xvda"})
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			switch tc.stage {
			case "distribution":
				w.plan.Destinations[1].Name = "taken"
				take("taken", "eu-west-1")
			case "half": // two steps: the first makes its copies, the second fails
				w.plan.Destinations = w.plan.Destinations[:1]
				spread := flowOf(workflow.Distribution, "spread", "steps:\n  - {name: One, action: DistributeImage, inputs: {distributions: [{region: eu-west-1, name: first}]}}\n  - {name: Two, action: DistributeImage, inputs: {distributions: [{region: us-east-1, name: ours}, {region: eu-west-1, name: first}, {region: ap-south-1, name: second}]}}\n")
				w.plan.Workflows = []Workflow{managedFlow(t, workflow.Build, workflow.BuildImage), managedFlow(t, workflow.Test, workflow.TestImage), spread}
				take("second", "ap-south-1")
			default:
				w.execute = func(ctx context.Context, kind string, _ int, _ io.Writer) (int, error) {
					if kind != "vm" {
						return 0, nil
					}
					if tc.cancel {
						<-ctx.Done()
						return 0, ctx.Err()
					}
					return 1, nil
				}
			}
			e, stop := w.start()
			defer stop()
			w.enqueue(e)
			if tc.cancel {
				w.wait("the test", func() bool { return w.calls == 2 })
				w.mu.Lock()
				w.cancel = true
				w.mu.Unlock()
				e.Interrupt(testARN)
			}
			w.waitEnd()
			if first := w.last(); first != Failed && first != Cancelled {
				t.Fatalf("the image is %s", first)
			}
			if n := w.amis(); tc.stage == "test" && n != 0 {
				t.Errorf("%d AMIs can be launched", n)
			}
			if taken.ID != "" {
				err := w.store.Write(context.Background(), func(tx *store.Tx) error { _, err := w.cloud.Deregister(tx, taken.ID); return err })
				if err != nil {
					t.Fatal(err)
				}
			}
			w.mu.Lock()
			w.execute = func(context.Context, string, int, io.Writer) (int, error) { return 0, nil }
			w.mu.Unlock()
			w.retry()
			w.waitEnd()
			if w.last() != Available || !slices.Equal(w.launched, tc.want) {
				t.Errorf("image %s (%s) after the launches %v, want %v", w.last(), w.reason, w.launched, tc.want)
			}
			regions := map[string]bool{}
			for _, out := range w.outputs {
				regions[out.Region] = true
			}
			if n := w.amis(); len(w.outputs) != len(regions) || n != 2 {
				t.Errorf("%d AMIs, outputs %v", n, w.outputs)
			}
			w.clean()
		})
	}
}

// TestBuildFailuresAreNotRetried, and neither is what is gone.
func TestBuildFailuresAreNotRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	check := func(want string) {
		t.Helper()
		err := w.store.Read(context.Background(), func(tx *store.Tx) error { return CheckRetry(tx, w.cloud, testARN) })
		if fault.Code(err) != "InvalidRequestException" || !strings.Contains(err.Error(), want) {
			t.Errorf("CheckRetry gives %v, want %q", err, want)
		}
	}
	check("before its build began")
	w.execute = func(context.Context, string, int, io.Writer) (int, error) { return 1, nil }
	w.build()
	check("in its build stage")

	w = newWorld(t)
	w.execute = func(_ context.Context, kind string, _ int, _ io.Writer) (int, error) {
		return map[string]int{"sandbox": 0, "vm": 1}[kind], nil
	}
	e, stop := w.start()
	defer stop()
	w.enqueue(e)
	w.waitEnd()
	var id string
	w.store.Read(context.Background(), func(tx *store.Tx) error {
		flows, err := tx.WorkflowExecutions(testARN)
		id, _ = builtBefore(tx, flows)
		return err
	})
	err := (&remover{engine: e}).Work(context.Background(), removalJob(removal{ImageARN: testARN, AMI: id}))
	if err != nil {
		t.Fatal(err)
	}
	check("is not there any more")
}

// TestAFailureWhileRollingBackIsNotForgotten dies in the middle of a rollback:
// the next server ends the image with the reason that the dead one wrote down.
func TestAFailureWhileRollingBackIsNotForgotten(t *testing.T) {
	t.Parallel()
	for _, onFailure := range []string{abort, proceeds} {
		w := newWorld(t)
		test := flowOf(workflow.Test, "check", "steps:\n"+launchStep+runStepYAML("Check", "x", ""))
		test.OnFailure = onFailure
		w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", quickBuild), test}
		blocked := make(chan struct{})
		w.script = func(ctx context.Context, _, _ string, _, _ io.Writer) (int, error) {
			close(blocked)
			<-ctx.Done()
			return 0, ctx.Err()
		}
		e, stop := w.start()
		w.enqueue(e)
		<-blocked
		stop()
		err := w.store.Write(context.Background(), func(tx *store.Tx) error {
			flows, err := tx.WorkflowExecutions(testARN)
			if err != nil {
				return err
			}
			wf := flows[1]
			wf.Status, wf.Message, wf.Failed = flowRollingBack, "it broke", 1
			steps, err := tx.StepExecutions(wf.ID)
			if err != nil {
				return err
			}
			launch, check := steps[0], steps[1]
			launch.RollbackStatus = stepRunning
			check.Status, check.Message, check.End = stepFailed, "it broke badly", time.Now()
			return errors.Join(tx.PutWorkflowExecution(wf), tx.PutStepExecution(launch), tx.PutStepExecution(check))
		})
		if err != nil {
			t.Fatal(err)
		}
		_, stop = w.start()
		w.waitEnd()
		stop()
		want := map[string]Status{abort: Failed, proceeds: Available}[onFailure]
		_, rows, flows := w.steps()
		if w.last() != want || len(flows) != 2 || flows[1].Status != flowRolledBack || rows[2].RollbackStatus != stepCompleted {
			t.Errorf("%s: image %s (%s), executions %+v", onFailure, w.last(), w.reason, flows)
		}
		if want == Failed && (!strings.Contains(w.reason, "it broke badly") || w.failure.FailedStep != "Check" || w.failure.WorkflowExecutionID != flows[1].ID) {
			t.Errorf("reason %q, failure %+v", w.reason, w.failure)
		}
		w.clean()
	}
}

// TestAnInterruptedGroupGoesOn stops the server while a group of tests runs: the
// one that was done is not run again.
func TestAnInterruptedGroupGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", quickBuild)}
	for _, name := range []string{"quick", "slow"} {
		f := flowOf(workflow.Test, name, "steps:\n"+launchStep+runStepYAML("Check", name, ""))
		f.Group = "g"
		w.plan.Workflows = append(w.plan.Workflows, f)
	}
	var ran []string
	w.script = func(ctx context.Context, _, text string, _, _ io.Writer) (int, error) {
		w.mu.Lock()
		first := !slices.Contains(ran, text)
		ran = append(ran, text)
		w.mu.Unlock()
		if text == "slow\n" && first {
			<-ctx.Done()
			return 0, ctx.Err()
		}
		return 0, nil
	}
	e, stop := w.start()
	w.enqueue(e)
	done := func() (n int) {
		_, _, flows := w.steps()
		for _, f := range flows {
			if f.Status == stepCompleted {
				n++
			}
		}
		return n
	}
	w.wait("the slow one", func() bool { return slices.Contains(ran, "slow\n") })
	for range 1000 {
		if done() == 2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	_, stop = w.start()
	defer stop()
	w.waitEnd()
	slices.Sort(ran)
	if diff := cmp.Diff([]string{"quick\n", "slow\n", "slow\n"}, ran); diff != "" || w.last() != Available {
		t.Errorf("image %s (%s); runs (-want +got):\n%s", w.last(), w.reason, diff)
	}
	w.clean()
}

func removalJob(args removal) *river.Job[removal] { return &river.Job[removal]{Args: args} }
