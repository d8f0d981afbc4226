package gate

import (
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
)

// imageBuilder are the rules of EC2 Image Builder (Service Authorization
// Reference, "Actions, resources, and condition keys for Amazon EC2 Image
// Builder"). Its dependent actions on other services are not asked for: this
// server does that work itself, in nobody's name.
var imageBuilder = map[string]rule{
	"CancelImageCreation":               on(func(in *api.CancelImageCreationInput) *string { return in.ImageBuildVersionArn }),
	"CancelLifecycleExecution":          child("lifecycle-execution", func(in *api.CancelLifecycleExecutionInput) *string { return in.LifecycleExecutionId }),
	"CreateComponent":                   rules(createComponent),
	"CreateContainerRecipe":             rules(createContainerRecipe),
	"CreateDistributionConfiguration":   rules(createDistribution),
	"CreateImage":                       rules(createImage),
	"CreateImagePipeline":               rules(createPipeline),
	"CreateImageRecipe":                 rules(createRecipe),
	"CreateInfrastructureConfiguration": rules(createInfrastructure),
	"CreateLifecyclePolicy":             rules(createLifecyclePolicy),
	"CreateWorkflow":                    rules(createWorkflow),
	"DeleteComponent":                   on(func(in *api.DeleteComponentInput) *string { return in.ComponentBuildVersionArn }),
	"DeleteContainerRecipe":             on(func(in *api.DeleteContainerRecipeInput) *string { return in.ContainerRecipeArn }),
	"DeleteDistributionConfiguration":   on(func(in *api.DeleteDistributionConfigurationInput) *string { return in.DistributionConfigurationArn }),
	"DeleteImage":                       on(func(in *api.DeleteImageInput) *string { return in.ImageBuildVersionArn }),
	"DeleteImagePipeline":               on(func(in *api.DeleteImagePipelineInput) *string { return in.ImagePipelineArn }),
	"DeleteImageRecipe":                 on(func(in *api.DeleteImageRecipeInput) *string { return in.ImageRecipeArn }),
	"DeleteInfrastructureConfiguration": on(func(in *api.DeleteInfrastructureConfigurationInput) *string { return in.InfrastructureConfigurationArn }),
	"DeleteLifecyclePolicy":             on(func(in *api.DeleteLifecyclePolicyInput) *string { return in.LifecyclePolicyArn }),
	"DeleteWorkflow":                    on(func(in *api.DeleteWorkflowInput) *string { return in.WorkflowBuildVersionArn }),
	"DistributeImage":                   rules(distributeImage),
	"GetComponent":                      on(func(in *api.GetComponentInput) *string { return in.ComponentBuildVersionArn }),
	"GetComponentPolicy":                on(func(in *api.GetComponentPolicyInput) *string { return in.ComponentArn }),
	"GetContainerRecipe":                on(func(in *api.GetContainerRecipeInput) *string { return in.ContainerRecipeArn }),
	"GetContainerRecipePolicy":          on(func(in *api.GetContainerRecipePolicyInput) *string { return in.ContainerRecipeArn }),
	"GetDistributionConfiguration":      on(func(in *api.GetDistributionConfigurationInput) *string { return in.DistributionConfigurationArn }),
	"GetImage":                          on(func(in *api.GetImageInput) *string { return in.ImageBuildVersionArn }),
	"GetImagePipeline":                  on(func(in *api.GetImagePipelineInput) *string { return in.ImagePipelineArn }),
	"GetImagePolicy":                    on(func(in *api.GetImagePolicyInput) *string { return in.ImageArn }),
	"GetImageRecipe":                    on(func(in *api.GetImageRecipeInput) *string { return in.ImageRecipeArn }),
	"GetImageRecipePolicy":              on(func(in *api.GetImageRecipePolicyInput) *string { return in.ImageRecipeArn }),
	"GetInfrastructureConfiguration":    on(func(in *api.GetInfrastructureConfigurationInput) *string { return in.InfrastructureConfigurationArn }),
	"GetLifecycleExecution":             child("lifecycle-execution", func(in *api.GetLifecycleExecutionInput) *string { return in.LifecycleExecutionId }),
	"GetLifecyclePolicy":                on(func(in *api.GetLifecyclePolicyInput) *string { return in.LifecyclePolicyArn }),
	"GetMarketplaceResource":            on(func(in *api.GetMarketplaceResourceInput) *string { return in.ResourceArn }),
	"GetWorkflow":                       on(func(in *api.GetWorkflowInput) *string { return in.WorkflowBuildVersionArn }),
	"GetWorkflowExecution":              child("workflow-execution", func(in *api.GetWorkflowExecutionInput) *string { return in.WorkflowExecutionId }),
	"GetWorkflowStepExecution":          child("workflow-step-execution", func(in *api.GetWorkflowStepExecutionInput) *string { return in.StepExecutionId }),
	"ImportComponent":                   rules(importComponent),
	"ImportDiskImage":                   rules(importDiskImage),
	"ImportVmImage":                     rules(importVMImage),
	"ListComponentBuildVersions":        builds(func(in *api.ListComponentBuildVersionsInput) *string { return in.ComponentVersionArn }),
	"ListComponents":                    anything,
	"ListContainerRecipes":              anything,
	"ListDistributionConfigurations":    anything,
	"ListImageBuildVersions":            builds(func(in *api.ListImageBuildVersionsInput) *string { return in.ImageVersionArn }),
	"ListImagePackages":                 on(func(in *api.ListImagePackagesInput) *string { return in.ImageBuildVersionArn }),
	"ListImagePipelineImages":           on(func(in *api.ListImagePipelineImagesInput) *string { return in.ImagePipelineArn }),
	"ListImagePipelines":                anything,
	"ListImageRecipes":                  anything,
	"ListImageScanFindingAggregations":  rules(listAggregations),
	"ListImageScanFindings":             rules(listFindings),
	"ListImages":                        anything,
	"ListInfrastructureConfigurations":  anything,
	"ListLifecycleExecutionResources":   child("lifecycle-execution", func(in *api.ListLifecycleExecutionResourcesInput) *string { return in.LifecycleExecutionId }),
	"ListLifecycleExecutions":           on(func(in *api.ListLifecycleExecutionsInput) *string { return in.ResourceArn }),
	"ListLifecyclePolicies":             anything,
	"ListTagsForResource":               on(func(in *api.ListTagsForResourceInput) *string { return in.ResourceArn }),
	"ListWaitingWorkflowSteps":          anything,
	"ListWorkflowBuildVersions":         builds(func(in *api.ListWorkflowBuildVersionsInput) *string { return in.WorkflowVersionArn }),
	"ListWorkflowExecutions":            on(func(in *api.ListWorkflowExecutionsInput) *string { return in.ImageBuildVersionArn }),
	"ListWorkflowStepExecutions":        child("workflow-execution", func(in *api.ListWorkflowStepExecutionsInput) *string { return in.WorkflowExecutionId }),
	"ListWorkflows":                     anything,
	"PutComponentPolicy":                on(func(in *api.PutComponentPolicyInput) *string { return in.ComponentArn }),
	"PutContainerRecipePolicy":          on(func(in *api.PutContainerRecipePolicyInput) *string { return in.ContainerRecipeArn }),
	"PutImagePolicy":                    on(func(in *api.PutImagePolicyInput) *string { return in.ImageArn }),
	"PutImageRecipePolicy":              on(func(in *api.PutImageRecipePolicyInput) *string { return in.ImageRecipeArn }),
	"RetryImage":                        on(func(in *api.RetryImageInput) *string { return in.ImageBuildVersionArn }),
	"SendWorkflowStepAction":            rules(sendStepAction),
	"StartImagePipelineExecution":       rules(startPipeline),
	"StartResourceStateUpdate":          rules(updateState),
	"TagResource":                       rules(tagResource),
	"UntagResource":                     rules(untagResource),
	"UpdateDistributionConfiguration":   on(func(in *api.UpdateDistributionConfigurationInput) *string { return in.DistributionConfigurationArn }),
	"UpdateImagePipeline":               rules(updatePipeline),
	"UpdateInfrastructureConfiguration": rules(updateInfrastructure),
	"UpdateLifecyclePolicy":             rules(updateLifecyclePolicy),
}

