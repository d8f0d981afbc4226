package imagebuilder_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

func TestRecipeRoundTrip(t *testing.T) {
	t.Parallel()
	f := open(t)
	c := f.component("web", "1.0.0", parameterised)
	in := f.recipeInput("My Recipe", "1.0.0", strings.TrimSuffix(c, "1.0.0/1")+"1.x.x", "arn:aws:imagebuilder:us-east-1:aws:component/update-linux/x.x.x")
	in.Components[0].Parameters = []api.ComponentParameter{{Name: p("Needed"), Value: []string{""}}}
	in.Description, in.WorkingDirectory, in.Tags, in.AmiTags = p("d"), p("/var/tmp"), map[string]string{"t": "v"}, map[string]string{"a": "b"}
	in.AmiWatermarks = []string{"golden", "internal"}
	in.AdditionalInstanceConfiguration = &api.AdditionalInstanceConfiguration{SystemsManagerAgent: &api.SystemsManagerAgent{UninstallAfterBuild: p(false)}}
	in.BlockDeviceMappings = []api.InstanceBlockDeviceMapping{
		{DeviceName: p("/dev/xvda"), Ebs: &api.EbsInstanceBlockDeviceSpecification{VolumeSize: p(int32(8)), VolumeType: p(api.EbsVolumeTypeGp3), Iops: p(int32(3000)), Throughput: p(int32(125)), Encrypted: p(false), DeleteOnTermination: p(true)}},
		{DeviceName: p("/dev/xvdb"), NoDevice: p("")},
		{DeviceName: p("/dev/xvdc"), VirtualName: p("ephemeral0")},
	}
	out := must(f.CreateImageRecipe(f.ctx, in))(t)
	same(t, "ARN", *out.ImageRecipeArn, prefix+"image-recipe/my-recipe/1.0.0")
	for _, version := range []string{"1.0.0", "1.x.x", "x.x.x"} {
		got := must(f.GetImageRecipe(f.ctx, &api.GetImageRecipeInput{ImageRecipeArn: p(prefix + "image-recipe/my-recipe/" + version)}))(t)
		same(t, version, got.ImageRecipe, &api.ImageRecipe{
			Arn: out.ImageRecipeArn, Type: p(api.ImageTypeAmi), Name: in.Name, Description: in.Description, Platform: p(api.PlatformLinux), Owner: p(alice), Version: in.SemanticVersion, Components: in.Components,
			ParentImage: in.ParentImage, BlockDeviceMappings: in.BlockDeviceMappings, DateCreated: p("2026-11-21T10:00:00.000Z"), Tags: in.Tags, WorkingDirectory: in.WorkingDirectory,
			AdditionalInstanceConfiguration: in.AdditionalInstanceConfiguration, AmiTags: in.AmiTags, AmiWatermarks: in.AmiWatermarks,
		})
	}
	bare := must(f.GetImageRecipe(f.ctx, &api.GetImageRecipeInput{ImageRecipeArn: p(f.recipe("bare", "0.1.0"))}))(t).ImageRecipe
	if bare.Components != nil || bare.WorkingDirectory != nil || bare.AdditionalInstanceConfiguration != nil || bare.BlockDeviceMappings != nil || bare.Description != nil || bare.Tags != nil {
		t.Errorf("what was not sent came back: %+v", bare)
	}
	_, err := f.CreateImageRecipe(f.ctx, f.recipeInput("MY RECIPE", "1.0.0"))
	wantFault(t, err, "ResourceAlreadyExistsException", "The following resource 'ImageRecipe' already exists: '"+*out.ImageRecipeArn+"'.")
}

func TestRecipeVersionsAutomatically(t *testing.T) {
	t.Parallel()
	f := open(t)
	for _, step := range []struct{ asked, want string }{
		{"1.0.x", "1.0.1"}, {"1.0.x", "1.0.2"}, {"1.0.7", "1.0.7"}, {"1.0.x", "1.0.8"}, {"1.x.0", "1.1.0"}, {"1.x.5", "1.2.5"}, {"1.1.x", "1.1.1"}, {"x.0.0", "2.0.0"}, {"x.1.1", "3.1.1"}, {"0.0.x", "0.0.1"},
	} {
		same(t, step.asked, f.recipe("web", step.asked), prefix+"image-recipe/web/"+step.want)
	}
	for _, bad := range []string{"x.x.x", "1.x.x", "x.1.x", "1.0.1073741824", "1.0.01"} {
		_, err := f.CreateImageRecipe(f.ctx, f.recipeInput("web", bad))
		wantFault(t, err, "InvalidVersionNumberException", "The supplied semantic version does not follow the required format")
	}
	f.recipe("web", "1.0.1073741823")
	_, err := f.CreateImageRecipe(f.ctx, f.recipeInput("web", "1.0.x"))
	wantFault(t, err, "InvalidVersionNumberException")
	dry := f.recipeInput("dry", "1.0.x")
	dry.DryRun = p(true)
	_, err = f.CreateImageRecipe(f.ctx, dry)
	wantFault(t, err, "DryRunOperationException")
	same(t, "after the dry run", f.recipe("dry", "1.0.x"), prefix+"image-recipe/dry/1.0.1")
}

