package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// The states of workflow and step executions (service model).
const (
	stepPending   = "PENDING"
	stepSkipped   = "SKIPPED"
	stepRunning   = "RUNNING"
	stepCompleted = "COMPLETED"
	stepFailed    = "FAILED"
	stepCancelled = "CANCELLED"
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

// runWorkflow runs a stage's document from its first step, or goes on with the
// execution that resume left in r.workflow.
func (r *run) runWorkflow(ctx context.Context, st stage, ordinal int) error {
	steps := map[string]any{}
	from := 0
	if r.workflow != nil {
		var err error
		if steps, from, err = r.completedSteps(ctx, r.workflow.ID); err != nil {
			return err
		}
	} else {
		r.workflow = &store.WorkflowExecution{
			ID: newID("wf"), ImageARN: r.arn, WorkflowARN: r.workflowARN(st), Type: st.kind, Status: stepRunning,
			TotalSteps: len(st.document.Steps), Start: r.engine.Now(), Ordinal: ordinal,
		}
		if err := r.put(ctx, r.workflow, nil); err != nil {
			return err
		}
		r.log.printf("Started %s workflow %s", st.kind, r.workflow.WorkflowARN)
		r.log.printf("Total %d steps to run for workflow %s", len(st.document.Steps), r.workflow.WorkflowARN)
	}
	names := r.scope(st, steps)
	for i := from; i < len(st.document.Steps); i++ {
		doc := st.document.Steps[i]
		outputs, err := r.runStep(ctx, st, doc, i, names)
		if err != nil && (doc.OnFailure == "Abort" || ctx.Err() != nil) {
			return err
		}
		steps[doc.Name] = outputs
	}
	return r.completeWorkflow(ctx, st, names)
}

// scope is what the references of a stage's document can reach. Steps that ran
// add their outputs to steps.
func (r *run) scope(st stage, steps map[string]any) scope {
	p := r.plan
	return scope{
		"stepOutputs":     steps,
		"workflowOutputs": r.outputs,
		"imagebuilder": map[string]any{
			"imageType":                  "AMI",
			"platform":                   p.Parent.Platform,
			"collectImageMetadata":       p.Metadata,
			"imageName":                  p.Image.Name,
			"imageVersionNumber":         p.Image.Version,
			"imageBuildNumber":           p.Image.Build,
			"imageId":                    p.Parent.AMI,
			"sourceImageARN":             p.Parent.ARN,
			"terminateInstanceOnFailure": p.Infrastructure.TerminateOnFailure,
			"workflowPhase":              map[string]string{"BUILD": "Build", "TEST": "Test", "DISTRIBUTION": "Distribution"}[st.kind],
			"workingDirectory":           p.WorkingDir,
		},
	}
}

// completeWorkflow evaluates the outputs and closes the execution.
func (r *run) completeWorkflow(ctx context.Context, st stage, names scope) error {
	for _, out := range st.document.Outputs {
		value, err := names.lookup(out.Value)
		if err != nil {
			return fmt.Errorf("output %s of workflow %s: %w", out.Name, st.document.Name, err)
		}
		r.outputs[out.Name] = value
	}
	r.workflow.Status, r.workflow.End = stepCompleted, r.engine.Now()
	err := r.put(ctx, r.workflow, nil)
	r.workflow = nil
	return err
}

// runStep runs one step with its time limit and records how it went.
func (r *run) runStep(ctx context.Context, st stage, doc StepDocument, ordinal int, names scope) (map[string]any, error) {
	row := store.StepExecution{
		ID: newID("step"), WorkflowExecutionID: r.workflow.ID, ImageARN: r.arn, WorkflowARN: r.workflow.WorkflowARN,
		Name: doc.Name, Description: doc.Description, Action: doc.Action, Status: stepRunning, OnFailure: doc.OnFailure,
		TimeoutSeconds: doc.TimeoutSeconds, Attempt: 1, MaxAttempts: 1, Start: r.engine.Now(), Ordinal: ordinal,
	}
	if run, err := r.shouldRun(doc, names); err != nil || !run {
		return nil, errors.Join(err, r.skip(ctx, row))
	}
	inputs, err := names.inputs(doc.Inputs)
	if err != nil {
		return nil, fmt.Errorf("step %s: %w", doc.Name, err)
	}
	row.Inputs = jsonText(inputs)
	if err := r.put(ctx, nil, &row); err != nil {
		return nil, err
	}
	r.log.printf("Started step %s with action %s", doc.Name, doc.Action)
	limit := time.Duration(doc.TimeoutSeconds) * time.Second
	stepCtx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("step %s took longer than its %d seconds", doc.Name, doc.TimeoutSeconds))
	defer cancel()
	res, err := actions[doc.Action].run(stepCtx, &call{run: r, stage: st, row: &row, inputs: inputs})
	if err == nil {
		err = r.stepDone(ctx, row, res)
	}
	if err == nil {
		return res.outputs, nil
	}
	if ctx.Err() == nil && stepCtx.Err() != nil {
		err = errors.Join(context.Cause(stepCtx), err)
	}
	return nil, r.stepFailed(ctx, row, err)
}

