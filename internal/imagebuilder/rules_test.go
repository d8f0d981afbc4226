package imagebuilder_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
)

// creators make a resource of each kind with a name, with dryRun as it is given,
// and give its ARN.
func (f *fixture) creators() map[string]func(name string, dry *bool) (string, error) {
	f.Helper()
	recipe, infra := f.recipe("recipe of all", "1.0.0"), f.infrastructure("infra of all")
	return map[string]func(string, *bool) (string, error){
		"component": func(name string, dry *bool) (string, error) {
			in := f.componentInput(name, "1.0.0", document)
			in.DryRun = dry
			out, err := f.CreateComponent(f.ctx, in)
			return arnOf(out, err, func(o *api.CreateComponentOutput) *string { return o.ComponentBuildVersionArn })
		},
		"image-recipe": func(name string, dry *bool) (string, error) {
			in := f.recipeInput(name, "1.0.0")
			in.DryRun = dry
			out, err := f.CreateImageRecipe(f.ctx, in)
			return arnOf(out, err, func(o *api.CreateImageRecipeOutput) *string { return o.ImageRecipeArn })
		},
		"container-recipe": func(name string, dry *bool) (string, error) {
			in := f.containerInput(name, "1.0.0")
			in.DryRun = dry
			out, err := f.CreateContainerRecipe(f.ctx, in)
			return arnOf(out, err, func(o *api.CreateContainerRecipeOutput) *string { return o.ContainerRecipeArn })
		},
		"infrastructure-configuration": func(name string, dry *bool) (string, error) {
			in := &api.CreateInfrastructureConfigurationInput{Name: p(name), InstanceProfileName: p("p"), DryRun: dry, ClientToken: f.token()}
			out, err := f.CreateInfrastructureConfiguration(f.ctx, in)
			return arnOf(out, err, func(o *api.CreateInfrastructureConfigurationOutput) *string { return o.InfrastructureConfigurationArn })
		},
		"distribution-configuration": func(name string, dry *bool) (string, error) {
			in := &api.CreateDistributionConfigurationInput{
				Name: p(name), Distributions: []api.Distribution{{Region: p(home), AmiDistributionConfiguration: &api.AmiDistributionConfiguration{}}}, DryRun: dry, ClientToken: f.token(),
			}
			out, err := f.CreateDistributionConfiguration(f.ctx, in)
			return arnOf(out, err, func(o *api.CreateDistributionConfigurationOutput) *string { return o.DistributionConfigurationArn })
		},
		"image-pipeline": func(name string, dry *bool) (string, error) {
			in := &api.CreateImagePipelineInput{Name: p(name), ImageRecipeArn: p(recipe), InfrastructureConfigurationArn: p(infra), DryRun: dry, ClientToken: f.token()}
			out, err := f.CreateImagePipeline(f.ctx, in)
			return arnOf(out, err, func(o *api.CreateImagePipelineOutput) *string { return o.ImagePipelineArn })
		},
		"workflow/build": func(name string, dry *bool) (string, error) {
			in := f.workflowInput(name, "1.0.0", api.WorkflowTypeBuild, buildWorkflow)
			in.DryRun = dry
			out, err := f.CreateWorkflow(f.ctx, in)
			return arnOf(out, err, func(o *api.CreateWorkflowOutput) *string { return o.WorkflowBuildVersionArn })
		},
		"lifecycle-policy": func(name string, dry *bool) (string, error) {
			in := f.policyInput(name, rule(api.LifecyclePolicyDetailActionTypeDelete, 1))
			in.DryRun = dry
			out, err := f.CreateLifecyclePolicy(f.ctx, in)
			return arnOf(out, err, func(o *api.CreateLifecyclePolicyOutput) *string { return o.LifecyclePolicyArn })
		},
	}
}

func arnOf[T any](out *T, err error, get func(*T) *string) (string, error) {
	if err != nil {
		return "", err
	}
	return *get(out), nil
}

