package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// origin is the AMI of an account at a provider that the account's other regions
// get copies of: only the first one is uploaded, in each attempt the same.
type origin struct {
	first string        // the region that goes before the others
	tried chan struct{} // closed when it was tried
	turn  chan struct{} // who holds it may set ami
	ami   *cloud.AMI
}

// origins gives the origins of the accounts of destinations, with what earlier
// attempts made.
func (c *call) origins(ctx context.Context, built builtAMI, destinations []Destination, earlier []delivered) (map[string]*origin, error) {
	all := map[string]*origin{}
	known := map[string]string{} // an AMI that an account has already
	for _, d := range destinations {
		for _, account := range c.accounts(d) {
			if c.engine.Cloud.Provider(account, d.Region) == nil {
				continue
			}
			at := all[account]
			if at == nil {
				at = &origin{turn: make(chan struct{}, 1), tried: make(chan struct{})}
				all[account] = at
			}
			made := slices.IndexFunc(earlier, func(e delivered) bool { return e.target == c.copyTarget(built, d, account) })
			switch {
			case built.isOf(account, d.Region):
				known[account] = built.id
			case made >= 0:
				known[account] = earlier[made].Result
			case at.first == "":
				at.first = d.Region
			}
		}
	}
	err := c.engine.read(ctx, func(tx *store.Tx) error {
		for account, id := range known {
			made, ok, err := c.engine.Cloud.AMI(tx, id)
			if err != nil {
				return err
			}
			if ok {
				all[account].ami = &made
			}
		}
		return nil
	})
	for _, at := range all {
		if at.first == "" {
			close(at.tried)
		}
	}
	return all, err
}

// isOf reports whether the built AMI is a provider's, of an account in a region.
func (b builtAMI) isOf(account, region string) bool {
	return b.provider != "" && b.region == region && b.account == account
}

// copyTarget is the copy for one account of a destination. Its resource is the
// AMI's name.
func (c *call) copyTarget(built builtAMI, d Destination, account string) target {
	return target{Region: d.Region, Account: account, Step: copyAMI, Resource: c.amiName(d, built.created)}
}

// get gives the origin to a region, or has it made there: then mine is true. The
// first region makes it; if it cannot, the next one does.
func (o *origin) get(ctx context.Context, region string, do func() (cloud.AMI, error)) (ami cloud.AMI, mine bool, err error) {
	if region == o.first {
		defer close(o.tried)
	} else {
		select {
		case <-o.tried:
		case <-ctx.Done():
			return cloud.AMI{}, false, context.Cause(ctx)
		}
	}
	select {
	case o.turn <- struct{}{}:
		defer func() { <-o.turn }()
	case <-ctx.Done():
		return cloud.AMI{}, false, context.Cause(ctx)
	}
	if o.ami != nil {
		return *o.ami, false, nil
	}
	made, err := do()
	if err == nil {
		o.ami = &made
	}
	return made, true, err
}

// publishTo is the copy for an account whose AMIs a provider has. The provider
// makes it, which takes long and finds what an earlier attempt left; then its
// row comes to be under the provider's ID.
func (c *call) publishTo(p cloud.Provider, built builtAMI, d Destination, account string, from *origin) delivery {
	out := delivery{target: c.copyTarget(built, d, account)}
	if built.isOf(account, d.Region) {
		out.Resource = built.name
		out.commit = func(context.Context, *store.Tx) (string, error) { return built.id, nil }
		return out
	}
	var made cloud.AMI
	out.work = func(ctx context.Context) (err error) {
		what, err := c.publication(ctx, built, d, account, out.Resource)
		if err != nil {
			return err
		}
		first, mine, err := from.get(ctx, d.Region, func() (cloud.AMI, error) { return p.Publish(ctx, what) })
		if err == nil && !mine {
			what.Like = &first
			first, err = p.Publish(ctx, what)
		}
		made = first
		return err
	}
	out.commit = func(_ context.Context, tx *store.Tx) (string, error) {
		// The row may be there: then the note of it is what a crash took.
		if _, ok, err := c.engine.Cloud.AMI(tx, made.ID); ok || err != nil {
			return made.ID, err
		}
		row, err := c.engine.Cloud.Register(tx, made)
		return row.ID, err
	}
	return out
}

// publication is what a provider is asked for. The key of a destination does
// not hold for the original, whose devices say their own (see Destination).
func (c *call) publication(ctx context.Context, built builtAMI, d Destination, account, name string) (cloud.Publication, error) {
	var ami cloud.AMI
	err := c.engine.read(ctx, func(tx *store.Tx) (err error) {
		if built.parent != nil {
			ami = *built.parent
			return nil
		}
		var ok bool
		if ami, ok, err = c.engine.Cloud.AMI(tx, built.id); err == nil && !ok {
			err = fmt.Errorf("the AMI %s is not there any more", built.id)
		}
		return err
	})
	p := cloud.Publication{For: c.plan.Image.ARN, Key: d.KMSKeyID, Tell: c.log.printf}
	if account == c.plan.Image.Account && d.Region == c.plan.Image.Region {
		p.Key = ""
	}
	ami.ID, ami.State, ami.Account, ami.Region = "", "available", account, d.Region
	ami.Name, ami.Description, ami.Tags, ami.Permissions = name, d.Description, c.amiTags(d, built.created), cloud.Permissions{}
	ami.Licenses, ami.OwnerAlias, ami.DeprecationTime = nil, "", time.Time{}
	ami.Devices = slices.Clone(ami.Devices)
	for i := range ami.Devices {
		if d := &ami.Devices[i]; c.engine.Cloud.HasKey(d.KMSKeyID) {
			d.KMSKeyID = "" // a key of this server; there the account's default key takes its place
		}
	}
	p.AMI = ami
	return p, err
}

// builtHere is added to the name of an AMI that is built in an account and
// region whose AMIs a provider has: the one that it is distributed as has the
// name itself.
const builtHere = " (built here)"

// localName is the name of the AMI that the build makes.
func (r *run) localName(name string) string {
	if r.engine.Cloud.Provider(r.plan.Image.Account, r.plan.Image.Region) == nil {
		return name
	}
	return name[:min(len(name), 128-len(builtHere))] + builtHere
}

// because gives the step and the text of what a provider could not do.
func because(cause error) (step, text string, ok bool) {
	var f *cloud.Failure
	if !errors.As(cause, &f) {
		return "", "", false
	}
	return f.Step, f.Message(), true
}
