package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// The states of workflow and step executions (service model,
// WorkflowExecutionStatus, WorkflowStepExecutionStatus and
// WorkflowStepExecutionRollbackStatus).
const (
	stepSkipped   = "SKIPPED"
	stepRunning   = "RUNNING"
	stepCompleted = "COMPLETED"
	stepFailed    = "FAILED"
	stepCancelled = "CANCELLED"

	flowRollingBack = "ROLLBACK_IN_PROGRESS"
	flowRolledBack  = "ROLLBACK_COMPLETED"
)

// maxSideBySide is how many workflows of a group run at a time (User Guide,
// "Manage image workflows").
const maxSideBySide = 5

// errGroupFailed ends the workflows that run beside one whose failure ends the
// image.
var errGroupFailed = errors.New("another workflow of the parallel group failed")

// flow is one execution of a workflow.
type flow struct {
	*run
	definition
	row    store.WorkflowExecution
	scope  *workflow.Scope
	alone  bool                   // nothing runs beside it
	steps  []*store.StepExecution // by ordinal; nil: not begun
	parked *store.StepExecution   // a waiting step to go on with
}

// runBatch runs the workflows of a batch and returns the first failure that
// ends the image; the others of the batch are ended then.
func (r *run) runBatch(ctx context.Context, b batch, taken map[int]*flow) error {
	start := func(ctx context.Context, i int) error {
		f := taken[i]
		if f == nil {
			f = r.newFlow(i)
		}
		f.alone = len(b) == 1
		r.mu.Lock()
		f.scope.WorkflowOutputs = maps.Clone(r.outputs)
		r.mu.Unlock()
		return f.execute(ctx)
	}
	if len(b) == 1 {
		return start(ctx, b[0])
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, maxSideBySide)
	var all sync.WaitGroup
	var once sync.Once
	var first error
	for _, i := range b {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-slots }()
			if err := start(ctx, i); err != nil {
				once.Do(func() {
					first = err
					cancel(errGroupFailed)
				})
			}
		})
	}
	all.Wait()
	if first == nil {
		first = context.Cause(ctx)
	}
	return first
}

// newFlow prepares an execution of a workflow of the plan.
func (r *run) newFlow(i int) *flow {
	d := r.flows[i]
	f := &flow{run: r, definition: d, steps: make([]*store.StepExecution, len(d.document.Steps)), row: store.WorkflowExecution{
		ImageARN: r.arn, WorkflowARN: d.ARN, Type: d.Type, ParallelGroup: d.Group, TotalSteps: len(d.document.Steps), Ordinal: i,
	}}
	f.scope = &workflow.Scope{Parameters: d.values, StepOutputs: map[string]map[string]any{}, WorkflowOutputs: r.outputs, ImageBuilder: r.plan.variables(d.Type)}
	f.scope.ImageBuilder["dateTime"] = buildDate(r.engine.Now())
	return f
}

// execute runs the workflow to its end. The error is nil also if it failed and
// the image goes on without it.
func (f *flow) execute(ctx context.Context) error {
	err := f.begin(ctx)
	if err == nil {
		err = f.runSteps(ctx)
	}
	if err == nil {
		err = f.complete(ctx)
	}
	if err == nil {
		return nil
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(err, errParked) || errors.Is(err, store.ErrLeaseLost) || errors.Is(cause, errShutdown) || errors.Is(cause, errLost) || errors.Is(cause, errCancelled):
		return err // rows stay as they are, or are closed with the image
	case errors.Is(cause, errGroupFailed):
		f.row.Status, f.row.End, f.row.Message = stepCancelled, f.engine.Now(), cause.Error()
		return errors.Join(cause, f.put(context.WithoutCancel(ctx), "cancelled", nil))
	}
	if backErr := f.rollBack(context.WithoutCancel(ctx), err); backErr != nil {
		return backErr
	}
	if f.OnFailure == proceeds {
		f.log.printf("The workflow %s failed; the image goes on without it, since its onFailure is CONTINUE", f.ARN)
		return nil
	}
	return err
}

// begin records a new execution.
func (f *flow) begin(ctx context.Context) error {
	if f.row.ID != "" {
		return nil // taken up
	}
	f.row.ID, f.row.Status, f.row.Start = newID("wf"), stepRunning, f.engine.Now()
	if err := f.put(ctx, "begun", nil); err != nil {
		return err
	}
	f.firstBegan(f.row.Start)
	f.log.printf("Started %s workflow %s", f.Type, f.ARN)
	f.log.printf("Total %d steps to run for workflow %s", len(f.document.Steps), f.ARN)
	return nil
}

