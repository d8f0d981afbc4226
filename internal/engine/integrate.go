package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/cloud/parameter"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// applyImageConfigurations is the action ApplyImageConfigurations: launch
// templates, parameters and what else a destination asks for get the new AMIs.
// The image is INTEGRATING. The input configurations stands in place of the
// distribution configuration.
func applyImageConfigurations(ctx context.Context, c *call) (result, error) {
	images, err := c.distributed()
	if err != nil {
		return result{}, err
	}
	destinations := c.plan.Destinations
	if given, ok := c.inputs["configurations"]; ok {
		if destinations, err = givenConfigurations(given); err != nil {
			return result{}, err
		}
	}
	if err := c.transition(ctx, Integrating); err != nil {
		return result{}, err
	}
	earlier, err := c.configuredBefore(ctx)
	if err != nil {
		return result{}, err
	}
	outputs := func(made []delivered) map[string]any {
		return map[string]any{"configuredImages": asList(images), "configurations": asList(made)}
	}
	made, err := c.deliver(ctx, c.integrations(destinations, images), earlier, outputs)
	if err != nil {
		return result{}, err
	}
	return result{outputs: outputs(made)}, nil
}

// integrations are what the destinations want to be done with the AMIs.
func (c *call) integrations(destinations []Destination, images []distributed) []delivery {
	var all []delivery
	for _, d := range destinations {
		for _, arn := range d.Licenses {
			all = append(all, c.license(arn, d.Region, images))
		}
		for _, t := range d.LaunchTemplates {
			all = append(all, c.launchTemplate(t, d.Region, images))
		}
		for _, p := range d.Parameters {
			all = append(all, c.putParameter(p, d.Region, images))
		}
		for _, x := range d.Exports {
			all = append(all, c.export(x, d.Region, images))
		}
		for _, f := range d.FastLaunch {
			all = append(all, c.fastLaunch(f, d.Region, images))
		}
	}
	for i := range all {
		all[i].needsAMI()
	}
	return all
}

// needsAMI makes a delivery fail that has nothing to deliver: a step's own
// configurations may name a region that got no copy.
func (d *delivery) needsAMI() {
	if d.AMI == "" {
		region := d.Region
		d.work = nil
		d.commit = func(context.Context, *store.Tx) (string, error) {
			return "", fmt.Errorf("the image was not distributed to %s", region)
		}
	}
}

// configuredBefore gives what earlier attempts delivered.
func (c *call) configuredBefore(ctx context.Context) ([]delivered, error) {
	var all []delivered
	err := c.engine.read(ctx, func(tx *store.Tx) error {
		return c.eachStep(tx, func(step store.StepExecution) error {
			if step.Action != "ApplyImageConfigurations" || step.Outputs == "" {
				return nil
			}
			var out struct {
				Made []delivered `json:"configurations"`
			}
			if err := json.Unmarshal([]byte(step.Outputs), &out); err != nil {
				return fmt.Errorf("reading the outputs of step %s: %w", step.Name, err)
			}
			all = append(all, out.Made...)
			return nil
		})
	})
	return all, err
}

// license notes a licence configuration with the AMI. There is no licence
// manager that counts.
func (c *call) license(arn, region string, images []distributed) delivery {
	account := c.plan.Image.Account
	ami := c.amiFor(images, region, account)
	return delivery{
		target: target{Region: region, Account: account, Step: associateLicenses, Resource: arn, AMI: ami}, what: "the licence configuration " + arn,
		commit: func(_ context.Context, tx *store.Tx) (string, error) {
			_, err := c.engine.Cloud.Modify(tx, ami, func(a *cloud.AMI) {
				if !slices.Contains(a.Licenses, arn) {
					a.Licenses = append(slices.Clone(a.Licenses), arn)
				}
			})
			return "", err
		},
	}
}

// launchTemplate makes a version of a launch template; the result is its number.
func (c *call) launchTemplate(t LaunchTemplate, region string, images []distributed) delivery {
	account := c.ownerOr(t.Account)
	ami := c.amiFor(images, region, account)
	out := delivery{
		target: target{Region: region, Account: account, Step: updateTemplates, Resource: t.ID, AMI: ami}, what: "the launch template " + t.ID,
		commit: func(_ context.Context, tx *store.Tx) (string, error) {
			number, err := c.engine.Cloud.Launch(tx, account, region, t.ID, ami, serviceRole(account, region), t.SetDefault)
			return strconv.FormatInt(number, 10), err
		},
	}
	if p := c.engine.Cloud.Provider(account, region); p != nil {
		out.work = func(ctx context.Context) error { return p.Launch(ctx, account, region, t.ID, ami, t.SetDefault) }
		out.commit = done
	}
	return out
}

// done is the commit of what a provider has the rows of.
func done(context.Context, *store.Tx) (string, error) { return "", nil }

// putParameter makes a version of a parameter; the result is its number.
func (c *call) putParameter(p SSMParameter, region string, images []distributed) delivery {
	account := c.ownerOr(p.Account)
	ami := c.amiFor(images, region, account)
	description := "The AMI of " + c.plan.Image.ARN
	out := delivery{
		target: target{Region: region, Account: account, Step: putParameters, Resource: p.Name, AMI: ami}, what: "the parameter " + p.Name,
		commit: func(ctx context.Context, tx *store.Tx) (string, error) {
			if c.engine.Params == nil {
				return "", errors.New("this engine has no parameters")
			}
			put, err := c.engine.Params.Put(ctx, tx, parameter.Parameter{
				Account: account, Region: region, Name: p.Name, Type: parameter.String, Value: ami, DataType: p.DataType, User: serviceRole(account, region),
				Description: description,
			}, true)
			return strconv.FormatInt(put.Version, 10), err
		},
	}
	if at := c.engine.Cloud.Provider(account, region); at != nil {
		out.work = func(ctx context.Context) error {
			return at.PutParameter(ctx, account, region, p.Name, p.DataType, ami, description)
		}
		out.commit = done
	}
	return out
}

// ownerOr gives an account, the image's owner for "".
func (c *call) ownerOr(account string) string { return orText(account, c.plan.Image.Account) }

// amiFor gives the AMI of an account in a region; an account that got no copy
// uses the owner's.
func (c *call) amiFor(images []distributed, region, account string) string {
	owners := ""
	for _, image := range images {
		switch {
		case image.Region != region:
		case image.Account == account:
			return image.AMI
		case image.Account == c.plan.Image.Account:
			owners = image.AMI
		}
	}
	return owners
}

// serviceRole is who does it, as launch templates and parameters show.
func serviceRole(account, region string) string {
	return "arn:" + cloud.PartitionFor(region) + ":iam::" + account + ":role/aws-service-role/imagebuilder.amazonaws.com/AWSServiceRoleForImageBuilder"
}
