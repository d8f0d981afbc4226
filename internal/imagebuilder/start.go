package imagebuilder

import (
	"context"
	"fmt"
	"maps"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// unfinished are the states of an image that is being made.
var unfinished = []string{
	string(api.ImageStatusPending), string(api.ImageStatusCreating), string(api.ImageStatusBuilding), string(api.ImageStatusTesting),
	string(api.ImageStatusDistributing), string(api.ImageStatusIntegrating),
}

// StartImagePipelineExecution makes an image of a pipeline, also of a disabled
// one.
func (s *Service) StartImagePipelineExecution(ctx context.Context, in *api.StartImagePipelineExecutionInput) (*api.StartImagePipelineExecutionOutput, error) {
	r := s.request(ctx, "StartImagePipelineExecution")
	a, err := r.own("imagePipelineArn", in.ImagePipelineArn, pipeline, nameOnly)
	if err != nil {
		return nil, err
	}
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.StartImagePipelineExecutionOutput, error) {
		p, row, err := load[api.ImagePipeline](tx, a)
		if err != nil {
			return nil, err
		}
		made, err := s.startPipeline(ctx, tx, r, p, row, api.BuildTypeUserInitiated, in.Tags)
		if err != nil {
			return nil, err
		}
		return &api.StartImagePipelineExecutionOutput{ClientToken: in.ClientToken, ImageBuildVersionArn: ptr(made.String())}, nil
	})
}

// startPipeline starts an image of a pipeline, which has the pipeline's image
// tags and those given.
func (s *Service) startPipeline(ctx context.Context, tx *store.Tx, r request, p *api.ImagePipeline, row store.Resource, by api.BuildType, given map[string]string) (arn, error) {
	parts, err := s.parts(tx, r, p.ImageRecipeArn, p.ContainerRecipeArn, p.InfrastructureConfigurationArn, p.DistributionConfigurationArn)
	if err != nil {
		return arn{}, err
	}
	tags := maps.Clone(p.ImageTags)
	if tags == nil && given != nil {
		tags = make(map[string]string)
	}
	maps.Copy(tags, given)
	if use, asked := p.Tags[cacheTag]; asked && tags[cacheTag] == "" {
		if tags == nil {
			tags = make(map[string]string)
		}
		tags[cacheTag] = use
	}
	shape := &api.Image{
		SourcePipelineArn: p.Arn, SourcePipelineName: p.Name, EnhancedImageMetadataEnabled: p.EnhancedImageMetadataEnabled, ImageTestsConfiguration: p.ImageTestsConfiguration, Tags: tags,
		ImageScanningConfiguration: p.ImageScanningConfiguration, ExecutionRole: p.ExecutionRole, Workflows: p.Workflows, BuildType: &by,
	}
	if l := p.LoggingConfiguration; l != nil && l.ImageLogGroupName != nil {
		shape.LoggingConfiguration = &api.ImageLoggingConfiguration{LogGroupName: l.ImageLogGroupName}
	}
	made, err := s.start(ctx, tx, r, parts, shape)
	if err != nil {
		return arn{}, err
	}
	p.DateLastRun, p.LastRunStatus = date(r.now), ptr(api.ImageStatusPending)
	return made, replace(tx, row, p)
}

// CreateImage makes an image without a pipeline.
func (s *Service) CreateImage(ctx context.Context, in *api.CreateImageInput) (*api.CreateImageOutput, error) {
	r := s.request(ctx, "CreateImage")
	if err := r.passesRole(in.ExecutionRole); err != nil {
		return nil, err
	}
	if l := in.LoggingConfiguration; l != nil {
		if err := checkLogGroup("loggingConfiguration.logGroupName", l.LogGroupName, in.ExecutionRole); err != nil {
			return nil, err
		}
	}
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.CreateImageOutput, error) {
		parts, err := s.parts(tx, r, in.ImageRecipeArn, in.ContainerRecipeArn, in.InfrastructureConfigurationArn, in.DistributionConfigurationArn)
		if err != nil {
			return nil, err
		}
		if _, err := s.checkWorkflows(tx, r, in.Workflows, in.ExecutionRole); err != nil {
			return nil, err
		}
		made, err := s.start(ctx, tx, r, parts, &api.Image{
			EnhancedImageMetadataEnabled: ptr(or(in.EnhancedImageMetadataEnabled, true)), ImageTestsConfiguration: defaultTests(in.ImageTestsConfiguration), Tags: in.Tags,
			ImageScanningConfiguration: in.ImageScanningConfiguration, ExecutionRole: in.ExecutionRole, Workflows: in.Workflows, LoggingConfiguration: in.LoggingConfiguration,
			BuildType: ptr(api.BuildTypeUserInitiated),
		})
		if err != nil {
			return nil, err
		}
		return &api.CreateImageOutput{ClientToken: in.ClientToken, ImageBuildVersionArn: ptr(made.String()), LatestVersionReferences: latest(made)}, nil
	})
}

