package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// past is how far earlier attempts came.
type past struct {
	done  map[int]bool  // workflows that need not run any more
	taken map[int]*flow // executions that can go on where they were
}

// resume finds out how far an earlier attempt came. An execution that was cut
// off in the middle of an instance's work is closed and started anew: the
// instance died with its server, and nobody knows the state of its volume. One
// that failed and ended the image is run again: somebody asked for a retry.
func (r *run) resume(ctx context.Context) (past, error) {
	p := past{done: map[int]bool{}, taken: map[int]*flow{}}
	var executions []store.WorkflowExecution
	err := r.engine.read(ctx, func(tx *store.Tx) (err error) {
		executions, err = tx.WorkflowExecutions(r.arn)
		return err
	})
	if err != nil {
		return p, fmt.Errorf("reading the workflow executions: %w", err)
	}
	r.began, r.resumed = r.engine.Now(), len(executions) > 0
	for i := range executions {
		wf := &executions[i]
		if wf.Start.Before(r.began) {
			r.began = wf.Start
		}
		if wf.Ordinal >= len(r.flows) {
			return p, fmt.Errorf("the workflow execution %s is of no workflow of the plan", wf.ID)
		}
		switch wf.Status {
		case stepCompleted:
			err = r.restore(ctx, wf)
			p.done[wf.Ordinal] = true
		case stepFailed, flowRolledBack:
			p.done[wf.Ordinal] = r.flows[wf.Ordinal].OnFailure == proceeds
		case flowRollingBack:
			err = r.interruptedRollBack(ctx, wf)
			p.done[wf.Ordinal] = true
		case stepRunning:
			p.taken[wf.Ordinal], err = r.takeUp(ctx, wf)
		}
		if err != nil {
			return p, err
		}
	}
	return p, r.reinstate(ctx)
}

// reopen makes the flow of an execution that there is.
func (r *run) reopen(ctx context.Context, wf *store.WorkflowExecution) (*flow, error) {
	f := r.newFlow(wf.Ordinal)
	f.row = *wf
	var rows []store.StepExecution
	err := r.engine.read(ctx, func(tx *store.Tx) (err error) {
		rows, err = tx.StepExecutions(wf.ID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the step executions: %w", err)
	}
	for i := range rows {
		row := &rows[i]
		if row.Ordinal >= len(f.steps) {
			return nil, fmt.Errorf("the step execution %s is of no step of the workflow", row.ID)
		}
		f.steps[row.Ordinal] = row
		switch {
		case row.Status == stepCompleted:
			outputs := map[string]any{}
			if row.Outputs != "" {
				if err := json.Unmarshal([]byte(row.Outputs), &outputs); err != nil {
					return nil, fmt.Errorf("reading the outputs of step %s: %w", row.Name, err)
				}
			}
			f.scope.StepOutputs[row.Name] = outputs
		case row.Status == stepSkipped, row.Status == stepFailed && row.OnFailure == string(workflow.Continue):
			f.scope.StepOutputs[row.Name] = nil
		case row.Status == stepRunning && row.Action == waitForActionName:
			f.parked = row
		}
	}
	return f, nil
}

// restore reads the outputs of a complete execution back.
func (r *run) restore(ctx context.Context, wf *store.WorkflowExecution) error {
	f, err := r.reopen(ctx, wf)
	if err != nil {
		return err
	}
	return f.publish()
}

// takeUp goes on with an interrupted execution if what is left of it needs no
// instance, and closes it otherwise; then the flow is nil.
func (r *run) takeUp(ctx context.Context, wf *store.WorkflowExecution) (*flow, error) {
	f, err := r.reopen(ctx, wf)
	if err != nil {
		return nil, err
	}
	if !f.goesOn() {
		f.parked = nil
	}
	err = r.engine.record(ctx, f.Type+" interrupted steps closed", nil, func(tx *store.Tx) error { return r.closeSteps(tx, wf.ID, f.parked) })
	if err != nil {
		return nil, err
	}
	if f.goesOn() {
		if f.parked == nil {
			r.log.printf("Going on with workflow execution %s", wf.ID)
		}
		return f, nil
	}
	r.log.printf("The server stopped during workflow execution %s", wf.ID)
	wf.Status, wf.End = stepCancelled, r.engine.Now()
	wf.Message = "The server stopped during this execution; the workflow was started anew."
	return nil, r.engine.record(ctx, f.Type+" interrupted workflow closed", nil, func(tx *store.Tx) error {
		if err := tx.PutWorkflowExecution(*wf); err != nil {
			return fmt.Errorf("closing workflow execution %s: %w", wf.ID, err)
		}
		return r.withdrawOutputs(tx, wf.ID, r.built)
	})
}

// goesOn reports whether the steps that are left can run without the instances
// that died: those that only end one can, and those on an instance that one of
// the steps that are left launches.
func (f *flow) goesOn() bool {
	var launches []string
	for i := range f.document.Steps {
		step := &f.document.Steps[i]
		if _, done := f.scope.StepOutputs[step.Name]; done {
			continue
		}
		switch {
		case step.Action.Name == "LaunchInstance":
			launches = append(launches, step.Name)
		case step.Action.Name == "TerminateInstance" || !step.TakesInstance():
		case !slices.ContainsFunc(launches, step.Uses):
			return false
		}
	}
	return true
}

// closeSteps ends the step rows that a dead server left RUNNING, but for one
// that goes on.
func (r *run) closeSteps(tx *store.Tx, workflowID string, but *store.StepExecution) error {
	rows, err := tx.StepExecutions(workflowID)
	if err != nil {
		return fmt.Errorf("reading the step executions: %w", err)
	}
	for _, row := range rows {
		if row.Status != stepRunning || but != nil && row.ID == but.ID {
			continue
		}
		row.Status, row.End, row.Message = stepCancelled, r.engine.Now(), "The server stopped during this step."
		if err := putStep(tx, row); err != nil {
			return fmt.Errorf("closing: %w", err)
		}
	}
	return nil
}
