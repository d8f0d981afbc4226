package imagebuilder_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
)

func TestInfrastructureRoundTrip(t *testing.T) {
	t.Parallel()
	f := open(t)
	in := &api.CreateInfrastructureConfigurationInput{
		Name: p("My Infra"), Description: p("d"), InstanceTypes: []string{"m5.large", "t3.micro"}, InstanceProfileName: p("profile"), SecurityGroupIds: []string{"sg-1"}, SubnetId: p("subnet-1"),
		Logging: &api.Logging{S3Logs: &api.S3Logs{S3BucketName: p("logs"), S3KeyPrefix: p("/")}}, KeyPair: p("key"), TerminateInstanceOnFailure: p(false),
		SnsTopicArn: p("arn:aws:sns:us-east-1:" + alice + ":topic"), ResourceTags: map[string]string{"r": "t"}, InstanceMetadataOptions: &api.InstanceMetadataOptions{HttpTokens: p("required"), HttpPutResponseHopLimit: p(int32(2))},
		Tags: map[string]string{"a": "b"}, Placement: &api.Placement{Tenancy: p(api.TenancyTypeHost), HostId: p("h-1")}, ClientToken: f.token(),
	}
	arn := must(f.CreateInfrastructureConfiguration(f.ctx, in))(t).InfrastructureConfigurationArn
	same(t, "ARN", *arn, prefix+"infrastructure-configuration/my-infra")
	get := func() *api.InfrastructureConfiguration {
		return must(f.GetInfrastructureConfiguration(f.ctx, &api.GetInfrastructureConfigurationInput{InfrastructureConfigurationArn: arn}))(t).InfrastructureConfiguration
	}
	same(t, "created", get(), &api.InfrastructureConfiguration{
		Arn: arn, Name: in.Name, Description: in.Description, InstanceTypes: in.InstanceTypes, InstanceProfileName: in.InstanceProfileName, SecurityGroupIds: in.SecurityGroupIds, SubnetId: in.SubnetId,
		Logging: in.Logging, KeyPair: in.KeyPair, TerminateInstanceOnFailure: p(false), SnsTopicArn: in.SnsTopicArn, DateCreated: p("2026-11-21T10:00:00.000Z"), ResourceTags: in.ResourceTags,
		InstanceMetadataOptions: in.InstanceMetadataOptions, Tags: in.Tags, Placement: in.Placement,
	})
	f.advance(time.Hour)
	must(f.UpdateInfrastructureConfiguration(f.ctx, &api.UpdateInfrastructureConfigurationInput{InfrastructureConfigurationArn: arn, InstanceProfileName: p("other"), ClientToken: f.token()}))(t)
	same(t, "updated: what was not sent is gone, name and tags stay", get(), &api.InfrastructureConfiguration{
		Arn: arn, Name: in.Name, InstanceProfileName: p("other"), DateCreated: p("2026-11-21T10:00:00.000Z"), DateUpdated: p("2026-11-21T11:00:00.000Z"), Tags: in.Tags,
	})
	_, err := f.UpdateInfrastructureConfiguration(f.ctx, &api.UpdateInfrastructureConfigurationInput{InfrastructureConfigurationArn: p(prefix + "infrastructure-configuration/none"), InstanceProfileName: p("x"), ClientToken: f.token()})
	wantFault(t, err, "ResourceNotFoundException")
	list := must(f.ListInfrastructureConfigurations(f.ctx, &api.ListInfrastructureConfigurationsInput{Filters: []api.Filter{{Name: p("name"), Values: []string{"My Infra"}}}}))(t)
	same(t, "listed", list.InfrastructureConfigurationSummaryList, []api.InfrastructureConfigurationSummary{{
		Arn: arn, Name: in.Name, DateCreated: p("2026-11-21T10:00:00.000Z"), DateUpdated: p("2026-11-21T11:00:00.000Z"), Tags: in.Tags, InstanceProfileName: p("other"),
	}})
}

