package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/faultpoint"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// run is the work on one image.
type run struct {
	engine *Engine
	arn    string
	plan   *Plan
	flows  []definition
	log    *imageLog
	status Status    // the image's state as recorded
	since  time.Time // when it came into that state
	began  time.Time // when its first workflow began

	resumed, begun bool // there were executions before; there is one of this attempt

	mu        sync.Mutex // workflows of a group run side by side
	instances map[string]*machine
	outputs   map[string]any // workflowOutputs
	built     string         // the AMI that the build workflow made
}

func (e *Engine) newRun(arn string, status Status) *run {
	return &run{engine: e, arn: arn, log: discardLog(), instances: map[string]*machine{}, outputs: map[string]any{}, since: e.Now(), status: status}
}

// do brings the image to AVAILABLE and returns errEnded, or says why not.
func (r *run) do(ctx context.Context) error {
	if err := r.checkCancelled(ctx); err != nil {
		return err
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	past, err := r.resume(ctx)
	if err != nil {
		return err
	}
	for _, b := range batches(r.plan.Workflows) {
		b = slices.DeleteFunc(b, func(i int) bool { return past.done[i] || r.flows[i].Type == string(workflow.Test) && !r.plan.Tests })
		if len(b) == 0 {
			continue
		}
		// An image that is INTEGRATING distributes, too.
		if to := statusOf[r.flows[b[0]].Type]; r.status != Integrating || to != Distributing {
			if err := r.transition(ctx, to); err != nil {
				return err
			}
		}
		if err := r.runBatch(ctx, b, past.taken); err != nil {
			return err
		}
	}
	return r.finish(ctx)
}

// prepare makes the plan, or reads the one that an earlier attempt made.
func (r *run) prepare(ctx context.Context) error {
	e := r.engine
	var data []byte
	var known bool
	err := e.read(ctx, func(tx *store.Tx) (err error) {
		data, known, err = tx.Plan(r.arn)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the plan: %w", err)
	}
	if known {
		r.plan = new(Plan)
		if err := json.Unmarshal(data, r.plan); err != nil {
			return fmt.Errorf("reading the plan: %w", err)
		}
		r.log = openLog(e, r.plan)
		if err := r.readFlows(); err != nil {
			return err
		}
		return e.suit(ctx, r.arn, r.needs())
	}
	if r.plan, err = e.Resolver.Plan(ctx, r.arn); err != nil {
		return err
	}
	r.log = openLog(e, r.plan)
	if err := r.readFlows(); err != nil {
		return err
	}
	if err := e.suit(ctx, r.arn, r.needs()); err != nil {
		return err
	}
	if err := e.Marks().Mark(ctx, r.plan); err != nil {
		r.log.printf("No component is cached: %v", err)
	}
	if data, err = r.plan.encode(); err != nil {
		return err
	}
	if err := r.log.writeFile("plan.json", append(data, '\n')); err != nil {
		return err
	}
	return r.transition(ctx, Creating, func(tx *store.Tx) error {
		if err := tx.PutPlan(r.arn, data); err != nil {
			return fmt.Errorf("writing the plan: %w", err)
		}
		return nil
	})
}

// readFlows reads the plan's workflows.
func (r *run) readFlows() (err error) {
	if err := r.plan.Settle(); err != nil {
		return err
	}
	r.flows, err = r.plan.read()
	return err
}

// checkCancelled ends a run that was cancelled before or while it waited.
func (r *run) checkCancelled(ctx context.Context) error {
	return r.engine.persist(ctx, "looking for a cancellation", func() error {
		yes, err := r.engine.Recorder.CancelRequested(ctx, r.arn)
		if err == nil && yes {
			err = errCancelled
		}
		return err
	})
}

// transition records the image's next state in one transaction with what else
// is given. States only move on: a resumed run may already be there.
func (r *run) transition(ctx context.Context, to Status, also ...func(*store.Tx) error) error {
	if r.status == to {
		return nil
	}
	err := r.engine.record(ctx, "state "+string(to), r.isStatus(to), func(tx *store.Tx) error {
		for _, f := range also {
			if err := f(tx); err != nil {
				return err
			}
		}
		return r.engine.Recorder.Transition(ctx, tx, r.arn, to, "", nil)
	})
	if err != nil {
		return fmt.Errorf("recording the state %s: %w", to, err)
	}
	r.entered(to)
	return nil
}

// entered tells the log and the observer of a new state, once it is recorded.
func (r *run) entered(to Status) {
	now := r.engine.Now()
	r.engine.Observer.Stage(r.status, now.Sub(r.since))
	r.log.printf("Image transitioned to %s state for Image ARN: %s", to, r.arn)
	r.status, r.since = to, now
	if to.Terminal() {
		r.engine.Observer.Ended(to)
	}
}

// finish publishes the outputs and makes the image AVAILABLE.
func (r *run) finish(ctx context.Context) error {
	// A cancellation that was accepted wins, however late it came: both look at
	// the same rows, one after the other.
	inTime := func(tx *store.Tx) error {
		yes, err := tx.CancelRequested(r.arn)
		if err == nil && yes {
			err = errCancelled
		}
		return err
	}
	outputs := func(tx *store.Tx) error { return r.recordOutputs(ctx, tx) }
	leave := func(tx *store.Tx) error { return r.engine.leave(ctx, tx, r.arn) }
	if err := r.transition(ctx, Available, inTime, outputs, leave); err != nil {
		return err
	}
	r.killInstances()
	r.engine.Log.Info("an image ended", "image", r.arn, "status", Available)
	r.log.close(r.plan)
	return errEnded
}

// end records an image that did not get through: what it holds is given back,
// its AMI withdrawn, and the state says why, all in one transaction, which first
// are part of: an error of theirs changes nothing.
func (r *run) end(ctx context.Context, cause error, first ...func(*store.Tx) error) error {
	to, reason := Failed, cause.Error()
	var f *fault.Error
	if errors.As(cause, &f) {
		reason = f.Message
	}
	if errors.Is(cause, errCancelled) || errors.Is(context.Cause(ctx), errCancelled) {
		to, reason = Cancelled, errCancelled.Error()
	}
	ctx = context.WithoutCancel(ctx)
	faultpoint.Reach("before the instances are ended")
	kept := r.releaseInstances(ctx, to == Failed)
	reason = cut(reason, maxReason-len(kept)) + kept
	var failure *Failure
	if to == Failed {
		failure = r.failure(cause)
	}
	// Only the recording is waited for and repeated: the work is not done again for it.
	err := r.engine.record(ctx, "state "+string(to), r.isStatus(to), func(tx *store.Tx) error {
		for _, f := range first {
			if err := f(tx); err != nil {
				return err
			}
		}
		if err := r.takeBack(ctx, tx, to); err != nil {
			return err
		}
		if err := r.leaveExports(ctx, tx, to); err != nil {
			return err
		}
		if err := r.closeWorkflows(tx, to, reason); err != nil {
			return err
		}
		if err := r.engine.Recorder.Transition(ctx, tx, r.arn, to, reason, failure); err != nil {
			return fmt.Errorf("recording the state %s: %w", to, err)
		}
		return r.engine.leave(ctx, tx, r.arn)
	})
	if err != nil {
		return err // the queue tries again
	}
	r.entered(to)
	r.engine.Log.Info("an image ended", "image", r.arn, "status", to, "reason", reason)
	r.log.printf("%s", reason)
	r.log.close(r.plan)
	return nil
}

// maxReason is the length of state.reason, in characters.
const maxReason = 1024

// failure builds the failure context from what failed.
func (r *run) failure(cause error) *Failure {
	f := &Failure{ImageStatus: r.status}
	var step *stepError
	if errors.As(cause, &step) {
		f.WorkflowExecutionID, f.WorkflowARN = step.row.WorkflowExecutionID, step.row.WorkflowARN
		f.StepExecutionID, f.FailedStep = step.row.ID, step.row.Name
	}
	var component *componentError
	if errors.As(cause, &component) {
		f.Component = component.context()
	}
	var distribution *distributionError
	if errors.As(cause, &distribution) {
		f.Distribution = &distribution.DistributionFailure
	}
	return f
}

// newID gives "wf-UUID" and the like.
func newID(prefix string) string { return prefix + "-" + uuid.NewString() }

// cut shortens text to at most n characters, keeping its end's last words
// recognisable as cut.
func cut(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}
