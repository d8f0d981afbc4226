package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// builtAMI is the AMI that is tested and distributed.
type builtAMI struct {
	id       string
	name     string
	account  string
	region   string
	provider string // of the AMI; "": this server
	snapshot string
	bootMode string
	ami      cloud.AMI
	created  time.Time  // the build date of the image, in every region
	parent   *cloud.AMI // the AMI of an image without a build stage, which may be a managed one
}

// builds reports whether the image has a build stage. One without tests or
// distributes its parent.
func (r *run) builds() bool {
	return slices.ContainsFunc(r.plan.Workflows, func(w Workflow) bool { return w.Type == string(workflow.Build) })
}

// subject is the ID of the AMI that is tested and distributed.
func (r *run) subject() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.built == "" && !r.builds() {
		return r.plan.Parent.AMI
	}
	return r.built
}

// outputAMI finds the AMI that the build workflow made, or the parent's if there
// is none.
func (r *run) outputAMI(ctx context.Context) (builtAMI, error) {
	id := r.subject()
	var found cloud.AMI
	var ok bool
	err := r.engine.read(ctx, func(tx *store.Tx) (err error) {
		if !r.builds() {
			found, ok, err = r.engine.Cloud.Visible(ctx, tx, r.plan.Image.Account, r.plan.Image.Region, id)
			return err
		}
		found, ok, err = r.engine.Cloud.AMI(tx, id)
		return err
	})
	if err != nil {
		return builtAMI{}, fmt.Errorf("looking for the built AMI: %w", err)
	}
	root, hasRoot := found.Root()
	if !ok || !hasRoot {
		return builtAMI{}, fmt.Errorf("the built AMI %q is not there", id)
	}
	built := builtAMI{id: id, name: found.Name, account: found.Account, region: found.Region, provider: found.Provider, snapshot: root.Manifest, bootMode: found.BootMode, created: found.Created, ami: found}
	if !r.builds() {
		built.created, built.parent = r.began, &found
	}
	return built, nil
}

// recordOutputs writes the image's outputs: what its distribution made, the
// latest for each region and account, or the AMI that was built.
func (r *run) recordOutputs(ctx context.Context, tx *store.Tx) error {
	all, err := r.copies(tx)
	if err != nil {
		return err
	}
	var done []distributed
	for _, d := range all {
		done = slices.DeleteFunc(done, func(e distributed) bool { return e.Region == d.Region && e.Account == d.Account })
		done = append(done, d)
	}
	if len(done) == 0 && r.builds() {
		ami, ok, err := r.engine.Cloud.AMI(tx, r.subject())
		if err != nil {
			return fmt.Errorf("reading the built AMI: %w", err)
		}
		if ok {
			done = append(done, distributed{Region: ami.Region, Account: ami.Account, AMI: ami.ID, Name: ami.Name})
		}
	}
	amis := make([]OutputAMI, 0, len(done))
	for _, d := range done {
		ami, _, err := r.engine.Cloud.AMI(tx, d.AMI)
		if err != nil {
			return fmt.Errorf("reading %s: %w", d.AMI, err)
		}
		amis = append(amis, OutputAMI{Region: d.Region, Account: d.Account, AMI: d.AMI, Name: d.Name, Description: ami.Description})
	}
	if err := r.engine.Recorder.Outputs(ctx, tx, r.arn, amis); err != nil {
		return fmt.Errorf("recording the outputs: %w", err)
	}
	return nil
}

// copies gives what the image's DistributeImage steps made and is still there,
// also those that failed or were cut short.
func (r *run) copies(tx *store.Tx) ([]distributed, error) {
	var all []distributed
	err := r.eachStep(tx, func(step store.StepExecution) error {
		if step.Action != "DistributeImage" || step.Outputs == "" {
			return nil
		}
		var out struct {
			Images []distributed `json:"distributedImages"`
		}
		if err := json.Unmarshal([]byte(step.Outputs), &out); err != nil {
			return fmt.Errorf("reading the outputs of step %s: %w", step.Name, err)
		}
		for _, d := range out.Images {
			_, ok, err := r.engine.Cloud.AMI(tx, d.AMI)
			if err != nil {
				return fmt.Errorf("reading %s: %w", d.AMI, err)
			}
			if ok { // not withdrawn with an execution that was started anew
				all = append(all, d)
			}
		}
		return nil
	})
	return all, err
}