// shouldRun evaluates a step's condition.
func (r *run) shouldRun(doc StepDocument, names scope) (bool, error) {
	if doc.If == nil {
		r.log.printf("No 'if' conditions to evaluate for step: %s", doc.Name)
		return true, nil
	}
	holds, err := names.holds(doc.If)
	if err != nil {
		return false, fmt.Errorf("the if of step %s: %w", doc.Name, err)
	}
	return holds, nil
}

// skip records a step whose condition did not hold.
func (r *run) skip(ctx context.Context, row store.StepExecution) error {
	row.Status, row.End = stepSkipped, row.Start
	r.workflow.Skipped++
	r.log.printf("Skipped step %s: its condition does not hold", row.Name)
	return r.put(ctx, r.workflow, &row)
}

// stepDone records a finished step together with what it made: both or neither.
func (r *run) stepDone(ctx context.Context, row store.StepExecution, res result) error {
	row.Status, row.End = stepCompleted, r.engine.Now()
	wf := *r.workflow
	wf.Succeeded++
	err := r.engine.Store.Write(ctx, func(tx *store.Tx) error {
		if res.commit != nil {
			if err := res.commit(tx); err != nil {
				return err
			}
		}
		row.Outputs = jsonText(res.outputs) // commit may have filled them in
		if err := tx.PutStepExecution(row); err != nil {
			return fmt.Errorf("recording step %s: %w", row.Name, err)
		}
		return tx.PutWorkflowExecution(wf)
	})
	if err != nil {
		return err
	}
	r.workflow = &wf
	r.log.printf("Finished step %s in %.2f s", row.Name, row.End.Sub(row.Start).Seconds())
	if res.after != nil {
		res.after()
	}
	return nil
}

// stepFailed records a failed step and returns its error. When the server
// stops, the step stays RUNNING: the next server sees that it was interrupted.
func (r *run) stepFailed(ctx context.Context, row store.StepExecution, err error) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, errShutdown) {
		return cause
	}
	row.Status, row.End, row.Message = stepFailed, r.engine.Now(), cut(err.Error(), 500)
	if errors.Is(cause, errCancelled) {
		row.Status, err = stepCancelled, cause
	}
	r.workflow.Failed++
	r.log.printf("Action failed for step %s. Failing step: %v", row.Name, err)
	if putErr := r.put(context.WithoutCancel(ctx), r.workflow, &row); putErr != nil {
		return putErr
	}
	return &stepError{row: row, cause: err}
}

// put writes rows in one transaction.
func (r *run) put(ctx context.Context, wf *store.WorkflowExecution, step *store.StepExecution) error {
	return r.engine.Store.Write(ctx, func(tx *store.Tx) error {
		if wf != nil {
			if err := tx.PutWorkflowExecution(*wf); err != nil {
				return fmt.Errorf("recording workflow %s: %w", wf.ID, err)
			}
		}
		if step != nil {
			if err := tx.PutStepExecution(*step); err != nil {
				return fmt.Errorf("recording step %s: %w", step.Name, err)
			}
		}
		return nil
	})
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
		if wf.Status != stepRunning {
			continue
		}
		if r.workflow != nil && r.workflow.ID == wf.ID {
			wf = *r.workflow
		}
		wf.Status, wf.End, wf.Message = status, r.engine.Now(), cut(reason, 500)
		if err := tx.PutWorkflowExecution(wf); err != nil {
			return fmt.Errorf("closing workflow execution %s: %w", wf.ID, err)
		}
		if err := r.closeSteps(tx, wf.ID); err != nil {
			return err
		}
	}
	return nil
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
