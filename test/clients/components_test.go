package clients

func components() []chapter {
	const arn = own + "component/$(me)-web/1.0.0"
	create := object{"name": "$(me)_Web", "semanticVersion": "1.0.0", "platform": "Linux", "description": "a page", "changeDescription": "the first", "supportedOsVersions": list{"Debian 12"},
		"data": document, "tags": object{"team": "a/b c"}}
	return []chapter{
		{name: "component", calls: append([]call{
			{op: "CreateComponent", in: with(create, object{"dryRun": true}), err: "DryRunOperationException", says: "Request would have succeeded, but dryRun flag is set."},
			{op: "GetComponent", in: object{"componentBuildVersionArn": arn}, err: notFound},
			{op: "CreateComponent", in: with(create, object{"clientToken": "$(me)-component"}), save: map[string]string{"build": "componentBuildVersionArn"},
				want: object{"componentBuildVersionArn": arn + "/1"}},
			{op: "CreateComponent", in: with(create, object{"clientToken": "$(me)-component"}), want: object{"componentBuildVersionArn": arn + "/1"}},
			{op: "CreateComponent", in: with(create, object{"clientToken": "$(me)-component", "data": changed}), err: "IdempotentParameterMismatchException"},
			{op: "CreateComponent", in: create, err: "ResourceAlreadyExistsException", says: arn + "/1"},
			{op: "CreateComponent", in: with(create, object{"data": changed, "changeDescription": "the second"}), want: object{"componentBuildVersionArn": arn + "/2"}},
			{op: "CreateComponent", in: with(create, object{"semanticVersion": "1.x.x"}), err: "InvalidParameterValueException", says: "semanticVersion"},
			{op: "CreateComponent", in: with(create, object{"platform": "OS/2"}), err: "InvalidParameterValueException", says: "platform"},
			{op: "CreateComponent", in: with(create, object{"name": "$(me)-bad", "data": "phases: 7"}), err: "InvalidParameterValueException", says: "data"},
			{op: "CreateComponent", in: with(create, object{"name": "$(me)-bad", "uri": "s3://bucket/key"}), err: "InvalidParameterCombinationException"},
			{op: "GetComponent", in: object{"componentBuildVersionArn": "$(build)"}, want: object{
				"component.arn": arn + "/1", "component.name": "$(me)_Web", "component.version": "1.0.0", "component.description": "a page", "component.changeDescription": "the first",
				"component.type": "BUILD", "component.platform": "Linux", "component.supportedOsVersions": list{"Debian 12"}, "component.owner": "123456789012", "component.data": document,
				"component.encrypted": true, "component.tags": object{"team": "a/b c"}, "component.kmsKeyId": absent, "component.dateCreated": matching(iso)}},
			{op: "GetComponent", in: object{"componentBuildVersionArn": own + "component/$(me)-web/x.x.x"}, want: object{"component.arn": arn + "/2", "component.changeDescription": "the second"}},
			{op: "ListComponentBuildVersions", in: object{"componentVersionArn": arn}, pages: "componentSummaryList", want: object{"componentSummaryList": count(2)}},
			{op: "ListComponents", in: object{"owner": "Self", "filters": list{object{"name": "name", "values": list{"$(me)_Web"}}}}, want: object{
				"componentVersionList": count(1), "componentVersionList.0.arn": arn, "componentVersionList.0.version": "1.0.0", "componentVersionList.0.owner": "123456789012"}},
			{op: "ListComponents", in: object{"filters": list{object{"name": "colour", "values": list{"red"}}}}, err: "InvalidParameterValueException", says: "filters[0].name"},
			{op: "ListComponents", in: object{"owner": "Amazon"}, pages: "componentVersionList", want: object{"componentVersionList.0.owner": present}},
			{op: "ListComponents", in: object{"nextToken": "made-up"}, err: "InvalidPaginationTokenException"},
			{op: "ListComponents", in: object{"maxResults": 26}, err: "InvalidParameterValueException", says: "maxResults"},
			{op: "PutComponentPolicy", in: object{"componentArn": "$(build)", "policy": sharing("GetComponent", "$(build)")}, want: object{"componentArn": "$(build)"}},
			{op: "GetComponentPolicy", in: object{"componentArn": "$(build)"}, want: object{"policy": matching(`(?s).*111122223333.*`)}},
			{op: "GetComponentPolicy", in: object{"componentArn": arn + "/2"}, err: notFound},
		}, append(tagging("$(build)"),
			call{op: "DeleteComponent", in: object{"componentBuildVersionArn": arn + "/2"}, want: object{"componentBuildVersionArn": arn + "/2"}},
			call{op: "DeleteComponent", in: object{"componentBuildVersionArn": "$(build)"}},
			call{op: "DeleteComponent", in: object{"componentBuildVersionArn": "$(build)"}, err: notFound},
			call{op: "GetComponent", in: object{"componentBuildVersionArn": "$(build)"}, err: notFound, says: "$(build)"},
			call{op: "ListTagsForResource", in: object{"resourceArn": "$(build)"}, err: notFound},
		)...)},
		{name: "component from a bucket", calls: []call{
			{op: "CreateComponent", in: object{"name": "$(me)-stored", "semanticVersion": "1.0.0", "platform": "Linux", "uri": "s3://story/component.yaml"}, save: map[string]string{"stored": "componentBuildVersionArn"}},
			{op: "GetComponent", in: object{"componentBuildVersionArn": "$(stored)"}, want: object{"component.data": document}},
			{op: "DeleteComponent", in: object{"componentBuildVersionArn": "$(stored)"}},
			{op: "CreateComponent", in: object{"name": "$(me)-lost", "semanticVersion": "1.0.0", "platform": "Linux", "uri": "s3://story/lost.yaml"}, err: "InvalidParameterValueException", says: "uri"},
		}},
		{name: "components of Amazon", calls: []call{
			{op: "GetComponent", in: object{"componentBuildVersionArn": amazon + "component/update-linux/x.x.x"},
				want: object{"component.arn": matching(amazon + `component/update-linux/\d+\.\d+\.\d+/\d+`), "component.platform": "Linux"}},
			{op: "DeleteComponent", in: object{"componentBuildVersionArn": amazon + "component/update-linux/1.0.0/1"}, err: "AccessDeniedException"},
		}},
	}
}

// iso is how the service writes dates that are texts.
const iso = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`

// sharing is a resource policy that lets another account use a resource.
func sharing(action, arn string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["111122223333"]},"Action":["imagebuilder:` + action + `"],"Resource":["` + arn + `"]}]}`
}
