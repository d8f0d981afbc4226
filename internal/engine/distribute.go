package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
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
// every destination. The AMI of the build region is the original. The input
// distributions stands in place of the distribution configuration.
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
	earlier, err := c.copiedBefore(ctx)
	if err != nil {
		return result{}, err
	}
	origins, err := c.origins(ctx, built, destinations, earlier)
	if err != nil {
		return result{}, err
	}
	var copies []delivery
	var sum movedSum
	for _, d := range destinations {
		for _, account := range c.accounts(d) {
			if p := c.engine.Cloud.Provider(account, d.Region); p != nil {
				copies = append(copies, c.publishTo(p, built, d, account, origins[account]))
			} else {
				copies = append(copies, c.copyOf(built, d, account, &sum))
			}
		}
	}
	start := c.engine.Now()
	made, err := c.deliver(ctx, copies, earlier, copied)
	if err != nil {
		return result{}, err
	}
	after := func() {
		c.log.printf("AMIs distributed: %d. %d blocks moved, %.1f MiB; those that a region has already stay where they are (%.3f s)", len(made), sum.New, float64(sum.Bytes)/(1<<20), c.engine.Now().Sub(start).Seconds())
	}
	commit := func(tx *store.Tx) error { return c.recordOutputs(ctx, tx) }
	return result{outputs: copied(made), commit: commit, after: after}, nil
}

// movedSum adds up what copies that go on side by side have moved.
type movedSum struct {
	mu sync.Mutex
	cloud.Moved
}

func (s *movedSum) add(m cloud.Moved) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Add(m)
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

// copyOf is the copy for one account of a destination. Its resource is the
// AMI's name.
func (c *call) copyOf(built builtAMI, d Destination, account string, sum *movedSum) delivery {
	out := delivery{target: target{Region: d.Region, Account: account, Step: copyAMI, Resource: c.amiName(d, built.created)}}
	if built.region == d.Region && built.account == account {
		out.Resource = built.name
		out.commit = func(context.Context, *store.Tx) (string, error) { return built.id, nil }
		return out
	}
	to := cloud.Copying{Account: account, Region: d.Region, Name: out.Resource, Description: d.Description, Tags: c.amiTags(d, built.created), KMSKeyID: d.KMSKeyID}
	out.commit = func(_ context.Context, tx *store.Tx) (string, error) {
		if built.parent != nil {
			made, err := c.engine.Cloud.CopyOf(tx, *built.parent, to)
			return made.ID, err
		}
		made, err := c.engine.Cloud.Copy(tx, built.id, to)
		return made.ID, err
	}
	// A key that cannot be used is told of by commit, too.
	if moves, err := c.engine.Cloud.Moves(built.ami, to); err == nil && !moves {
		return out
	}
	out.work = func(ctx context.Context) error {
		start := c.engine.Now()
		prepared, moved, err := c.engine.Cloud.Prepare(ctx, built.ami, to)
		if err != nil {
			return err
		}
		to = prepared
		sum.add(moved)
		c.log.printf("Copied the disk to %s for account %s: %d blocks, %d of them moved, %.1f MiB (%.2f s)", d.Region, account, moved.Blocks, moved.New, float64(moved.Bytes)/(1<<20), c.engine.Now().Sub(start).Seconds())
		return nil
	}
	return out
}

// copied are the outputs of a DistributeImage step.
func copied(made []delivered) map[string]any {
	images := make([]distributed, 0, len(made))
	for _, d := range made {
		images = append(images, distributed{
			Region: d.Region, Account: d.Account, AMI: d.Result, Name: d.Resource, Started: d.Started, Stopped: d.Stopped, Status: "Completed", Step: "Completed",
		})
	}
	return map[string]any{"distributedImages": asList(images)}
}

// copiedBefore gives the copies that earlier attempts made.
func (c *call) copiedBefore(ctx context.Context) ([]delivered, error) {
	var images []distributed
	err := c.engine.read(ctx, func(tx *store.Tx) (err error) {
		images, err = c.copies(tx)
		return err
	})
	all := make([]delivered, 0, len(images))
	for _, d := range images {
		all = append(all, delivered{target: target{Region: d.Region, Account: d.Account, Step: copyAMI, Resource: d.Name}, Result: d.AMI, Started: d.Started, Stopped: d.Stopped})
	}
	return all, err
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
	var all []delivery
	for _, image := range images {
		p := permissions[image.Region]
		if len(p.UserIDs)+len(p.Groups)+len(p.Organizations)+len(p.Units) == 0 {
			continue
		}
		opened := cloud.Permissions{UserIDs: p.UserIDs, Groups: p.Groups, Organizations: p.Organizations, Units: p.Units}
		one := delivery{
			target: target{Region: image.Region, Account: image.Account, Step: modifyAttributes, AMI: image.AMI}, what: "the launch permissions of " + image.AMI,
			commit: func(_ context.Context, tx *store.Tx) (string, error) {
				_, err := c.engine.Cloud.Modify(tx, image.AMI, func(a *cloud.AMI) { a.Permissions = opened })
				return "", err
			},
		}
		if p := c.engine.Cloud.Provider(image.Account, image.Region); p != nil {
			one.work = func(ctx context.Context) error {
				return p.Permit(ctx, cloud.AMI{ID: image.AMI, Account: image.Account, Region: image.Region, Permissions: opened})
			}
		}
		all = append(all, one)
	}
	outputs := map[string]any{"modifiedImages": asList(images)}
	// What is set is set again by a retry: it costs nothing.
	if _, err := c.deliver(ctx, all, nil, func([]delivered) map[string]any { return outputs }); err != nil {
		return result{}, err
	}
	return result{outputs: outputs}, nil
}

// distributed reads the step's input distributedImages.
func (c *call) distributed() ([]distributed, error) {
	var images []distributed
	if err := convert(c.inputs["distributedImages"], &images); err != nil {
		return nil, fmt.Errorf("distributedImages: %w", err)
	}
	return images, nil
}

// asList is plain data as references see it.
func asList[T any](items []T) []any {
	data, err := json.Marshal(items)
	if err != nil {
		panic("engine: what was distributed is plain data: " + err.Error())
	}
	list := []any{}
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
