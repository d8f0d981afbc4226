package imagebuilder

import (
	"context"
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// checkInfrastructure holds a configuration to the rules on which members go
// together. The new values are given as a Create's, of an Update too.
func checkInfrastructure(r request, c *api.InfrastructureConfiguration) error {
	if c.SubnetId != nil && len(c.SecurityGroupIds) == 0 {
		return combination("You must specify securityGroupIds when you specify a subnetId.")
	}
	if topic := text(c.SnsTopicArn); topic != "" {
		parts := strings.Split(topic, ":")
		if len(parts) != 6 || parts[4] != r.Account {
			return invalid("snsTopicArn", "The SNS topic must belong to the account %s.", r.Account)
		}
	}
	p := c.Placement
	if p == nil {
		return nil
	}
	if p.HostId != nil && p.HostResourceGroupArn != nil {
		return combination("You can specify either placement.hostId or placement.hostResourceGroupArn, and not both.")
	}
	if (p.HostId != nil || p.HostResourceGroupArn != nil) && or(p.Tenancy, "") != api.TenancyTypeHost {
		return combination("placement.hostId and placement.hostResourceGroupArn need placement.tenancy to be host.")
	}
	return nil
}

// CreateInfrastructureConfiguration stores a configuration.
func (s *Service) CreateInfrastructureConfiguration(ctx context.Context, in *api.CreateInfrastructureConfigurationInput) (*api.CreateInfrastructureConfigurationOutput, error) {
	r := s.request(ctx, "CreateInfrastructureConfiguration")
	a := newARN(store.Key{Kind: infrastructure, Account: r.Account, Region: r.Region, Name: normalise(text(in.Name))}, nameOnly, store.Version{})
	shape := &api.InfrastructureConfiguration{
		Arn: ptr(a.String()), Name: in.Name, Description: in.Description, InstanceTypes: in.InstanceTypes, InstanceProfileName: in.InstanceProfileName, SecurityGroupIds: in.SecurityGroupIds,
		SubnetId: in.SubnetId, Logging: in.Logging, KeyPair: in.KeyPair, TerminateInstanceOnFailure: in.TerminateInstanceOnFailure, SnsTopicArn: in.SnsTopicArn, DateCreated: date(r.now),
		ResourceTags: in.ResourceTags, InstanceMetadataOptions: in.InstanceMetadataOptions, Tags: in.Tags, Placement: in.Placement,
		TerminateInstanceOnCompletion: in.TerminateInstanceOnCompletion, ParentInstance: in.ParentInstance,
	}
	if err := checkInfrastructure(r, shape); err != nil {
		return nil, err
	}
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.CreateInfrastructureConfigurationOutput, error) {
		if err := s.create(tx, r, a, shape, in.DryRun); err != nil {
			return nil, err
		}
		return &api.CreateInfrastructureConfigurationOutput{ClientToken: in.ClientToken, InfrastructureConfigurationArn: shape.Arn}, nil
	})
}

// create adds a resource that has no versions, if there is room and its name is
// free.
func (s *Service) create(tx *store.Tx, r request, a arn, shape any, dry *bool) error {
	if _, taken, err := tx.Resource(a.String()); err != nil {
		return err
	} else if taken {
		return alreadyExists(a.Kind, a.String())
	}
	if err := s.room(tx, r, a.Kind); err != nil {
		return err
	}
	if err := dryRun(dry); err != nil {
		return err
	}
	return s.add(tx, r, a, store.Resource{}, shape)
}

// GetInfrastructureConfiguration gives a configuration.
func (s *Service) GetInfrastructureConfiguration(ctx context.Context, in *api.GetInfrastructureConfigurationInput) (*api.GetInfrastructureConfigurationOutput, error) {
	r := s.request(ctx, "GetInfrastructureConfiguration")
	shape, err := get[api.InfrastructureConfiguration](ctx, s, r, "infrastructureConfigurationArn", in.InfrastructureConfigurationArn, infrastructure)
	if err != nil {
		return nil, err
	}
	return &api.GetInfrastructureConfigurationOutput{InfrastructureConfiguration: shape}, nil
}

// get reads a resource that has no versions.
func get[T any](ctx context.Context, s *Service, r request, member string, value *string, kind store.Kind) (shape *T, err error) {
	a, err := r.reachable(member, value, kind, nameOnly)
	if err != nil {
		return nil, err
	}
	err = s.read(ctx, func(tx *store.Tx) error {
		shape, _, err = load[T](tx, a)
		return err
	})
	return shape, err
}

