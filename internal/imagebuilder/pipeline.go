package imagebuilder

import (
	"context"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// pipelineParts are the resources that a pipeline or an image is made of. It has
// one of the two recipes.
type pipelineParts struct {
	recipe         *api.ImageRecipe
	container      *api.ContainerRecipe
	infrastructure *api.InfrastructureConfiguration
	distribution   *api.DistributionConfiguration // nil: none
	targets        []store.Target
}

// recipeOf is what an image takes from its recipe, whichever of the two it is.
type recipeOf struct {
	arn, name, version, parent *string
	platform                   *api.Platform
	components                 []api.ComponentConfiguration
	kind                       api.ImageType
}

func (p pipelineParts) of() recipeOf {
	if c := p.container; c != nil {
		return recipeOf{c.Arn, c.Name, c.Version, c.ParentImage, c.Platform, c.Components, api.ImageTypeDocker}
	}
	r := p.recipe
	return recipeOf{r.Arn, r.Name, r.Version, r.ParentImage, r.Platform, r.Components, api.ImageTypeAmi}
}

// parts reads the resources that ARNs name. The recipe's may have wildcards.
func (s *Service) parts(tx *store.Tx, r request, recipe, container, infra, dist *string) (p pipelineParts, err error) {
	if (recipe == nil) == (container == nil) {
		return p, combination("You must specify either imageRecipeArn or containerRecipeArn, and not both.")
	}
	if recipe != nil {
		p.recipe, _, err = part[api.ImageRecipe](s, tx, r, &p, "imageRecipeArn", recipe, imageRecipe, versionForm)
	} else {
		var row store.Resource
		if p.container, row, err = part[api.ContainerRecipe](s, tx, r, &p, "containerRecipeArn", container, containerRecipe, versionForm); err == nil {
			p.container.DockerfileTemplateData = ptr(string(row.Content))
		}
	}
	if err != nil {
		return p, err
	}
	if p.infrastructure, _, err = part[api.InfrastructureConfiguration](s, tx, r, &p, "infrastructureConfigurationArn", infra, infrastructure, nameOnly); err != nil {
		return p, err
	}
	if dist != nil {
		p.distribution, _, err = part[api.DistributionConfiguration](s, tx, r, &p, "distributionConfigurationArn", dist, distribution, nameOnly)
	}
	return p, err
}

func part[T any](s *Service, tx *store.Tx, r request, p *pipelineParts, member string, value *string, kind store.Kind, f form) (*T, store.Resource, error) {
	a, err := s.borrows(tx, r, member, value, kind, f)
	if err != nil {
		return nil, store.Resource{}, err
	}
	shape, row, err := resolve[T](tx, a)
	if fault.Code(err) == api.CodeResourceNotFound {
		return nil, store.Resource{}, invalid(member, "The resource '%s' does not exist.", a)
	}
	if a.Account == r.Account { // whoever shares a recipe may still delete it
		p.targets = append(p.targets, target(a))
	}
	return shape, row, err
}

// defaultTests fills in what was not said of how images are tested (API
// Reference, ImageTestsConfiguration): who reads it back must not take an absent
// imageTestsEnabled for false.
func defaultTests(c *api.ImageTestsConfiguration) *api.ImageTestsConfiguration {
	if c == nil {
		c = &api.ImageTestsConfiguration{}
	}
	return &api.ImageTestsConfiguration{ImageTestsEnabled: ptr(or(c.ImageTestsEnabled, true)), TimeoutMinutes: ptr(or(c.TimeoutMinutes, int32(720)))}
}

// CreateImagePipeline stores a pipeline.
func (s *Service) CreateImagePipeline(ctx context.Context, in *api.CreateImagePipelineInput) (*api.CreateImagePipelineOutput, error) {
	r := s.request(ctx, "CreateImagePipeline")
	a := newARN(store.Key{Kind: pipeline, Account: r.Account, Region: r.Region, Name: normalise(text(in.Name))}, nameOnly, store.Version{})
	shape := &api.ImagePipeline{
		Arn: ptr(a.String()), Name: in.Name, Description: in.Description, EnhancedImageMetadataEnabled: ptr(or(in.EnhancedImageMetadataEnabled, true)), ImageRecipeArn: in.ImageRecipeArn,
		ContainerRecipeArn: in.ContainerRecipeArn, InfrastructureConfigurationArn: in.InfrastructureConfigurationArn, DistributionConfigurationArn: in.DistributionConfigurationArn,
		ImageTestsConfiguration: defaultTests(in.ImageTestsConfiguration), Schedule: in.Schedule, Status: ptr(or(in.Status, api.PipelineStatusEnabled)), DateCreated: date(r.now), DateUpdated: date(r.now),
		Tags: in.Tags, ImageScanningConfiguration: in.ImageScanningConfiguration, ImageTags: in.ImageTags, ExecutionRole: in.ExecutionRole, Workflows: in.Workflows,
		LoggingConfiguration: in.LoggingConfiguration, ConsecutiveFailures: ptr(int32(0)),
	}
	if err := r.checkPipeline(shape); err != nil {
		return nil, err
	}
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.CreateImagePipelineOutput, error) {
		p, err := s.parts(tx, r, in.ImageRecipeArn, in.ContainerRecipeArn, in.InfrastructureConfigurationArn, in.DistributionConfigurationArn)
		if err != nil {
			return nil, err
		}
		uses, err := s.checkWorkflows(tx, r, in.Workflows, in.ExecutionRole)
		if err != nil {
			return nil, err
		}
		p.targets = append(p.targets, uses...)
		shape.Platform = p.of().platform
		if err := s.create(tx, r, a, shape, in.DryRun); err != nil {
			return nil, err
		}
		if err := s.settle(tx, a, shape, r, p); err != nil {
			return nil, err
		}
		return &api.CreateImagePipelineOutput{ClientToken: in.ClientToken, ImagePipelineArn: shape.Arn}, nil
	})
}

