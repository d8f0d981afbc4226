package imagebuilder

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// distributionTimeout is what the model wants a configuration to have and no
// request sets: the minutes of the DistributeImage step.
const distributionTimeout = 720

// buildDate is the placeholder that makes AMI names unique, with or without a
// date format.
var buildDate = regexp.MustCompile(`\{\{\s*imagebuilder:buildDate(:[^{}]*)?\s*\}\}`)

// placeholders are all that AMI names may hold: the build date, and the build
// number.
var placeholders = regexp.MustCompile(`\{\{\s*imagebuilder:(?:buildDate(?::[^{}]*)?|buildVersion)\s*\}\}`)

// checkDistributions holds the regions of a configuration to the service's
// rules.
func (s *Service) checkDistributions(r request, all []api.Distribution) error {
	here, _ := cloud.Partition(r.Region)
	regions := make(map[string]bool)
	accounts := make(map[string]bool)
	for i := range all {
		d := &all[i]
		path := fmt.Sprintf("distributions[%d]", i)
		region := text(d.Region)
		if partition, ok := cloud.Partition(region); !ok || partition != here {
			return invalid(path+".region", "'%s' is not a region that can be distributed to from %s.", fault.Clip(region), r.Region)
		}
		if regions[region] {
			return invalid(path+".region", "The region '%s' is specified more than once.", region)
		}
		regions[region] = true
		if d.AmiDistributionConfiguration == nil && d.ContainerDistributionConfiguration == nil && len(d.LicenseConfigurationArns) == 0 && len(d.LaunchTemplateConfigurations) == 0 &&
			d.S3ExportConfiguration == nil && len(d.FastLaunchConfigurations) == 0 && len(d.SsmParameterConfigurations) == 0 {
			return invalid(path, "One or more outputs should be provided for each region in a distribution configuration.")
		}
		if err := s.checkOutputs(r, path, d); err != nil {
			return err
		}
		if ami := d.AmiDistributionConfiguration; ami != nil {
			for _, id := range ami.TargetAccountIds {
				accounts[id] = true
			}
		}
	}
	if !within(len(accounts), s.quotas.AccountsPerConfig) {
		return quotaExceeded("target accounts per distribution configuration", s.quotas.AccountsPerConfig)
	}
	return nil
}

func (s *Service) checkOutputs(r request, path string, d *api.Distribution) error {
	if err := checkAMIOutput(path+".amiDistributionConfiguration", d.AmiDistributionConfiguration); err != nil {
		return err
	}
	if c := d.ContainerDistributionConfiguration; c != nil {
		if err := checkRepository(path+".containerDistributionConfiguration.targetRepository", c.TargetRepository); err != nil {
			return err
		}
	}
	if !within(len(d.LaunchTemplateConfigurations), s.quotas.TemplatesPerRegion) {
		return quotaExceeded("launch templates per distribution region", s.quotas.TemplatesPerRegion)
	}
	if !within(len(d.SsmParameterConfigurations), s.quotas.SSMParametersPerEntry) {
		return quotaExceeded("SSM parameters per distribution region", s.quotas.SSMParametersPerEntry)
	}
	for i, f := range d.FastLaunchConfigurations {
		t := f.LaunchTemplate
		if t != nil && t.LaunchTemplateId != nil && t.LaunchTemplateName != nil {
			return combination("%s.fastLaunchConfigurations[%d].launchTemplate: you can specify either launchTemplateId or launchTemplateName, and not both.", path, i)
		}
	}
	for i, p := range d.SsmParameterConfigurations {
		account := text(p.AmiAccountId)
		ami := d.AmiDistributionConfiguration
		if account != "" && account != r.Account && (ami == nil || !slices.Contains(ami.TargetAccountIds, account)) {
			return invalid(fmt.Sprintf("%s.ssmParameterConfigurations[%d].amiAccountId", path, i), "The account %s is not a target account of the region.", account)
		}
	}
	return nil
}

func checkAMIOutput(path string, ami *api.AmiDistributionConfiguration) error {
	if ami == nil {
		return nil
	}
	if ami.Name != nil && !buildDate.MatchString(*ami.Name) {
		return invalid(path+".name", "The EC2 AMI name must contain '{{ imagebuilder:buildDate }}' to ensure that the name will be unique.")
	}
	// EC2 takes no braces in names: one that stays would fail the image after its
	// build and tests.
	if left := placeholders.ReplaceAllString(text(ami.Name), ""); strings.ContainsAny(left, "{}") {
		return invalid(path+".name", "The name holds braces that belong to none of the placeholders {{ imagebuilder:buildDate }}, {{ imagebuilder:buildDate:FORMAT }} and {{ imagebuilder:buildVersion }}.")
	}
	for i, id := range ami.TargetAccountIds {
		if slices.Contains(ami.TargetAccountIds[:i], id) {
			return invalid(fmt.Sprintf("%s.targetAccountIds[%d]", path, i), "The account %s is specified more than once.", id)
		}
	}
	if p := ami.LaunchPermission; p != nil {
		for i, group := range p.UserGroups {
			if group != store.Everyone {
				return invalid(fmt.Sprintf("%s.launchPermission.userGroups[%d]", path, i), "The only user group is 'all'.")
			}
		}
	}
	return nil
}

