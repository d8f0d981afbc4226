package engine

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// resume finds out how far an earlier attempt came. It returns the first stage
// that is not complete; if that one can go on where it was, r.workflow is set.
// An execution that was cut off in the middle of an instance's work is closed
// and started anew: the instance died with its server, and nobody knows the
// state of its volume.
func (r *run) resume(ctx context.Context) (next int, err error) {
	var executions []store.WorkflowExecution
	err = r.engine.Store.Read(ctx, func(tx *store.Tx) (err error) {
		executions, err = tx.WorkflowExecutions(r.arn)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("reading the workflow executions: %w", err)
	}
	for i := range executions {
		wf := &executions[i]
		switch wf.Status {
		case stepCompleted:
			err = r.restore(ctx, wf)
			next = wf.Ordinal + 1
		case stepRunning:
			r.log.printf("The server stopped during workflow execution %s", wf.ID)
			err = r.takeUp(ctx, wf)
		}
		if err != nil {
			return 0, err
		}
	}
	return next, nil
}

// restore reads the outputs of a complete execution back.
func (r *run) restore(ctx context.Context, wf *store.WorkflowExecution) error {
	st := stages[wf.Ordinal]
	steps, _, err := r.completedSteps(ctx, wf.ID)
	if err != nil {
		return err
	}
	names := r.scope(st, steps)
	for _, out := range st.document.Outputs {
		value, err := names.lookup(out.Value)
		if err != nil {
			return fmt.Errorf("output %s of workflow execution %s: %w", out.Name, wf.ID, err)
		}
		r.outputs[out.Name] = value
	}
	return nil
}

// takeUp goes on with an interrupted execution if what is left of it needs no
// instance, and closes it otherwise.
func (r *run) takeUp(ctx context.Context, wf *store.WorkflowExecution) error {
	st := stages[wf.Ordinal]
	_, from, err := r.completedSteps(ctx, wf.ID)
	if err != nil {
		return err
	}
	err = r.engine.Store.Write(ctx, func(tx *store.Tx) error { return r.closeSteps(tx, wf.ID) })
	if err != nil {
		return err
	}
	if goesOn(st.document.Steps[from:]) {
		r.workflow = wf
		r.log.printf("Going on with workflow execution %s", wf.ID)
		return nil
	}
	wf.Status, wf.End = stepCancelled, r.engine.Now()
	wf.Message = "The server stopped during this execution; the workflow was started anew."
	return r.engine.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.PutWorkflowExecution(*wf); err != nil {
			return fmt.Errorf("closing workflow execution %s: %w", wf.ID, err)
		}
		return r.withdrawOutputs(tx, wf.ID)
	})
}

// goesOn reports whether the steps can run without the instance that died.
func goesOn(steps []StepDocument) bool {
	for _, step := range steps {
		_, uses := step.Inputs["instanceId.$"]
		if step.Action == "LaunchInstance" || uses && step.Action != "TerminateInstance" {
			return false
		}
	}
	return true
}

// completedSteps gives the outputs of the steps that are done, and the index of
// the first that is not.
func (r *run) completedSteps(ctx context.Context, workflowID string) (map[string]any, int, error) {
	var rows []store.StepExecution
	err := r.engine.Store.Read(ctx, func(tx *store.Tx) (err error) {
		rows, err = tx.StepExecutions(workflowID)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("reading the step executions: %w", err)
	}
	steps, next := map[string]any{}, 0
	for _, row := range rows {
		switch row.Status {
		case stepCompleted, stepSkipped:
			outputs := map[string]any{}
			if row.Outputs != "" {
				if err := json.Unmarshal([]byte(row.Outputs), &outputs); err != nil {
					return nil, 0, fmt.Errorf("reading the outputs of step %s: %w", row.Name, err)
				}
			}
			steps[row.Name] = outputs
			next = row.Ordinal + 1
		}
	}
	return steps, next, nil
}

// closeSteps ends the step rows that a dead server left RUNNING.
func (r *run) closeSteps(tx *store.Tx, workflowID string) error {
	rows, err := tx.StepExecutions(workflowID)
	if err != nil {
		return fmt.Errorf("reading the step executions: %w", err)
	}
	for _, row := range rows {
		if row.Status != stepRunning {
			continue
		}
		row.Status, row.End, row.Message = stepCancelled, r.engine.Now(), "The server stopped during this step."
		if err := tx.PutStepExecution(row); err != nil {
			return fmt.Errorf("closing step %s: %w", row.Name, err)
		}
	}
	return nil
}