// eachStep calls f with every step of every execution of the image.
func (r *run) eachStep(tx *store.Tx, f func(store.StepExecution) error) error {
	executions, err := tx.WorkflowExecutions(r.arn)
	if err != nil {
		return fmt.Errorf("reading the workflow executions: %w", err)
	}
	for _, wf := range executions {
		steps, err := tx.StepExecutions(wf.ID)
		if err != nil {
			return fmt.Errorf("reading the step executions: %w", err)
		}
		for _, step := range steps {
			if err := f(step); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeBack leaves no AMI of an image that did not get through: an image that did
// not pass is published nowhere. One that failed while it was distributed had
// passed, and keeps what was made. The AMI of one that was built is only
// disabled, for a time, so that RetryImage can go on with it.
func (r *run) takeBack(ctx context.Context, tx *store.Tx, to Status) error {
	if to == Failed && (r.status == Integrating || r.status == Distributing) {
		return r.keepCopies(ctx, tx)
	}
	keep := ""
	if r.plan != nil && r.builds() && (r.status == Testing || r.status == Distributing || r.status == Integrating) {
		keep = r.subject()
	}
	err := r.eachStep(tx, func(step store.StepExecution) error { return r.withdraw(tx, step, keep) })
	if err != nil {
		return err
	}
	if r.status == Integrating || r.status == Distributing {
		if err := r.engine.Recorder.Outputs(ctx, tx, r.arn, nil); err != nil {
			return fmt.Errorf("taking the outputs back: %w", err)
		}
	}
	if keep == "" {
		return nil
	}
	if err := r.engine.Cloud.Disable(tx, keep); err != nil {
		return fmt.Errorf("disabling %s: %w", keep, err)
	}
	r.log.printf("Disabled %s; it is removed in %d hours unless the image is retried", keep, int(retryWindow.Hours()))
	return r.engine.queue.removeLater(ctx, tx, removal{ImageARN: r.arn, AMI: keep}, r.engine.Now().Add(retryWindow))
}

// keepCopies shows the copies that were made before others failed.
func (r *run) keepCopies(ctx context.Context, tx *store.Tx) error {
	made, err := r.copies(tx)
	if err != nil || len(made) == 0 {
		return err
	}
	return r.recordOutputs(ctx, tx)
}

// withdrawOutputs takes back the AMIs that the steps of one execution made, but
// for one that is kept.
func (r *run) withdrawOutputs(tx *store.Tx, workflowID, keep string) error {
	steps, err := tx.StepExecutions(workflowID)
	if err != nil {
		return fmt.Errorf("reading the step executions: %w", err)
	}
	for _, step := range steps {
		if err := r.withdraw(tx, step, keep); err != nil {
			return err
		}
	}
	return nil
}

// withdraw takes back the AMIs that a step made.
func (r *run) withdraw(tx *store.Tx, step store.StepExecution, keep string) error {
	for _, id := range amiIDs(step) {
		if id == keep {
			continue
		}
		_, err := r.engine.Cloud.Deregister(tx, id)
		if fault.Code(err) == "InvalidAMIID.NotFound" {
			continue // withdrawn before
		}
		if err != nil {
			return fmt.Errorf("withdrawing %s: %w", id, err)
		}
		r.log.printf("Withdrew %s", id)
	}
	return nil
}

// reinstate makes the AMI of an image that is retried available again.
func (r *run) reinstate(ctx context.Context) error {
	id := r.subject()
	if id == "" || !r.builds() {
		return nil
	}
	return r.engine.record(ctx, "the enabled AMI", nil, func(tx *store.Tx) error {
		ami, ok, err := r.engine.Cloud.AMI(tx, id)
		if err != nil {
			return fmt.Errorf("reading the built AMI: %w", err)
		}
		if !ok || ami.State != cloud.Disabled {
			return nil
		}
		r.log.printf("Enabled %s again", id)
		return r.engine.Cloud.Enable(tx, id)
	})
}
