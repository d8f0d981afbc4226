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
// get copies of: only the first one is uploaded.
type origin struct {
	turn chan struct{} // who holds it may set ami
	ami  *cloud.AMI
}

// origins gives the origins of the accounts of destinations, with what earlier
// attempts made.
func (c *call) origins(ctx context.Context, destinations []Destination, earlier []delivered) (map[string]*origin, error) {
	all := map[string]*origin{}
	for _, d := range destinations {
		for _, account := range c.accounts(d) {
			if all[account] == nil && c.engine.Cloud.Provider(account, d.Region) != nil {
				all[account] = &origin{turn: make(chan struct{}, 1)}
			}
		}
	}
	err := c.engine.read(ctx, func(tx *store.Tx) error {
		for _, e := range earlier {
			at := all[e.Account]
			if at == nil || at.ami != nil || c.engine.Cloud.Provider(e.Account, e.Region) == nil {
				continue
			}
			made, ok, err := c.engine.Cloud.AMI(tx, e.Result)
			if err != nil {
				return err
			}
			if ok && made.Provider != "" {
				at.ami = &made
			}
		}
		return nil
	})
	return all, err
}

// get gives the origin, or has it made by the first who asks: then mine is true.
func (o *origin) get(ctx context.Context, do func() (cloud.AMI, error)) (ami cloud.AMI, mine bool, err error) {
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
	out := delivery{target: target{Region: d.Region, Account: account, Step: copyAMI, Resource: c.amiName(d, built.created)}}
	if built.provider != "" && built.region == d.Region && built.account == account {
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
		first, mine, err := from.get(ctx, func() (cloud.AMI, error) { return p.Publish(ctx, what) })
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