func TestRecipeRefusals(t *testing.T) {
	t.Parallel()
	f := open(t)
	plain, needy := f.component("plain", "1.0.0", document), f.component("needy", "1.0.0", parameterised)
	windows := f.componentInput("windows", "1.0.0", strings.Replace(document, "ExecuteBash", "ExecutePowerShell", 1))
	windows.Platform = p(api.PlatformWindows)
	windowsARN := *must(f.CreateComponent(f.ctx, windows))(t).ComponentBuildVersionArn
	ubuntu := f.componentInput("ubuntu", "1.0.0", document)
	ubuntu.SupportedOsVersions = []string{"Ubuntu", "Debian 11"}
	ubuntuARN := *must(f.CreateComponent(f.ctx, ubuntu))(t).ComponentBuildVersionArn
	ebs := func(device string, e api.EbsInstanceBlockDeviceSpecification) func(*api.CreateImageRecipeInput) {
		return func(in *api.CreateImageRecipeInput) {
			in.BlockDeviceMappings = append(in.BlockDeviceMappings, api.InstanceBlockDeviceMapping{DeviceName: p(device), Ebs: &e})
		}
	}
	uses := func(arn string, parameters ...api.ComponentParameter) func(*api.CreateImageRecipeInput) {
		return func(in *api.CreateImageRecipeInput) {
			in.Components = append(in.Components, api.ComponentConfiguration{ComponentArn: p(arn), Parameters: parameters})
		}
	}
	needed := api.ComponentParameter{Name: p("Needed"), Value: []string{"v"}}
	for name, test := range map[string]struct {
		change func(*api.CreateImageRecipeInput)
		code   string
		part   string
	}{
		"component twice": {func(in *api.CreateImageRecipeInput) {
			uses(plain)(in)
			uses(strings.TrimSuffix(plain, "1.0.0/1") + "x.x.x")(in)
		}, "InvalidParameterValueException", "A component may be specified in an image recipe at most once"},
		"component that is not there":  {uses(prefix + "component/nothing/x.x.x"), "InvalidParameterValueException", "components[0].componentArn"},
		"component of another version": {uses(prefix + "component/plain/2.x.x"), "InvalidParameterValueException", "does not exist"},
		"managed that is not there":    {uses("arn:aws:imagebuilder:us-east-1:aws:component/nothing/x.x.x"), "InvalidParameterValueException", "does not exist"},
		"wildcard in the middle":       {uses(prefix + "component/plain/1.x.0"), "InvalidParameterValueException", "wildcards"},
		"other account":                {uses(strings.Replace(plain, alice, bob, 1)), "AccessDeniedException", "is not authorized to perform: imagebuilder:CreateImageRecipe on resource"},
		"other region":                 {uses(strings.Replace(plain, home, "eu-west-1", 1)), "InvalidParameterValueException", "components[0].componentArn' is not valid. 'arn:aws:imagebuilder:eu-west-1:"},
		"parent of another region": {func(in *api.CreateImageRecipeInput) {
			in.ParentImage = p("arn:aws:imagebuilder:eu-west-1:aws:image/debian-12-x86/x.x.x")
		}, "InvalidParameterValueException", "is in another region than the request, which is for us-east-1."},
		"other platform":          {uses(windowsARN), "InvalidParameterValueException", "platform"},
		"other OS":                {uses(ubuntuARN), "InvalidParameterValueException", "Debian 12"},
		"parameter missing":       {uses(needy), "InvalidParameterValueException", "'Needed'"},
		"parameter unknown":       {uses(plain, needed), "InvalidParameterValueException", "has no parameter 'Needed'"},
		"parameter twice":         {uses(needy, needed, needed), "InvalidParameterValueException", "more than once"},
		"parameter without value": {uses(needy, api.ComponentParameter{Name: p("Needed"), Value: []string{}}), "InvalidParameterValueException", "exactly one value"},
		"parameter too long":      {uses(needy, api.ComponentParameter{Name: p("Needed"), Value: []string{strings.Repeat("ü", 1025)}}), "InvalidParameterValueException", "1024"},
		"too large": {func(in *api.CreateImageRecipeInput) {
			for range 30 {
				uses(needy, api.ComponentParameter{Name: p("Needed"), Value: []string{strings.Repeat("v", 1024)}})(in)
			}
		}, "InvalidParameterValueException", "You've exceeded the maximum cumulative component size of 25 KB"},
		"too many": {func(in *api.CreateImageRecipeInput) {
			for range 21 {
				uses(plain)(in)
			}
		}, "ServiceQuotaExceededException", "20"},
		"parent that is nonsense":  {func(in *api.CreateImageRecipeInput) { in.ParentImage = p("debian") }, "InvalidParameterValueException", "'parentImage'"},
		"parent that is not there": {func(in *api.CreateImageRecipeInput) { in.ParentImage = p(prefix + "image/nothing/x.x.x") }, "InvalidParameterValueException", "does not exist"},
		"managed parent not there": {func(in *api.CreateImageRecipeInput) {
			in.ParentImage = p("arn:aws:imagebuilder:us-east-1:aws:image/beos/x.x.x")
		}, "InvalidParameterValueException", "goldsmith base list"},
		"parent of another account": {func(in *api.CreateImageRecipeInput) {
			in.ParentImage = p(strings.Replace(prefix, alice, bob, 1) + "image/web/1.0.0")
		}, "AccessDeniedException", "no resource-based policy"},
		"parent of another kind": {func(in *api.CreateImageRecipeInput) { in.ParentImage = p(plain) }, "InvalidParameterValueException", "'parentImage'"},
		"reserved tag":           {func(in *api.CreateImageRecipeInput) { in.AmiTags = map[string]string{"CreatedBy": "me"} }, "InvalidParameterValueException", "CreatedBy"},
		"watermark twice":        {func(in *api.CreateImageRecipeInput) { in.AmiWatermarks = []string{"abc", "abc"} }, "InvalidParameterValueException", "unique"},
		"device twice": {func(in *api.CreateImageRecipeInput) {
			ebs("/dev/a", api.EbsInstanceBlockDeviceSpecification{})(in)
			ebs("/dev/a", api.EbsInstanceBlockDeviceSpecification{})(in)
		}, "InvalidParameterValueException", "more than once"},
		"device of two kinds": {func(in *api.CreateImageRecipeInput) {
			in.BlockDeviceMappings = []api.InstanceBlockDeviceMapping{{DeviceName: p("/dev/a"), VirtualName: p("ephemeral0"), NoDevice: p("")}}
		}, "InvalidParameterValueException", "Only one of"},
		"io1 without iops":             {ebs("/dev/a", api.EbsInstanceBlockDeviceSpecification{VolumeType: p(api.EbsVolumeTypeIo1)}), "InvalidParameterValueException", "blockDeviceMappings[0].ebs.iops"},
		"gp2 with iops":                {ebs("/dev/a", api.EbsInstanceBlockDeviceSpecification{VolumeType: p(api.EbsVolumeTypeGp2), Iops: p(int32(100))}), "InvalidParameterValueException", "iops"},
		"gp2 with throughput":          {ebs("/dev/a", api.EbsInstanceBlockDeviceSpecification{VolumeType: p(api.EbsVolumeTypeGp2), Throughput: p(int32(125))}), "InvalidParameterValueException", "throughput"},
		"key without encryption":       {ebs("/dev/a", api.EbsInstanceBlockDeviceSpecification{KmsKeyId: p("k"), Encrypted: p(false)}), "InvalidParameterValueException", "kmsKeyId"},
		"component of the Marketplace": {uses("arn:aws:imagebuilder:us-east-1:aws-marketplace:component/cis/x.x.x"), "InvalidParameterValueException", "no subscriptions"},
	} {
		in := f.recipeInput("web", "1.0.0")
		test.change(in)
		_, err := f.CreateImageRecipe(f.ctx, in)
		t.Run(name, func(t *testing.T) { wantFault(t, err, test.code, test.part) })
	}
	for _, parent := range []string{"ami-0123456789abcdef0", "ami-01234567", "ssm:/golden/base", "ssm:arn:aws:ssm:us-east-1:111111111111:parameter/golden/base", "prod-abcdefghijklm", "01234567-0123-0123-0123-0123456789ab"} {
		in := f.recipeInput("parents", "1.0.x")
		in.ParentImage = p(parent)
		if _, err := f.CreateImageRecipe(f.ctx, in); err != nil {
			t.Errorf("parent %s: %v", parent, err)
		}
	}
}