// start adds the image, named and numbered after its recipe, and its job. The
// image has copies of its parts as they are now: what is changed or deleted
// later does not concern it.
func (s *Service) start(ctx context.Context, tx *store.Tx, r request, parts pipelineParts, shape *api.Image) (arn, error) {
	if s.queue == nil {
		return arn{}, fault.New(api.CodeServiceUnavailable, "This server does not build images.")
	}
	if err := s.checkBuilds(tx, r); err != nil {
		return arn{}, err
	}
	if err := publicWatermark(parts); err != nil {
		return arn{}, err
	}
	if err := s.checkStartParameters(tx, r, parts, shape); err != nil {
		return arn{}, err
	}
	of := parts.of()
	v, err := parseVersion(text(of.version))
	if err != nil {
		return arn{}, fmt.Errorf("the version of the recipe %s: %w", text(of.arn), err)
	}
	a := newARN(store.Key{Kind: image, Account: r.Account, Region: r.Region, Name: normalise(text(of.name))}, buildForm, v)
	if a.version.Build, err = tx.NextBuild(a.Key, v); err != nil {
		return arn{}, err
	}
	shape.Arn, shape.Type, shape.Name = ptr(a.String()), ptr(of.kind), of.name
	shape.Version = ptr(fmt.Sprintf("%s/%d", versionText(a.version), a.version.Build))
	shape.Platform, shape.State, shape.ImageSource = of.platform, &api.ImageState{Status: ptr(api.ImageStatusPending)}, ptr(api.ImageSourceCustom)
	shape.ImageRecipe, shape.ContainerRecipe = parts.recipe, parts.container
	shape.InfrastructureConfiguration, shape.DistributionConfiguration = parts.infrastructure, parts.distribution
	shape.DateCreated, shape.OutputResources = date(r.now), &api.OutputResources{}
	row := store.Resource{Status: string(api.ImageStatusPending), Parent: text(shape.SourcePipelineArn)}
	if err := s.add(tx, r, a, row, shape); err != nil {
		return arn{}, err
	}
	if err := s.tellState(ctx, tx, a, "", string(engine.Pending)); err != nil {
		return arn{}, err
	}
	if err := s.queue.Enqueue(ctx, tx, a.String()); err != nil {
		return arn{}, fmt.Errorf("queueing %s: %w", a, err)
	}
	return a, nil
}

// checkBuilds holds an account to its quota of images that are being made.
func (s *Service) checkBuilds(tx *store.Tx, r request) error {
	limit := s.quotas.Builds
	if limit < 0 {
		return nil
	}
	n, err := tx.CountImages(r.Account, r.Region, unfinished...)
	if err == nil && n >= int64(limit) {
		err = quotaExceeded("concurrent builds", limit)
	}
	return err
}

// publicWatermark refuses to make watermarked AMIs public.
func publicWatermark(parts pipelineParts) error {
	if parts.recipe == nil || len(parts.recipe.AmiWatermarks) == 0 || parts.distribution == nil {
		return nil
	}
	for _, d := range parts.distribution.Distributions {
		if ami := d.AmiDistributionConfiguration; ami != nil && ami.LaunchPermission != nil && len(ami.LaunchPermission.UserGroups) > 0 {
			return combination("An AMI with watermarks cannot have public launch permissions (region %s).", text(d.Region))
		}
	}
	return nil
}
