package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/riverqueue/river"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// retryWindow is how long the AMI of an image that failed after its build is
// kept for a retry.
const retryWindow = 72 * time.Hour

// CheckRetry says why the stages of an image that FAILED or was CANCELLED cannot
// be run again: its build had not come through, or its AMI is gone. It is a
// fault InvalidRequestException then.
func CheckRetry(tx *store.Tx, world *cloud.World, imageARN string) error {
	refuse := func(format string, args ...any) error {
		return fault.New("InvalidRequestException", "The image '"+imageARN+"' cannot be retried: "+format, args...)
	}
	data, ok, err := tx.Plan(imageARN)
	if err != nil {
		return err
	}
	if !ok {
		return refuse("it failed before its build began. Start a new build.")
	}
	var p Plan
	if err := json.Unmarshal(data, &p); err != nil {
		return fmt.Errorf("reading the plan of %s: %w", imageARN, err)
	}
	executions, err := tx.WorkflowExecutions(imageARN)
	if err != nil {
		return err
	}
	builds := len(p.Workflows) == 0 || slices.ContainsFunc(p.Workflows, func(w Workflow) bool { return w.Type == string(workflow.Build) })
	if !builds {
		return nil
	}
	id, err := builtBefore(tx, executions)
	if err != nil {
		return err
	}
	if id == "" {
		return refuse("it failed in its build stage, and only the test and distribution stages can be run again. Start a new build.")
	}
	if _, ok, err = world.AMI(tx, id); err != nil {
		return err
	}
	if !ok {
		return refuse("its AMI %s is not there any more. It is kept for %d hours. Start a new build.", id, int(retryWindow.Hours()))
	}
	return nil
}

// builtBefore gives the AMI that a completed build workflow made.
func builtBefore(tx *store.Tx, executions []store.WorkflowExecution) (id string, err error) {
	for _, wf := range executions {
		if wf.Type != string(workflow.Build) || wf.Status != stepCompleted {
			continue
		}
		steps, err := tx.StepExecutions(wf.ID)
		if err != nil {
			return "", err
		}
		for _, step := range steps {
			if made := amiIDs(step); len(made) > 0 && step.Status == stepCompleted {
				id = made[0]
			}
		}
	}
	return id, nil
}

// removal is the queue's job that removes the AMI of an image that nobody
// retried.
type removal struct {
	ImageARN string `json:"imageArn"`
	AMI      string `json:"ami"`
}

// Kind names the job in the queue's table.
func (removal) Kind() string { return "remove-ami" }

// remover takes removals from the queue.
type remover struct {
	river.WorkerDefaults[removal]
	engine *Engine
}

// Work removes an AMI that is still disabled, if its image still is as it was.
func (w *remover) Work(ctx context.Context, job *river.Job[removal]) error {
	e := w.engine
	status, err := e.Recorder.Status(ctx, job.Args.ImageARN)
	if err != nil && fault.Code(err) != "ResourceNotFoundException" {
		return fmt.Errorf("reading the state of %s: %w", job.Args.ImageARN, err)
	}
	if err == nil && status != Failed && status != Cancelled {
		return nil
	}
	return e.Store.Write(ctx, func(tx *store.Tx) error {
		ami, ok, err := e.Cloud.AMI(tx, job.Args.AMI)
		if err != nil || !ok || ami.State != cloud.Disabled {
			return err
		}
		_, err = e.Cloud.Deregister(tx, ami.ID)
		return err
	})
}
