package clients

func workflows() []chapter {
	const (
		arn  = own + "workflow/build/$(me)-flow/1.0.0"
		data = "name: wait\nschemaVersion: 1.0\nsteps:\n  - name: Pause\n    action: WaitForAction\n    onFailure: Abort\n"
		more = data + "    timeoutSeconds: 600\n"
	)
	create := object{"name": "$(me)-flow", "semanticVersion": "1.0.0", "type": "BUILD", "data": data, "description": "waits", "tags": object{"k": "v"}}
	return []chapter{
		{name: "workflow", calls: append([]call{
			{op: "CreateWorkflow", in: with(create, object{"dryRun": true}), err: "DryRunOperationException"},
			{op: "CreateWorkflow", in: with(create, object{"clientToken": "$(me)-flow"}), want: object{"workflowBuildVersionArn": arn + "/1"}, save: map[string]string{"flow": "workflowBuildVersionArn"}},
			{op: "CreateWorkflow", in: with(create, object{"clientToken": "$(me)-flow"}), want: object{"workflowBuildVersionArn": arn + "/1"}},
			{op: "CreateWorkflow", in: create, err: "ResourceAlreadyExistsException", says: arn + "/1"},
			{op: "CreateWorkflow", in: with(create, object{"data": more}), want: object{"workflowBuildVersionArn": arn + "/2"}, save: map[string]string{"next": "workflowBuildVersionArn"}},
			{op: "CreateWorkflow", in: with(create, object{"name": "$(me)-bad", "data": "schemaVersion: 1.0\nsteps: []\n"}), err: "InvalidParameterValueException", says: "data"},
			{op: "GetWorkflow", in: object{"workflowBuildVersionArn": "$(flow)"}, want: object{"workflow.arn": arn + "/1", "workflow.data": data, "workflow.type": "BUILD", "workflow.version": "1.0.0",
				"workflow.owner": "123456789012", "workflow.tags": object{"k": "v"}, "workflow.description": "waits"}},
			{op: "GetWorkflow", in: object{"workflowBuildVersionArn": own + "workflow/build/$(me)-flow/x.x.x"}, want: object{"workflow.arn": arn + "/2"}},
			{op: "ListWorkflows", in: object{"owner": "Self", "filters": list{object{"name": "name", "values": list{"$(me)-flow"}}}}, pages: "workflowVersionList",
				want: object{"workflowVersionList": count(1), "workflowVersionList.0.arn": arn}},
			{op: "ListWorkflowBuildVersions", in: object{"workflowVersionArn": arn}, pages: "workflowSummaryList", want: object{"workflowSummaryList": count(2)}},
			{op: "ListWorkflows", in: object{"owner": "Amazon"}, want: object{"workflowVersionList.0.arn": present}},
		}, append(tagging("$(flow)"),
			call{op: "DeleteWorkflow", in: object{"workflowBuildVersionArn": "$(next)"}, want: object{"workflowBuildVersionArn": "$(next)"}},
			call{op: "DeleteWorkflow", in: object{"workflowBuildVersionArn": "$(flow)"}},
			call{op: "GetWorkflow", in: object{"workflowBuildVersionArn": "$(flow)"}, err: notFound},
			call{op: "DeleteWorkflow", in: object{"workflowBuildVersionArn": "$(flow)"}, err: notFound},
		)...)},
		{name: "waiting step", needs: "image", calls: []call{
			{op: "GetImage", in: object{"imageBuildVersionArn": "$(image)"}, save: map[string]string{"recipe": "image.imageRecipe.arn", "infra": "image.infrastructureConfiguration.arn"}},
			{op: "CreateWorkflow", in: with(create, object{"name": "$(me)-pause"}), save: map[string]string{"flow": "workflowBuildVersionArn"}},
			{op: "CreateImage", in: object{"imageRecipeArn": "$(recipe)", "infrastructureConfigurationArn": "$(infra)", "workflows": list{object{"workflowArn": "$(flow)"}}},
				err: "InvalidParameterCombinationException", says: "executionRole"},
			{op: "CreateImage", in: object{"imageRecipeArn": "$(recipe)", "infrastructureConfigurationArn": "$(infra)", "workflows": list{object{"workflowArn": "$(flow)"}}, "executionRole": "golden"},
				save: map[string]string{"waiting": "imageBuildVersionArn"}},
			{op: "GetImage", in: object{"imageBuildVersionArn": "$(waiting)"}, want: object{"image.state.status": "BUILDING"}, ends: object{"image.state.status": "FAILED"}, until: "the image is built"},
			{op: "ListWorkflowExecutions", in: object{"imageBuildVersionArn": "$(waiting)"}, want: object{"workflowExecutions": count(1)}, save: map[string]string{"run": "workflowExecutions.0.workflowExecutionId"},
				until: "the workflow began"},
			{op: "ListWorkflowStepExecutions", in: object{"workflowExecutionId": "$(run)"}, want: object{"steps.0.name": "Pause", "steps.0.status": "RUNNING"},
				save: map[string]string{"step": "steps.0.stepExecutionId"}, until: "the step waits"},
			{op: "ListWaitingWorkflowSteps", in: object{}, pages: "steps", want: object{"steps.0.stepExecutionId": present}},
			{op: "SendWorkflowStepAction", in: object{"stepExecutionId": "$(step)", "imageBuildVersionArn": "$(image)", "action": "STOP"}, err: "InvalidParameterValueException"},
			{op: "SendWorkflowStepAction", in: object{"stepExecutionId": "$(step)", "imageBuildVersionArn": "$(waiting)", "action": "STOP", "reason": "no"}, want: object{"stepExecutionId": "$(step)"}},
			{op: "GetImage", in: object{"imageBuildVersionArn": "$(waiting)"}, want: object{"image.state.status": "FAILED"}, until: "the stopped image failed"},
			{op: "DeleteImage", in: object{"imageBuildVersionArn": "$(waiting)"}},
			{op: "DeleteWorkflow", in: object{"workflowBuildVersionArn": "$(flow)"}},
		}},
		{name: "actions on steps that are not there", calls: []call{
			{op: "ListWaitingWorkflowSteps", in: object{}},
			{op: "SendWorkflowStepAction", in: object{"stepExecutionId": "step-00000000-0000-4000-8000-000000000000", "imageBuildVersionArn": own + "image/$(me)-never/1.0.0/1", "action": "RESUME"}, err: notFound},
		}},
	}
}
