package clients

func configurations() []chapter {
	const (
		infra = own + "infrastructure-configuration/$(me)-place"
		dist  = own + "distribution-configuration/$(me)-spread"
	)
	place := object{"name": "$(me)-place", "description": "where", "instanceTypes": list{"m5.large", "t3.micro"}, "instanceProfileName": "golden", "securityGroupIds": list{"sg-1"}, "subnetId": "subnet-1",
		"logging": object{"s3Logs": object{"s3BucketName": "logs", "s3KeyPrefix": "/"}}, "keyPair": "key", "terminateInstanceOnFailure": false, "snsTopicArn": "arn:aws:sns:us-east-1:123456789012:topic",
		"resourceTags": object{"r": "t"}, "instanceMetadataOptions": object{"httpTokens": "required", "httpPutResponseHopLimit": 2}, "tags": object{"k": "v"}}
	spread := object{"name": "$(me)-spread", "description": "to", "tags": object{"k": "v"}, "distributions": regions()}
	return []chapter{
		{name: "infrastructure configuration", calls: append([]call{
			{op: "CreateInfrastructureConfiguration", in: with(place, object{"dryRun": true}), err: "DryRunOperationException"},
			{op: "CreateInfrastructureConfiguration", in: with(place, object{"clientToken": "$(me)-place"}), want: object{"infrastructureConfigurationArn": infra}},
			{op: "CreateInfrastructureConfiguration", in: with(place, object{"clientToken": "$(me)-place"}), want: object{"infrastructureConfigurationArn": infra}},
			{op: "CreateInfrastructureConfiguration", in: place, err: "ResourceAlreadyExistsException", says: infra},
			{op: "CreateInfrastructureConfiguration", in: object{"name": "$(me)-bad", "instanceProfileName": "p", "instanceMetadataOptions": object{"httpPutResponseHopLimit": 65}},
				err: "InvalidParameterValueException", says: "instanceMetadataOptions.httpPutResponseHopLimit"},
			{op: "GetInfrastructureConfiguration", in: object{"infrastructureConfigurationArn": infra}, want: object{
				"infrastructureConfiguration.arn": infra, "infrastructureConfiguration.instanceTypes": place["instanceTypes"], "infrastructureConfiguration.logging": place["logging"],
				"infrastructureConfiguration.terminateInstanceOnFailure": false, "infrastructureConfiguration.instanceMetadataOptions": place["instanceMetadataOptions"],
				"infrastructureConfiguration.resourceTags": place["resourceTags"], "infrastructureConfiguration.tags": place["tags"], "infrastructureConfiguration.dateUpdated": absent,
				"infrastructureConfiguration.placement": absent, "infrastructureConfiguration.snsTopicArn": place["snsTopicArn"], "infrastructureConfiguration.dateCreated": matching(iso)}},
			{op: "UpdateInfrastructureConfiguration", in: object{"infrastructureConfigurationArn": infra, "instanceProfileName": "other"},
				want: object{"infrastructureConfigurationArn": infra}},
			{op: "GetInfrastructureConfiguration", in: object{"infrastructureConfigurationArn": infra}, want: object{
				"infrastructureConfiguration.instanceProfileName": "other", "infrastructureConfiguration.description": absent, "infrastructureConfiguration.instanceTypes": absent,
				"infrastructureConfiguration.logging": absent, "infrastructureConfiguration.tags": place["tags"],
				"infrastructureConfiguration.dateUpdated": matching(iso)}},
			{op: "ListInfrastructureConfigurations", in: object{"filters": list{object{"name": "name", "values": list{"$(me)-place"}}}}, pages: "infrastructureConfigurationSummaryList", want: object{
				"infrastructureConfigurationSummaryList": count(1), "infrastructureConfigurationSummaryList.0.arn": infra, "infrastructureConfigurationSummaryList.0.instanceProfileName": "other"}},
		}, append(append(tagging(infra),
			call{op: "DeleteInfrastructureConfiguration", in: object{"infrastructureConfigurationArn": infra}, want: object{"infrastructureConfigurationArn": infra}}),
			append(gone("infrastructureConfigurationArn", infra, "GetInfrastructureConfiguration", "DeleteInfrastructureConfiguration"),
				call{op: "UpdateInfrastructureConfiguration", in: object{"infrastructureConfigurationArn": infra, "instanceProfileName": "p"}, err: notFound})...)...)},
		{name: "placement", calls: []call{
			{op: "CreateInfrastructureConfiguration", in: object{"name": "$(me)-host", "instanceProfileName": "p", "placement": object{"tenancy": "host", "hostId": "h-1", "availabilityZone": "us-east-1a"}},
				save: map[string]string{"host": "infrastructureConfigurationArn"}},
			{op: "GetInfrastructureConfiguration", in: object{"infrastructureConfigurationArn": "$(host)"}, want: object{
				"infrastructureConfiguration.placement": object{"tenancy": "host", "hostId": "h-1", "availabilityZone": "us-east-1a"}, "infrastructureConfiguration.terminateInstanceOnFailure": absent}},
			{op: "CreateInfrastructureConfiguration", in: object{"name": "$(me)-hosts", "instanceProfileName": "p", "placement": object{"tenancy": "host", "hostId": "h-1", "hostResourceGroupArn": "arn:x"}},
				err: "InvalidParameterCombinationException"},
			{op: "DeleteInfrastructureConfiguration", in: object{"infrastructureConfigurationArn": "$(host)"}},
		}},
		{name: "distribution configuration", calls: append([]call{
			{op: "CreateDistributionConfiguration", in: with(spread, object{"dryRun": true}), err: "DryRunOperationException"},
			{op: "CreateDistributionConfiguration", in: with(spread, object{"clientToken": "$(me)-spread"}), want: object{"distributionConfigurationArn": dist}},
			{op: "CreateDistributionConfiguration", in: with(spread, object{"clientToken": "$(me)-spread"}), want: object{"distributionConfigurationArn": dist}},
			{op: "CreateDistributionConfiguration", in: spread, err: "ResourceAlreadyExistsException", says: dist},
			{op: "CreateDistributionConfiguration", in: object{"name": "$(me)-none", "distributions": list{object{"region": "us-east-1"}}}, err: "InvalidParameterValueException",
				says: "The value supplied for parameter 'distributions[0]' is not valid. One or more outputs should be provided for each region in a distribution configuration."},
			{op: "CreateDistributionConfiguration", in: object{"name": "$(me)-undated", "distributions": list{object{"region": "us-east-1", "amiDistributionConfiguration": object{"name": "fixed"}}}},
				err: "InvalidParameterValueException", says: "'distributions[0].amiDistributionConfiguration.name' is not valid. The EC2 AMI name must contain '{{ imagebuilder:buildDate }}'"},
			{op: "GetDistributionConfiguration", in: object{"distributionConfigurationArn": dist}, want: object{
				"distributionConfiguration.arn": dist, "distributionConfiguration.distributions": regions(), "distributionConfiguration.tags": object{"k": "v"}, "distributionConfiguration.dateUpdated": absent}},
			{op: "UpdateDistributionConfiguration", in: object{"distributionConfigurationArn": dist, "distributions": list{object{"region": "eu-west-1", "amiDistributionConfiguration": object{}}}},
				want: object{"distributionConfigurationArn": dist}},
			{op: "GetDistributionConfiguration", in: object{"distributionConfigurationArn": dist}, want: object{"distributionConfiguration.description": absent,
				"distributionConfiguration.distributions": list{object{"region": "eu-west-1", "amiDistributionConfiguration": object{}}}, "distributionConfiguration.dateUpdated": matching(iso)}},
			{op: "ListDistributionConfigurations", in: object{"filters": list{object{"name": "name", "values": list{"$(me)-spread"}}}}, pages: "distributionConfigurationSummaryList", want: object{
				"distributionConfigurationSummaryList": count(1), "distributionConfigurationSummaryList.0.arn": dist, "distributionConfigurationSummaryList.0.regions": list{"eu-west-1"}}},
		}, append(append(tagging(dist),
			call{op: "DeleteDistributionConfiguration", in: object{"distributionConfigurationArn": dist}, want: object{"distributionConfigurationArn": dist}}),
			append(gone("distributionConfigurationArn", dist, "GetDistributionConfiguration", "DeleteDistributionConfiguration"),
				call{op: "UpdateDistributionConfiguration", in: object{"distributionConfigurationArn": dist, "distributions": regions()}, err: notFound})...)...)},
	}
}

