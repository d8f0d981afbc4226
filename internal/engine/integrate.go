package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/cloud/parameter"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// integrate tells launch templates and parameters of the new AMIs, as the
// destinations ask, in one transaction: all of them, or with an error none.
func (c *call) integrate(ctx context.Context, tx *store.Tx, images []distributed) error {
	for _, d := range c.plan.Destinations {
		for _, t := range d.LaunchTemplates {
			account := c.ownerOr(t.Account)
			_, err := c.engine.Cloud.Launch(tx, account, d.Region, t.ID, c.amiFor(images, d.Region, account), serviceRole(account, d.Region), t.SetDefault)
			if err != nil {
				return integrationFailed("UPDATE_LAUNCH_TEMPLATES", "the launch template "+t.ID, d.Region, account, err)
			}
		}
		for _, p := range d.Parameters {
			account := c.ownerOr(p.Account)
			if err := c.putParameter(ctx, tx, p, account, d.Region, c.amiFor(images, d.Region, account)); err != nil {
				return integrationFailed("PUT_SSM_PARAMETERS", "the parameter "+p.Name, d.Region, account, err)
			}
		}
	}
	return nil
}

func (c *call) putParameter(ctx context.Context, tx *store.Tx, p SSMParameter, account, region, ami string) error {
	if c.engine.Params == nil {
		return errors.New("this engine has no parameters")
	}
	_, err := c.engine.Params.Put(ctx, tx, parameter.Parameter{
		Account: account, Region: region, Name: p.Name, Type: parameter.String, Value: ami, DataType: p.DataType, User: serviceRole(account, region),
		Description: "The AMI of " + c.plan.Image.ARN,
	}, true)
	return err
}

// ownerOr gives an account, the image's owner for "".
func (c *call) ownerOr(account string) string {
	if account == "" {
		return c.plan.Image.Account
	}
	return account
}

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

// integrationFailed names what could not be told, where, and why.
func integrationFailed(step, what, region, account string, cause error) error {
	var f *fault.Error
	if !errors.As(cause, &f) {
		return fmt.Errorf("telling %s of the image: %w", what, cause)
	}
	e := &distributionError{DistributionFailure{Regions: []RegionFailure{{Region: region, Account: account, Step: step, ErrorMessage: what + ": " + f.Message}}}}
	e.ErrorMessage = e.Error()
	return e
}
