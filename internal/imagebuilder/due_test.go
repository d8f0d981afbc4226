package imagebuilder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// scheduled makes a pipeline that is due every hour.
func (f *fixture) scheduled(name, recipe string, condition api.PipelineExecutionStartCondition) string {
	f.Helper()
	in := f.pipelineInput(name, recipe)
	in.Schedule = &api.Schedule{ScheduleExpression: p("rate(1 hour)"), PipelineExecutionStartCondition: &condition}
	return *must(f.CreateImagePipeline(f.ctx, in))(f).ImagePipelineArn
}

func (f *fixture) startDue() (started []string) {
	f.Helper()
	before := len(f.queue.jobs)
	if err := f.StartDue(f.Context()); err != nil {
		f.Fatal(err)
	}
	return f.queue.jobs[before:]
}

// finish plans an image, as the engine does, and ends it.
func (f *fixture) finish(image string, to engine.Status) {
	f.Helper()
	plan, err := json.Marshal(must(f.Plan(f.ctx, image))(f))
	if err != nil {
		f.Fatal(err)
	}
	f.write(func(tx *store.Tx) error {
		return errors.Join(tx.PutPlan(image, plan), f.Transition(f.ctx, tx, image, to, "", nil))
	})
}

func TestSchedulesStartPipelines(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.scheduled("hourly", f.recipe("web", "1.0.0"), api.PipelineExecutionStartConditionExpressionMatchOnly)
	same(t, "before it is due", f.startDue(), []string(nil))
	f.advance(time.Hour)
	started := f.startDue()
	same(t, "when it is due", started, []string{prefix + "image/web/1.0.0/1"})
	same(t, "build type", *f.image(started[0]).BuildType, api.BuildTypeScheduled)
	same(t, "the same moment again", f.startDue(), []string(nil))
	f.advance(5*time.Hour + time.Minute) // the server was down: one start, and the phase is kept
	same(t, "after a pause", len(f.startDue()), 1)
	same(t, "again", f.startDue(), []string(nil))
	got := must(f.GetImagePipeline(f.ctx, &api.GetImagePipelineInput{ImagePipelineArn: p(pipe)}))(t).ImagePipeline
	same(t, "next", *got.DateNextRun, "2026-11-21T17:00:00.000Z")
	same(t, "last", *got.DateLastRun, "2026-11-21T16:01:00.000Z")

	must(f.UpdateImagePipeline(f.ctx, &api.UpdateImagePipelineInput{ImagePipelineArn: p(pipe), ImageRecipeArn: got.ImageRecipeArn, InfrastructureConfigurationArn: got.InfrastructureConfigurationArn, ClientToken: f.token()}))(t)
	f.advance(24 * time.Hour)
	same(t, "without its schedule", f.startDue(), []string(nil))
}

func TestSchedulesWaitForUpdates(t *testing.T) {
	t.Parallel()
	all := parents{debian("2026.11.21", 1)}
	f := open(t, func(c *imagebuilder.Config) { c.Parents = &all })
	f.component("web", "1.0.0", document)
	f.scheduled("hourly", f.recipe("web", "1.0.0", prefix+"component/web/x.x.x"), api.PipelineExecutionStartConditionExpressionMatchAndDependencyUpdatesAvailable)
	hour := func() []string {
		f.advance(time.Hour)
		return f.startDue()
	}
	first := hour()
	same(t, "the first time", len(first), 1)
	f.finish(first[0], engine.Failed)
	second := hour()
	same(t, "after a failure", len(second), 1)
	f.finish(second[0], engine.Available)
	same(t, "without updates", hour(), []string(nil))
	f.component("web", "1.0.1", document)
	third := hour()
	same(t, "after an update of a component", len(third), 1)
	f.finish(third[0], engine.Available)
	same(t, "without updates again", hour(), []string(nil))
	all = append(all, debian("2026.11.22", 1))
	same(t, "after an update of the parent", len(hour()), 1)
}

