package clients

func imports() []chapter {
	return []chapter{
		{name: "imported component", calls: []call{
			{op: "ImportComponent", in: object{"name": "$(me)-script", "semanticVersion": "1.0.0", "type": "BUILD", "format": "SHELL", "platform": "Linux", "data": "#!/bin/sh\necho hello\n"},
				save: map[string]string{"script": "componentBuildVersionArn"}},
			{op: "GetComponent", in: object{"componentBuildVersionArn": "$(script)"}, want: object{"component.type": "BUILD", "component.platform": "Linux", "component.data": matching(`(?s).*echo hello.*`)}},
			{op: "DeleteComponent", in: object{"componentBuildVersionArn": "$(script)"}},
		}},
		{name: "imported images", calls: []call{
			{op: "ImportVmImage", in: object{"name": "$(me)-vm", "semanticVersion": "1.0.0", "platform": "Linux", "vmImportTaskId": "import-ami-0123456789abcdef0"}, err: "ClientException", says: "import-ami-0123456789abcdef0"},
			{op: "ImportDiskImage", in: object{"name": "$(me)-iso", "semanticVersion": "1.0.0", "platform": "Windows", "osVersion": "Microsoft Windows 11",
				"infrastructureConfigurationArn": own + "infrastructure-configuration/$(me)-never", "uri": "s3://bucket/windows.iso", "windowsConfiguration": object{"imageIndex": 1}}, err: "InvalidParameterValueException", says: "infrastructureConfigurationArn"},
		}},
		{name: "marketplace", calls: []call{
			{op: "GetMarketplaceResource", in: object{"resourceType": "COMPONENT_DATA", "resourceArn": own + "component/$(me)-never/1.0.0/1"}, err: "InvalidParameterValueException", says: "resourceArn"},
		}},
	}
}

