package imagebuilder_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

func TestDeprecationAtATime(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.pipeline("web")
	arn, other := f.finished(pipe, home), f.finished(pipe, home)
	at := func(in *api.StartResourceStateUpdateInput) { in.UpdateAt = shape.At(start.Add(time.Hour)) }
	id, cancelled := must(f.update(arn, "DEPRECATED", at, included(true, false)))(t), must(f.update(other, "DEPRECATED", at))(t)
	img := f.image(arn)
	same(t, "state", *img.State.Status, api.ImageStatusAvailable)
	same(t, "time", img.DeprecationTime, shape.At(start.Add(time.Hour)))
	same(t, "execution", *f.execution(id).State.Status, api.LifecycleExecutionStatusPending)
	_, err := f.update(arn, "DEPRECATED")
	wantFault(t, err, "ResourceInUseException", id)

	cancel := &api.CancelLifecycleExecutionInput{LifecycleExecutionId: p(cancelled), ClientToken: f.token()}
	must(f.CancelLifecycleExecution(f.ctx, cancel))(t)
	must(f.CancelLifecycleExecution(f.ctx, cancel))(t) // the token was used
	same(t, "cancelled", *f.execution(cancelled).State.Status, api.LifecycleExecutionStatusCancelled)
	same(t, "what it did", f.acts(cancelled), []string{"web/1.0.0/2 DEPRECATE SKIPPED"})
	if got := f.image(other); got.DeprecationTime != nil || got.LifecycleExecutionId != nil {
		t.Errorf("still to be deprecated: %+v", got)
	}
	cancel.ClientToken = f.token()
	_, err = f.CancelLifecycleExecution(f.ctx, cancel)
	wantFault(t, err, "InvalidRequestException", "CANCELLED")

	for _, want := range []api.ImageStatus{api.ImageStatusAvailable, api.ImageStatusDeprecated} {
		if err := f.LifecyclesDue(f.ctx); err != nil {
			t.Fatal(err)
		}
		same(t, "state", *f.image(arn).State.Status, want)
		f.advance(time.Hour)
	}
	same(t, "other's state", *f.image(other).State.Status, api.ImageStatusAvailable)
	same(t, "execution", *f.execution(id).State.Status, api.LifecycleExecutionStatusSuccess)
	if f.amis(home)[0].DeprecationTime == nil && f.amis(home)[1].DeprecationTime == nil {
		t.Error("no AMI is deprecated")
	}
}

func TestPoliciesRunDaily(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.pipeline("web")
	for range 3 {
		f.finished(pipe, home)
		f.advance(24 * time.Hour)
	}
	f.start(pipe) // in progress
	in := f.policyInput("tidy", rule(api.LifecyclePolicyDetailActionTypeDelete, 2))
	in.PolicyDetails[0].Action.IncludeResources = &api.LifecyclePolicyDetailActionIncludeResources{Amis: p(true), Snapshots: p(true)}
	policy := f.policy(in)
	disabled := f.policyInput("off", rule(api.LifecyclePolicyDetailActionTypeDelete, 1))
	disabled.Status = p(api.LifecyclePolicyStatusDisabled)
	off := f.policy(disabled)
	executions := func(policy string) []api.LifecycleExecution {
		return must(f.ListLifecycleExecutions(f.ctx, &api.ListLifecycleExecutionsInput{ResourceArn: p(policy)}))(t).LifecycleExecutions
	}
	due := func() {
		t.Helper()
		if err := f.LifecyclesDue(f.ctx); err != nil {
			t.Fatal(err)
		}
	}
	due()
	same(t, "executions before the first hour", len(executions(policy)), 0)
	f.advance(time.Hour)
	due()
	due()
	same(t, "executions", len(executions(policy)), 1)
	same(t, "executions of a disabled policy", len(executions(off)), 0)
	first := executions(policy)[0]
	same(t, "first", f.acts(*first.LifecycleExecutionId), []string{"web/1.0.0/2 DELETE SUCCESS", "web/1.0.0/1 DELETE SUCCESS"})
	same(t, "its policy", *first.LifecyclePolicyArn, policy)
	same(t, "its state", *f.execution(*first.LifecycleExecutionId).State.Status, api.LifecycleExecutionStatusSuccess)
	same(t, "AMIs", len(f.amis(home)), 1)
	if got := must(f.GetLifecyclePolicy(f.ctx, &api.GetLifecyclePolicyInput{LifecyclePolicyArn: p(policy)}))(t).LifecyclePolicy; !got.DateLastRun.Equal(f.now()) {
		t.Errorf("last run %v", got.DateLastRun)
	}
	f.advance(24 * time.Hour)
	due()
	same(t, "second", f.acts(*executions(policy)[1].LifecycleExecutionId), []string{"web/1.0.0/3 DELETE SUCCESS"})
	f.advance(24 * time.Hour)
	due()
	third := executions(policy)[2]
	if *third.State.Status != api.LifecycleExecutionStatusSuccess || *third.ResourcesImpactedSummary.HasImpactedResources {
		t.Errorf("an execution with nothing to do: %+v", third)
	}
	for range 100 { // records are kept for 90 days
		f.advance(24 * time.Hour)
		due()
	}
	if n := len(must(f.ListLifecycleExecutions(f.ctx, &api.ListLifecycleExecutionsInput{ResourceArn: p(policy), MaxResults: p(int32(25))}))(t).LifecycleExecutions); n != 25 {
		t.Errorf("%d executions on the first page", n)
	}
	_, err := f.GetLifecycleExecution(f.ctx, &api.GetLifecycleExecutionInput{LifecycleExecutionId: first.LifecycleExecutionId})
	wantFault(t, err, "ResourceNotFoundException")
}

