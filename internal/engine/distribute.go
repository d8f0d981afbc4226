package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
	Started string `json:"dateStarted"`
	Stopped string `json:"dateStopped"`
	Status  string `json:"status"`
	Step    string `json:"step"`
}

// distributeImages is the action DistributeImage: a copy of the tested AMI in
// every destination. The AMI of the build region is the original. All rows come
// to be in one transaction with the step, so a crash leaves all or none. The
// input distributions stands in place of the distribution configuration.
func distributeImages(ctx context.Context, c *call) (result, error) {
	built, err := c.outputAMI(ctx)
	if err != nil {
		return result{}, err
	}
	destinations := c.plan.Destinations
	if given, ok := c.inputs["distributions"]; ok {
		if destinations, err = givenDestinations(given); err != nil {
			return result{}, err
		}
	}
	start := c.engine.Now()
	outputs := map[string]any{}
	commit := func(tx *store.Tx) error {
		before, err := c.distributedBefore(tx)
		if err != nil {
			return err
		}
		var out []distributed
		for _, d := range destinations {
			for _, account := range c.accounts(d) {
				done, err := c.copyTo(tx, built, d, account, before)
				if fault.Code(err) != "" {
					return copyFailed(d.Region, account, err)
				}
				if err != nil {
					return fmt.Errorf("distributing the image: %w", err)
				}
				done.Started, done.Stopped = stamp(start), stamp(c.engine.Now())
				out = append(out, done)
			}
		}
		outputs["distributedImages"] = asList(out)
		return c.recordOutputs(ctx, tx, out)
	}
	after := func() {
		n := len(outputs["distributedImages"].([]any))
		c.log.printf("AMIs distributed: %d. 0 blocks moved, since all regions share this server's store (%.3f s)", n, c.engine.Now().Sub(start).Seconds())
	}
	return result{outputs: outputs, commit: commit, after: after}, nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// givenDestinations are the destinations that a step names itself.
func givenDestinations(given any) ([]Destination, error) {
	var list []struct {
		Region      string   `json:"region"`
		Name        string   `json:"name"`
		Description string   `json:"description"`
		Accounts    []string `json:"targetAccountIds"`
		Tags        Tags     `json:"amiTags"`
		KMSKeyID    string   `json:"kmsKeyId"`
	}
	if err := convert(given, &list); err != nil {
		return nil, fmt.Errorf("distributions: %w", err)
	}
	var all []Destination
	for i, d := range list {
		if slices.ContainsFunc(all, func(e Destination) bool { return e.Region == d.Region }) {
			return nil, fmt.Errorf("distributions[%d]: the region %s is named twice", i, d.Region)
		}
		all = append(all, Destination{Region: d.Region, Name: d.Name, Description: d.Description, Tags: d.Tags, KMSKeyID: d.KMSKeyID, TargetAccounts: d.Accounts})
	}
	return all, nil
}

// convert brings plain JSON values into a Go type.
func convert(from, to any) error {
	data, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, to)
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

// copyTo registers the copy for one account of a destination, unless an earlier
// attempt made it.
func (r *run) copyTo(tx *store.Tx, built builtAMI, d Destination, account string, before []distributed) (distributed, error) {
	done := distributed{Region: d.Region, Account: account, AMI: built.id, Name: r.amiName(d, built.created), Status: "Completed", Step: "Completed"}
	if original, ok, err := r.engine.Cloud.AMI(tx, built.id); err != nil || ok && original.Region == d.Region && original.Account == account {
		done.Name = original.Name
		return done, err
	}
	for _, e := range before {
		if e.Region == d.Region && e.Account == account && e.Name == done.Name {
			done.AMI = e.AMI
			return done, nil
		}
	}
	made, err := r.engine.Cloud.Copy(tx, built.id, cloud.Copying{
		Account: account, Region: d.Region, Name: done.Name, Description: d.Description, Tags: r.amiTags(d, built.created), KMSKeyID: d.KMSKeyID,
	})
	if err != nil {
		return done, err
	}
	done.AMI = made.ID
	return done, nil
}

// modifyImageAttributes is the action ModifyImageAttributes: it opens the
// copies to whom each destination's launch permission names, or the step's
// input attributes.
func modifyImageAttributes(ctx context.Context, c *call) (result, error) {
	images, err := c.distributed()
	if err != nil {
		return result{}, err
	}
	permissions := map[string]LaunchPermissions{}
	for _, d := range c.plan.Destinations {
		permissions[d.Region] = d.LaunchPermissions
	}
	if given, ok := c.inputs["attributes"]; ok {
		if permissions, err = givenPermissions(given); err != nil {
			return result{}, err
		}
	}
	commit := func(tx *store.Tx) error {
		for _, image := range images {
			p := permissions[image.Region]
			if len(p.UserIDs)+len(p.Groups)+len(p.Organizations)+len(p.Units) == 0 {
				continue
			}
			_, err := c.engine.Cloud.Modify(tx, image.AMI, func(a *cloud.AMI) {
				a.Permissions = cloud.Permissions{UserIDs: p.UserIDs, Groups: p.Groups, Organizations: p.Organizations, Units: p.Units}
			})
			if err != nil {
				return fmt.Errorf("setting the launch permissions of %s: %w", image.AMI, err)
			}
		}
		return nil
	}
	return result{outputs: map[string]any{"modifiedImages": asList(images)}, commit: commit}, nil
}

// givenPermissions are the launch permissions that a step names itself.
func givenPermissions(given any) (map[string]LaunchPermissions, error) {
	var list []struct {
		Region     string `json:"region"`
		Permission struct {
			UserIDs       []string `json:"userIds"`
			Groups        []string `json:"userGroups"`
			Organizations []string `json:"organizationArns"`
			Units         []string `json:"organizationalUnitArns"`
		} `json:"launchPermission"`
	}
	if err := convert(given, &list); err != nil {
		return nil, fmt.Errorf("attributes: %w", err)
	}
	all := map[string]LaunchPermissions{}
	for _, a := range list {
		all[a.Region] = LaunchPermissions(a.Permission)
	}
	return all, nil
}

// applyImageConfigurations is the action ApplyImageConfigurations. The image is
// INTEGRATING. Launch templates and parameters get the new AMIs; what else a
// distribution configuration can ask for is refused when the image is planned,
// here the step's own configurations are.
func applyImageConfigurations(ctx context.Context, c *call) (result, error) {
	images, err := c.distributed()
	if err != nil {
		return result{}, err
	}
	if err := c.transition(ctx, Integrating); err != nil {
		return result{}, err
	}
	configurations, _ := c.inputs["configurations"].([]any)
	for _, given := range configurations {
		configuration, _ := given.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(configuration)) {
			if list, ok := configuration[name].([]any); ok && len(list) > 0 {
				return result{}, fmt.Errorf("%s in %v: this is not available in this version", name, configuration["region"])
			}
		}
	}
	commit := func(tx *store.Tx) error { return c.integrate(ctx, tx, images) }
	return result{outputs: map[string]any{"configuredImages": asList(images)}, commit: commit}, nil
}

// distributed reads the step's input distributedImages.
func (c *call) distributed() ([]distributed, error) {
	var images []distributed
	if err := convert(c.inputs["distributedImages"], &images); err != nil {
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
	if out.ImageID != "" && (step.Action == "CreateImage" || step.Action == "RegisterImage") {
		ids = append(ids, out.ImageID)
	}
	for _, d := range out.Distributed {
		ids = append(ids, d.AMI)
	}
	return ids
}
