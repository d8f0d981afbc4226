package imagebuilder_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
)

// exactly compares as clients do that tell absent from empty, false and zero.
func exactly(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// What is empty, false or zero comes back as such, and what is absent stays so,
// in every member of every kind of resource.
func TestExactEcho(t *testing.T) {
	t.Parallel()
	f := open(t)
	infra := &api.CreateInfrastructureConfigurationInput{
		Name: p("echo"), InstanceProfileName: p("p"), InstanceTypes: []string{}, SecurityGroupIds: []string{}, Logging: &api.Logging{}, TerminateInstanceOnFailure: p(false),
		ResourceTags: map[string]string{}, InstanceMetadataOptions: &api.InstanceMetadataOptions{}, Placement: &api.Placement{}, Tags: map[string]string{"empty": ""}, ClientToken: f.token(),
	}
	infraARN := must(f.CreateInfrastructureConfiguration(f.ctx, infra))(t).InfrastructureConfigurationArn
	gotInfra := must(f.GetInfrastructureConfiguration(f.ctx, &api.GetInfrastructureConfigurationInput{InfrastructureConfigurationArn: infraARN}))(t).InfrastructureConfiguration
	exactly(t, "infrastructure", gotInfra, &api.InfrastructureConfiguration{
		Arn: infraARN, Name: infra.Name, InstanceProfileName: infra.InstanceProfileName, InstanceTypes: infra.InstanceTypes, SecurityGroupIds: infra.SecurityGroupIds, Logging: infra.Logging,
		TerminateInstanceOnFailure: infra.TerminateInstanceOnFailure, ResourceTags: infra.ResourceTags, InstanceMetadataOptions: infra.InstanceMetadataOptions, Placement: infra.Placement,
		Tags: infra.Tags, DateCreated: gotInfra.DateCreated,
	})

	distributions := []api.Distribution{
		{Region: p(home), AmiDistributionConfiguration: &api.AmiDistributionConfiguration{TargetAccountIds: []string{}, AmiTags: map[string]string{}, LaunchPermission: &api.LaunchPermissionConfiguration{UserIds: []string{}}}},
		{Region: p("eu-west-1"), LaunchTemplateConfigurations: []api.LaunchTemplateConfiguration{{LaunchTemplateId: p("lt-01234567890123456"), SetDefaultVersion: p(false)}},
			FastLaunchConfigurations: []api.FastLaunchConfiguration{{Enabled: p(false), SnapshotConfiguration: &api.FastLaunchSnapshotConfiguration{}}}, SsmParameterConfigurations: []api.SsmParameterConfiguration{}},
	}
	dist := must(f.CreateDistributionConfiguration(f.ctx, &api.CreateDistributionConfigurationInput{Name: p("echo"), Distributions: distributions, ClientToken: f.token()}))(t).DistributionConfigurationArn
	gotDist := must(f.GetDistributionConfiguration(f.ctx, &api.GetDistributionConfigurationInput{DistributionConfigurationArn: dist}))(t).DistributionConfiguration
	exactly(t, "distributions", gotDist.Distributions, distributions)
	if gotDist.Description != nil || gotDist.Tags != nil || gotDist.DateUpdated != nil {
		t.Errorf("what was not sent came back: %+v", gotDist)
	}

	recipe := f.recipeInput("echo", "1.0.0")
	recipe.Components, recipe.AmiTags, recipe.BlockDeviceMappings = []api.ComponentConfiguration{}, map[string]string{}, []api.InstanceBlockDeviceMapping{}
	recipe.AdditionalInstanceConfiguration = &api.AdditionalInstanceConfiguration{SystemsManagerAgent: &api.SystemsManagerAgent{}}
	recipeARN := must(f.CreateImageRecipe(f.ctx, recipe))(t).ImageRecipeArn
	gotRecipe := must(f.GetImageRecipe(f.ctx, &api.GetImageRecipeInput{ImageRecipeArn: recipeARN}))(t).ImageRecipe
	exactly(t, "recipe", []any{gotRecipe.Components, gotRecipe.AmiTags, gotRecipe.BlockDeviceMappings, gotRecipe.AdditionalInstanceConfiguration, gotRecipe.AmiWatermarks, gotRecipe.Tags},
		[]any{recipe.Components, recipe.AmiTags, recipe.BlockDeviceMappings, recipe.AdditionalInstanceConfiguration, []string(nil), map[string]string(nil)})

	container := f.containerInput("echo", "1.0.0")
	container.Components, container.InstanceConfiguration = []api.ComponentConfiguration{}, &api.InstanceConfiguration{BlockDeviceMappings: []api.InstanceBlockDeviceMapping{}}
	containerARN := must(f.CreateContainerRecipe(f.ctx, container))(t).ContainerRecipeArn
	gotContainer := must(f.GetContainerRecipe(f.ctx, &api.GetContainerRecipeInput{ContainerRecipeArn: containerARN}))(t).ContainerRecipe
	exactly(t, "container recipe", []any{gotContainer.Components, gotContainer.InstanceConfiguration, gotContainer.Tags}, []any{container.Components, container.InstanceConfiguration, map[string]string(nil)})

	pipe := &api.CreateImagePipelineInput{
		Name: p("echo"), ImageRecipeArn: recipeARN, InfrastructureConfigurationArn: infraARN, Schedule: &api.Schedule{}, EnhancedImageMetadataEnabled: p(false), Workflows: []api.WorkflowConfiguration{},
		ImageScanningConfiguration: &api.ImageScanningConfiguration{ImageScanningEnabled: p(false), EcrConfiguration: &api.EcrConfiguration{ContainerTags: []string{}}},
		LoggingConfiguration:       &api.PipelineLoggingConfiguration{}, ImageTags: map[string]string{}, ImageTestsConfiguration: &api.ImageTestsConfiguration{ImageTestsEnabled: p(false), TimeoutMinutes: p(int32(60))},
		ClientToken: f.token(),
	}
	pipeARN := must(f.CreateImagePipeline(f.ctx, pipe))(t).ImagePipelineArn
	gotPipe := must(f.GetImagePipeline(f.ctx, &api.GetImagePipelineInput{ImagePipelineArn: pipeARN}))(t).ImagePipeline
	exactly(t, "pipeline", gotPipe, &api.ImagePipeline{
		Arn: pipeARN, Name: pipe.Name, ImageRecipeArn: recipeARN, InfrastructureConfigurationArn: infraARN, Schedule: pipe.Schedule, EnhancedImageMetadataEnabled: pipe.EnhancedImageMetadataEnabled,
		Workflows: pipe.Workflows, ImageScanningConfiguration: pipe.ImageScanningConfiguration, LoggingConfiguration: pipe.LoggingConfiguration, ImageTags: pipe.ImageTags,
		ImageTestsConfiguration: pipe.ImageTestsConfiguration, Platform: p(api.PlatformLinux), Status: p(api.PipelineStatusEnabled), DateCreated: gotPipe.DateCreated, DateUpdated: gotPipe.DateUpdated,
		ConsecutiveFailures: p(int32(0)),
	})

	detail := rule(api.LifecyclePolicyDetailActionTypeDelete, 1)
	detail.Action.IncludeResources = &api.LifecyclePolicyDetailActionIncludeResources{Amis: p(false)}
	detail.ExclusionRules = &api.LifecyclePolicyDetailExclusionRules{TagMap: map[string]string{}, Amis: &api.LifecyclePolicyDetailExclusionRulesAmis{IsPublic: p(false), Regions: []string{}}}
	policy := f.policyInput("echo", detail)
	policy.ResourceSelection = &api.LifecyclePolicyResourceSelection{TagMap: map[string]string{"k": ""}}
	policyARN := f.policy(policy)
	gotPolicy := must(f.GetLifecyclePolicy(f.ctx, &api.GetLifecyclePolicyInput{LifecyclePolicyArn: p(policyARN)}))(t).LifecyclePolicy
	exactly(t, "policy", []any{gotPolicy.PolicyDetails, gotPolicy.ResourceSelection, gotPolicy.Description, gotPolicy.Tags}, []any{policy.PolicyDetails, policy.ResourceSelection, (*string)(nil), map[string]string(nil)})
}