func TestInfrastructureRefusals(t *testing.T) {
	t.Parallel()
	f := open(t)
	for name, test := range map[string]struct {
		change func(*api.CreateInfrastructureConfigurationInput)
		code   string
		part   string
	}{
		"subnet alone": {func(in *api.CreateInfrastructureConfigurationInput) { in.SubnetId = p("subnet-1") }, "InvalidParameterCombinationException", "securityGroupIds"},
		"foreign topic": {func(in *api.CreateInfrastructureConfigurationInput) {
			in.SnsTopicArn = p("arn:aws:sns:us-east-1:" + bob + ":topic")
		}, "InvalidParameterValueException", "snsTopicArn"},
		"two hosts": {func(in *api.CreateInfrastructureConfigurationInput) {
			in.Placement = &api.Placement{Tenancy: p(api.TenancyTypeHost), HostId: p("a"), HostResourceGroupArn: p("b")}
		}, "InvalidParameterCombinationException", "hostId"},
		"host, shared": {func(in *api.CreateInfrastructureConfigurationInput) { in.Placement = &api.Placement{HostId: p("a")} }, "InvalidParameterCombinationException", "tenancy"},
		"dry run":      {func(in *api.CreateInfrastructureConfigurationInput) { in.DryRun = p(true) }, "DryRunOperationException", "Request would have succeeded"},
	} {
		in := &api.CreateInfrastructureConfigurationInput{Name: p("infra"), InstanceProfileName: p("x"), ClientToken: f.token()}
		test.change(in)
		_, err := f.CreateInfrastructureConfiguration(f.ctx, in)
		t.Run(name, func(t *testing.T) { wantFault(t, err, test.code, test.part) })
	}
}

func TestDistributionRoundTrip(t *testing.T) {
	t.Parallel()
	f := open(t)
	in := &api.CreateDistributionConfigurationInput{Name: p("Dist"), Description: p("d"), Tags: map[string]string{"a": "b"}, ClientToken: f.token(), Distributions: []api.Distribution{
		{Region: p(home), AmiDistributionConfiguration: &api.AmiDistributionConfiguration{
			Name: p("web {{imagebuilder:buildDate:yyyyMMdd}}"), Description: p(""), TargetAccountIds: []string{bob}, AmiTags: map[string]string{"x": ""}, KmsKeyId: p("k"),
			LaunchPermission: &api.LaunchPermissionConfiguration{UserIds: []string{bob}, UserGroups: []string{"all"}, OrganizationArns: []string{}},
		}, LaunchTemplateConfigurations: []api.LaunchTemplateConfiguration{{LaunchTemplateId: p("lt-0123456789abcdef0"), SetDefaultVersion: p(false)}},
			SsmParameterConfigurations: []api.SsmParameterConfiguration{{ParameterName: p("/golden"), AmiAccountId: p(bob)}}},
		{Region: p("ap-northeast-1"), AmiDistributionConfiguration: &api.AmiDistributionConfiguration{}},
		{Region: p("eu-west-1"), S3ExportConfiguration: &api.S3ExportConfiguration{RoleName: p("vmimport"), DiskImageFormat: p(api.DiskImageFormatRaw), S3Bucket: p("b")}},
	}}
	arn := must(f.CreateDistributionConfiguration(f.ctx, in))(t).DistributionConfigurationArn
	get := func() *api.DistributionConfiguration {
		return must(f.GetDistributionConfiguration(f.ctx, &api.GetDistributionConfigurationInput{DistributionConfigurationArn: arn}))(t).DistributionConfiguration
	}
	got := get()
	same(t, "created", got, &api.DistributionConfiguration{
		Arn: p(prefix + "distribution-configuration/dist"), Name: in.Name, Description: in.Description, Distributions: in.Distributions, TimeoutMinutes: p(int32(720)), DateCreated: p("2026-11-21T10:00:00.000Z"), Tags: in.Tags,
	})
	if o := got.Distributions[0].AmiDistributionConfiguration.LaunchPermission; o.OrganizationArns == nil || o.OrganizationalUnitArns != nil {
		t.Errorf("an empty list came back as %v, an absent one as %v", o.OrganizationArns, o.OrganizationalUnitArns)
	}
	list := must(f.ListDistributionConfigurations(f.ctx, &api.ListDistributionConfigurationsInput{}))(t)
	same(t, "regions in the list", list.DistributionConfigurationSummaryList[0].Regions, []string{home, "ap-northeast-1", "eu-west-1"})
	f.advance(time.Minute)
	must(f.UpdateDistributionConfiguration(f.ctx, &api.UpdateDistributionConfigurationInput{DistributionConfigurationArn: arn, Distributions: in.Distributions[1:2], ClientToken: f.token()}))(t)
	got = get()
	if got.Description != nil || len(got.Distributions) != 1 || *got.DateUpdated != "2026-11-21T10:01:00.000Z" || got.Tags["a"] != "b" {
		t.Errorf("updated: %+v", got)
	}
}

