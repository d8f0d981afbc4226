package clients

func images() []chapter {
	const (
		recipe = own + "image-recipe/$(me)-image/1.0.0"
		infra  = own + "infrastructure-configuration/$(me)-image"
		none   = own + "image/$(me)-never/1.0.0/1"
	)
	begin := []call{
		part("$(me)-image-part"),
		{op: "CreateImageRecipe", in: object{"name": "$(me)-image", "semanticVersion": "1.0.0", "parentImage": amazon + "image/ubuntu-server-22-lts-x86/x.x.x", "components": parts("$(me)-image-part")}},
		{op: "CreateInfrastructureConfiguration", in: object{"name": "$(me)-image", "instanceProfileName": "golden"}},
		{op: "CreateImagePipeline", in: object{"name": "$(me)-image", "imageRecipeArn": recipe, "infrastructureConfigurationArn": infra}, save: map[string]string{"pipeline": "imagePipelineArn"}},
	}
	state := func(status string) object { return object{"image.state.status": status} }
	return []chapter{
		// The parent was never imported, so these images fail before they begin.
		{name: "failed image", calls: append(begin,
			call{op: "StartImagePipelineExecution", in: object{"imagePipelineArn": "$(pipeline)", "clientToken": "$(me)-start"}, save: map[string]string{"failing": "imageBuildVersionArn"},
				want: object{"imageBuildVersionArn": own + "image/$(me)-image/1.0.0/1"}},
			call{op: "StartImagePipelineExecution", in: object{"imagePipelineArn": "$(pipeline)", "clientToken": "$(me)-start"}, want: object{"imageBuildVersionArn": "$(failing)"}},
			call{op: "GetImage", in: object{"imageBuildVersionArn": "$(failing)"}, want: state("FAILED"), until: "the image failed"},
			call{op: "GetImage", in: object{"imageBuildVersionArn": "$(failing)"}, want: object{
				"image.state.reason": matching(`(?s).*base import.*`), "image.sourcePipelineArn": "$(pipeline)", "image.imageRecipe.arn": recipe, "image.infrastructureConfiguration.arn": infra,
				"image.distributionConfiguration": absent, "image.version": "1.0.0/1", "image.buildType": "USER_INITIATED", "image.imageTestsConfiguration": object{"imageTestsEnabled": true, "timeoutMinutes": 720}}},
			call{op: "CancelImageCreation", in: object{"imageBuildVersionArn": "$(failing)"}, err: "InvalidRequestException", says: "FAILED"},
			call{op: "RetryImage", in: object{"imageBuildVersionArn": none}, err: notFound},
			call{op: "ListImagePipelineImages", in: object{"imagePipelineArn": "$(pipeline)"}, pages: "imageSummaryList", want: object{"imageSummaryList": count(1), "imageSummaryList.0.state.status": "FAILED"}},
			call{op: "ListImages", in: object{"filters": list{object{"name": "name", "values": list{"$(me)-image"}}}}, want: object{"imageVersionList": count(1), "imageVersionList.0.arn": own + "image/$(me)-image/1.0.0"}},
			call{op: "CreateImage", in: object{"imageRecipeArn": recipe, "infrastructureConfigurationArn": infra, "tags": object{"k": "v"}}, want: object{"imageBuildVersionArn": own + "image/$(me)-image/1.0.0/2"}},
			call{op: "ListImageBuildVersions", in: object{"imageVersionArn": own + "image/$(me)-image/1.0.0"}, pages: "imageSummaryList", want: object{"imageSummaryList": count(2)}},
			call{op: "GetImage", in: object{"imageBuildVersionArn": own + "image/$(me)-image/1.0.0/2"}, want: object{"image.state.status": "FAILED", "image.tags": object{"k": "v"}}, until: "the second image failed"},
			call{op: "PutImagePolicy", in: object{"imageArn": "$(failing)", "policy": sharing("GetImage", "$(failing)")}, want: object{"imageArn": "$(failing)"}},
			call{op: "GetImagePolicy", in: object{"imageArn": "$(failing)"}, want: object{"policy": matching(`(?s).*111122223333.*`)}},
			call{op: "TagResource", in: object{"resourceArn": "$(failing)", "tags": object{"a": "b"}}},
			call{op: "ListTagsForResource", in: object{"resourceArn": "$(failing)"}, want: object{"tags.a": "b"}},
			call{op: "DeleteImagePipeline", in: object{"imagePipelineArn": "$(pipeline)"}},
			call{op: "DeleteImage", in: object{"imageBuildVersionArn": "$(failing)"}, want: object{"imageBuildVersionArn": "$(failing)"}},
			call{op: "DeleteImage", in: object{"imageBuildVersionArn": own + "image/$(me)-image/1.0.0/2"}},
			call{op: "DeleteImage", in: object{"imageBuildVersionArn": "$(failing)"}, err: notFound},
			call{op: "GetImage", in: object{"imageBuildVersionArn": "$(failing)"}, err: notFound, says: "$(failing)"},
			call{op: "ListImagePackages", in: object{"imageBuildVersionArn": "$(failing)"}, err: notFound},
		)},
		{name: "cancelled image", needs: "image", calls: []call{
			{op: "GetImage", in: object{"imageBuildVersionArn": "$(image)"}, save: map[string]string{"recipe": "image.imageRecipe.arn", "infra": "image.infrastructureConfiguration.arn"}},
			{op: "CreateImage", in: object{"imageRecipeArn": "$(recipe)", "infrastructureConfigurationArn": "$(infra)"}, save: map[string]string{"doomed": "imageBuildVersionArn"}},
			{op: "DeleteImage", in: object{"imageBuildVersionArn": "$(doomed)"}, err: "ResourceInUseException"},
			{op: "CancelImageCreation", in: object{"imageBuildVersionArn": "$(doomed)"}, want: object{"imageBuildVersionArn": "$(doomed)"}},
			{op: "GetImage", in: object{"imageBuildVersionArn": "$(doomed)"}, want: state("CANCELLED"), until: "the image is cancelled"},
			{op: "DeleteImage", in: object{"imageBuildVersionArn": "$(doomed)"}},
		}},
		{name: "built image", needs: "image", calls: []call{
			{op: "wait:ImageAvailable", in: object{"imageBuildVersionArn": "$(image)"}},
			{op: "GetImage", in: object{"imageBuildVersionArn": "$(image)"}, want: object{"image.state.status": "AVAILABLE", "image.outputResources.amis": count(1),
				"image.outputResources.amis.0.image": matching(`ami-[0-9a-f]{17}`), "image.outputResources.amis.0.region": "us-east-1", "image.osVersion": present}},
			{op: "ListImagePackages", in: object{"imageBuildVersionArn": "$(image)"}, want: object{"imagePackageList.0.packageName": present, "imagePackageList.0.packageVersion": present}},
			{op: "ListWorkflowExecutions", in: object{"imageBuildVersionArn": "$(image)"}, want: object{"workflowExecutions.0.status": "COMPLETED"}, save: map[string]string{"run": "workflowExecutions.0.workflowExecutionId"}},
			{op: "ListWorkflowExecutions", in: object{"imageBuildVersionArn": "$(image)"}, pages: "workflowExecutions", want: object{"workflowExecutions.0.workflowExecutionId": "$(run)"}},
			{op: "GetWorkflowExecution", in: object{"workflowExecutionId": "$(run)"}, want: object{"workflowExecutionId": "$(run)", "imageBuildVersionArn": "$(image)", "status": "COMPLETED", "startTime": matching(iso)}},
			{op: "ListWorkflowStepExecutions", in: object{"workflowExecutionId": "$(run)"}, want: object{"steps.0.status": "COMPLETED", "steps.0.action": present}, save: map[string]string{"step": "steps.0.stepExecutionId"}},
			{op: "ListWorkflowStepExecutions", in: object{"workflowExecutionId": "$(run)"}, pages: "steps", want: object{"steps.0.stepExecutionId": "$(step)"}},
			{op: "GetWorkflowStepExecution", in: object{"stepExecutionId": "$(step)"}, want: object{"stepExecutionId": "$(step)", "workflowExecutionId": "$(run)", "status": "COMPLETED", "name": present}},
			{op: "GetImagePolicy", in: object{"imageArn": "$(image)"}, err: notFound},
		}},
		{name: "images that are not there", calls: []call{
			{op: "GetImage", in: object{"imageBuildVersionArn": none}, err: notFound, says: none},
			{op: "CancelImageCreation", in: object{"imageBuildVersionArn": none}, err: notFound},
			{op: "GetWorkflowExecution", in: object{"workflowExecutionId": "wf-00000000-0000-4000-8000-000000000000"}, err: notFound},
			{op: "GetWorkflowStepExecution", in: object{"stepExecutionId": "step-00000000-0000-4000-8000-000000000000"}, err: notFound},
			{op: "GetImage", in: object{"imageBuildVersionArn": "nonsense"}, err: "InvalidParameterValueException", says: "The value supplied for parameter 'imageBuildVersionArn' is not valid."},
		}},
	}
}