// What Amazon's service accepts of block devices, though EC2 could not launch all
// of it, comes back as it was sent; a build says what is wrong.
func TestIncompleteDevicesAreAccepted(t *testing.T) {
	t.Parallel()
	f := open(t)
	for i, m := range []api.InstanceBlockDeviceMapping{
		{}, {DeviceName: p("/dev/xvdb")}, {NoDevice: p("")}, {VirtualName: p("ephemeral0")}, {Ebs: &api.EbsInstanceBlockDeviceSpecification{}},
		{Ebs: &api.EbsInstanceBlockDeviceSpecification{Iops: p(int32(100))}}, {Ebs: &api.EbsInstanceBlockDeviceSpecification{KmsKeyId: p("k")}},
		{Ebs: &api.EbsInstanceBlockDeviceSpecification{Throughput: p(int32(125))}}, {Ebs: &api.EbsInstanceBlockDeviceSpecification{SnapshotId: p("snap-0123456789abcdef0"), Encrypted: p(false)}},
	} {
		in := f.recipeInput("devices", "1.0.x")
		in.BlockDeviceMappings = []api.InstanceBlockDeviceMapping{m, {DeviceName: p("/dev/xvda"), Ebs: &api.EbsInstanceBlockDeviceSpecification{VolumeSize: p(int32(8))}}}
		arn := must(f.CreateImageRecipe(f.ctx, in))(t).ImageRecipeArn
		got := must(f.GetImageRecipe(f.ctx, &api.GetImageRecipeInput{ImageRecipeArn: arn}))(t).ImageRecipe
		if diff := cmp.Diff(in.BlockDeviceMappings, got.BlockDeviceMappings); diff != "" {
			t.Errorf("mapping %d (-want +got):\n%s", i, diff)
		}
		image := must(f.CreateImage(f.ctx, &api.CreateImageInput{ImageRecipeArn: arn, InfrastructureConfigurationArn: p(f.infrastructure(fmt.Sprintf("infra %d", i))), ClientToken: f.token()}))(t).ImageBuildVersionArn
		_, err := f.Plan(f.ctx, *image)
		if m.DeviceName == nil {
			wantFault(t, err, "ClientException", "without a device name")
		} else if err != nil {
			t.Errorf("mapping %d: %v", i, err)
		}
	}
}