func TestDistributionRefusals(t *testing.T) {
	t.Parallel()
	f := open(t)
	ami := func(change func(*api.AmiDistributionConfiguration)) []api.Distribution {
		c := &api.AmiDistributionConfiguration{}
		change(c)
		return []api.Distribution{{Region: p(home), AmiDistributionConfiguration: c}}
	}
	many := make([]string, 51)
	for i := range many {
		many[i] = fmt.Sprintf("%012d", i)
	}
	empty := &api.AmiDistributionConfiguration{}
	for name, test := range map[string]struct {
		distributions []api.Distribution
		code          string
		part          string
	}{
		"no output":           {[]api.Distribution{{Region: p(home)}}, "InvalidParameterValueException", "The value supplied for parameter 'distributions[0]' is not valid. One or more outputs should be provided for each region in a distribution configuration."},
		"no region like that": {[]api.Distribution{{Region: p("us-east-9"), AmiDistributionConfiguration: empty}}, "InvalidParameterValueException", "distributions[0].region"},
		"other partition":     {[]api.Distribution{{Region: p("cn-north-1"), AmiDistributionConfiguration: empty}}, "InvalidParameterValueException", "distributions[0].region"},
		"region twice":        {[]api.Distribution{{Region: p(home), AmiDistributionConfiguration: empty}, {Region: p(home), AmiDistributionConfiguration: empty}}, "InvalidParameterValueException", "distributions[1].region"},
		"name without a date": {ami(func(c *api.AmiDistributionConfiguration) { c.Name = p("web") }), "InvalidParameterValueException", "The value supplied for parameter 'distributions[0].amiDistributionConfiguration.name' is not valid. The EC2 AMI name must contain '{{ imagebuilder:buildDate }}' to ensure that the name will be unique."},
		"name, other marker":  {ami(func(c *api.AmiDistributionConfiguration) { c.Name = p("web {{ imagebuilder:buildVersion }}") }), "InvalidParameterValueException", "buildDate"},
		"name, misspelt marker": {ami(func(c *api.AmiDistributionConfiguration) {
			c.Name = p("web {{ imagebuilder:buildNumber }} {{ imagebuilder:buildDate }}")
		}), "InvalidParameterValueException", "distributions[0].amiDistributionConfiguration.name' is not valid. The name holds braces"},
		"account twice": {ami(func(c *api.AmiDistributionConfiguration) { c.TargetAccountIds = []string{bob, bob} }), "InvalidParameterValueException", "targetAccountIds[1]"},
		"group unknown": {ami(func(c *api.AmiDistributionConfiguration) {
			c.LaunchPermission = &api.LaunchPermissionConfiguration{UserGroups: []string{"everyone"}}
		}), "InvalidParameterValueException", "userGroups[0]"},
		"too many accounts":   {ami(func(c *api.AmiDistributionConfiguration) { c.TargetAccountIds = many }), "ServiceQuotaExceededException", "50"},
		"too many templates":  {[]api.Distribution{{Region: p(home), LaunchTemplateConfigurations: make([]api.LaunchTemplateConfiguration, 6)}}, "ServiceQuotaExceededException", "5"},
		"too many parameters": {[]api.Distribution{{Region: p(home), SsmParameterConfigurations: make([]api.SsmParameterConfiguration, 11)}}, "ServiceQuotaExceededException", "10"},
		"parameter elsewhere": {[]api.Distribution{{Region: p(home), SsmParameterConfigurations: []api.SsmParameterConfiguration{{AmiAccountId: p(bob)}}}}, "InvalidParameterValueException", "amiAccountId"},
		"two templates":       {[]api.Distribution{{Region: p(home), FastLaunchConfigurations: []api.FastLaunchConfiguration{{LaunchTemplate: &api.FastLaunchLaunchTemplateSpecification{LaunchTemplateId: p("a"), LaunchTemplateName: p("b")}}}}}, "InvalidParameterCombinationException", "launchTemplateName"},
	} {
		_, err := f.CreateDistributionConfiguration(f.ctx, &api.CreateDistributionConfigurationInput{Name: p("dist"), Distributions: test.distributions, ClientToken: f.token()})
		t.Run(name, func(t *testing.T) { wantFault(t, err, test.code, test.part) })
	}
}

