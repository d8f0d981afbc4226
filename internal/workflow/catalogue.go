package workflow

import "time"

const (
	minutes = time.Minute
	hours   = time.Hour
	days    = 24 * time.Hour

	// maxPayload bounds the texts that are handed to other services, in bytes.
	maxPayload = 16 << 10
)

var (
	everyType        = []Type{Build, Test, Distribution}
	distributionOnly = []Type{Distribution}

	textElement = &Input{Kind: KindString}
	instanceID  = Input{Name: "instanceId", Kind: KindString, Required: true}
	commandOut  = []string{"runCommandId", "status", "output"}
	imagesIn    = Input{Name: "distributedImages", Kind: KindAny, Required: true, Chained: true}

	noContainers = "containers are not built in this version"
)

// catalogue are the step actions by name. The order of the fields and the
// figures are those of the guide's page on step actions.
var catalogue = byName(
	launchInstance, runCommand, registerImage, distributeImage, modifyImageAttributes, applyImageConfigurations,
	&Action{Name: "BootstrapInstanceForContainer", Types: everyType, Inputs: []Input{instanceID}, Outputs: commandOut, Timeout: 60 * minutes, MaxTimeout: 720 * minutes, Unavailable: noContainers},
	&Action{Name: "ExecuteComponents", Types: []Type{Build, Test}, Inputs: []Input{instanceID}, Outputs: commandOut, Timeout: 720 * minutes, MaxTimeout: 24 * hours},
	&Action{Name: "RunSysPrep", Types: everyType, Inputs: []Input{instanceID}, Outputs: commandOut, Timeout: 60 * minutes, MaxTimeout: 720 * minutes},
	&Action{Name: "SanitizeInstance", Types: everyType, Inputs: []Input{instanceID}, Outputs: commandOut, Timeout: 60 * minutes, MaxTimeout: 720 * minutes},
	&Action{Name: "CollectImageMetadata", Types: everyType, Inputs: []Input{instanceID}, Outputs: []string{"osVersion", "associationId"}, Timeout: 30 * minutes, MaxTimeout: 720 * minutes, RollsBack: true},
	&Action{Name: "CollectImageScanFindings", Types: []Type{Test}, Inputs: []Input{instanceID}, Outputs: commandOut, Timeout: 120 * minutes, MaxTimeout: 720 * minutes},
	&Action{Name: "CreateImage", Types: everyType, Inputs: []Input{instanceID}, Outputs: []string{"imageId"}, Timeout: 720 * minutes, MaxTimeout: 3 * days},
	&Action{Name: "CreateImageFromIso", Types: everyType, Inputs: []Input{instanceID}, Outputs: []string{"amiName", "snapshotId", "architecture"}, Timeout: 720 * minutes, MaxTimeout: 720 * minutes,
		Unavailable: "images are not made of ISO disks in this version"},
	&Action{Name: "TerminateInstance", Types: everyType, Inputs: []Input{instanceID, {Name: "waitForTermination", Kind: KindBoolean}}, Timeout: 30 * minutes, MaxTimeout: 720 * minutes},
	&Action{Name: "WaitForAction", Types: everyType, Inputs: []Input{
		{Name: "snsTopicArn", Kind: KindString}, {Name: "lambdaFunctionName", Kind: KindString}, {Name: "payload", Kind: KindString, Most: maxPayload},
	}, Outputs: []string{"action", "reason"}, Timeout: 3 * days, MaxTimeout: 7 * days},
	&Action{Name: "WaitForSSMAgent", Types: everyType, Inputs: []Input{instanceID}, Outputs: []string{"status"}, Timeout: 60 * minutes, MaxTimeout: 180 * minutes},
	&Action{Name: "ExecuteStateMachine", Types: everyType, Inputs: []Input{
		{Name: "stateMachineArn", Kind: KindString, Required: true}, {Name: "input", Kind: KindString, Most: maxPayload},
	}, Outputs: []string{"executionArn", "output"}, Timeout: 6 * hours, MaxTimeout: 24 * hours},
	&Action{Name: "DistributeContainerImage", Types: distributionOnly, Inputs: []Input{instanceID}, Outputs: []string{"status", "succeededRegions", "failedRegions"}, Timeout: 120 * minutes, MaxTimeout: 720 * minutes,
		Unavailable: noContainers},
)

func byName(actions ...*Action) map[string]*Action {
	m := make(map[string]*Action, len(actions))
	for _, a := range actions {
		m[a.Name] = a
	}
	return m
}

var launchInstance = &Action{
	Name: "LaunchInstance", Types: everyType,
	Inputs: []Input{
		{Name: "waitFor", Kind: KindString, Required: true, Values: []string{"ssmAgent"}},
		{Name: "imageIdOverride", Kind: KindString},
		{Name: "instanceTypesOverride", Kind: KindList, Element: textElement},
		{Name: "healthCheck", Kind: KindString, Values: []string{"RUNNING", "STATUS_CHECK_PASSED"}},
	},
	Outputs: []string{"instanceId", "instanceType"},
	Timeout: 75 * minutes, MaxTimeout: 720 * minutes, RollsBack: true,
}

var runCommand = &Action{
	Name: "RunCommand", Types: everyType,
	Inputs: []Input{
		instanceID,
		{Name: "documentName", Kind: KindString, Required: true},
		{Name: "documentVersion", Kind: KindString},
		{Name: "parameters", Kind: KindMap, Element: &Input{Kind: KindList, Element: textElement}},
	},
	Outputs: commandOut, Timeout: 720 * minutes, MaxTimeout: 720 * minutes,
}