// Names that differ in case, spaces and underscores are one name, whatever the
// kind; kinds have names of their own.
func TestNamesAreNormalised(t *testing.T) {
	t.Parallel()
	f := open(t)
	for kind, create := range f.creators() {
		arn := must(create("My_First Name", nil))(t)
		if !strings.HasPrefix(arn, prefix+kind+"/my-first-name") {
			t.Errorf("%s: %s", kind, arn)
		}
		for _, name := range []string{"My_First Name", "my-first-name", "MY FIRST_NAME"} {
			_, err := create(name, nil)
			wantFault(t, err, "ResourceAlreadyExistsException", "already exists: '"+arn+"'.")
		}
	}
}

// A dry run of what would succeed says so and leaves nothing behind.
func TestDryRuns(t *testing.T) {
	t.Parallel()
	f := open(t)
	for _, create := range f.creators() {
		for range 2 {
			_, err := create("dry", p(true))
			wantFault(t, err, "DryRunOperationException", "Request would have succeeded, but dryRun flag is set.")
		}
		arn := must(create("dry", p(false)))(t)
		if strings.Contains(arn, "component/") && !strings.HasSuffix(arn, "/1") {
			t.Errorf("a dry run used a build number: %s", arn)
		}
		_, err := create("dry", p(true))
		wantFault(t, err, "ResourceAlreadyExistsException")
	}
}

func TestEveryQuota(t *testing.T) {
	t.Parallel()
	quotas := imagebuilder.Quotas{
		Components: 1, ImageRecipes: 2, ContainerRecipes: 1, Distributions: 1, Infrastructures: 2, Workflows: 1, Pipelines: 1, LifecyclePolicies: 1, // the recipe and the infrastructure of all are there
	}
	f := open(t, func(c *imagebuilder.Config) { c.Quotas = quotas })
	free := open(t, func(c *imagebuilder.Config) {
		c.Quotas = imagebuilder.Quotas{Components: -1, ImageRecipes: -1, ContainerRecipes: -1, Distributions: -1, Infrastructures: -1, Workflows: -1, Pipelines: -1, LifecyclePolicies: -1}
	})
	for kind, create := range f.creators() {
		must(create("one", nil))(t)
		_, err := create("two", nil)
		wantFault(t, err, "ServiceQuotaExceededException", "You have exceeded the number of permitted resources", "is "+map[bool]string{true: "2", false: "1"}[strings.HasPrefix(kind, "image-recipe") || strings.HasPrefix(kind, "infra")])
	}
	for _, create := range free.creators() {
		for i := range 3 {
			must(create(fmt.Sprint("name ", i), nil))(t)
		}
	}
	many := "name: many\nschemaVersion: 1.0\nparameters:\n"
	for i := range 26 {
		many += fmt.Sprintf("  - Param%d: {type: string, default: x}\n", i)
	}
	_, err := free.CreateComponent(free.ctx, free.componentInput("many", "1.0.0", many+document[strings.Index(document, "phases:"):]))
	wantFault(t, err, "ServiceQuotaExceededException", "parameters per component is 25")
}

// A token does not answer with what was deleted since: the request is made anew.
func TestTokensDoNotOutliveTheirResource(t *testing.T) {
	t.Parallel()
	f := open(t)
	in := f.componentInput("web", "1.0.0", document)
	first := *must(f.CreateComponent(f.ctx, in))(t).ComponentBuildVersionArn
	must(f.DeleteComponent(f.ctx, &api.DeleteComponentInput{ComponentBuildVersionArn: p(first)}))(t)
	again := *must(f.CreateComponent(f.ctx, in))(t).ComponentBuildVersionArn
	same(t, "made anew", again, prefix+"component/web/1.0.0/2")
	same(t, "and remembered", *must(f.CreateComponent(f.ctx, in))(t).ComponentBuildVersionArn, again)
	other := *in
	other.Description = p("other")
	_, err := f.CreateComponent(f.ctx, &other)
	wantFault(t, err, "IdempotentParameterMismatchException")

	// The update that deletes an image answers the same however often it is sent.
	arn := f.finished(f.pipeline("image"), home)
	update := &api.StartResourceStateUpdateInput{ResourceArn: p(arn), State: &api.ResourceState{Status: p(api.ResourceStatusDeleted)}, ClientToken: f.token()}
	included(true, true)(update)
	deleted := must(f.StartResourceStateUpdate(f.ctx, update))(t)
	same(t, "deletion sent again", must(f.StartResourceStateUpdate(f.ctx, update))(t), deleted)

	// An update of what was deleted fails, also when it succeeded before.
	name := &api.UpdateInfrastructureConfigurationInput{InfrastructureConfigurationArn: p(f.infrastructure("gone")), InstanceProfileName: p("p"), ClientToken: f.token()}
	must(f.UpdateInfrastructureConfiguration(f.ctx, name))(t)
	must(f.DeleteInfrastructureConfiguration(f.ctx, &api.DeleteInfrastructureConfigurationInput{InfrastructureConfigurationArn: name.InfrastructureConfigurationArn}))(t)
	_, err = f.UpdateInfrastructureConfiguration(f.ctx, name)
	wantFault(t, err, "ResourceNotFoundException")
}

