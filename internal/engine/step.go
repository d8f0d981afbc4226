package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/faultpoint"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// stepError is the failure of a step, with what the failure context tells.
type stepError struct {
	row   store.StepExecution
	cause error
}

// Error is worded as Image Builder words an image's reason.
func (e *stepError) Error() string {
	return fmt.Sprintf("Workflow Execution ID: '%s' failed with reason: %v", e.row.WorkflowExecutionID, e.cause)
}

// Unwrap gives the cause.
func (e *stepError) Unwrap() error { return e.cause }

// runStep runs one step, as often as its retry allows, and records how it went.
// The outputs are nil for a step that was skipped or failed.
func (f *flow) runStep(ctx context.Context, step *workflow.Step, ordinal int) (map[string]any, error) {
	row, parked := f.parked, f.parked != nil
	if f.parked = nil; !parked {
		row = &store.StepExecution{
			ID: newID("step"), WorkflowExecutionID: f.row.ID, ImageARN: f.arn, WorkflowARN: f.ARN, Name: step.Name, Description: step.Description, Action: step.Action.Name,
			Status: stepRunning, OnFailure: string(step.OnFailure), TimeoutSeconds: int(step.Timeout.Seconds()), Attempt: 1, MaxAttempts: step.Retry.MaxAttempts,
			Start: f.engine.Now(), Ordinal: ordinal,
		}
		runs, err := f.shouldRun(step)
		if err != nil {
			return nil, f.stepFailed(ctx, step, row, err)
		}
		if !runs {
			return nil, f.skip(ctx, row, "its condition does not hold")
		}
	}
	f.steps[ordinal] = row
	inputs, err := step.Inputs(f.scope)
	if err != nil {
		return nil, f.stepFailed(ctx, step, row, err)
	}
	if !parked {
		row.Inputs = jsonText(inputs)
		if err := f.put(ctx, "begun", row); err != nil {
			return nil, err
		}
		f.log.printf("Started step %s with action %s", step.Name, step.Action.Name)
	}
	for {
		outputs, err := f.attempt(ctx, step, row, inputs)
		if err == nil || errors.Is(err, errParked) {
			return outputs, err
		}
		if ctx.Err() != nil || row.Attempt >= step.Retry.MaxAttempts {
			return nil, f.stepFailed(ctx, step, row, err)
		}
		if err := f.tryAgain(ctx, step, row, err); err != nil {
			return nil, f.stepFailed(ctx, step, row, err)
		}
	}
}

// shouldRun evaluates a step's condition.
func (f *flow) shouldRun(step *workflow.Step) (bool, error) {
	if step.If == nil {
		f.log.printf("No 'if' conditions to evaluate for step: %s", step.Name)
		return true, nil
	}
	holds, err := step.If.Holds(f.scope)
	if err != nil {
		return false, fmt.Errorf("the condition of the step cannot be decided: %w", err)
	}
	return holds, nil
}

// attempt runs a step's action once, within its time limit.
func (f *flow) attempt(ctx context.Context, step *workflow.Step, row *store.StepExecution, inputs map[string]any) (map[string]any, error) {
	attemptCtx, cancel := context.WithTimeoutCause(ctx, step.Timeout, fmt.Errorf("step %s took longer than its %d seconds", step.Name, row.TimeoutSeconds))
	defer cancel()
	err := pause(attemptCtx, step.Wait)
	var res result
	if err == nil {
		faultpoint.Reach("in", f.stepPoint(step.Name, "at work"))
		res, err = actions[step.Action.Name](attemptCtx, &call{flow: f, row: row, inputs: inputs})
	}
	switch {
	case err == nil && res.skipped != "":
		return nil, f.skip(ctx, row, res.skipped)
	case err == nil:
		err = f.stepDone(ctx, row, res)
	}
	if err == nil {
		return res.outputs, nil
	}
	if ctx.Err() == nil && attemptCtx.Err() != nil {
		err = errors.Join(context.Cause(attemptCtx), err)
	}
	return nil, err
}