// settle records what a pipeline uses and when its schedule is due next.
func (s *Service) settle(tx *store.Tx, a arn, shape *api.ImagePipeline, r request, p pipelineParts) error {
	if err := tx.SetReferences(a.String(), p.targets...); err != nil {
		return err
	}
	_, row, err := load[api.ImagePipeline](tx, a)
	if err != nil {
		return err
	}
	row.Updated, row.Status = r.now, text(shape.Status)
	row.Due, _ = nextRun(shape, r.now, r.now)
	return replace(tx, row, shape)
}

// UpdateImagePipeline replaces all of a pipeline but its name and tags.
func (s *Service) UpdateImagePipeline(ctx context.Context, in *api.UpdateImagePipelineInput) (*api.UpdateImagePipelineOutput, error) {
	r := s.request(ctx, "UpdateImagePipeline")
	a, err := r.own("imagePipelineArn", in.ImagePipelineArn, pipeline, nameOnly)
	if err != nil {
		return nil, err
	}
	shape := &api.ImagePipeline{
		Arn: ptr(a.String()), Description: in.Description, EnhancedImageMetadataEnabled: ptr(or(in.EnhancedImageMetadataEnabled, true)), ImageRecipeArn: in.ImageRecipeArn,
		ContainerRecipeArn: in.ContainerRecipeArn, InfrastructureConfigurationArn: in.InfrastructureConfigurationArn, DistributionConfigurationArn: in.DistributionConfigurationArn,
		ImageTestsConfiguration: defaultTests(in.ImageTestsConfiguration), Schedule: in.Schedule, Status: ptr(or(in.Status, api.PipelineStatusEnabled)), DateUpdated: date(r.now),
		ImageScanningConfiguration: in.ImageScanningConfiguration, ImageTags: in.ImageTags, ExecutionRole: in.ExecutionRole, Workflows: in.Workflows,
		LoggingConfiguration: in.LoggingConfiguration, ConsecutiveFailures: ptr(int32(0)),
	}
	if err := r.checkPipeline(shape); err != nil {
		return nil, err
	}
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.UpdateImagePipelineOutput, error) {
		before, _, err := load[api.ImagePipeline](tx, a)
		if err != nil {
			return nil, err
		}
		p, err := s.parts(tx, r, in.ImageRecipeArn, in.ContainerRecipeArn, in.InfrastructureConfigurationArn, in.DistributionConfigurationArn)
		if err != nil {
			return nil, err
		}
		uses, err := s.checkWorkflows(tx, r, in.Workflows, in.ExecutionRole)
		if err != nil {
			return nil, err
		}
		p.targets = append(p.targets, uses...)
		shape.Name, shape.DateCreated, shape.Tags, shape.Platform = before.Name, before.DateCreated, before.Tags, p.of().platform
		shape.DateLastRun, shape.LastRunStatus = before.DateLastRun, before.LastRunStatus
		if err := s.settle(tx, a, shape, r, p); err != nil {
			return nil, err
		}
		return &api.UpdateImagePipelineOutput{ClientToken: in.ClientToken, ImagePipelineArn: shape.Arn}, nil
	})
}