// resource names a resource that is to be made, by its kind, name and version.
func resource(kind string, name *string, nodes ...string) string {
	return strings.Join(append([]string{kind, imagebuilder.ResourceName(text(name))}, nodes...), "/")
}

// someBuild stands for the build number that a new build will get.
const someBuild = "*"

func createComponent(a asked, in *api.CreateComponentInput) []need {
	return a.making(resource("component", in.Name, text(in.SemanticVersion), someBuild), in.Tags)
}

func importComponent(a asked, in *api.ImportComponentInput) []need {
	return a.making(resource("component", in.Name, text(in.SemanticVersion), someBuild), in.Tags)
}

func createRecipe(a asked, in *api.CreateImageRecipeInput) []need {
	all := a.making(resource("image-recipe", in.Name, text(in.SemanticVersion)), in.Tags)
	for _, c := range in.Components {
		all = reading(all, "GetComponent", c.ComponentArn)
	}
	return reading(all, "GetImage", in.ParentImage)
}

func createContainerRecipe(a asked, in *api.CreateContainerRecipeInput) []need {
	all := a.making(resource("container-recipe", in.Name, text(in.SemanticVersion)), in.Tags)
	for _, c := range in.Components {
		all = reading(all, "GetComponent", c.ComponentArn)
	}
	return reading(all, "GetImage", in.ParentImage)
}