// tryAgain notes a failed attempt and waits for the next one.
func (f *flow) tryAgain(ctx context.Context, step *workflow.Step, row *store.StepExecution, cause error) error {
	f.log.printf("Attempt %d of %d failed for step %s; the next begins in %d s: %v", row.Attempt, row.MaxAttempts, step.Name, int(step.Retry.Backoff.Seconds()), cause)
	row.Message = cut(fmt.Sprintf("Attempt %d of %d failed: %v", row.Attempt, row.MaxAttempts, cause), maxMessage)
	row.Attempt++
	if row.Action == waitForActionName {
		row.Outputs = "" // the answer to the last attempt
	}
	if err := f.put(ctx, "to be tried again", row); err != nil {
		return err
	}
	return pause(ctx, step.Retry.Backoff)
}

// pause waits for a time, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// skip records a step that had nothing to do.
func (f *flow) skip(ctx context.Context, row *store.StepExecution, why string) error {
	row.Status, row.End, row.Message = stepSkipped, f.engine.Now(), cut("Skipped: "+why+".", maxMessage)
	f.row.Skipped++
	f.log.printf("Skipped step %s: %s", row.Name, why)
	return f.put(ctx, "skipped", row)
}

// stepDone records a finished step together with what it made: both or neither.
func (f *flow) stepDone(ctx context.Context, row *store.StepExecution, res result) error {
	done, wf := *row, f.row
	done.Status, done.End, done.Message = stepCompleted, f.engine.Now(), ""
	wf.Succeeded++
	err := f.engine.record(ctx, f.stepPoint(row.Name, "completed"), f.isCompleted(row.ID), func(tx *store.Tx) error {
		if res.commit != nil {
			if err := res.commit(tx); err != nil {
				return err
			}
		}
		done.Outputs = jsonText(res.outputs) // commit may have filled them in
		if err := putStep(tx, done); err != nil {
			return err
		}
		return tx.PutWorkflowExecution(wf)
	})
	if err != nil {
		return err
	}
	*row, f.row = done, wf
	f.log.printf("Finished step %s in %.2f s", row.Name, row.End.Sub(row.Start).Seconds())
	if res.after != nil {
		res.after()
	}
	return nil
}

// isCompleted is a record's done: whether a step's completion was kept.
func (f *flow) isCompleted(id string) func(context.Context) (bool, error) {
	return func(ctx context.Context) (is bool, err error) {
		err = f.engine.read(ctx, func(tx *store.Tx) error {
			row, _, err := tx.StepExecution(id)
			is = row.Status == stepCompleted
			return err
		})
		return is, err
	}
}

// stepFailed records a failed step and returns its error. A failure that ends
// the workflow begins its rollback in the same transaction. When the server
// stops, or has lost its lease, the step stays RUNNING: the next one sees that it
// was interrupted.
func (f *flow) stepFailed(ctx context.Context, step *workflow.Step, row *store.StepExecution, err error) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, errShutdown) || errors.Is(cause, errLost) || errors.Is(err, store.ErrLeaseLost) {
		return errors.Join(cause, err)
	}
	f.steps[row.Ordinal] = row
	row.Status, row.End, row.Message = stepFailed, f.engine.Now(), cut(err.Error(), maxMessage)
	if errors.Is(cause, errCancelled) || errors.Is(cause, errGroupFailed) {
		row.Status, err = stepCancelled, cause
	}
	f.row.Failed++
	failure := &stepError{row: *row, cause: err}
	if row.Status == stepFailed && step.OnFailure == workflow.Abort {
		f.row.Status, f.row.Message = flowRollingBack, cut(failure.Error(), maxMessage)
	}
	f.log.printf("Action failed for step %s. Failing step: %v", row.Name, err)
	if putErr := f.put(context.WithoutCancel(ctx), "failed", row); putErr != nil {
		return errors.Join(failure, putErr)
	}
	return failure
}

// jsonText is v as JSON; nil maps become "{}".
func jsonText(v map[string]any) string {
	if v == nil {
		return "{}"
	}
	data, err := json.Marshal(v)
	if err != nil {
		return "{}"
	}
	return string(data)
}
