package imagebuilder

import (
	"context"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// continueExecution does what an execution has left to do, each act in a
// transaction of its own, and ends it.
func (s *Service) continueExecution(ctx context.Context, due store.Resource) error {
	after := store.Cursor{}
	for ctx.Err() == nil {
		var acts []store.Resource
		err := s.read(ctx, func(tx *store.Tx) (err error) {
			acts, err = tx.Children(due.ARN, after, 100)
			return err
		})
		if err != nil {
			return err
		}
		for _, row := range acts {
			after = row.Cursor()
			if row.Status != string(api.LifecycleExecutionResourceStatusInProgress) {
				continue
			}
			stop, err := s.doAct(ctx, due, row)
			if err != nil || stop {
				return err
			}
		}
		if len(acts) == 0 {
			return s.write(ctx, func(tx *store.Tx) error {
				r := s.lifecycleRequest(due)
				run, row, err := r.execution(tx, due.ARN)
				if err != nil || row.Due.IsZero() {
					return err
				}
				return s.endExecution(tx, r, row, run, false)
			})
		}
	}
	return ctx.Err()
}

// doAct carries out one act of an execution, unless the execution was cancelled
// or its policy is no longer in force.
func (s *Service) doAct(ctx context.Context, due, seen store.Resource) (stop bool, err error) {
	err = s.write(ctx, func(tx *store.Tx) error {
		r := s.lifecycleRequest(due)
		run, row, err := r.execution(tx, due.ARN)
		if err != nil {
			return err
		}
		// Another server on the same database may have done it meanwhile.
		actRow, ok, err := tx.Resource(seen.ARN)
		if err != nil || !ok || actRow.Status != seen.Status {
			return err
		}
		act, err := decode[lifecycleAct](actRow)
		if err != nil {
			return err
		}
		off, err := called(tx, run, row)
		if err != nil {
			return err
		}
		if off || row.Due.IsZero() {
			stop = true
			if row.Due.IsZero() {
				return nil
			}
			return s.endExecution(tx, r, row, run, true)
		}
		run.State = &api.LifecycleExecutionState{Status: ptr(api.LifecycleExecutionStatusInProgress)}
		row.Status = text(run.State.Status)
		if err := s.carryOut(ctx, tx, r, row.ARN, run, act); err != nil {
			return err
		}
		actRow.Status = text(act.State.Status)
		if err := replace(tx, actRow, act); err != nil {
			return err
		}
		s.log.Info("lifecycle", "execution", row.ARN, "image", text(act.ResourceId), "action", text(act.Action.Name), "status", actRow.Status)
		return replace(tx, row, run)
	})
	return stop, err
}

// called reports whether an execution was called off: by a cancellation, or by
// its policy being disabled or deleted.
func called(tx *store.Tx, run *lifecycleRun, row store.Resource) (off bool, err error) {
	if row.Status == string(api.LifecycleExecutionStatusCancelling) {
		return true, nil
	}
	if run.LifecyclePolicyArn == nil {
		return false, nil
	}
	policy, ok, err := tx.Resource(*run.LifecyclePolicyArn)
	return !ok || policy.Status != string(api.LifecyclePolicyStatusEnabled), err
}

// endExecution ends an execution: as CANCELLED, which leaves undone what is not
// done, or by what became of its acts.
func (s *Service) endExecution(tx *store.Tx, r request, row store.Resource, run *lifecycleRun, cancelled bool) error {
	status := api.LifecycleExecutionStatusSuccess
	if cancelled {
		status = api.LifecycleExecutionStatusCancelled
	}
	after := store.Cursor{}
	for {
		acts, err := tx.Children(row.ARN, after, 100)
		if err != nil {
			return err
		}
		if len(acts) == 0 {
			break
		}
		for _, a := range acts {
			after = a.Cursor()
			switch api.LifecycleExecutionResourceStatus(a.Status) {
			case api.LifecycleExecutionResourceStatusFailed:
				if !cancelled {
					status = api.LifecycleExecutionStatusFailed
				}
			case api.LifecycleExecutionResourceStatusInProgress:
				if err := leaveUndone(tx, r, row.ARN, a); err != nil {
					return err
				}
			}
		}
	}
	run.State, run.EndTime = &api.LifecycleExecutionState{Status: ptr(status)}, shape.At(r.now)
	row.Status, row.Due, row.Updated = string(status), time.Time{}, r.now
	return replace(tx, row, run)
}

// leaveUndone ends an act that is not done any more. An image that was to be
// deprecated by it no longer says so.
func leaveUndone(tx *store.Tx, r request, execution string, row store.Resource) error {
	act, err := decode[lifecycleAct](row)
	if err != nil {
		return err
	}
	act.outcome(r, api.LifecycleExecutionResourceStatusSkipped, "The execution was cancelled.")
	row.Status = text(act.State.Status)
	if err := replace(tx, row, act); err != nil {
		return err
	}
	imageRow, ok, err := tx.Resource(text(act.ResourceId))
	if err != nil || !ok {
		return err
	}
	img, err := decode[api.Image](imageRow)
	if err != nil || text(img.LifecycleExecutionId) != execution || imageRow.Status != string(api.ImageStatusAvailable) {
		return err
	}
	img.DeprecationTime, img.LifecycleExecutionId = nil, nil
	return replace(tx, imageRow, img)
}

// forgotten is how many executions one run forgets at most: they are begun at
// one a day.
const forgotten = 2

// forgetExecutions deletes executions of a policy that ended before a time, with
// all that they list.
func forgetExecutions(tx *store.Tx, policyARN string, end time.Time) error {
	old, err := tx.Children(policyARN, store.Cursor{}, forgotten)
	if err != nil {
		return err
	}
	for _, row := range old {
		if row.Created.Before(end) && row.Due.IsZero() {
			if err := forget(tx, row); err != nil {
				return err
			}
		}
	}
	return nil
}

func forget(tx *store.Tx, execution store.Resource) error {
	for {
		acts, err := tx.Children(execution.ARN, store.Cursor{}, 100)
		if err != nil {
			return err
		}
		if len(acts) == 0 {
			return tx.Delete(execution.ARN)
		}
		for _, row := range acts {
			act, err := decode[lifecycleAct](row)
			if err != nil {
				return err
			}
			amis, err := tx.Children(execution.ARN+"/"+text(act.ResourceId), store.Cursor{}, 10000)
			if err != nil {
				return err
			}
			for _, one := range append(amis, row) {
				if err := tx.Delete(one.ARN); err != nil {
					return err
				}
			}
		}
	}
}
