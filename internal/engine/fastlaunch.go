package engine

import (
	"context"
	"fmt"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// What EnableFastLaunch takes if it is not told (EC2's API Reference).
const (
	usualCopies   = 5
	usualParallel = 6
)

// fastLaunch makes copies of the AMI's disk ready for launches, in the image's
// own account: Amazon has it in no other.
func (c *call) fastLaunch(f FastLaunch, region string, images []distributed) delivery {
	account := c.plan.Image.Account
	ami := c.amiFor(images, region, account)
	d := delivery{target: target{Region: region, Account: account, Step: updateFastLaunch, AMI: ami}, what: "fast launch"}
	d.commit = func(_ context.Context, tx *store.Tx) (string, error) {
		var setting *cloud.FastLaunch
		if f.Enabled {
			setting = &cloud.FastLaunch{
				Target: f.target(), MaxParallel: max(f.MaxParallel, usualParallel), State: "enabled",
				TemplateID: f.TemplateID, TemplateName: f.TemplateName, TemplateVersion: f.TemplateVersion,
			}
		}
		_, err := c.engine.Cloud.SetFastLaunch(tx, ami, setting)
		return "", err
	}
	if !f.Enabled {
		return d
	}
	d.work = func(ctx context.Context) error {
		var from cloud.AMI
		var ok bool
		err := c.engine.read(ctx, func(tx *store.Tx) (err error) {
			from, ok, err = c.engine.Cloud.AMI(tx, ami)
			return err
		})
		if err == nil && !ok {
			err = fmt.Errorf("%s is not there any more", ami)
		}
		if err != nil {
			return err
		}
		if err := c.engine.Cloud.PrepareFastLaunch(ctx, from, f.target()); err != nil {
			return err
		}
		c.log.printf("Copies of the disk of %s are ready for fast launch", ami)
		return nil
	}
	return d
}

func (f FastLaunch) target() int {
	if f.Target == 0 {
		return usualCopies
	}
	return f.Target
}