func lists() []chapter {
	return []chapter{
		{name: "findings", calls: []call{
			{op: "ListImageScanFindings", in: object{"filters": list{object{"name": "severity", "values": list{"HIGH"}}}}, pages: "findings", want: object{"findings": count(0)}},
			{op: "ListImageScanFindings", in: object{"filters": list{object{"name": "colour", "values": list{"red"}}}}, err: "InvalidParameterValueException"},
			{op: "ListImageScanFindingAggregations", in: object{"filter": object{"name": "accountId", "values": list{"123456789012"}}}, pages: "responses", want: object{"responses": count(0)}},
		}},
		{name: "distribution of an image that is there", needs: "image", calls: []call{
			{op: "CreateDistributionConfiguration", in: object{"name": "$(me)-again", "distributions": list{object{"region": "us-east-1", "amiDistributionConfiguration": object{"name": "$(me) {{ imagebuilder:buildDate }}"}}}},
				save: map[string]string{"dist": "distributionConfigurationArn"}},
			{op: "DistributeImage", in: object{"sourceImage": "$(image)", "distributionConfigurationArn": "$(dist)", "executionRole": "golden"}, save: map[string]string{"spread": "imageBuildVersionArn"}},
			{op: "GetImage", in: object{"imageBuildVersionArn": "$(spread)"}, want: object{"image.state.status": "AVAILABLE"}, until: "the image is distributed"},
		}},
		{name: "image that is retried", needs: "image", calls: []call{
			{op: "RetryImage", in: object{"imageBuildVersionArn": "$(image)"}, err: "InvalidRequestException"},
			{op: "GetImage", in: object{"imageBuildVersionArn": "$(image)"}, save: map[string]string{"recipe": "image.imageRecipe.arn", "infra": "image.infrastructureConfiguration.arn"}},
			{op: "CreateWorkflow", in: object{"name": "$(me)-gate", "semanticVersion": "1.0.0", "type": "TEST", "data": "schemaVersion: 1.0\nsteps:\n  - name: Gate\n    action: WaitForAction\n"},
				save: map[string]string{"gate": "workflowBuildVersionArn"}},
			{op: "CreateImage", in: object{"imageRecipeArn": "$(recipe)", "infrastructureConfigurationArn": "$(infra)", "executionRole": "golden",
				"workflows": list{object{"workflowArn": amazon + "workflow/build/build-image/x.x.x"}, object{"workflowArn": "$(gate)", "onFailure": "ABORT"}}}, save: map[string]string{"gated": "imageBuildVersionArn"}},
			waits("$(gated)", "TESTING"),
			{op: "ListWaitingWorkflowSteps", in: object{}, want: object{"steps.0.action": "WaitForAction"}, until: "the step waits"},
			gateOf("$(gated)", "1"),
			gateStep,
			{op: "SendWorkflowStepAction", in: object{"stepExecutionId": "$(step)", "imageBuildVersionArn": "$(gated)", "action": "STOP", "reason": "not yet"}},
			{op: "GetImage", in: object{"imageBuildVersionArn": "$(gated)"}, want: object{"image.state.status": "FAILED"}, until: "the stopped image failed"},
			{op: "RetryImage", in: object{"imageBuildVersionArn": "$(gated)", "clientToken": "$(me)-retry"}, want: object{"imageBuildVersionArn": "$(gated)"}},
			{op: "RetryImage", in: object{"imageBuildVersionArn": "$(gated)", "clientToken": "$(me)-retry"}, want: object{"imageBuildVersionArn": "$(gated)"}},
			waits("$(gated)", "TESTING"),
			gateOf("$(gated)", "2"),
			gateStep,
			{op: "SendWorkflowStepAction", in: object{"stepExecutionId": "$(step)", "imageBuildVersionArn": "$(gated)", "action": "RESUME"}},
			{op: "GetImage", in: object{"imageBuildVersionArn": "$(gated)"}, want: object{"image.state.status": "AVAILABLE"}, ends: object{"image.state.status": "FAILED"}, until: "the retried image is available"},
			{op: "StartResourceStateUpdate", in: object{"resourceArn": "$(gated)", "state": object{"status": "DEPRECATED"}, "updateAt": "2199-01-02T03:04:05Z"}, save: map[string]string{"planned": "lifecycleExecutionId"}},
			{op: "CancelLifecycleExecution", in: object{"lifecycleExecutionId": "$(planned)"}, want: object{"lifecycleExecutionId": "$(planned)"}},
			{op: "StartResourceStateUpdate", in: object{"resourceArn": "$(gated)", "state": object{"status": "DISABLED"}}},
			{op: "GetImage", in: object{"imageBuildVersionArn": "$(gated)"}, want: object{"image.state.status": "DISABLED"}, until: "the image is disabled"},
			{op: "StartResourceStateUpdate", in: object{"resourceArn": "$(gated)", "state": object{"status": "DELETED"}, "executionRole": "golden", "includeResources": object{"amis": true, "snapshots": true}}},
			{op: "GetImage", in: object{"imageBuildVersionArn": "$(gated)"}, err: notFound, until: "the image is deleted"},
			{op: "DeleteWorkflow", in: object{"workflowBuildVersionArn": "$(gate)"}},
		}},
	}
}

// waits is a look at an image until it is in a state.
func waits(image, status string) call {
	return call{op: "GetImage", in: object{"imageBuildVersionArn": image}, want: object{"image.state.status": status}, ends: object{"image.state.status": "FAILED"}, until: "the image is " + status}
}

// gateOf finds the running test workflow of an image, gateStep its waiting step.
// Executions are listed in the order in which they began.
func gateOf(image, place string) call {
	return call{op: "ListWorkflowExecutions", in: object{"imageBuildVersionArn": image}, want: object{"workflowExecutions." + place + ".type": "TEST", "workflowExecutions." + place + ".status": "RUNNING"},
		save: map[string]string{"run": "workflowExecutions." + place + ".workflowExecutionId"}, until: "the test workflow runs"}
}

var gateStep = call{op: "ListWorkflowStepExecutions", in: object{"workflowExecutionId": "$(run)"}, want: object{"steps.0.name": "Gate", "steps.0.status": "RUNNING"},
	save: map[string]string{"step": "steps.0.stepExecutionId"}, until: "the step waits"}
