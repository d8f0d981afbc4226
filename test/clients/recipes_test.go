package clients

func recipes() []chapter {
	const (
		arn       = own + "image-recipe/$(me)-recipe/1.0.0"
		component = own + "component/$(me)-recipe-part/1.0.0/1"
		boxed     = own + "component/$(me)-box-part/1.0.0/1"
		swap      = own + "image-recipe/$(me)-swap/"
		container = own + "container-recipe/$(me)-box/1.0.0"
	)
	create := object{"name": "$(me)-recipe", "semanticVersion": "1.0.0", "description": "golden", "parentImage": parent, "components": list{object{"componentArn": own + "component/$(me)-recipe-part/x.x.x"}},
		"blockDeviceMappings": list{object{"deviceName": "/dev/xvda", "ebs": object{"volumeSize": 9, "volumeType": "gp3", "deleteOnTermination": false, "iops": 3000}}, object{"deviceName": "/dev/xvdb", "noDevice": ""}},
		"workingDirectory":    "/var/tmp", "tags": object{"k": "v"}, "additionalInstanceConfiguration": object{"systemsManagerAgent": object{"uninstallAfterBuild": false}}}
	box := object{"name": "$(me)-box", "semanticVersion": "1.0.0", "containerType": "DOCKER", "parentImage": "debian:12", "components": list{object{"componentArn": boxed}},
		"dockerfileTemplateData": "FROM {{{ imagebuilder:parentImage }}}\n{{{ imagebuilder:environments }}}\n{{{ imagebuilder:components }}}\n", "targetRepository": object{"service": "ECR", "repositoryName": "box"},
		"platformOverride": "Linux", "tags": object{"k": "v"}}
	return []chapter{
		{name: "image recipe", calls: append([]call{
			part("$(me)-recipe-part"),
			{op: "CreateImageRecipe", in: with(create, object{"dryRun": true}), err: "DryRunOperationException"},
			{op: "CreateImageRecipe", in: with(create, object{"clientToken": "$(me)-recipe"}), want: object{"imageRecipeArn": arn}},
			{op: "CreateImageRecipe", in: with(create, object{"clientToken": "$(me)-recipe"}), want: object{"imageRecipeArn": arn}},
			{op: "CreateImageRecipe", in: with(create, object{"clientToken": "$(me)-recipe", "description": "other"}), err: "IdempotentParameterMismatchException"},
			{op: "CreateImageRecipe", in: create, err: "ResourceAlreadyExistsException", says: "The following resource 'ImageRecipe' already exists: '" + arn + "'."},
			{op: "CreateImageRecipe", in: with(create, object{"name": "$(me)-twice", "components": list{object{"componentArn": component}, object{"componentArn": component}}}), err: "InvalidParameterValueException", says: "at most once"},
			{op: "CreateImageRecipe", in: with(create, object{"name": "$(me)-orphan", "parentImage": own + "image/$(me)-nowhere/1.0.0"}), err: "InvalidParameterValueException", says: "parentImage"},
			{op: "GetImageRecipe", in: object{"imageRecipeArn": arn}, want: object{
				"imageRecipe.arn": arn, "imageRecipe.name": "$(me)-recipe", "imageRecipe.version": "1.0.0", "imageRecipe.description": "golden", "imageRecipe.platform": "Linux", "imageRecipe.owner": "123456789012",
				"imageRecipe.parentImage": parent, "imageRecipe.components": create["components"], "imageRecipe.blockDeviceMappings": list{
					object{"deviceName": "/dev/xvda", "ebs": object{"volumeSize": 9, "volumeType": "gp3", "deleteOnTermination": false, "iops": 3000}}, object{"deviceName": "/dev/xvdb", "noDevice": ""}},
				"imageRecipe.workingDirectory": "/var/tmp", "imageRecipe.tags": object{"k": "v"}, "imageRecipe.dateCreated": matching(iso)}},
			{op: "ListImageRecipes", in: object{"owner": "Self", "filters": list{object{"name": "name", "values": list{"$(me)-recipe"}}}}, pages: "imageRecipeSummaryList", want: object{
				"imageRecipeSummaryList": count(1), "imageRecipeSummaryList.0.arn": arn, "imageRecipeSummaryList.0.parentImage": parent, "imageRecipeSummaryList.0.tags": object{"k": "v"}}},
			{op: "ListImageRecipes", in: object{"owner": "Amazon"}, want: object{"imageRecipeSummaryList": count(0)}},
			{op: "DeleteComponent", in: object{"componentBuildVersionArn": component}, err: "ResourceDependencyException", says: arn},
			{op: "PutImageRecipePolicy", in: object{"imageRecipeArn": arn, "policy": sharing("GetImageRecipe", arn)}, want: object{"imageRecipeArn": arn}},
			{op: "GetImageRecipePolicy", in: object{"imageRecipeArn": arn}, want: object{"policy": matching(`(?s).*111122223333.*`)}},
		}, append(tagging(arn),
			call{op: "DeleteImageRecipe", in: object{"imageRecipeArn": arn}, want: object{"imageRecipeArn": arn}},
			call{op: "GetImageRecipe", in: object{"imageRecipeArn": arn}, err: notFound, says: arn},
			call{op: "DeleteImageRecipe", in: object{"imageRecipeArn": arn}, err: notFound},
			call{op: "DeleteComponent", in: object{"componentBuildVersionArn": component}},
		)...)},
		{name: "automatic versions", calls: []call{
			part("$(me)-auto-part"),
			{op: "CreateImageRecipe", in: object{"name": "$(me)-auto", "semanticVersion": "1.0.x", "parentImage": parent, "components": parts("$(me)-auto-part")}, save: map[string]string{"first": "imageRecipeArn"}},
			{op: "CreateImageRecipe", in: object{"name": "$(me)-auto", "semanticVersion": "1.0.x", "parentImage": parent, "components": parts("$(me)-auto-part")}, save: map[string]string{"second": "imageRecipeArn"}},
			{op: "GetImageRecipe", in: object{"imageRecipeArn": own + "image-recipe/$(me)-auto/x.x.x"}, want: object{"imageRecipe.arn": "$(second)"}},
			{op: "ListImageRecipes", in: object{"filters": list{object{"name": "name", "values": list{"$(me)-auto"}}}}, pages: "imageRecipeSummaryList",
				want: object{"imageRecipeSummaryList": count(2)}},
			{op: "DeleteImageRecipe", in: object{"imageRecipeArn": "$(first)"}},
			{op: "DeleteImageRecipe", in: object{"imageRecipeArn": "$(second)"}},
		}},
		// What CloudFormation and Terraform do when a property changes that cannot be updated.
		{name: "replacement", calls: []call{
			part("$(me)-swap-part"),
			{op: "CreateImageRecipe", in: object{"name": "$(me)-swap", "semanticVersion": "1.0.0", "parentImage": parent, "components": parts("$(me)-swap-part")}},
			{op: "CreateInfrastructureConfiguration", in: object{"name": "$(me)-swap", "instanceProfileName": "golden"}, save: map[string]string{"infra": "infrastructureConfigurationArn"}},
			{op: "CreateImagePipeline", in: object{"name": "$(me)-swap", "imageRecipeArn": swap + "1.0.0", "infrastructureConfigurationArn": "$(infra)"}, save: map[string]string{"pipeline": "imagePipelineArn"}},
			{op: "CreateImageRecipe", in: object{"name": "$(me)-swap", "semanticVersion": "1.0.1", "parentImage": parent, "components": parts("$(me)-swap-part"), "workingDirectory": "/opt"}},
			{op: "DeleteImageRecipe", in: object{"imageRecipeArn": swap + "1.0.0"}, err: "ResourceDependencyException", says: "$(pipeline)"},
			{op: "UpdateImagePipeline", in: object{"imagePipelineArn": "$(pipeline)", "imageRecipeArn": swap + "1.0.1", "infrastructureConfigurationArn": "$(infra)"}},
			{op: "DeleteImageRecipe", in: object{"imageRecipeArn": swap + "1.0.0"}},
			{op: "GetImagePipeline", in: object{"imagePipelineArn": "$(pipeline)"}, want: object{"imagePipeline.imageRecipeArn": swap + "1.0.1"}},
			// A name that was deleted is free again.
			{op: "DeleteImagePipeline", in: object{"imagePipelineArn": "$(pipeline)"}},
			{op: "CreateImagePipeline", in: object{"name": "$(me)-swap", "imageRecipeArn": swap + "1.0.1", "infrastructureConfigurationArn": "$(infra)"}, want: object{"imagePipelineArn": "$(pipeline)"}},
			{op: "DeleteImagePipeline", in: object{"imagePipelineArn": "$(pipeline)"}},
			{op: "CreateImageRecipe", in: object{"name": "$(me)-swap", "semanticVersion": "1.0.0", "parentImage": parent, "components": parts("$(me)-swap-part")}, want: object{"imageRecipeArn": swap + "1.0.0"}},
			{op: "DeleteImageRecipe", in: object{"imageRecipeArn": swap + "1.0.0"}},
			{op: "DeleteImageRecipe", in: object{"imageRecipeArn": swap + "1.0.1"}},
			{op: "DeleteInfrastructureConfiguration", in: object{"infrastructureConfigurationArn": "$(infra)"}},
		}},
		{name: "newer members of recipes", calls: []call{
			part("$(me)-tags-part"),
			{op: "CreateImageRecipe", in: object{"name": "$(me)-tags", "semanticVersion": "1.0.0", "parentImage": parent, "components": parts("$(me)-tags-part"),
				"amiTags": object{"a": "b", "empty": ""}}, save: map[string]string{"tagged": "imageRecipeArn"}},
			{op: "GetImageRecipe", in: object{"imageRecipeArn": "$(tagged)"}, want: object{"imageRecipe.amiTags": object{"a": "b", "empty": ""}}},
			{op: "DeleteImageRecipe", in: object{"imageRecipeArn": "$(tagged)"}},
			{op: "CreateImageRecipe", in: object{"name": "$(me)-marked", "semanticVersion": "1.0.0", "parentImage": parent, "components": parts("$(me)-tags-part"), "amiWatermarks": list{"golden"}}, save: map[string]string{"marked": "imageRecipeArn"}},
			{op: "GetImageRecipe", in: object{"imageRecipeArn": "$(marked)"}, want: object{"imageRecipe.amiWatermarks": list{"golden"}}},
			{op: "DeleteImageRecipe", in: object{"imageRecipeArn": "$(marked)"}},
		}},
		{name: "container recipe", calls: append([]call{
			part("$(me)-box-part"),
			{op: "CreateContainerRecipe", in: with(box, object{"clientToken": "$(me)-box"}), want: object{"containerRecipeArn": container}, save: map[string]string{"box": "containerRecipeArn"}},
			{op: "CreateContainerRecipe", in: with(box, object{"clientToken": "$(me)-box"}), want: object{"containerRecipeArn": container}},
			{op: "CreateContainerRecipe", in: box, err: "ResourceAlreadyExistsException", says: container},
			{op: "CreateContainerRecipe", in: with(box, object{"name": "$(me)-mac", "platformOverride": "macOS"}), err: "InvalidParameterValueException", says: "macOS"},
			{op: "GetContainerRecipe", in: object{"containerRecipeArn": container}, want: object{
				"containerRecipe.arn": container, "containerRecipe.name": "$(me)-box", "containerRecipe.containerType": "DOCKER", "containerRecipe.version": "1.0.0", "containerRecipe.parentImage": "debian:12",
				"containerRecipe.dockerfileTemplateData": box["dockerfileTemplateData"], "containerRecipe.targetRepository": box["targetRepository"], "containerRecipe.components": box["components"],
				"containerRecipe.encrypted": true, "containerRecipe.owner": "123456789012", "containerRecipe.tags": object{"k": "v"}, "containerRecipe.platform": "Linux"}},
			{op: "ListContainerRecipes", in: object{"owner": "Self", "filters": list{object{"name": "name", "values": list{"$(me)-box"}}}}, pages: "containerRecipeSummaryList", want: object{
				"containerRecipeSummaryList": count(1), "containerRecipeSummaryList.0.arn": container, "containerRecipeSummaryList.0.containerType": "DOCKER"}},
			{op: "DeleteComponent", in: object{"componentBuildVersionArn": boxed}, err: "ResourceDependencyException", says: container},
			{op: "PutContainerRecipePolicy", in: object{"containerRecipeArn": container, "policy": sharing("GetContainerRecipe", container)}, want: object{"containerRecipeArn": container}},
			{op: "GetContainerRecipePolicy", in: object{"containerRecipeArn": container}, want: object{"policy": matching(`(?s).*111122223333.*`)}},
		}, append(tagging(container),
			call{op: "DeleteContainerRecipe", in: object{"containerRecipeArn": container}, want: object{"containerRecipeArn": container}},
			call{op: "GetContainerRecipe", in: object{"containerRecipeArn": container}, err: notFound},
			call{op: "DeleteContainerRecipe", in: object{"containerRecipeArn": container}, err: notFound},
			call{op: "DeleteComponent", in: object{"componentBuildVersionArn": boxed}},
		)...)},
	}
}

// part makes a component for recipes.
func part(name string) call {
	return call{op: "CreateComponent", in: object{"name": name, "semanticVersion": "1.0.0", "platform": "Linux", "data": document}, want: object{"componentBuildVersionArn": own + "component/" + name + "/1.0.0/1"}}
}

// parts is a recipe's use of such a component. Recipes may do without, but older
// clients do not know that.
func parts(name string) list {
	return list{object{"componentArn": own + "component/" + name + "/1.0.0/1"}}
}