// ender is a log that ends a context at the first record of a lifecycle act.
type ender struct {
	slog.Handler
	end context.CancelFunc
}

func (e ender) Enabled(context.Context, slog.Level) bool { return true }

func (e ender) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "lifecycle" {
		e.end()
	}
	return nil
}

// interrupted has a policy whose execution ended after the first of three acts,
// as when the process ends.
func interrupted(t *testing.T) (f *fixture, policy, execution string) {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	f = open(t, func(c *imagebuilder.Config) { c.Log = slog.New(ender{slog.DiscardHandler, end}) })
	pipe := f.pipeline("web")
	for range 3 {
		f.finished(pipe, home)
	}
	policy = f.policy(f.policyInput("web", rule(api.LifecyclePolicyDetailActionTypeDisable, 1)))
	f.advance(48 * time.Hour)
	if err := f.LifecyclesDue(ctx); err == nil {
		t.Fatal("the end of the context is no error")
	}
	executions := must(f.ListLifecycleExecutions(f.ctx, &api.ListLifecycleExecutionsInput{ResourceArn: p(policy)}))(t).LifecycleExecutions
	same(t, "executions", len(executions), 1)
	execution = *executions[0].LifecycleExecutionId
	same(t, "interrupted", f.acts(execution), []string{"web/1.0.0/3 DISABLE SUCCESS", "web/1.0.0/2 DISABLE IN_PROGRESS", "web/1.0.0/1 DISABLE IN_PROGRESS"})
	same(t, "state", *f.execution(execution).State.Status, api.LifecycleExecutionStatusInProgress)
	return f, policy, execution
}

func TestInterruptedExecutions(t *testing.T) {
	t.Parallel()
	const skipped = "web/1.0.0/2 DISABLE SKIPPED,web/1.0.0/1 DISABLE SKIPPED"
	for name, test := range map[string]struct {
		meanwhile func(f *fixture, policy, execution string) error
		rest      string
		state     api.LifecycleExecutionStatus
	}{
		"goes on": {func(*fixture, string, string) error { return nil }, "web/1.0.0/2 DISABLE SUCCESS,web/1.0.0/1 DISABLE SUCCESS", api.LifecycleExecutionStatusSuccess},
		"cancelled": {func(f *fixture, _, execution string) error {
			_, err := f.CancelLifecycleExecution(f.ctx, &api.CancelLifecycleExecutionInput{LifecycleExecutionId: p(execution), ClientToken: f.token()})
			if status := *f.execution(execution).State.Status; status != api.LifecycleExecutionStatusCancelling {
				f.Errorf("state %s after the cancellation", status)
			}
			return err
		}, skipped, api.LifecycleExecutionStatusCancelled},
		"policy deleted": {func(f *fixture, policy, _ string) error {
			_, err := f.DeleteLifecyclePolicy(f.ctx, &api.DeleteLifecyclePolicyInput{LifecyclePolicyArn: p(policy)})
			return err
		}, skipped, api.LifecycleExecutionStatusCancelled},
		"image changed": {func(f *fixture, _, _ string) error {
			_, err := f.update(prefix+"image/web/1.0.0/2", "DISABLED")
			return err
		}, "web/1.0.0/2 DISABLE SKIPPED,web/1.0.0/1 DISABLE SUCCESS", api.LifecycleExecutionStatusSuccess},
		"image deleted": {func(f *fixture, _, _ string) error {
			_, err := f.DeleteImage(f.ctx, &api.DeleteImageInput{ImageBuildVersionArn: p(prefix + "image/web/1.0.0/1")})
			return err
		}, "web/1.0.0/2 DISABLE SUCCESS,web/1.0.0/1 DISABLE SUCCESS", api.LifecycleExecutionStatusSuccess},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, policy, execution := interrupted(t)
			if err := test.meanwhile(f, policy, execution); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := f.LifecyclesDue(f.ctx); err != nil {
					t.Fatal(err)
				}
			}
			same(t, "acts", strings.Join(f.acts(execution)[1:], ","), test.rest)
			same(t, "state", *f.execution(execution).State.Status, test.state)
		})
	}
}
