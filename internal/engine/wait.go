package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// errParked says that a workflow waits for somebody and holds no instance: its
// job goes back to the queue until it is decided.
var errParked = errors.New("the workflow waits for an action")

const (
	// waitPoll is how often a workflow that waits with an instance looks at its
	// row, in case another process took the answer.
	waitPoll = 2 * time.Second
	// parkedFor is how long a job that was put back stays there at most; it is
	// called at once when the answer comes.
	parkedFor = 30 * time.Second
)

// decision is the answer to a waiting step, as its outputs have it.
type decision struct {
	Action string `json:"action"` // RESUME or STOP
	Reason string `json:"reason"`
}

// waitForAction is the action WaitForAction: the workflow goes on when
// SendWorkflowStepAction says so. The answer is the outputs of the step's row,
// so that it is found whatever died meanwhile; the time limit runs from the
// step's first start.
func waitForAction(ctx context.Context, c *call) (result, error) {
	if payload := c.str("payload"); payload != "" && !json.Valid([]byte(payload)) {
		return result{}, fmt.Errorf("payload is not JSON")
	}
	d, err := c.decided(ctx)
	if err != nil {
		return result{}, err
	}
	if d == nil && c.row.Message != waitingMessage {
		if err := c.callFunction(ctx); err != nil {
			return result{}, err
		}
		if err := c.announce(ctx); err != nil {
			return result{}, err
		}
	}
	deadline := c.waitDeadline()
	wake, done := c.engine.listen(c.arn)
	defer done()
	for d == nil {
		left := deadline.Sub(c.engine.Now())
		if left <= 0 {
			return result{}, fmt.Errorf("nobody answered within %d seconds", c.row.TimeoutSeconds)
		}
		if c.alone && c.instanceCount() == 0 {
			return result{}, errParked
		}
		select {
		case <-ctx.Done():
			return result{}, ctx.Err()
		case <-wake:
		case <-time.After(min(left, waitPoll)):
		}
		if d, err = c.decided(ctx); err != nil {
			return result{}, err
		}
	}
	c.log.printf("Step %s was answered with %s: %s", c.row.Name, d.Action, d.Reason)
	if d.Action == "STOP" {
		return result{}, fmt.Errorf("the workflow was stopped by SendWorkflowStepAction: %s", orText(d.Reason, "no reason was given"))
	}
	return result{outputs: map[string]any{"action": d.Action, "reason": d.Reason}}, nil
}

// waitDeadline is when the attempt at hand is over. It follows from the row, so
// that it is the same after a restart.
func (c *call) waitDeadline() time.Time {
	earlier := time.Duration(c.row.Attempt - 1)
	limit := time.Duration(c.row.TimeoutSeconds) * time.Second
	return c.row.Start.Add(limit + earlier*(limit+c.document.Steps[c.row.Ordinal].Retry.Backoff))
}

// decided reads the answer, nil if there is none yet.
func (c *call) decided(ctx context.Context) (*decision, error) {
	var row store.StepExecution
	err := c.engine.read(ctx, func(tx *store.Tx) (err error) {
		row, _, err = tx.StepExecution(c.row.ID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for an answer: %w", err)
	}
	if row.Outputs == "" {
		return nil, nil
	}
	var d decision
	if err := json.Unmarshal([]byte(row.Outputs), &d); err != nil || d.Action == "" {
		return nil, nil
	}
	c.row.Outputs = row.Outputs
	return &d, nil
}

// announce tells of the waiting step, and says in its message how to answer.
func (c *call) announce(ctx context.Context) error {
	c.log.printf("Step %s waits for an action: aws imagebuilder send-workflow-step-action --step-execution-id %s --image-build-version-arn %s --action RESUME", c.row.Name, c.row.ID, c.arn)
	c.engine.Log.Info("a workflow step waits for an action", "image", c.arn, "step", c.row.ID)
	return c.engine.record(ctx, c.stepPoint(c.row.Name, "waiting"), nil, func(tx *store.Tx) error {
		row, ok, err := tx.StepExecution(c.row.ID) // an answer may be there already
		if err != nil || !ok {
			return fmt.Errorf("reading step %s again: %w", c.row.Name, err)
		}
		if row.Message == waitingMessage {
			*c.row = row // told before, by a commit that broke
			return nil
		}
		row.Message = waitingMessage
		*c.row = row
		if err := putStep(tx, row); err != nil {
			return err
		}
		return c.engine.Recorder.Waiting(ctx, tx, c.waitingStep())
	})
}

func (c *call) waitingStep() WaitingStep {
	return WaitingStep{
		ImageARN: c.arn, WorkflowARN: c.ARN, WorkflowExecutionID: c.row.WorkflowExecutionID, StepExecutionID: c.row.ID, Name: c.row.Name,
		TopicARN: c.str("snsTopicArn"), Payload: c.str("payload"),
	}
}

// waitingMessage is the message of a step that waits.
const waitingMessage = "Waiting for SendWorkflowStepAction."

// Answer records the answer to a waiting step: RESUME or STOP. It is a fault
// InvalidRequestException if the step does not wait, or was answered before.
// Call Interrupt once the transaction is committed.
func Answer(tx *store.Tx, step store.StepExecution, action, reason string, now time.Time) error {
	over := step.Attempt <= 1 && now.After(step.Start.Add(time.Duration(step.TimeoutSeconds)*time.Second))
	switch {
	case step.Action != waitForActionName || step.Status != stepRunning || over:
		return fault.New("InvalidRequestException", "The workflow step execution '%s' is not waiting for an action; its status is %s.", step.ID, step.Status)
	case step.Outputs != "":
		return fault.New("InvalidRequestException", "The workflow step execution '%s' has been answered already.", step.ID)
	}
	data, err := json.Marshal(decision{Action: action, Reason: reason})
	if err != nil {
		return err
	}
	step.Outputs = string(data)
	return putStep(tx, step)
}

// instanceCount is how many instances the image has.
func (r *run) instanceCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.instances)
}