func TestPipelineRoundTrip(t *testing.T) {
	t.Parallel()
	f := open(t)
	recipe := f.recipe("web", "1.0.0")
	in := f.pipelineInput("My Pipeline", prefix+"image-recipe/web/1.x.x")
	in.Description, in.Tags, in.ImageTags, in.ExecutionRole = p("d"), map[string]string{"a": "b"}, map[string]string{"i": "t"}, p("role")
	in.EnhancedImageMetadataEnabled, in.Status = p(false), p(api.PipelineStatusDisabled)
	in.ImageTestsConfiguration = &api.ImageTestsConfiguration{ImageTestsEnabled: p(false), TimeoutMinutes: p(int32(60))}
	in.ImageScanningConfiguration = &api.ImageScanningConfiguration{ImageScanningEnabled: p(false)}
	in.Schedule = &api.Schedule{ScheduleExpression: p("cron(0 0 ? * sun *)"), Timezone: p("Europe/Berlin"), PipelineExecutionStartCondition: p(api.PipelineExecutionStartConditionExpressionMatchOnly), AutoDisablePolicy: &api.AutoDisablePolicy{FailureCount: p(int32(3))}}
	in.Workflows = []api.WorkflowConfiguration{{WorkflowArn: p("arn:aws:imagebuilder:us-east-1:aws:workflow/test/test-image/x.x.x"), OnFailure: p(api.OnWorkflowFailureContinue)}}
	in.LoggingConfiguration = &api.PipelineLoggingConfiguration{ImageLogGroupName: p("/my/logs")}
	arn := must(f.CreateImagePipeline(f.ctx, in))(t).ImagePipelineArn
	get := func() *api.ImagePipeline {
		return must(f.GetImagePipeline(f.ctx, &api.GetImagePipelineInput{ImagePipelineArn: arn}))(t).ImagePipeline
	}
	want := &api.ImagePipeline{
		Arn: p(prefix + "image-pipeline/my-pipeline"), Name: in.Name, Description: in.Description, Platform: p(api.PlatformLinux), EnhancedImageMetadataEnabled: p(false), ImageRecipeArn: in.ImageRecipeArn,
		InfrastructureConfigurationArn: in.InfrastructureConfigurationArn, ImageTestsConfiguration: in.ImageTestsConfiguration, Schedule: in.Schedule, Status: in.Status,
		DateCreated: p("2026-11-21T10:00:00.000Z"), DateUpdated: p("2026-11-21T10:00:00.000Z"), Tags: in.Tags, ImageScanningConfiguration: in.ImageScanningConfiguration, ImageTags: in.ImageTags,
		ExecutionRole: in.ExecutionRole, Workflows: in.Workflows, LoggingConfiguration: in.LoggingConfiguration, ConsecutiveFailures: p(int32(0)),
	}
	same(t, "created", get(), want)

	// An update replaces everything but name, tags and the past.
	f.advance(time.Minute)
	must(f.UpdateImagePipeline(f.ctx, &api.UpdateImagePipelineInput{ImagePipelineArn: arn, ImageRecipeArn: p(recipe), InfrastructureConfigurationArn: in.InfrastructureConfigurationArn, ClientToken: f.token()}))(t)
	same(t, "updated", get(), &api.ImagePipeline{
		Arn: arn, Name: in.Name, Platform: p(api.PlatformLinux), EnhancedImageMetadataEnabled: p(true), ImageRecipeArn: p(recipe), InfrastructureConfigurationArn: in.InfrastructureConfigurationArn,
		ImageTestsConfiguration: &api.ImageTestsConfiguration{ImageTestsEnabled: p(true), TimeoutMinutes: p(int32(720))}, Status: p(api.PipelineStatusEnabled),
		DateCreated: p("2026-11-21T10:00:00.000Z"), DateUpdated: p("2026-11-21T10:01:00.000Z"), Tags: in.Tags, ConsecutiveFailures: p(int32(0)),
	})
	// What is given in part is completed, not replaced.
	for given, want := range map[api.ImageTestsConfiguration]api.ImageTestsConfiguration{
		{TimeoutMinutes: p(int32(90))}: {ImageTestsEnabled: p(true), TimeoutMinutes: p(int32(90))},
		{ImageTestsEnabled: p(false)}:  {ImageTestsEnabled: p(false), TimeoutMinutes: p(int32(720))},
	} {
		must(f.UpdateImagePipeline(f.ctx, &api.UpdateImagePipelineInput{ImagePipelineArn: arn, ImageRecipeArn: p(recipe), InfrastructureConfigurationArn: in.InfrastructureConfigurationArn, ImageTestsConfiguration: &given, ClientToken: f.token()}))(t)
		same(t, "tests given in part", get().ImageTestsConfiguration, &want)
	}
	list := must(f.ListImagePipelines(f.ctx, &api.ListImagePipelinesInput{Filters: []api.Filter{{Name: p("imageRecipeArn"), Values: []string{recipe}}}}))(t)
	same(t, "listed", list.ImagePipelineList, []api.ImagePipeline{*get()})
}