func createDistribution(a asked, in *api.CreateDistributionConfigurationInput) []need {
	return a.making(resource("distribution-configuration", in.Name), in.Tags)
}

func createWorkflow(a asked, in *api.CreateWorkflowInput) []need {
	kind := "workflow/" + strings.ToLower(text(in.Type))
	return a.making(resource(kind, in.Name, text(in.SemanticVersion), someBuild), in.Tags)
}

func createImage(a asked, in *api.CreateImageInput) []need {
	name, version := recipeOf(in.ImageRecipeArn, in.ContainerRecipeArn)
	all := a.making(strings.Join([]string{"image", name, version, someBuild}, "/"), in.Tags)
	return a.building(all, in.ImageRecipeArn, in.ContainerRecipeArn, in.InfrastructureConfigurationArn, in.DistributionConfigurationArn, in.Workflows, in.ExecutionRole)
}

func createPipeline(a asked, in *api.CreateImagePipelineInput) []need {
	all := a.making(resource("image-pipeline", in.Name), in.Tags)
	return a.building(all, in.ImageRecipeArn, in.ContainerRecipeArn, in.InfrastructureConfigurationArn, in.DistributionConfigurationArn, in.Workflows, in.ExecutionRole)
}

func updatePipeline(a asked, in *api.UpdateImagePipelineInput) []need {
	all := a.on(in.ImagePipelineArn)
	return a.building(all, in.ImageRecipeArn, in.ContainerRecipeArn, in.InfrastructureConfigurationArn, in.DistributionConfigurationArn, in.Workflows, in.ExecutionRole)
}

// building adds what reading the parts of a build takes.
func (a asked) building(all []need, recipe, container, infrastructure, distribution *string, workflows []api.WorkflowConfiguration, role *string) []need {
	all = reading(all, "GetImageRecipe", recipe)
	all = reading(all, "GetContainerRecipe", container)
	all = reading(all, "GetInfrastructureConfiguration", infrastructure)
	all = reading(all, "GetDistributionConfiguration", distribution)
	for _, w := range workflows {
		all = reading(all, "GetWorkflow", w.WorkflowArn)
	}
	return a.passing(all, role)
}

// recipeOf gives the name and version that an image has from its recipe.
func recipeOf(arns ...*string) (name, version string) {
	for _, arn := range arns {
		if parts := strings.Split(text(arn), "/"); len(parts) == 3 {
			return parts[1], parts[2]
		}
	}
	return everything, everything
}

func createInfrastructure(a asked, in *api.CreateInfrastructureConfigurationInput) []need {
	all := a.making(resource("infrastructure-configuration", in.Name), in.Tags)
	infrastructureKeys(all[0].values, in.ResourceTags, in.InstanceMetadataOptions, in.SnsTopicArn)
	return all
}

func updateInfrastructure(a asked, in *api.UpdateInfrastructureConfigurationInput) []need {
	all := a.on(in.InfrastructureConfigurationArn)
	all[0].values = access.Values{}
	infrastructureKeys(all[0].values, in.ResourceTags, in.InstanceMetadataOptions, in.SnsTopicArn)
	return all
}