// CreateDistributionConfiguration stores a configuration.
func (s *Service) CreateDistributionConfiguration(ctx context.Context, in *api.CreateDistributionConfigurationInput) (*api.CreateDistributionConfigurationOutput, error) {
	r := s.request(ctx, "CreateDistributionConfiguration")
	if err := s.checkDistributions(r, in.Distributions); err != nil {
		return nil, err
	}
	a := newARN(store.Key{Kind: distribution, Account: r.Account, Region: r.Region, Name: normalise(text(in.Name))}, nameOnly, store.Version{})
	shape := &api.DistributionConfiguration{
		Arn: ptr(a.String()), Name: in.Name, Description: in.Description, Distributions: in.Distributions, TimeoutMinutes: ptr(int32(distributionTimeout)), DateCreated: date(r.now), Tags: in.Tags,
	}
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.CreateDistributionConfigurationOutput, error) {
		if err := s.create(tx, r, a, shape, in.DryRun); err != nil {
			return nil, err
		}
		return &api.CreateDistributionConfigurationOutput{ClientToken: in.ClientToken, DistributionConfigurationArn: shape.Arn}, nil
	})
}

// GetDistributionConfiguration gives a configuration.
func (s *Service) GetDistributionConfiguration(ctx context.Context, in *api.GetDistributionConfigurationInput) (*api.GetDistributionConfigurationOutput, error) {
	r := s.request(ctx, "GetDistributionConfiguration")
	shape, err := get[api.DistributionConfiguration](ctx, s, r, "distributionConfigurationArn", in.DistributionConfigurationArn, distribution)
	if err != nil {
		return nil, err
	}
	return &api.GetDistributionConfigurationOutput{DistributionConfiguration: shape}, nil
}

// UpdateDistributionConfiguration replaces the description and the regions.
func (s *Service) UpdateDistributionConfiguration(ctx context.Context, in *api.UpdateDistributionConfigurationInput) (*api.UpdateDistributionConfigurationOutput, error) {
	r := s.request(ctx, "UpdateDistributionConfiguration")
	a, err := r.own("distributionConfigurationArn", in.DistributionConfigurationArn, distribution, nameOnly)
	if err != nil {
		return nil, err
	}
	if err := s.checkDistributions(r, in.Distributions); err != nil {
		return nil, err
	}
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.UpdateDistributionConfigurationOutput, error) {
		shape, row, err := load[api.DistributionConfiguration](tx, a)
		if err != nil {
			return nil, err
		}
		shape.Description, shape.Distributions, shape.DateUpdated = in.Description, in.Distributions, date(r.now)
		row.Updated = r.now
		if err := replace(tx, row, shape); err != nil {
			return nil, err
		}
		return &api.UpdateDistributionConfigurationOutput{ClientToken: in.ClientToken, DistributionConfigurationArn: shape.Arn}, nil
	})
}

var distributionFilters = filters[api.DistributionConfiguration]{
	"name": func(x *api.DistributionConfiguration) []string { return []string{text(x.Name)} },
}

// ListDistributionConfigurations lists configurations by name.
func (s *Service) ListDistributionConfigurations(ctx context.Context, in *api.ListDistributionConfigurationsInput) (*api.ListDistributionConfigurationsOutput, error) {
	r := s.request(ctx, "ListDistributionConfigurations")
	keep, err := distributionFilters.test(in.Filters)
	if err != nil {
		return nil, err
	}
	limit, at, err := r.begin(in.MaxResults, in.NextToken, in.Filters)
	if err != nil {
		return nil, err
	}
	q := store.Query{Kind: distribution, Account: r.Account, Region: r.Region, Name: filteredName(in.Filters)}
	page, next, err := list(ctx, s, q, at, limit, keep)
	if err != nil {
		return nil, err
	}
	out := &api.ListDistributionConfigurationsOutput{DistributionConfigurationSummaryList: []api.DistributionConfigurationSummary{}, NextToken: next}
	for _, e := range page {
		x := e.shape
		summary := api.DistributionConfigurationSummary{Arn: x.Arn, Name: x.Name, Description: x.Description, DateCreated: x.DateCreated, DateUpdated: x.DateUpdated, Tags: x.Tags}
		for _, d := range x.Distributions {
			summary.Regions = append(summary.Regions, text(d.Region))
		}
		out.DistributionConfigurationSummaryList = append(out.DistributionConfigurationSummaryList, summary)
	}
	return out, nil
}

// DeleteDistributionConfiguration deletes a configuration that no pipeline
// needs.
func (s *Service) DeleteDistributionConfiguration(ctx context.Context, in *api.DeleteDistributionConfigurationInput) (*api.DeleteDistributionConfigurationOutput, error) {
	r := s.request(ctx, "DeleteDistributionConfiguration")
	a, err := r.own("distributionConfigurationArn", in.DistributionConfigurationArn, distribution, nameOnly)
	if err != nil {
		return nil, err
	}
	if err := s.write(ctx, func(tx *store.Tx) error { return s.remove(tx, a) }); err != nil {
		return nil, err
	}
	return &api.DeleteDistributionConfigurationOutput{DistributionConfigurationArn: in.DistributionConfigurationArn}, nil
}