// The filters of every list are those of the API Reference, and no others.
func TestFilterNames(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.pipeline("web")
	type call func(ctx context.Context, filters []api.Filter) error
	for name, test := range map[string]struct {
		call  call
		names string
	}{
		"ListComponents": {func(ctx context.Context, all []api.Filter) error {
			_, err := f.ListComponents(ctx, &api.ListComponentsInput{Filters: all})
			return err
		}, "description, name, platform, supportedOsVersion, type, version"},
		"ListImageRecipes": {func(ctx context.Context, all []api.Filter) error {
			_, err := f.ListImageRecipes(ctx, &api.ListImageRecipesInput{Filters: all})
			return err
		}, "name, parentImage, platform"},
		"ListContainers": {func(ctx context.Context, all []api.Filter) error {
			_, err := f.ListContainerRecipes(ctx, &api.ListContainerRecipesInput{Filters: all})
			return err
		}, "containerType, name, parentImage, platform"},
		"ListInfrastructure": {func(ctx context.Context, all []api.Filter) error {
			_, err := f.ListInfrastructureConfigurations(ctx, &api.ListInfrastructureConfigurationsInput{Filters: all})
			return err
		}, "name"},
		"ListDistribution": {func(ctx context.Context, all []api.Filter) error {
			_, err := f.ListDistributionConfigurations(ctx, &api.ListDistributionConfigurationsInput{Filters: all})
			return err
		}, "name"},
		"ListImagePipelines": {func(ctx context.Context, all []api.Filter) error {
			_, err := f.ListImagePipelines(ctx, &api.ListImagePipelinesInput{Filters: all})
			return err
		},
			"description, distributionConfigurationArn, imageRecipeArn, infrastructureConfigurationArn, name, status"},
		"ListImages": {func(ctx context.Context, all []api.Filter) error {
			_, err := f.ListImages(ctx, &api.ListImagesInput{Filters: all})
			return err
		}, "name, osVersion, platform, type, version"},
		"ListImageBuildVersions": {func(ctx context.Context, all []api.Filter) error {
			_, err := f.ListImageBuildVersions(ctx, &api.ListImageBuildVersionsInput{Filters: all})
			return err
		}, "name, osVersion, platform, type, version"},
		"ListImagePipelineImages": {func(ctx context.Context, all []api.Filter) error {
			_, err := f.ListImagePipelineImages(ctx, &api.ListImagePipelineImagesInput{ImagePipelineArn: p(pipe), Filters: all})
			return err
		}, "name, version"},
		"ListWorkflows": {func(ctx context.Context, all []api.Filter) error {
			_, err := f.ListWorkflows(ctx, &api.ListWorkflowsInput{Filters: all})
			return err
		}, "description, name, type, version"},
		"ListLifecyclePolicies": {func(ctx context.Context, all []api.Filter) error {
			_, err := f.ListLifecyclePolicies(ctx, &api.ListLifecyclePoliciesInput{Filters: all})
			return err
		}, "Name, Status"},
	} {
		err := test.call(f.ctx, []api.Filter{{Name: p("name"), Values: []string{"x"}}, {Name: p("nonsense"), Values: []string{"x"}}})
		wantFault(t, err, "InvalidParameterValueException", "is not one of the filters of this operation: "+test.names+".")
		for _, known := range strings.Split(test.names, ", ") {
			if err := test.call(f.ctx, []api.Filter{{Name: p(known), Values: []string{"a", "b"}}}); fault.Code(err) != "" {
				t.Errorf("%s by %s: %v", name, known, err)
			}
		}
	}
}
