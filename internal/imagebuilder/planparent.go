package imagebuilder

import (
	"context"
	"fmt"
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// planParent finds the disk that a parent image stands for, and the parent's own
// block devices.
func (s *Service) planParent(ctx context.Context, tx *store.Tx, r request, requested string) (engine.Parent, []cloud.BlockDevice, error) {
	if name, ok := strings.CutPrefix(requested, "ssm:"); ok {
		return s.planParameterParent(ctx, tx, r, requested, name)
	}
	if amiID.MatchString(requested) {
		return s.planAMIParent(ctx, tx, r, requested, requested)
	}
	a, ok := parseARN(requested)
	if !ok {
		return engine.Parent{}, nil, fault.New(api.CodeClient, "The parent image '%s' cannot be resolved: Marketplace products are not available in this version. Use an AMI ID, the ARN of an image, or an SSM parameter.", requested)
	}
	if a.Account == amazon {
		m, err := s.managedImage(ctx, a)
		if err == nil && !m.disk {
			err = m.missing()
		}
		if err != nil {
			return engine.Parent{}, nil, err
		}
		return parentFromAMI(requested, m.arn(r).String(), m.ami(r.Region))
	}
	return s.planOwnParent(ctx, tx, r, requested, a)
}

// planAMIParent takes an AMI that the account may launch.
func (s *Service) planAMIParent(ctx context.Context, tx *store.Tx, r request, requested, id string) (engine.Parent, []cloud.BlockDevice, error) {
	ami, ok, err := s.world.Visible(ctx, tx, r.Account, r.Region, id)
	if err == nil && !ok {
		what := "The parent image"
		if id != requested {
			what = "The parent image '" + requested + "', the AMI"
		}
		err = fault.New(api.CodeClient, "%s '%s' does not exist in %s, or the account %s may not use it.", what, id, r.Region, r.Account)
	}
	if err == nil {
		err = s.mayBuildOn(r, ami)
	}
	if err != nil {
		return engine.Parent{}, nil, err
	}
	return parentFromAMI(requested, "", ami)
}

// planParameterParent takes the AMI that is the value of an SSM parameter of the
// account now.
func (s *Service) planParameterParent(ctx context.Context, tx *store.Tx, r request, requested, name string) (engine.Parent, []cloud.BlockDevice, error) {
	if s.parameters == nil {
		return engine.Parent{}, nil, fault.New(api.CodeClient, "The parent image '%s' cannot be resolved: this server has no SSM parameters.", requested)
	}
	value, err := s.parameters.Value(tx, r.Account, r.Region, name)
	if fault.Code(err) != "" {
		return engine.Parent{}, nil, fault.New(api.CodeClient, "The parent image '%s' cannot be resolved: there is no such parameter or version in %s.", requested, r.Region).Because(err)
	}
	if err != nil {
		return engine.Parent{}, nil, fmt.Errorf("resolving the parent image %s: %w", requested, err)
	}
	if !amiID.MatchString(value) {
		return engine.Parent{}, nil, fault.New(api.CodeClient, "The parent image '%s' cannot be resolved: the parameter's value is not an AMI ID.", requested)
	}
	return s.planAMIParent(ctx, tx, r, requested, value)
}

// planOwnParent takes the latest image that an ARN selects and that is there to
// be used.
func (s *Service) planOwnParent(ctx context.Context, tx *store.Tx, r request, requested string, a arn) (engine.Parent, []cloud.BlockDevice, error) {
	if a.Region != r.Region {
		return engine.Parent{}, nil, r.accessDenied(requested)
	}
	pattern := a.version
	if a.form != buildForm {
		pattern.Build = store.Any
	}
	row, ok, err := usableImage(tx, a.Key, pattern)
	if err != nil {
		return engine.Parent{}, nil, err
	}
	if !ok {
		if err := s.stillGranted(tx, r, a); err != nil {
			return engine.Parent{}, nil, err
		}
		return engine.Parent{}, nil, fault.New(api.CodeClient, "The parent image '%s' selects no image that is AVAILABLE or DEPRECATED.", requested)
	}
	at, _ := parseARN(row.ARN)
	if err := s.stillGranted(tx, r, at); err != nil {
		return engine.Parent{}, nil, err
	}
	shape, err := decode[api.Image](row)
	if err != nil {
		return engine.Parent{}, nil, err
	}
	if shape.OutputResources != nil {
		for _, out := range shape.OutputResources.Amis {
			// An image of another account has an AMI that this one may launch, or one
			// that was copied into it.
			if owner := or(out.AccountId, a.Account); text(out.Region) != r.Region || owner != r.Account && owner != a.Account {
				continue
			}
			ami, ok, err := s.world.Visible(ctx, tx, r.Account, r.Region, text(out.Image))
			if err != nil {
				return engine.Parent{}, nil, err
			}
			if ok {
				if err := s.mayBuildOn(r, ami); err != nil {
					return engine.Parent{}, nil, err
				}
				return parentFromAMI(requested, row.ARN, ami)
			}
		}
	}
	return engine.Parent{}, nil, fault.New(api.CodeClient, "The parent image '%s' has no AMI in %s any more.", row.ARN, r.Region)
}

// usableImage gives the latest image that can be built on: also one that is
// deprecated (User Guide, "How lifecycle management rules work"), but none that
// is disabled.
func usableImage(tx *store.Tx, key store.Key, pattern store.Version) (best store.Resource, found bool, err error) {
	for _, status := range []api.ImageStatus{api.ImageStatusAvailable, api.ImageStatusDeprecated} {
		row, ok, err := tx.MatchStatus(key, pattern, string(status))
		if err != nil {
			return best, false, err
		}
		if ok && (!found || best.Version.Less(row.Version)) {
			best, found = row, true
		}
	}
	return best, found, nil
}

func parentFromAMI(requested, imageARN string, ami cloud.AMI) (engine.Parent, []cloud.BlockDevice, error) {
	root, ok := ami.Root()
	if !ok || root.Manifest == "" {
		return engine.Parent{}, nil, fault.New(api.CodeClient, "The parent image '%s' (%s) has no root volume with a snapshot.", requested, ami.ID)
	}
	return engine.Parent{
		Requested: requested, ARN: imageARN, AMI: ami.ID, Snapshot: root.Manifest, SizeGiB: root.SizeGiB, OSVersion: ami.OSVersion, Platform: ami.Platform, Architecture: ami.Architecture,
		RootDevice: ami.RootDevice, BootMode: ami.BootMode,
	}, ami.Devices, nil
}