func infrastructureKeys(v access.Values, tags map[string]string, metadata *api.InstanceMetadataOptions, topic *string) {
	v.Tags("imagebuilder:createdresourcetag", tags)
	tagKeys(v, "imagebuilder:createdresourcetagkeys", tags)
	if metadata != nil {
		v.Set("imagebuilder:ec2metadatahttptokens", text(metadata.HttpTokens))
	}
	v.Set("imagebuilder:statustopicarn", text(topic))
}

func createLifecyclePolicy(a asked, in *api.CreateLifecyclePolicyInput) []need {
	all := a.making(resource("lifecycle-policy", in.Name), in.Tags)
	all[0].values.Set("imagebuilder:lifecyclepolicyresourcetype", text(in.ResourceType))
	return a.passing(all, in.ExecutionRole)
}

func updateLifecyclePolicy(a asked, in *api.UpdateLifecyclePolicyInput) []need {
	all := a.on(in.LifecyclePolicyArn)
	all[0].values = access.Values{}
	all[0].values.Set("imagebuilder:lifecyclepolicyresourcetype", text(in.ResourceType))
	return a.passing(all, in.ExecutionRole)
}

// distributeImage makes an image of its own out of one that there is.
func distributeImage(a asked, in *api.DistributeImageInput) []need {
	name, version := everything, everything
	if parts := strings.Split(text(in.SourceImage), "/"); len(parts) >= 3 {
		name, version = parts[1], parts[2]
	}
	all := a.making(strings.Join([]string{"image", name, version, someBuild}, "/"), in.Tags)
	all = reading(all, "GetImage", in.SourceImage)
	all = reading(all, "GetDistributionConfiguration", in.DistributionConfigurationArn)
	return a.passing(all, in.ExecutionRole)
}

func importDiskImage(a asked, in *api.ImportDiskImageInput) []need {
	all := a.making(resource("image", in.Name, text(in.SemanticVersion)), in.Tags)
	all = reading(all, "GetInfrastructureConfiguration", in.InfrastructureConfigurationArn)
	return a.passing(all, in.ExecutionRole)
}

func importVMImage(a asked, in *api.ImportVmImageInput) []need {
	return a.making(resource("image", in.Name, text(in.SemanticVersion)), in.Tags)
}

func startPipeline(a asked, in *api.StartImagePipelineExecutionInput) []need {
	all := a.on(in.ImagePipelineArn)
	all[0].values = requestTags(in.Tags)
	if len(in.Tags) > 0 {
		all = append(all, need{action: "imagebuilder:TagResource", resource: a.arn("image/*/*/*"), values: all[0].values})
	}
	return reading(all, "GetImagePipeline", in.ImagePipelineArn)
}

func updateState(a asked, in *api.StartResourceStateUpdateInput) []need {
	return a.passing(a.on(in.ResourceArn), in.ExecutionRole)
}

func sendStepAction(a asked, in *api.SendWorkflowStepActionInput) []need {
	return append(a.on(in.ImageBuildVersionArn), need{action: a.action(), resource: a.arn("workflow-step-execution/" + text(in.StepExecutionId))})
}

func tagResource(a asked, in *api.TagResourceInput) []need {
	all := a.on(in.ResourceArn)
	all[0].values = requestTags(in.Tags)
	return all
}

func untagResource(a asked, in *api.UntagResourceInput) []need {
	all := a.on(in.ResourceArn)
	all[0].values = untagged(in.TagKeys)
	return all
}

// scanned are the resources that a filter of findings may name.
var scanned = []string{"imageBuildVersionArn", "imagePipelineArn"}

func listFindings(a asked, in *api.ListImageScanFindingsInput) []need {
	for _, f := range in.Filters {
		if arns := filtered(a, f.Name, f.Values); arns != nil {
			return arns
		}
	}
	return anything(a, in)
}

func listAggregations(a asked, in *api.ListImageScanFindingAggregationsInput) []need {
	if in.Filter != nil {
		if arns := filtered(a, in.Filter.Name, in.Filter.Values); arns != nil {
			return arns
		}
	}
	return anything(a, in)
}

func filtered(a asked, name *string, values []string) []need {
	var all []need
	for _, known := range scanned {
		if text(name) != known {
			continue
		}
		for _, arn := range values {
			all = append(all, need{action: a.action(), resource: arn})
		}
	}
	return all
}
