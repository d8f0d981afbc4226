package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// distributed is one AMI of a DistributeImage step's output distributedImages
// (User Guide, "Step actions").
type distributed struct {
	Region  string `json:"region"`
	Account string `json:"accountId"`
	AMI     string `json:"amiId"`
	Name    string `json:"name"`
	Status  string `json:"status"`
	Step    string `json:"step"`
}

// distributeImages is the action DistributeImage: a copy of the tested AMI in
// every destination. The AMI of the build region is the original. All rows come
// to be in one transaction with the step, so a crash leaves all or none.
func distributeImages(ctx context.Context, c *call) (result, error) {
	r := c.run
	built, err := r.outputAMI(ctx)
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	outputs := map[string]any{}
	commit := func(tx *store.Tx) error {
		var out []distributed
		for _, d := range r.plan.Destinations {
			for _, account := range r.accounts(d) {
				done, err := r.copyTo(tx, built.id, d, account, built.created)
				if fault.Code(err) != "" {
					return copyFailed(d.Region, account, err)
				}
				if err != nil {
					return fmt.Errorf("distributing the image: %w", err)
				}
				out = append(out, done)
			}
		}
		outputs["distributedImages"] = asList(out)
		return nil
	}
	after := func() {
		n := len(outputs["distributedImages"].([]any))
		r.log.printf("Distributed %d AMIs: 0 blocks moved, since all regions share this server's store (%.3f s)", n, time.Since(start).Seconds())
	}
	return result{outputs: outputs, commit: commit, after: after}, nil
}

// copyFailed is a copy that was refused, such as for a name that is taken.
func copyFailed(region, account string, cause error) error {
	var f *fault.Error
	errors.As(cause, &f)
	e := &distributionError{DistributionFailure{Regions: []RegionFailure{{Region: region, Account: account, Step: "COPY_AMI", ErrorMessage: f.Message}}}}
	e.ErrorMessage = e.Error()
	return e
}

// accounts are those that get an AMI of their own in a destination: the owner,
// and the target accounts.
func (r *run) accounts(d Destination) []string {
	all := []string{r.plan.Image.Account}
	for _, id := range d.TargetAccounts {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// copyTo registers the copy for one account of a destination.
func (r *run) copyTo(tx *store.Tx, ami string, d Destination, account string, at time.Time) (distributed, error) {
	done := distributed{Region: d.Region, Account: account, AMI: ami, Name: r.amiName(d, at), Status: "Completed", Step: "Completed"}
	if d.Region == r.plan.Image.Region && account == r.plan.Image.Account {
		original, _, err := r.engine.Cloud.AMI(tx, ami)
		done.Name = original.Name
		return done, err
	}
	made, err := r.engine.Cloud.Copy(tx, ami, cloud.Copying{
		Account: account, Region: d.Region, Name: done.Name, Description: d.Description, Tags: r.amiTags(d, at), KMSKeyID: d.KMSKeyID,
	})
	if err != nil {
		return done, err
	}
	done.AMI = made.ID
	return done, nil
}

// modifyImageAttributes is the action ModifyImageAttributes: it opens the
// copies to whom each destination's launch permission names.
func modifyImageAttributes(ctx context.Context, c *call) (result, error) {
	images, err := c.distributed()
	if err != nil {
		return result{}, err
	}
	r := c.run
	commit := func(tx *store.Tx) error {
		for _, d := range r.plan.Destinations {
			p := d.LaunchPermissions
			for _, image := range images {
				if image.Region != d.Region || len(p.UserIDs)+len(p.Groups)+len(p.Organizations)+len(p.Units) == 0 {
					continue
				}
				_, err := r.engine.Cloud.Modify(tx, image.AMI, func(a *cloud.AMI) {
					a.Permissions = cloud.Permissions{UserIDs: p.UserIDs, Groups: p.Groups, Organizations: p.Organizations, Units: p.Units}
				})
				if err != nil {
					return fmt.Errorf("setting the launch permissions of %s: %w", image.AMI, err)
				}
			}
		}
		return nil
	}
	return result{outputs: map[string]any{"modifiedImages": asList(images)}, commit: commit}, nil
}

// applyImageConfigurations is the action ApplyImageConfigurations. The image is
// INTEGRATING; its outputs become visible with the end of the step.
func applyImageConfigurations(ctx context.Context, c *call) (result, error) {
	images, err := c.distributed()
	if err != nil {
		return result{}, err
	}
	r := c.run
	if err := r.transition(ctx, Integrating); err != nil {
		return result{}, err
	}
	amis := make([]OutputAMI, 0, len(images))
	for _, image := range images {
		out := OutputAMI{Region: image.Region, Account: image.Account, AMI: image.AMI, Name: image.Name}
		for _, d := range r.plan.Destinations {
			if d.Region == image.Region {
				out.Description = d.Description
			}
		}
		amis = append(amis, out)
	}
	commit := func(tx *store.Tx) error { return r.engine.Recorder.Outputs(ctx, tx, r.arn, amis) }
	return result{outputs: map[string]any{"configuredImages": asList(images)}, commit: commit}, nil
}

// distributed reads the step's input distributedImages.
func (c *call) distributed() ([]distributed, error) {
	data, err := json.Marshal(c.inputs["distributedImages"])
	if err != nil {
		return nil, err
	}
	var images []distributed
	if err := json.Unmarshal(data, &images); err != nil {
		return nil, fmt.Errorf("distributedImages: %w", err)
	}
	return images, nil
}

// asList is images as plain JSON values, as references see them.
func asList(images []distributed) []any {
	data, err := json.Marshal(images)
	if err != nil {
		panic("engine: distributed images are plain data: " + err.Error())
	}
	var list []any
	json.Unmarshal(data, &list)
	return list
}

// amiIDs are the AMIs that a step made, by its outputs.
func amiIDs(step store.StepExecution) []string {
	var out struct {
		ImageID     string        `json:"imageId"`
		Distributed []distributed `json:"distributedImages"`
	}
	if json.Unmarshal([]byte(step.Outputs), &out) != nil {
		return nil
	}
	var ids []string
	if out.ImageID != "" && step.Action == "CreateImage" {
		ids = append(ids, out.ImageID)
	}
	for _, d := range out.Distributed {
		ids = append(ids, d.AMI)
	}
	return ids
}
