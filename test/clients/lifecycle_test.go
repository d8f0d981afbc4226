package clients

func lifecycle() []chapter {
	const arn = own + "lifecycle-policy/$(me)-old"
	const execution = "lce-00000000-0000-4000-8000-000000000000"
	create := object{"name": "$(me)-old", "executionRole": "arn:aws:iam::123456789012:role/lifecycle", "resourceType": "AMI_IMAGE", "status": "DISABLED", "tags": object{"k": "v"},
		"policyDetails":     list{object{"action": object{"type": "DELETE", "includeResources": object{"amis": true, "snapshots": false}}, "filter": object{"type": "COUNT", "value": 3}}},
		"resourceSelection": object{"recipes": list{object{"name": "$(me)-recipe", "semanticVersion": "1.x.x"}}}}
	age := list{object{"action": object{"type": "DEPRECATE"}, "filter": object{"type": "AGE", "value": 6, "unit": "MONTHS"}}}
	return []chapter{
		{name: "lifecycle policy", calls: append([]call{
			{op: "CreateLifecyclePolicy", in: with(create, object{"clientToken": "$(me)-old"}), want: object{"lifecyclePolicyArn": arn}, save: map[string]string{"policy": "lifecyclePolicyArn"}},
			{op: "CreateLifecyclePolicy", in: with(create, object{"clientToken": "$(me)-old"}), want: object{"lifecyclePolicyArn": arn}},
			{op: "CreateLifecyclePolicy", in: create, err: "ResourceAlreadyExistsException", says: arn},
			{op: "GetLifecyclePolicy", in: object{"lifecyclePolicyArn": "$(policy)"}, want: object{"lifecyclePolicy.arn": arn, "lifecyclePolicy.policyDetails": create["policyDetails"],
				"lifecyclePolicy.resourceSelection": create["resourceSelection"], "lifecyclePolicy.status": "DISABLED", "lifecyclePolicy.resourceType": "AMI_IMAGE", "lifecyclePolicy.tags": object{"k": "v"},
				"lifecyclePolicy.dateCreated": present}},
			{op: "UpdateLifecyclePolicy", in: object{"lifecyclePolicyArn": arn, "executionRole": "lifecycle", "resourceType": "AMI_IMAGE", "policyDetails": age, "resourceSelection": object{"tagMap": object{"a": "b"}}},
				want: object{"lifecyclePolicyArn": arn}},
			{op: "GetLifecyclePolicy", in: object{"lifecyclePolicyArn": "$(policy)"}, want: object{"lifecyclePolicy.policyDetails": age, "lifecyclePolicy.resourceSelection": object{"tagMap": object{"a": "b"}},
				"lifecyclePolicy.status": "ENABLED"}},
			{op: "ListLifecyclePolicies", in: object{"filters": list{object{"name": "Name", "values": list{"$(me)-old"}}}}, pages: "lifecyclePolicySummaryList",
				want: object{"lifecyclePolicySummaryList": count(1), "lifecyclePolicySummaryList.0.arn": arn}},
			{op: "ListLifecycleExecutions", in: object{"resourceArn": "$(policy)"}, pages: "lifecycleExecutions", want: object{"lifecycleExecutions": count(0)}},
		}, append(tagging("$(policy)"),
			call{op: "DeleteLifecyclePolicy", in: object{"lifecyclePolicyArn": "$(policy)"}, want: object{"lifecyclePolicyArn": arn}},
			call{op: "GetLifecyclePolicy", in: object{"lifecyclePolicyArn": "$(policy)"}, err: notFound},
			call{op: "DeleteLifecyclePolicy", in: object{"lifecyclePolicyArn": "$(policy)"}, err: notFound},
		)...)},
		{name: "state of an image", calls: []call{
			part("$(me)-state-part"),
			{op: "CreateImageRecipe", in: object{"name": "$(me)-state", "semanticVersion": "1.0.0", "parentImage": amazon + "image/ubuntu-server-22-lts-x86/x.x.x", "components": parts("$(me)-state-part")}, save: map[string]string{"recipe": "imageRecipeArn"}},
			{op: "CreateInfrastructureConfiguration", in: object{"name": "$(me)-state", "instanceProfileName": "golden"}, save: map[string]string{"infra": "infrastructureConfigurationArn"}},
			{op: "CreateImage", in: object{"imageRecipeArn": "$(recipe)", "infrastructureConfigurationArn": "$(infra)"}, save: map[string]string{"made": "imageBuildVersionArn"}},
			{op: "GetImage", in: object{"imageBuildVersionArn": "$(made)"}, want: object{"image.state.status": "FAILED"}, until: "the image failed"},
			{op: "StartResourceStateUpdate", in: object{"resourceArn": "$(made)", "state": object{"status": "DEPRECATED"}}, err: "InvalidRequestException", says: "FAILED"},
			{op: "StartResourceStateUpdate", in: object{"resourceArn": "$(made)", "state": object{"status": "DELETED"}, "executionRole": "lifecycle", "includeResources": object{"amis": true, "snapshots": true}},
				want: object{"resourceArn": "$(made)"}, save: map[string]string{"run": "lifecycleExecutionId"}},
			{op: "GetLifecycleExecution", in: object{"lifecycleExecutionId": "$(run)"}, want: object{"lifecycleExecution.lifecycleExecutionId": "$(run)", "lifecycleExecution.state.status": "SUCCESS"}, until: "the update is done"},
			{op: "ListLifecycleExecutionResources", in: object{"lifecycleExecutionId": "$(run)"}, pages: "resources", want: object{"resources.0.resourceId": "$(made)"}},
			{op: "CancelLifecycleExecution", in: object{"lifecycleExecutionId": "$(run)"}, err: "InvalidRequestException"},
		}},
		{name: "lifecycle executions that are not there", calls: []call{
			{op: "GetLifecycleExecution", in: object{"lifecycleExecutionId": execution}, err: notFound},
			{op: "ListLifecycleExecutionResources", in: object{"lifecycleExecutionId": execution}, err: notFound},
			{op: "CancelLifecycleExecution", in: object{"lifecycleExecutionId": execution}, err: notFound},
			{op: "StartResourceStateUpdate", in: object{"resourceArn": own + "image/$(me)-never/1.0.0/1", "state": object{"status": "DEPRECATED"}}, err: notFound},
		}},
	}
}