func TestFailuresDisablePipelines(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.scheduled("hourly", f.recipe("web", "1.0.0"), api.PipelineExecutionStartConditionExpressionMatchOnly)
	state := func() string {
		got := must(f.GetImagePipeline(f.ctx, &api.GetImagePipelineInput{ImagePipelineArn: p(pipe)}))(t).ImagePipeline
		return fmt.Sprint(*got.Status, " ", *got.ConsecutiveFailures)
	}
	fail := func(image string) {
		f.write(func(tx *store.Tx) error { return f.Transition(f.ctx, tx, image, engine.Failed, "why", nil) })
	}
	for i := range 4 {
		f.advance(time.Hour)
		fail(f.startDue()[0])
		same(t, "state", state(), fmt.Sprint("ENABLED ", i+1))
	}
	fail(f.start(pipe)) // a manual failure does not count
	same(t, "after a manual failure", state(), "ENABLED 4")
	manual := f.start(pipe)
	f.write(func(tx *store.Tx) error { return f.Transition(f.ctx, tx, manual, engine.Available, "", nil) })
	same(t, "after a manual success", state(), "ENABLED 0")
	for range 5 {
		f.advance(time.Hour)
		fail(f.startDue()[0])
	}
	same(t, "after five in a row", state(), "DISABLED 5")
	f.advance(24 * time.Hour)
	same(t, "when disabled", f.startDue(), []string(nil))
	f.start(pipe) // by hand it still works
}

// A start that is refused is a failure of the schedule, and does not keep the
// others from starting.
func TestRefusedScheduledStarts(t *testing.T) {
	t.Parallel()
	f := open(t, func(c *imagebuilder.Config) { c.Quotas.Builds = 1 })
	a := f.scheduled("a", f.recipe("a", "1.0.0"), api.PipelineExecutionStartConditionExpressionMatchOnly)
	b := f.scheduled("b", f.recipe("b", "1.0.0"), api.PipelineExecutionStartConditionExpressionMatchOnly)
	f.advance(time.Hour)
	same(t, "started", len(f.startDue()), 1)
	failures := int32(0)
	for _, arn := range []string{a, b} {
		got := must(f.GetImagePipeline(f.ctx, &api.GetImagePipelineInput{ImagePipelineArn: p(arn)}))(t).ImagePipeline
		failures += *got.ConsecutiveFailures
		same(t, "next", *got.DateNextRun, "2026-11-21T12:00:00.000Z")
	}
	same(t, "refused", failures, int32(1))
	same(t, "again at once", f.startDue(), []string(nil))
}

// What is the server's own trouble is tried again, and one pipeline's does not
// hold up the others.
func TestBrokenScheduledStarts(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.scheduled("a", f.recipe("a", "1.0.0"), api.PipelineExecutionStartConditionExpressionMatchOnly)
	f.scheduled("b", f.recipe("b", "1.0.0"), api.PipelineExecutionStartConditionExpressionMatchOnly)
	f.advance(time.Hour)
	f.queue.fail = errors.New("the queue is broken")
	if err := f.StartDue(t.Context()); !errors.Is(err, f.queue.fail) {
		t.Errorf("StartDue = %v", err)
	}
	got := must(f.GetImagePipeline(f.ctx, &api.GetImagePipelineInput{ImagePipelineArn: p(pipe)}))(t).ImagePipeline
	same(t, "failures", *got.ConsecutiveFailures, int32(0))
	f.queue.fail = nil
	same(t, "started later", len(f.startDue()), 2)
}

func TestRunSchedulesEndsWithItsContext(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.scheduled("hourly", f.recipe("web", "1.0.0"), api.PipelineExecutionStartConditionExpressionMatchOnly)
	f.advance(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		f.RunSchedules(ctx)
		close(ended)
	}()
	for started := false; !started; time.Sleep(time.Millisecond) {
		f.queue.mu.Lock()
		started = len(f.queue.jobs) == 1
		f.queue.mu.Unlock()
	}
	cancel()
	<-ended
}