// UpdateInfrastructureConfiguration replaces all of a configuration but its name
// and tags.
func (s *Service) UpdateInfrastructureConfiguration(ctx context.Context, in *api.UpdateInfrastructureConfigurationInput) (*api.UpdateInfrastructureConfigurationOutput, error) {
	r := s.request(ctx, "UpdateInfrastructureConfiguration")
	a, err := r.own("infrastructureConfigurationArn", in.InfrastructureConfigurationArn, infrastructure, nameOnly)
	if err != nil {
		return nil, err
	}
	shape := &api.InfrastructureConfiguration{
		Arn: ptr(a.String()), Description: in.Description, InstanceTypes: in.InstanceTypes, InstanceProfileName: in.InstanceProfileName, SecurityGroupIds: in.SecurityGroupIds, SubnetId: in.SubnetId,
		Logging: in.Logging, KeyPair: in.KeyPair, TerminateInstanceOnFailure: in.TerminateInstanceOnFailure, SnsTopicArn: in.SnsTopicArn, DateUpdated: date(r.now), ResourceTags: in.ResourceTags,
		InstanceMetadataOptions: in.InstanceMetadataOptions, Placement: in.Placement, TerminateInstanceOnCompletion: in.TerminateInstanceOnCompletion, ParentInstance: in.ParentInstance,
	}
	if err := checkInfrastructure(r, shape); err != nil {
		return nil, err
	}
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.UpdateInfrastructureConfigurationOutput, error) {
		before, row, err := load[api.InfrastructureConfiguration](tx, a)
		if err != nil {
			return nil, err
		}
		shape.Name, shape.DateCreated, shape.Tags = before.Name, before.DateCreated, before.Tags
		row.Updated = r.now
		if err := replace(tx, row, shape); err != nil {
			return nil, err
		}
		return &api.UpdateInfrastructureConfigurationOutput{ClientToken: in.ClientToken, InfrastructureConfigurationArn: shape.Arn}, nil
	})
}

var infrastructureFilters = filters[api.InfrastructureConfiguration]{
	"name": func(x *api.InfrastructureConfiguration) []string { return []string{text(x.Name)} },
}

// ListInfrastructureConfigurations lists configurations by name.
func (s *Service) ListInfrastructureConfigurations(ctx context.Context, in *api.ListInfrastructureConfigurationsInput) (*api.ListInfrastructureConfigurationsOutput, error) {
	r := s.request(ctx, "ListInfrastructureConfigurations")
	keep, err := infrastructureFilters.test(in.Filters)
	if err != nil {
		return nil, err
	}
	limit, at, err := r.begin(in.MaxResults, in.NextToken, in.Filters)
	if err != nil {
		return nil, err
	}
	q := store.Query{Kind: infrastructure, Account: r.Account, Region: r.Region, Name: filteredName(in.Filters)}
	page, next, err := list(ctx, s, q, at, limit, keep)
	if err != nil {
		return nil, err
	}
	out := &api.ListInfrastructureConfigurationsOutput{InfrastructureConfigurationSummaryList: []api.InfrastructureConfigurationSummary{}, NextToken: next}
	for _, e := range page {
		x := e.shape
		out.InfrastructureConfigurationSummaryList = append(out.InfrastructureConfigurationSummaryList, api.InfrastructureConfigurationSummary{
			Arn: x.Arn, Name: x.Name, Description: x.Description, DateCreated: x.DateCreated, DateUpdated: x.DateUpdated, ResourceTags: x.ResourceTags, Tags: x.Tags,
			InstanceTypes: x.InstanceTypes, InstanceProfileName: x.InstanceProfileName, Placement: x.Placement,
		})
	}
	return out, nil
}

// DeleteInfrastructureConfiguration deletes a configuration that no pipeline
// needs.
func (s *Service) DeleteInfrastructureConfiguration(ctx context.Context, in *api.DeleteInfrastructureConfigurationInput) (*api.DeleteInfrastructureConfigurationOutput, error) {
	r := s.request(ctx, "DeleteInfrastructureConfiguration")
	a, err := r.own("infrastructureConfigurationArn", in.InfrastructureConfigurationArn, infrastructure, nameOnly)
	if err != nil {
		return nil, err
	}
	if err := s.write(ctx, func(tx *store.Tx) error { return s.remove(tx, a) }); err != nil {
		return nil, err
	}
	return &api.DeleteInfrastructureConfigurationOutput{InfrastructureConfigurationArn: in.InfrastructureConfigurationArn}, nil
}