func TestPipelineSchedules(t *testing.T) {
	t.Parallel()
	f := open(t) // at 10:00 UTC on Saturday, 21 November 2026
	recipe := f.recipe("web", "1.0.0")
	for i, test := range []struct {
		expression, zone, next, later string
		status                        api.PipelineStatus
	}{
		{"cron(0 0 ? * sun *)", "", "2026-11-22T00:00:00.000Z", "2026-11-29T00:00:00.000Z", api.PipelineStatusEnabled},
		{"cron(0 0 ? * sun *)", "Asia/Tokyo", "2026-11-21T15:00:00.000Z", "2026-11-28T15:00:00.000Z", api.PipelineStatusEnabled},
		{"rate(7 days)", "", "2026-11-28T10:00:00.000Z", "2026-11-28T10:00:00.000Z", api.PipelineStatusEnabled},
		{"cron(0 0 ? * sun *)", "", "", "", api.PipelineStatusDisabled},
	} {
		in := f.pipelineInput(fmt.Sprint("pipe", i), recipe)
		in.Status, in.Schedule = p(test.status), &api.Schedule{ScheduleExpression: p(test.expression)}
		if test.zone != "" {
			in.Schedule.Timezone = p(test.zone)
		}
		arn := must(f.CreateImagePipeline(f.ctx, in))(t).ImagePipelineArn
		next := func() string {
			got := must(f.GetImagePipeline(f.ctx, &api.GetImagePipelineInput{ImagePipelineArn: arn}))(t).ImagePipeline
			same(t, "the schedule", got.Schedule, in.Schedule)
			if got.DateNextRun == nil {
				return ""
			}
			return *got.DateNextRun
		}
		same(t, test.expression+" in "+test.zone, next(), test.next)
		f.advance(48 * time.Hour)
		same(t, test.expression+" in "+test.zone+" two days later", next(), test.later)
		f.advance(-48 * time.Hour)
	}
}