// regions has a value for every member of a distribution that Debian's CLI of
// 2022 knows too.
func regions() list {
	return list{
		object{"region": "us-east-1",
			"amiDistributionConfiguration": object{"name": "golden {{ imagebuilder:buildDate }}", "description": "d", "targetAccountIds": list{"111122223333"}, "amiTags": object{"Name": "golden"},
				"launchPermission": object{"userIds": list{"444455556666"}, "userGroups": list{"all"}, "organizationArns": list{"arn:aws:organizations::123456789012:organization/o-abcdefghij"},
					"organizationalUnitArns": list{"arn:aws:organizations::123456789012:ou/o-abcdefghij/ou-abcd-12345678"}}},
			"licenseConfigurationArns":     list{"arn:aws:license-manager:us-east-1:123456789012:license-configuration:lic-0123456789abcdef0123456789abcdef"},
			"launchTemplateConfigurations": list{object{"launchTemplateId": "lt-0123456789abcdef0", "accountId": "111122223333", "setDefaultVersion": false}},
			"s3ExportConfiguration":        object{"roleName": "vmimport", "diskImageFormat": "RAW", "s3Bucket": "exports", "s3Prefix": "golden/"},
			"fastLaunchConfigurations": list{object{"enabled": false, "maxParallelLaunches": 6, "snapshotConfiguration": object{"targetResourceCount": 1},
				"launchTemplate": object{"launchTemplateName": "fast", "launchTemplateVersion": "1"}, "accountId": "123456789012"}}},
		object{"region": "ap-northeast-1", "containerDistributionConfiguration": object{"containerTags": list{"one", "two"}, "targetRepository": object{"service": "ECR", "repositoryName": "box"}}},
	}
}
