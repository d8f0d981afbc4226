package cloud

import (
	"context"
	"fmt"
	"time"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// FastLaunch says that launches of an AMI are to find its disk ready.
type FastLaunch struct {
	Target          int       `json:"target"` // copies to be ready
	MaxParallel     int       `json:"maxParallel,omitempty"`
	TemplateID      string    `json:"templateId,omitempty"`
	TemplateName    string    `json:"templateName,omitempty"`
	TemplateVersion string    `json:"templateVersion,omitempty"`
	State           string    `json:"state"` // "enabling", "enabled", "enabling-failed"
	Reason          string    `json:"reason,omitempty"`
	Changed         time.Time `json:"changed"`
}

// Copies makes disks ready for launches, by their manifests.
type Copies interface {
	Prepare(ctx context.Context, manifest string, wanted int) error
	Forget(manifest string) error
}

// MakeReady says who makes disks ready. Without, fast launch is refused. Call it
// before the first request.
func (w *World) MakeReady(c Copies) { w.copies = c }

// Defaults and bounds of EnableFastLaunch (API Reference).
const (
	usualTarget   = 5
	leastParallel = 6
)

// PrepareFastLaunch makes the copies of an AMI's disk. It takes as long as the
// copies do, and may be called again.
func (w *World) PrepareFastLaunch(ctx context.Context, a AMI, wanted int) error {
	root, ok := a.Root()
	switch {
	case w.copies == nil:
		return fault.New("InvalidRequest", "Fast launch is not available on this server.")
	case !ok || root.Manifest == "" || a.Provider != "":
		return fault.New("InvalidRequest", "The image '%s' has no disk on this server that could be launched fast.", a.ID)
	case root.Encrypted:
		return fault.New("InvalidRequest", "The image '%s' is encrypted: copies of its disk that lie ready would not be.", a.ID)
	}
	return w.copies.Prepare(ctx, root.Manifest, wanted)
}

// SetFastLaunch records what was prepared; nil turns fast launch off.
func (w *World) SetFastLaunch(tx *store.Tx, id string, f *FastLaunch) (AMI, error) {
	if f != nil {
		f.Changed = w.now().UTC().Truncate(time.Second)
	}
	return w.Modify(tx, id, func(a *AMI) { a.FastLaunch = f })
}

// EnableFastLaunch has copies of an AMI's disk made. Amazon does that for Windows
// only; here it is Linux that is launched.
func (f face) EnableFastLaunch(ctx context.Context, in *ec2.EnableFastLaunchInput) (*ec2.EnableFastLaunchOutput, error) {
	if kind := text(in.ResourceType); kind != "" && kind != "snapshot" {
		return nil, fault.New("InvalidParameterValue", "Value (%.64s) for parameter ResourceType is invalid. The only value is snapshot.", kind)
	}
	setting := &FastLaunch{Target: usualTarget, MaxParallel: leastParallel, State: "enabling"}
	if c := in.SnapshotConfiguration; c != nil && c.TargetResourceCount != nil {
		setting.Target = int(*c.TargetResourceCount)
	}
	if in.MaxParallelLaunches != nil {
		setting.MaxParallel = int(*in.MaxParallelLaunches)
	}
	switch {
	case setting.Target < 1:
		return nil, fault.New("InvalidParameterValue", "TargetResourceCount must be at least 1")
	case setting.MaxParallel < leastParallel:
		return nil, fault.New("InvalidParameterValue", "MaxParallelLaunches must be at least %d", leastParallel)
	}
	if t := in.LaunchTemplate; t != nil {
		if (t.LaunchTemplateId == nil) == (t.LaunchTemplateName == nil) {
			return nil, fault.New("InvalidParameterCombination", "You must specify either the launch template ID or the launch template name, and not both.")
		}
		setting.TemplateID, setting.TemplateName, setting.TemplateVersion = text(t.LaunchTemplateId), text(t.LaunchTemplateName), text(t.Version)
	}
	a, err := f.setFastLaunch(ctx, *in.ImageId, setting, in.DryRun)
	if err != nil {
		return nil, err
	}
	// The row before the action: a server that dies here leaves "enabling", and
	// launches that copy.
	done := *setting
	done.State = "enabled"
	prepared := f.world.PrepareFastLaunch(ctx, a, setting.Target)
	if prepared != nil {
		done.State, done.Reason = "enabling-failed", prepared.Error()
	}
	if a, err = f.setFastLaunch(ctx, *in.ImageId, &done, nil); err != nil {
		return nil, err
	}
	if fault.Code(prepared) != "" {
		return nil, prepared
	}
	d := describeFastLaunch(a)
	return (*ec2.EnableFastLaunchOutput)(&d), nil
}

// setFastLaunch changes the setting of an AMI of the caller's and gives the AMI.
func (f face) setFastLaunch(ctx context.Context, id string, setting *FastLaunch, dryRun *bool) (a AMI, err error) {
	err = f.world.store.Write(ctx, func(tx *store.Tx) error {
		if a, err = f.world.mine(ctx, tx, id); err != nil {
			return err
		}
		if err := refuseDryRun(dryRun); err != nil {
			return err
		}
		a, err = f.world.SetFastLaunch(tx, id, setting)
		return err
	})
	return a, err
}

// DisableFastLaunch removes the copies of an AMI's disk.
func (f face) DisableFastLaunch(ctx context.Context, in *ec2.DisableFastLaunchInput) (*ec2.DisableFastLaunchOutput, error) {
	var before AMI
	err := f.world.store.Write(ctx, func(tx *store.Tx) (err error) {
		if before, err = f.world.mine(ctx, tx, *in.ImageId); err != nil {
			return err
		}
		if before.FastLaunch == nil {
			return fault.New("InvalidRequest", "Fast launch is not enabled for the image '%s'.", before.ID)
		}
		if err := refuseDryRun(in.DryRun); err != nil {
			return err
		}
		_, err = f.world.SetFastLaunch(tx, before.ID, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := f.world.forgetCopies(before); err != nil {
		return nil, err
	}
	before.FastLaunch.State, before.FastLaunch.Changed = "disabling", f.world.now().UTC().Truncate(time.Second)
	d := describeFastLaunch(before)
	return (*ec2.DisableFastLaunchOutput)(&d), nil
}

// forgetCopies removes the ready copies of an AMI that has fast launch. Another
// AMI of the same disk gets new ones with its next launch.
func (w *World) forgetCopies(a AMI) error {
	root, ok := a.Root()
	if a.FastLaunch == nil || w.copies == nil || !ok {
		return nil
	}
	if err := w.copies.Forget(root.Manifest); err != nil {
		return fmt.Errorf("removing the copies of %s: %w", a.ID, err)
	}
	return nil
}

var fastLaunchAttributes = attributes[AMI]{
	"owner-id":      func(a AMI) []string { return []string{a.Account} },
	"resource-type": func(AMI) []string { return []string{"snapshot"} },
	"state":         func(a AMI) []string { return []string{a.FastLaunch.State} },
}

// DescribeFastLaunchImages lists the caller's AMIs with fast launch.
func (f face) DescribeFastLaunchImages(ctx context.Context, in *ec2.DescribeFastLaunchImagesInput) (*ec2.DescribeFastLaunchImagesOutput, error) {
	if err := refuseDryRun(in.DryRun); err != nil {
		return nil, err
	}
	filters, err := fastLaunchAttributes.compile(in.Filters, func(a AMI) map[string]string { return a.Tags })
	if err != nil {
		return nil, err
	}
	ids, err := wanted(in.ImageIds, imageID, "InvalidAMIID.Malformed")
	if err != nil {
		return nil, err
	}
	caller := identity.From(ctx)
	limit, at, err := limits(in.MaxResults, in.NextToken, false, "fast launch", caller.Account, caller.Region, in.Filters, in.ImageIds)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeFastLaunchImagesOutput{FastLaunchImages: []ec2.DescribeFastLaunchImagesSuccessItem{}}
	err = f.world.store.Read(ctx, func(tx *store.Tx) error {
		out.FastLaunchImages, out.NextToken = out.FastLaunchImages[:0], nil
		return f.world.eachAMI(tx, caller, func(a AMI) error {
			if a.FastLaunch == nil || a.Account != caller.Account || ids != nil && !ids[a.ID] || a.ID <= at.After || !pass(filters, a) {
				return nil
			}
			if n := len(out.FastLaunchImages); n < limit {
				out.FastLaunchImages = append(out.FastLaunchImages, describeFastLaunch(a))
			} else if out.NextToken == nil {
				out.NextToken = at.token(*out.FastLaunchImages[n-1].ImageId)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func describeFastLaunch(a AMI) ec2.DescribeFastLaunchImagesSuccessItem {
	s := a.FastLaunch
	item := ec2.DescribeFastLaunchImagesSuccessItem{
		ImageId: ptr(a.ID), OwnerId: ptr(a.Account), ResourceType: ptr(ec2.FastLaunchResourceTypeSnapshot), MaxParallelLaunches: ptr(int32(s.MaxParallel)),
		SnapshotConfiguration: &ec2.FastLaunchSnapshotConfigurationResponse{TargetResourceCount: ptr(int32(s.Target))},
		State:                 ptr(ec2.FastLaunchStateCode(s.State)), StateTransitionReason: some(s.Reason), StateTransitionTime: shape.At(s.Changed),
	}
	if s.TemplateVersion != "" {
		item.LaunchTemplate = &ec2.FastLaunchLaunchTemplateSpecificationResponse{LaunchTemplateId: some(s.TemplateID), LaunchTemplateName: some(s.TemplateName), Version: some(s.TemplateVersion)}
	}
	return item
}