func TestDeletesRespectDependents(t *testing.T) {
	t.Parallel()
	f := open(t)
	used := f.component("used", "1.0.0", document)
	byBuild := f.recipe("by-build", "1.0.0", used)
	deletes := func(arn string) error {
		_, err := f.DeleteComponent(f.ctx, &api.DeleteComponentInput{ComponentBuildVersionArn: p(arn)})
		return err
	}
	wantFault(t, deletes(used), "ResourceDependencyException", "Resource dependency error: The resource ARN '"+used+"' has other resources depended on it.", byBuild)

	// What selects can do without one of two.
	selected := f.component("selected", "1.0.0", document)
	bySelection := f.recipe("by-selection", "1.0.0", prefix+"component/selected/x.x.x")
	wantFault(t, deletes(selected), "ResourceDependencyException", bySelection)
	newer := f.component("selected", "1.0.0", testDocument)
	if err := deletes(selected); err != nil {
		t.Errorf("deleting one of two that are selected: %v", err)
	}
	wantFault(t, deletes(newer), "ResourceDependencyException", bySelection)

	_, err := f.DeleteImageRecipe(f.ctx, &api.DeleteImageRecipeInput{ImageRecipeArn: p(prefix + "image-recipe/by-build/x.x.x")})
	wantFault(t, err, "InvalidParameterValueException")
	for _, recipe := range []string{byBuild, bySelection} {
		must(f.DeleteImageRecipe(f.ctx, &api.DeleteImageRecipeInput{ImageRecipeArn: p(recipe)}))(t)
	}
	for _, arn := range []string{used, newer} {
		if err := deletes(arn); err != nil {
			t.Errorf("deleting %s, which nothing uses any more: %v", arn, err)
		}
		wantFault(t, deletes(arn), "ResourceNotFoundException", arn)
	}

	pipe := f.pipeline("web")
	got := must(f.GetImagePipeline(f.ctx, &api.GetImagePipelineInput{ImagePipelineArn: p(pipe)}))(t).ImagePipeline
	_, err = f.DeleteImageRecipe(f.ctx, &api.DeleteImageRecipeInput{ImageRecipeArn: got.ImageRecipeArn})
	wantFault(t, err, "ResourceDependencyException", pipe)
	_, err = f.DeleteInfrastructureConfiguration(f.ctx, &api.DeleteInfrastructureConfigurationInput{InfrastructureConfigurationArn: got.InfrastructureConfigurationArn})
	wantFault(t, err, "ResourceDependencyException", pipe)
	_, err = f.DeleteDistributionConfiguration(f.ctx, &api.DeleteDistributionConfigurationInput{DistributionConfigurationArn: got.DistributionConfigurationArn})
	wantFault(t, err, "ResourceDependencyException", pipe)
	must(f.DeleteImagePipeline(f.ctx, &api.DeleteImagePipelineInput{ImagePipelineArn: p(pipe)}))(t)
	must(f.DeleteImageRecipe(f.ctx, &api.DeleteImageRecipeInput{ImageRecipeArn: got.ImageRecipeArn}))(t)
	must(f.DeleteInfrastructureConfiguration(f.ctx, &api.DeleteInfrastructureConfigurationInput{InfrastructureConfigurationArn: got.InfrastructureConfigurationArn}))(t)
	must(f.DeleteDistributionConfiguration(f.ctx, &api.DeleteDistributionConfigurationInput{DistributionConfigurationArn: got.DistributionConfigurationArn}))(t)
}

