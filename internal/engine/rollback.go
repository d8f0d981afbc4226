package engine

import (
	"context"
	"fmt"

	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// rollBack undoes the steps of a failed execution, the failed one first and
// then backwards, and closes the execution (User Guide, "Create a YAML workflow
// document"). Most actions leave nothing to undo. The execution of a workflow whose
// failure ends the image is closed in the transaction that ends the image: a server
// that dies between the two must not find a closed execution, which is what a retry
// that somebody asked for looks like.
func (f *flow) rollBack(ctx context.Context, cause error) error {
	f.row.Status, f.row.Message = flowRollingBack, cut(cause.Error(), maxMessage)
	if err := f.put(ctx, "rolling back", nil); err != nil {
		return err
	}
	for i := len(f.steps) - 1; i >= 0; i-- {
		step, row := &f.document.Steps[i], f.steps[i]
		if row == nil || row.Status == stepSkipped || !step.Action.RollsBack {
			continue
		}
		row.RollbackStatus = stepRunning
		if err := f.put(ctx, "rolling back", row); err != nil {
			return err
		}
		undone, err := f.undo(ctx, step, row)
		switch {
		case err != nil:
			row.RollbackStatus = stepFailed
			f.log.printf("Rolling back step %s failed: %v", step.Name, err)
		case undone:
			row.RollbackStatus = stepCompleted
			f.log.printf("Rolled back step %s", step.Name)
		default:
			row.RollbackStatus = stepSkipped
		}
		if err := f.put(ctx, "rolled back", row); err != nil {
			return err
		}
	}
	if f.OnFailure != proceeds {
		return nil
	}
	rows := make([]store.StepExecution, 0, len(f.steps))
	for _, row := range f.steps {
		if row != nil {
			rows = append(rows, *row)
		}
	}
	f.row.Status, f.row.End = rolledBackTo(rows), f.engine.Now()
	return f.put(ctx, "rolled back", nil)
}

// rolledBackTo is how a failed execution ends: ROLLBACK_COMPLETED if something was
// undone.
func rolledBackTo(steps []store.StepExecution) string {
	for _, row := range steps {
		if row.RollbackStatus == stepCompleted {
			return flowRolledBack
		}
	}
	return stepFailed
}

// undo rolls one step back and reports whether there was anything to do.
func (f *flow) undo(ctx context.Context, step *workflow.Step, row *store.StepExecution) (bool, error) {
	enabled, err := step.RollbackEnabled(f.scope)
	if err != nil {
		return false, err
	}
	if step.Action.Name != "LaunchInstance" {
		return enabled, nil // the list of packages is kept outside the instance: nothing has to be removed
	}
	m := f.launchedBy(row.ID)
	if m == nil {
		return false, nil
	}
	if !enabled {
		m.keep = true
	}
	if !enabled || !f.plan.Infrastructure.TerminateOnFailure {
		return false, nil
	}
	m.settle(ctx) // for whoever builds it again
	return true, f.forget(m)
}

// launchedBy gives the instance that a step launched and that is still there.
func (r *run) launchedBy(stepID string) *machine {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.instances {
		if m.step == stepID {
			return m
		}
	}
	return nil
}

// interruptedRollBack ends the rollback of an execution whose server died in it:
// its instances are swept. It returns the failure that ends the image, if it does;
// the execution is closed with the image then.
func (r *run) interruptedRollBack(ctx context.Context, wf *store.WorkflowExecution) error {
	goesOn := r.flows[wf.Ordinal].OnFailure == proceeds
	if goesOn {
		wf.Status, wf.End = flowRolledBack, r.engine.Now()
	}
	var failed store.StepExecution
	err := r.engine.record(ctx, wf.Type+" workflow interrupted rollback", nil, func(tx *store.Tx) error {
		rows, err := tx.StepExecutions(wf.ID)
		if err != nil {
			return fmt.Errorf("reading the step executions: %w", err)
		}
		for _, row := range rows {
			if row.Status == stepFailed {
				failed = row
			}
			if row.RollbackStatus == stepRunning {
				row.RollbackStatus = stepCompleted
				if err := putStep(tx, row); err != nil {
					return err
				}
			}
		}
		return tx.PutWorkflowExecution(*wf)
	})
	if err != nil || goesOn {
		return err
	}
	failed.WorkflowExecutionID, failed.WorkflowARN = wf.ID, wf.WorkflowARN
	return &stepError{row: failed, cause: fmt.Errorf("%s", orText(failed.Message, wf.Message))}
}

func orText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