func TestPipelineRefusals(t *testing.T) {
	t.Parallel()
	f := open(t, func(c *imagebuilder.Config) { c.Quotas.Pipelines = 1 })
	recipe := f.recipe("web", "1.0.0")
	build, test, custom := "arn:aws:imagebuilder:us-east-1:aws:workflow/build/build-image/x.x.x", "arn:aws:imagebuilder:us-east-1:aws:workflow/test/test-image/x.x.x", prefix+"workflow/build/mine/1.0.0"
	schedule := func(expression, zone string) func(*api.CreateImagePipelineInput) {
		return func(in *api.CreateImagePipelineInput) {
			in.Schedule = &api.Schedule{ScheduleExpression: p(expression), Timezone: p(zone)}
		}
	}
	workflows := func(role *string, all ...api.WorkflowConfiguration) func(*api.CreateImagePipelineInput) {
		return func(in *api.CreateImagePipelineInput) { in.ExecutionRole, in.Workflows = role, all }
	}
	for name, test := range map[string]struct {
		change func(*api.CreateImagePipelineInput)
		code   string
		part   string
	}{
		"no recipe": {func(in *api.CreateImagePipelineInput) { in.ImageRecipeArn = nil }, "InvalidParameterCombinationException", "containerRecipeArn"},
		"two recipes": {func(in *api.CreateImagePipelineInput) {
			in.ContainerRecipeArn = p(prefix + "container-recipe/web/1.0.0")
		}, "InvalidParameterCombinationException", "containerRecipeArn"},
		"container recipe": {func(in *api.CreateImagePipelineInput) {
			in.ImageRecipeArn, in.ContainerRecipeArn = nil, p(prefix+"container-recipe/web/1.0.0")
		}, "InvalidParameterValueException", "containerRecipeArn"},
		"recipe not there":  {func(in *api.CreateImagePipelineInput) { in.ImageRecipeArn = p(prefix + "image-recipe/web/2.x.x") }, "InvalidParameterValueException", "'imageRecipeArn'"},
		"recipe of another": {func(in *api.CreateImagePipelineInput) { in.ImageRecipeArn = p(strings.Replace(recipe, alice, bob, 1)) }, "AccessDeniedException", "imagebuilder:CreateImagePipeline"},
		"recipe elsewhere": {func(in *api.CreateImagePipelineInput) {
			in.ImageRecipeArn = p(strings.Replace(recipe, home, "eu-west-1", 1))
		}, "InvalidParameterValueException", "'imageRecipeArn' is not valid. 'arn:aws:imagebuilder:eu-west-1:"},
		"infra not there": {func(in *api.CreateImagePipelineInput) {
			in.InfrastructureConfigurationArn = p(prefix + "infrastructure-configuration/none")
		}, "InvalidParameterValueException", "'infrastructureConfigurationArn'"},
		"infra of another kind": {func(in *api.CreateImagePipelineInput) { in.InfrastructureConfigurationArn = p(recipe) }, "InvalidParameterValueException", "infrastructure-configuration/NAME"},
		"dist not there": {func(in *api.CreateImagePipelineInput) {
			in.DistributionConfigurationArn = p(prefix + "distribution-configuration/none")
		}, "InvalidParameterValueException", "'distributionConfigurationArn'"},
		"bad cron":              {schedule("cron(0 8 1 * ? **)", "UTC"), "InvalidParameterValueException", "'schedule.scheduleExpression'"},
		"cron of the past":      {schedule("cron(0 0 1 1 ? 2020)", "UTC"), "InvalidParameterValueException", "'cron(0 0 1 1 ? 2020)' never matches"},
		"cron of no day":        {schedule("cron(0 0 31 2 ? *)", "UTC"), "InvalidParameterValueException", "never matches"},
		"role of another":       {func(in *api.CreateImagePipelineInput) { in.ExecutionRole = p("arn:aws:iam::" + bob + ":role/r") }, "AccessDeniedException", "iam:PassRole"},
		"bad zone":              {schedule("cron(0 8 1 * ? *)", "Mars/Olympus"), "InvalidParameterValueException", "'schedule.timezone'"},
		"zone of the server":    {schedule("cron(0 8 1 * ? *)", "Local"), "InvalidParameterValueException", "'schedule.timezone'"},
		"zone that is a path":   {schedule("cron(0 8 1 * ? *)", "../../../etc/passwd"), "InvalidParameterValueException", "'schedule.timezone'"},
		"workflow without role": {workflows(nil, api.WorkflowConfiguration{WorkflowArn: p(custom)}), "InvalidParameterCombinationException", "executionRole"},
		"workflow not there":    {workflows(p("r"), api.WorkflowConfiguration{WorkflowArn: p(custom)}), "InvalidParameterValueException", "'workflows[0].workflowArn' is not valid. The workflow '"},
		"no managed workflow":   {workflows(p("r"), api.WorkflowConfiguration{WorkflowArn: p(strings.Replace(build, "build-image", "none", 1))}), "InvalidParameterValueException", "does not exist"},
		"workflow of another":   {workflows(p("r"), api.WorkflowConfiguration{WorkflowArn: p(strings.Replace(custom, alice, bob, 1))}), "AccessDeniedException", "imagebuilder:CreateImagePipeline"},
		"workflow of a version": {workflows(p("r"), api.WorkflowConfiguration{WorkflowArn: p(strings.Replace(build, "x.x.x", "1.0.1/1", 1))}), "InvalidParameterValueException", "AWS managed workflows must have latest version 'x.x.x' for"},
		"two build workflows":   {workflows(p("r"), api.WorkflowConfiguration{WorkflowArn: p(build)}, api.WorkflowConfiguration{WorkflowArn: p(build)}), "InvalidParameterCombinationException", "BUILD"},
		"group on a build":      {workflows(p("r"), api.WorkflowConfiguration{WorkflowArn: p(build), ParallelGroup: p("g")}), "InvalidParameterCombinationException", "parallelGroup"},
		"too many workflows":    {workflows(p("r"), slicesRepeat(api.WorkflowConfiguration{WorkflowArn: p(test)}, 11)...), "ServiceQuotaExceededException", "10"},
		"log group, no role": {func(in *api.CreateImagePipelineInput) {
			in.LoggingConfiguration = &api.PipelineLoggingConfiguration{PipelineLogGroupName: p("/mine")}
		}, "InvalidParameterCombinationException", "executionRole"},
		"dry run": {func(in *api.CreateImagePipelineInput) { in.DryRun = p(true) }, "DryRunOperationException", "Request would have succeeded"},
	} {
		in := f.pipelineInput("pipe of "+name, recipe)
		test.change(in)
		_, err := f.CreateImagePipeline(f.ctx, in)
		t.Run(name, func(t *testing.T) { wantFault(t, err, test.code, test.part) })
	}
	must(f.CreateImagePipeline(f.ctx, f.pipelineInput("first", recipe)))(t)
	_, err := f.CreateImagePipeline(f.ctx, f.pipelineInput("second", recipe))
	wantFault(t, err, "ServiceQuotaExceededException", "image pipelines is 1")
	again := f.pipelineInput("third", recipe)
	again.Name = p("FIRST")
	_, err = f.CreateImagePipeline(f.ctx, again)
	wantFault(t, err, "ResourceAlreadyExistsException", prefix+"image-pipeline/first")
}

func slicesRepeat[T any](v T, n int) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = v
	}
	return all
}