func TestPlatformComesFromTheParent(t *testing.T) {
	t.Parallel()
	f := open(t)
	var ami cloud.AMI
	f.write(func(tx *store.Tx) (err error) {
		ami, err = f.world.Register(tx, cloud.AMI{Account: alice, Region: home, Name: "windows", Platform: "Windows", OSVersion: "Windows Server 2025"})
		return err
	})
	in := f.recipeInput("win", "1.0.0")
	in.ParentImage = p(ami.ID)
	got := must(f.GetImageRecipe(f.ctx, &api.GetImageRecipeInput{ImageRecipeArn: must(f.CreateImageRecipe(f.ctx, in))(t).ImageRecipeArn}))(t)
	same(t, "platform", *got.ImageRecipe.Platform, api.PlatformWindows)
	in = f.recipeInput("win", "1.0.1")
	in.ParentImage, in.AdditionalInstanceConfiguration = p(ami.ID), &api.AdditionalInstanceConfiguration{SystemsManagerAgent: &api.SystemsManagerAgent{}}
	_, err := f.CreateImageRecipe(f.ctx, in)
	wantFault(t, err, "InvalidParameterValueException", "additionalInstanceConfiguration.systemsManagerAgent")
	in = f.recipeInput("win", "1.0.2", "arn:aws:imagebuilder:us-east-1:aws:component/update-linux/x.x.x")
	in.ParentImage = p(ami.ID)
	_, err = f.CreateImageRecipe(f.ctx, in)
	wantFault(t, err, "InvalidParameterValueException", "Windows")
}

func TestImagesDependOnNothingButNeedTheirChildren(t *testing.T) {
	t.Parallel()
	f := open(t)
	image := f.start(f.pipeline("web"))
	in := f.recipeInput("child", "1.0.0")
	in.ParentImage = p(prefix + "image/web/x.x.x")
	child := *must(f.CreateImageRecipe(f.ctx, in))(t).ImageRecipeArn
	_, err := f.DeleteImage(f.ctx, &api.DeleteImageInput{ImageBuildVersionArn: p(image)})
	wantFault(t, err, "ResourceInUseException", "PENDING")
	f.write(func(tx *store.Tx) error { return f.Transition(f.ctx, tx, image, engine.Failed, "why", nil) })
	_, err = f.DeleteImage(f.ctx, &api.DeleteImageInput{ImageBuildVersionArn: p(image)})
	wantFault(t, err, "ResourceDependencyException", child)
	must(f.DeleteImageRecipe(f.ctx, &api.DeleteImageRecipeInput{ImageRecipeArn: p(child)}))(t)
	must(f.DeleteImage(f.ctx, &api.DeleteImageInput{ImageBuildVersionArn: p(image)}))(t)
	_, err = f.GetImage(f.ctx, &api.GetImageInput{ImageBuildVersionArn: p(image)})
	wantFault(t, err, "ResourceNotFoundException")
}

var _ imagebuilder.Parents = parents{}
