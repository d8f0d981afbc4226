package clients

func pipelines() []chapter {
	const (
		recipe   = own + "image-recipe/$(me)-line/1.0.0"
		infra    = own + "infrastructure-configuration/$(me)-line"
		dist     = own + "distribution-configuration/$(me)-line"
		pipeline = own + "image-pipeline/$(me)-line"
	)
	create := object{"name": "$(me) Line", "description": "weekly", "imageRecipeArn": recipe, "infrastructureConfigurationArn": infra, "distributionConfigurationArn": dist,
		"imageTestsConfiguration": object{"imageTestsEnabled": false, "timeoutMinutes": 60}, "enhancedImageMetadataEnabled": false, "status": "DISABLED", "tags": object{"k": "v"},
		"schedule": object{"scheduleExpression": "cron(0 6 ? * sun *)", "timezone": "Europe/Berlin", "pipelineExecutionStartCondition": "EXPRESSION_MATCH_ONLY"}}
	return []chapter{{name: "pipeline", calls: append([]call{
		part("$(me)-line-part"),
		{op: "CreateImageRecipe", in: object{"name": "$(me)-line", "semanticVersion": "1.0.0", "parentImage": parent, "components": parts("$(me)-line-part")}},
		{op: "CreateInfrastructureConfiguration", in: object{"name": "$(me)-line", "instanceProfileName": "golden"}},
		{op: "CreateDistributionConfiguration", in: object{"name": "$(me)-line", "distributions": list{object{"region": "us-east-1", "amiDistributionConfiguration": object{}}}}},
		{op: "CreateImagePipeline", in: with(create, object{"dryRun": true}), err: "DryRunOperationException"},
		{op: "CreateImagePipeline", in: with(create, object{"clientToken": "$(me)-line"}), want: object{"imagePipelineArn": pipeline}},
		{op: "CreateImagePipeline", in: with(create, object{"clientToken": "$(me)-line"}), want: object{"imagePipelineArn": pipeline}},
		{op: "CreateImagePipeline", in: with(create, object{"name": "$(me)_LINE"}), err: "ResourceAlreadyExistsException", says: pipeline},
		{op: "CreateImagePipeline", in: with(create, object{"name": "$(me)-bad", "schedule": object{"scheduleExpression": "cron(1 2 3)"}}), err: "InvalidParameterValueException", says: "schedule.scheduleExpression"},
		{op: "CreateImagePipeline", in: with(create, object{"name": "$(me)-bad", "imageRecipeArn": own + "image-recipe/$(me)-never/1.0.0"}), err: "InvalidParameterValueException", says: "imageRecipeArn"},
		{op: "GetImagePipeline", in: object{"imagePipelineArn": pipeline}, want: object{
			"imagePipeline.arn": pipeline, "imagePipeline.name": "$(me) Line", "imagePipeline.imageRecipeArn": recipe, "imagePipeline.platform": "Linux", "imagePipeline.status": "DISABLED",
			"imagePipeline.imageTestsConfiguration": create["imageTestsConfiguration"], "imagePipeline.enhancedImageMetadataEnabled": false, "imagePipeline.schedule": create["schedule"],
			"imagePipeline.tags": object{"k": "v"}, "imagePipeline.dateCreated": matching(iso), "imagePipeline.dateUpdated": matching(iso), "imagePipeline.dateLastRun": absent,
			"imagePipeline.containerRecipeArn": absent}},
		{op: "DeleteImageRecipe", in: object{"imageRecipeArn": recipe}, err: "ResourceDependencyException", says: pipeline},
		{op: "DeleteInfrastructureConfiguration", in: object{"infrastructureConfigurationArn": infra}, err: "ResourceDependencyException", says: pipeline},
		{op: "DeleteDistributionConfiguration", in: object{"distributionConfigurationArn": dist}, err: "ResourceDependencyException", says: pipeline},
		{op: "UpdateImagePipeline", in: object{"imagePipelineArn": pipeline, "imageRecipeArn": recipe, "infrastructureConfigurationArn": infra}, want: object{"imagePipelineArn": pipeline}},
		{op: "GetImagePipeline", in: object{"imagePipelineArn": pipeline}, want: object{
			"imagePipeline.schedule": absent, "imagePipeline.description": absent, "imagePipeline.distributionConfigurationArn": absent, "imagePipeline.status": "ENABLED",
			"imagePipeline.imageTestsConfiguration": object{"imageTestsEnabled": true, "timeoutMinutes": 720}, "imagePipeline.enhancedImageMetadataEnabled": true}},
		{op: "ListImagePipelines", in: object{"filters": list{object{"name": "imageRecipeArn", "values": list{recipe}}, object{"name": "status", "values": list{"ENABLED"}}}}, pages: "imagePipelineList",
			want: object{"imagePipelineList": count(1), "imagePipelineList.0.arn": pipeline}},
		{op: "ListImagePipelineImages", in: object{"imagePipelineArn": pipeline}, pages: "imageSummaryList", want: object{"imageSummaryList": count(0)}},
		{op: "DeleteDistributionConfiguration", in: object{"distributionConfigurationArn": dist}},
	}, append(tagging(pipeline),
		call{op: "DeleteImagePipeline", in: object{"imagePipelineArn": pipeline}, want: object{"imagePipelineArn": pipeline}},
		call{op: "GetImagePipeline", in: object{"imagePipelineArn": pipeline}, err: notFound, says: pipeline},
		call{op: "DeleteImagePipeline", in: object{"imagePipelineArn": pipeline}, err: notFound},
		call{op: "StartImagePipelineExecution", in: object{"imagePipelineArn": pipeline}, err: notFound},
		call{op: "ListImagePipelineImages", in: object{"imagePipelineArn": pipeline}, err: notFound},
		call{op: "DeleteImageRecipe", in: object{"imageRecipeArn": recipe}},
		call{op: "DeleteInfrastructureConfiguration", in: object{"infrastructureConfigurationArn": infra}},
	)...)}}
}