// firstBegan makes the beginning of the image's first execution the one that
// later attempts will read from its row: names are made of it.
func (r *run) firstBegan(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.resumed && (!r.begun || at.Before(r.began)) {
		r.began, r.begun = at, true
	}
}

// runSteps runs the steps that are not done yet, in order.
func (f *flow) runSteps(ctx context.Context) error {
	for i := range f.document.Steps {
		step := &f.document.Steps[i]
		if _, done := f.scope.StepOutputs[step.Name]; done {
			continue
		}
		outputs, err := f.runStep(ctx, step, i)
		if err != nil && (step.OnFailure == workflow.Abort || ctx.Err() != nil || errors.Is(err, errParked)) {
			return err
		}
		f.scope.StepOutputs[step.Name] = outputs
	}
	return nil
}

// complete evaluates the outputs and closes the execution.
func (f *flow) complete(ctx context.Context) error {
	if err := f.publish(); err != nil {
		return err
	}
	if f.Type == string(workflow.Build) && f.built == "" {
		return fmt.Errorf("the build workflow %s made no AMI: it needs a step with the action CreateImage or RegisterImage that is not skipped", f.Name)
	}
	f.row.Status, f.row.End = stepCompleted, f.engine.Now()
	return f.put(ctx, "completed", nil)
}

// publish evaluates the outputs for later workflows, and finds the AMI that a
// build workflow made.
func (f *flow) publish() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, out := range f.document.Outputs {
		value, err := out.Value(f.scope)
		if err != nil {
			return fmt.Errorf("workflow %s: %w", f.Name, err)
		}
		f.outputs[out.Name] = value
	}
	if f.Type != string(workflow.Build) {
		return nil
	}
	for _, step := range f.document.Steps { // the last one counts
		id, _ := f.scope.StepOutputs[step.Name]["imageId"].(string)
		if id != "" && (step.Action.Name == "CreateImage" || step.Action.Name == "RegisterImage") {
			f.built = id
		}
	}
	return nil
}

// put records the execution, and a step with it if one is given. moment is what
// has become of it.
func (f *flow) put(ctx context.Context, moment string, step *store.StepExecution) error {
	what := f.Type + " workflow " + moment
	if step != nil {
		what = f.stepPoint(step.Name, moment)
	}
	return f.engine.record(ctx, what, nil, func(tx *store.Tx) error {
		if err := tx.PutWorkflowExecution(f.row); err != nil {
			return fmt.Errorf("recording workflow %s: %w", f.row.ID, err)
		}
		if step == nil {
			return nil
		}
		return putStep(tx, *step)
	})
}

func putStep(tx *store.Tx, step store.StepExecution) error {
	if err := tx.PutStepExecution(step); err != nil {
		return fmt.Errorf("recording step %s: %w", step.Name, err)
	}
	return nil
}

// closeWorkflows ends the executions and steps that are under way when the image
// ends, also those of a server that died: no row stays RUNNING.
func (r *run) closeWorkflows(tx *store.Tx, to Status, reason string) error {
	executions, err := tx.WorkflowExecutions(r.arn)
	if err != nil {
		return fmt.Errorf("reading the workflow executions: %w", err)
	}
	status := stepFailed
	if to == Cancelled {
		status = stepCancelled
	}
	for _, wf := range executions {
		if wf.Status != stepRunning && wf.Status != flowRollingBack {
			continue
		}
		message := reason
		closed := status
		if wf.Status == flowRollingBack && to == Failed {
			steps, err := tx.StepExecutions(wf.ID)
			if err != nil {
				return fmt.Errorf("reading the step executions: %w", err)
			}
			closed, message = rolledBackTo(steps), orText(wf.Message, reason)
		}
		wf.Status, wf.End, wf.Message = closed, r.engine.Now(), cut(strings.TrimSpace(message), maxMessage)
		if err := tx.PutWorkflowExecution(wf); err != nil {
			return fmt.Errorf("closing workflow execution %s: %w", wf.ID, err)
		}
		if err := r.closeSteps(tx, wf.ID, nil); err != nil {
			return err
		}
	}
	return nil
}

// maxMessage is the length of an execution's message, in characters.
const maxMessage = 500