// GetImagePipeline gives a pipeline.
func (s *Service) GetImagePipeline(ctx context.Context, in *api.GetImagePipelineInput) (*api.GetImagePipelineOutput, error) {
	r := s.request(ctx, "GetImagePipeline")
	shape, err := get[api.ImagePipeline](ctx, s, r, "imagePipelineArn", in.ImagePipelineArn, pipeline)
	if err != nil {
		return nil, err
	}
	s.showNextRun(shape, r)
	return &api.GetImagePipelineOutput{ImagePipeline: shape}, nil
}

func (s *Service) showNextRun(shape *api.ImagePipeline, r request) {
	if next, ok := nextRun(shape, setAt(shape), r.now); ok {
		shape.DateNextRun = date(next)
	}
}

var pipelineFilters = filters[api.ImagePipeline]{
	"description":                    func(x *api.ImagePipeline) []string { return []string{text(x.Description)} },
	"distributionConfigurationArn":   func(x *api.ImagePipeline) []string { return []string{text(x.DistributionConfigurationArn)} },
	"imageRecipeArn":                 func(x *api.ImagePipeline) []string { return []string{text(x.ImageRecipeArn)} },
	"infrastructureConfigurationArn": func(x *api.ImagePipeline) []string { return []string{text(x.InfrastructureConfigurationArn)} },
	"name":                           func(x *api.ImagePipeline) []string { return []string{text(x.Name)} },
	"status":                         func(x *api.ImagePipeline) []string { return []string{text(x.Status)} },
}

// ListImagePipelines lists pipelines by name.
func (s *Service) ListImagePipelines(ctx context.Context, in *api.ListImagePipelinesInput) (*api.ListImagePipelinesOutput, error) {
	r := s.request(ctx, "ListImagePipelines")
	keep, err := pipelineFilters.test(in.Filters)
	if err != nil {
		return nil, err
	}
	limit, at, err := r.begin(in.MaxResults, in.NextToken, in.Filters)
	if err != nil {
		return nil, err
	}
	q := store.Query{Kind: pipeline, Account: r.Account, Region: r.Region, Name: filteredName(in.Filters)}
	page, next, err := list(ctx, s, q, at, limit, keep)
	if err != nil {
		return nil, err
	}
	out := &api.ListImagePipelinesOutput{ImagePipelineList: []api.ImagePipeline{}, NextToken: next}
	for _, e := range page {
		s.showNextRun(e.shape, r)
		out.ImagePipelineList = append(out.ImagePipelineList, *e.shape)
	}
	return out, nil
}

// DeleteImagePipeline deletes a pipeline. Images that it made stay, and one that
// it is making goes on.
func (s *Service) DeleteImagePipeline(ctx context.Context, in *api.DeleteImagePipelineInput) (*api.DeleteImagePipelineOutput, error) {
	r := s.request(ctx, "DeleteImagePipeline")
	a, err := r.own("imagePipelineArn", in.ImagePipelineArn, pipeline, nameOnly)
	if err != nil {
		return nil, err
	}
	if err := s.write(ctx, func(tx *store.Tx) error { return s.remove(tx, a) }); err != nil {
		return nil, err
	}
	return &api.DeleteImagePipelineOutput{ImagePipelineArn: in.ImagePipelineArn}, nil
}
