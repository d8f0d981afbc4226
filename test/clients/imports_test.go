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
		{name: "retry of an image that is there", needs: "image", calls: []call{
			{op: "RetryImage", in: object{"imageBuildVersionArn": "$(image)"}, err: "InvalidRequestException"},
		}},
	}
}