var registerImage = &Action{
	Name: "RegisterImage", Types: everyType,
	Inputs: []Input{
		{Name: "architecture", Kind: KindString, Values: []string{"i386", "x86_64", "arm64", "x86_64_mac", "arm64_mac"}},
		{Name: "blockDeviceMapping", Kind: KindList, Items: []Input{
			{Name: "DeviceName", Kind: KindString, Required: true},
			{Name: "VirtualName", Kind: KindString},
			{Name: "NoDevice", Kind: KindString},
			{Name: "Ebs", Kind: KindMap, Items: []Input{
				{Name: "SnapshotId", Kind: KindString}, {Name: "VolumeSize", Kind: KindInteger}, {Name: "VolumeType", Kind: KindString}, {Name: "Iops", Kind: KindInteger},
				{Name: "Throughput", Kind: KindInteger}, {Name: "Encrypted", Kind: KindBoolean}, {Name: "KmsKeyId", Kind: KindString}, {Name: "DeleteOnTermination", Kind: KindBoolean},
			}},
		}},
		{Name: "bootMode", Kind: KindString, Values: []string{"legacy-bios", "uefi", "uefi-preferred"}},
		{Name: "description", Kind: KindString},
		{Name: "enaSupport", Kind: KindBoolean},
		{Name: "imageLocation", Kind: KindString},
		{Name: "imdsSupport", Kind: KindString, Values: []string{"v2.0"}},
		{Name: "includeSnapshotTags", Kind: KindBoolean},
		{Name: "kernelId", Kind: KindString},
		{Name: "ramdiskId", Kind: KindString},
		{Name: "rootDeviceName", Kind: KindString},
		{Name: "sriovNetSupport", Kind: KindString},
		{Name: "tpmSupport", Kind: KindString, Values: []string{"v2.0"}},
		{Name: "uefiData", Kind: KindString},
		{Name: "virtualizationType", Kind: KindString, Values: []string{"hvm", "paravirtual"}},
	},
	Outputs: []string{"imageId"}, Timeout: 540 * minutes, MaxTimeout: 720 * minutes,
}

var region = Input{Name: "region", Kind: KindString, Required: true, Most: 1024}

var distributeImage = &Action{
	Name: "DistributeImage", Types: distributionOnly,
	Inputs: []Input{{Name: "distributions", Kind: KindList, Items: []Input{
		region,
		{Name: "name", Kind: KindString},
		{Name: "description", Kind: KindString},
		{Name: "targetAccountIds", Kind: KindList, Element: textElement},
		{Name: "amiTags", Kind: KindMap, Element: textElement, Most: 50},
		{Name: "kmsKeyId", Kind: KindString},
	}}},
	Outputs: []string{"distributedImages"}, Timeout: 360 * minutes, MaxTimeout: 720 * minutes,
}

var modifyImageAttributes = &Action{
	Name: "ModifyImageAttributes", Types: distributionOnly,
	Inputs: []Input{imagesIn, {Name: "attributes", Kind: KindList, Items: []Input{
		region,
		{Name: "launchPermission", Kind: KindMap, Items: []Input{
			{Name: "userIds", Kind: KindList, Element: textElement}, {Name: "userGroups", Kind: KindList, Element: textElement},
			{Name: "organizationArns", Kind: KindList, Element: textElement}, {Name: "organizationalUnitArns", Kind: KindList, Element: textElement},
		}},
	}}},
	Outputs: []string{"modifiedImages"}, Timeout: 120 * minutes, MaxTimeout: 180 * minutes,
}

var applyImageConfigurations = &Action{
	Name: "ApplyImageConfigurations", Types: distributionOnly,
	Inputs: []Input{imagesIn, {Name: "configurations", Kind: KindList, Items: []Input{
		region,
		{Name: "licenseConfigurationArns", Kind: KindList, Element: textElement},
		{Name: "launchTemplateConfigurations", Kind: KindList, OneOrList: true, Items: []Input{
			{Name: "launchTemplateId", Kind: KindString, Required: true}, {Name: "accountId", Kind: KindString}, {Name: "setDefaultVersion", Kind: KindBoolean},
		}},
		{Name: "s3ExportConfiguration", Kind: KindList, OneOrList: true, Items: []Input{
			{Name: "roleName", Kind: KindString, Required: true}, {Name: "diskImageFormat", Kind: KindString, Required: true, Values: []string{"VMDK", "RAW", "VHD"}},
			{Name: "s3Bucket", Kind: KindString, Required: true}, {Name: "s3Prefix", Kind: KindString},
		}},
		{Name: "fastLaunchConfigurations", Kind: KindList, OneOrList: true, Items: []Input{
			{Name: "enabled", Kind: KindBoolean, Required: true},
			{Name: "snapshotConfiguration", Kind: KindMap, Items: []Input{{Name: "targetResourceCount", Kind: KindInteger}}},
			{Name: "maxParallelLaunches", Kind: KindInteger},
			{Name: "launchTemplate", Kind: KindMap, Items: []Input{
				{Name: "launchTemplateId", Kind: KindString}, {Name: "launchTemplateName", Kind: KindString}, {Name: "launchTemplateVersion", Kind: KindString},
			}},
		}},
		{Name: "ssmParameterConfigurations", Kind: KindList, OneOrList: true, Items: []Input{
			{Name: "amiAccountId", Kind: KindString}, {Name: "parameterName", Kind: KindString, Required: true},
			{Name: "dataType", Kind: KindString, Values: []string{"text", "aws:ec2:image"}},
		}},
	}}},
	Outputs: []string{"configuredImages"}, Timeout: 360 * minutes, MaxTimeout: 720 * minutes,
}
