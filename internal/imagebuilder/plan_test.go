package imagebuilder_test

import (
	"strings"
	"testing"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// planned starts an image of a recipe and plans it.
func (f *fixture) planned(recipe string, change ...func(*api.CreateImageInput)) (*engine.Plan, error) {
	f.Helper()
	in := &api.CreateImageInput{ImageRecipeArn: p(recipe), InfrastructureConfigurationArn: p(f.infrastructure("infra " + *f.token())), ClientToken: f.token()}
	for _, c := range change {
		c(in)
	}
	return f.Plan(f.ctx, *must(f.CreateImage(f.ctx, in))(f).ImageBuildVersionArn)
}

func TestPlan(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.component("web", "1.0.0", parameterised)
	newest := f.component("web", "1.0.0", parameterised+"# newer\n")
	in := f.recipeInput("My Web", "1.0.0", prefix+"component/web/x.x.x", "arn:aws:imagebuilder:us-east-1:aws:component/hello-world-linux/1.0.0")
	in.Components[0].Parameters = []api.ComponentParameter{{Name: p("Needed"), Value: []string{"given"}}}
	in.AmiTags, in.WorkingDirectory = map[string]string{"a": "b"}, p("/opt")
	in.BlockDeviceMappings = []api.InstanceBlockDeviceMapping{
		{DeviceName: p("/dev/xvdb"), Ebs: &api.EbsInstanceBlockDeviceSpecification{VolumeSize: p(int32(1)), VolumeType: p(api.EbsVolumeTypeGp2), DeleteOnTermination: p(false)}},
		{DeviceName: p("/dev/xvda"), Ebs: &api.EbsInstanceBlockDeviceSpecification{VolumeSize: p(int32(8)), Iops: p(int32(3000)), VolumeType: p(api.EbsVolumeTypeGp3)}},
		{DeviceName: p("/dev/xvdc"), VirtualName: p("ephemeral0")},
	}
	recipe := *must(f.CreateImageRecipe(f.ctx, in))(t).ImageRecipeArn
	pipeline := f.pipelineInput("pipe", recipe)
	pipeline.DistributionConfigurationArn = p(f.distribution("dist", "ap-northeast-1", home))
	infra := must(f.CreateInfrastructureConfiguration(f.ctx, &api.CreateInfrastructureConfigurationInput{
		Name: p("infra"), InstanceProfileName: p("p"), InstanceTypes: []string{"m5.large"}, TerminateInstanceOnFailure: p(false), ResourceTags: map[string]string{"r": "t"},
		Logging: &api.Logging{S3Logs: &api.S3Logs{S3BucketName: p("logs"), S3KeyPrefix: p("x")}}, ClientToken: f.token(),
	}))(t).InfrastructureConfigurationArn
	pipeline.InfrastructureConfigurationArn = infra
	pipe := *must(f.CreateImagePipeline(f.ctx, pipeline))(t).ImagePipelineArn
	arn := f.start(pipe)

	plan := must(f.Plan(f.ctx, arn))(t)
	again := must(f.Plan(f.ctx, arn))(t)
	same(t, "digest of the same plan", again.Digest(), plan.Digest())
	for i := range plan.Components {
		if plan.Components[i].Digest == "" || plan.Components[i].Data == "" {
			t.Errorf("component %d has no digest or no document", i)
		}
		plan.Components[i].Digest, plan.Components[i].Data = "", ""
	}
	var flows []string
	for _, w := range plan.Workflows {
		if w.Digest == "" || w.Data == "" {
			t.Errorf("workflow %s has no digest or no document", w.Name)
		}
		flows = append(flows, w.ARN+" "+w.Type+" "+w.OnFailure)
	}
	const managed = "arn:aws:imagebuilder:us-east-1:aws:workflow/"
	same(t, "workflows", flows, []string{managed + "build/build-image/1.0.0/1 BUILD ABORT", managed + "test/test-image/1.0.0/1 TEST ABORT", managed + "distribution/distribute-image/1.0.0/1 DISTRIBUTION ABORT"})
	plan.Workflows = nil
	ami := plan.Parent.AMI
	plan.Parent.AMI = ""
	destination := engine.Destination{Name: "web {{ imagebuilder:buildDate }}", Tags: engine.Tags{"a": "b"}, LaunchPermissions: engine.LaunchPermissions{UserIDs: []string{bob}}}
	here, there := destination, destination
	here.Region, there.Region = home, "ap-northeast-1"
	same(t, "plan", plan, &engine.Plan{
		Image: engine.Image{ARN: arn, Name: "My Web", Slug: "my-web", Version: "1.0.0", Build: 1, Account: alice, Region: home, Pipeline: pipe, Recipe: recipe},
		Parent: engine.Parent{Requested: debianARN, ARN: "arn:aws:imagebuilder:us-east-1:aws:image/debian-12-x86/2026.11.21/1", Snapshot: "disk-2026.11.21", SizeGiB: 2, OSVersion: "Debian 12",
			Platform: "Linux", Architecture: "x86_64", RootDevice: "/dev/xvda", BootMode: "uefi-preferred"},
		Components: []engine.Component{
			{ARN: newest, Name: "web", Parameters: []engine.Parameter{{Name: "Needed", Value: "given"}, {Name: "Optional", Value: "fallback"}}, Phases: []string{"build"}},
			{ARN: "arn:aws:imagebuilder:us-east-1:aws:component/hello-world-linux/1.0.0/1", Name: "hello-world-linux", Phases: []string{"build", "validate", "test"}},
		},
		Volume: engine.Volume{SizeGiB: 8, Devices: []engine.BlockDevice{
			{DeviceName: "/dev/xvda", SizeGiB: 8, VolumeType: "gp3", IOPS: 3000, DeleteOnTermination: true},
			{DeviceName: "/dev/xvdb", SizeGiB: 1, VolumeType: "gp2"},
			{DeviceName: "/dev/xvdc", VirtualName: "ephemeral0", DeleteOnTermination: true},
		}},
		Infrastructure: engine.Infrastructure{ARN: *infra, InstanceProfile: "p", InstanceTypes: []string{"m5.large"}, LogBucket: "logs", LogPrefix: "x", ResourceTags: engine.Tags{"r": "t"}},
		Tests:          true, Metadata: true, LogGroup: "/aws/imagebuilder/my-web", AMITags: engine.Tags{"a": "b", "CreatedBy": "EC2 Image Builder", "Ec2ImageBuilderArn": arn}, WorkingDir: "/opt",
		Destinations: []engine.Destination{here, there},
	})
	if !strings.HasPrefix(ami, "ami-") {
		t.Errorf("the parent's AMI is %q", ami)
	}
}

func TestPlanDefaults(t *testing.T) {
	t.Parallel()
	f := open(t)
	plan := must(f.planned(f.recipe("web", "1.0.0")))(t)
	if plan.WorkingDir != "/tmp" || !plan.Tests || !plan.Infrastructure.TerminateOnFailure || plan.Volume.SizeGiB != 2 {
		t.Errorf("plan %+v", plan)
	}
	same(t, "destinations", plan.Destinations, []engine.Destination{{Region: home}})
	plan = must(f.planned(prefix+"image-recipe/web/1.0.0", func(in *api.CreateImageInput) {
		in.ImageTestsConfiguration = &api.ImageTestsConfiguration{ImageTestsEnabled: p(false)}
	}))(t)
	same(t, "tests switched off", plan.Tests, false)
	plan = must(f.planned(prefix+"image-recipe/web/1.0.0", func(in *api.CreateImageInput) {
		in.ExecutionRole, in.Workflows = p("r"), []api.WorkflowConfiguration{{WorkflowArn: p("arn:aws:imagebuilder:us-east-1:aws:workflow/build/build-image/x.x.x")}}
	}))(t)
	same(t, "tests of a build-only image", plan.Tests, false)
	// The build region is always first; a region alone elsewhere adds to it.
	plan = must(f.planned(prefix+"image-recipe/web/1.0.0", func(in *api.CreateImageInput) {
		in.DistributionConfigurationArn = p(f.distribution("far", "eu-west-1"))
	}))(t)
	same(t, "regions", []string{plan.Destinations[0].Region, plan.Destinations[1].Region}, []string{home, "eu-west-1"})
}

func TestPlanOfOwnParents(t *testing.T) {
	t.Parallel()
	f := open(t)
	base := f.start(f.pipeline("base"))
	var ami cloud.AMI
	f.write(func(tx *store.Tx) (err error) {
		ami, err = f.world.Register(tx, cloud.AMI{Account: alice, Region: home, Name: "base 1", Platform: "Linux", Architecture: "x86_64", OSVersion: "Debian 12", RootDevice: "/dev/sda1",
			Devices: []cloud.BlockDevice{{DeviceName: "/dev/sda1", Manifest: "m", SizeGiB: 3, VolumeType: "gp2", Encrypted: true, KMSKeyID: defaultKey}}})
		if err != nil {
			return err
		}
		if err := f.Outputs(f.ctx, tx, base, []engine.OutputAMI{{Region: "eu-west-1", Account: alice, AMI: "ami-0"}, {Region: home, Account: alice, AMI: ami.ID}}); err != nil {
			return err
		}
		return f.Transition(f.ctx, tx, base, engine.Available, "", nil)
	})
	failed := f.start(prefix + "image-pipeline/base")
	f.write(func(tx *store.Tx) error { return f.Transition(f.ctx, tx, failed, engine.Failed, "why", nil) })

	child := func(parent string) string {
		in := f.recipeInput("child", "1.0.x")
		in.ParentImage = p(parent)
		return *must(f.CreateImageRecipe(f.ctx, in))(t).ImageRecipeArn
	}
	want := engine.Parent{ARN: base, AMI: ami.ID, Snapshot: "m", SizeGiB: 3, OSVersion: "Debian 12", Platform: "Linux", Architecture: "x86_64", RootDevice: "/dev/sda1"}
	for _, requested := range []string{prefix + "image/base/x.x.x", prefix + "image/base/1.0.0", base} {
		plan := must(f.planned(child(requested)))(t)
		want.Requested = requested
		same(t, requested, plan.Parent, want) // the failed build 2 is passed over
		same(t, "root", plan.Volume.Devices[0], engine.BlockDevice{DeviceName: "/dev/sda1", SizeGiB: 3, VolumeType: "gp2", Encrypted: true, KMSKeyID: defaultKey, DeleteOnTermination: true})
	}
	_, err := f.planned(child(failed))
	wantFault(t, err, "ClientException", "no image that is AVAILABLE")
	byAMI := child(ami.ID)
	want.Requested, want.ARN = ami.ID, ""
	same(t, "by AMI", must(f.planned(byAMI))(t).Parent, want)

	f.write(func(tx *store.Tx) error {
		_, err := f.world.Deregister(tx, ami.ID)
		return err
	})
	_, err = f.planned(child(base))
	wantFault(t, err, "ClientException", "has no AMI in us-east-1 any more")
	_, err = f.planned(byAMI)
	wantFault(t, err, "ClientException", ami.ID, "does not exist")
}

func TestPlanRefusals(t *testing.T) {
	t.Parallel()
	f := open(t)
	with := func(change func(*api.CreateImageRecipeInput)) string {
		in := f.recipeInput("web", "1.0.x")
		change(in)
		return *must(f.CreateImageRecipe(f.ctx, in))(t).ImageRecipeArn
	}
	parent := func(image string) string {
		return with(func(in *api.CreateImageRecipeInput) { in.ParentImage = p(image) })
	}
	device := func(m api.InstanceBlockDeviceMapping) string {
		return with(func(in *api.CreateImageRecipeInput) { in.BlockDeviceMappings = []api.InstanceBlockDeviceMapping{m} })
	}
	const managed = "arn:aws:imagebuilder:us-east-1:aws:image/"
	for recipe, part := range map[string]string{
		parent(managed + "ubuntu-server-24-lts-x86/x.x.x"): "goldsmith base import FILE --name ubuntu-server-24-lts-x86",
		parent(managed + "amazon-linux-2023-x86/x.x.x"):    "goldsmith base import FILE --name amazon-linux-2023-x86",
		parent("ami-0123456789abcdef0"):                    "'ami-0123456789abcdef0' does not exist",
		parent("ssm:/golden"):                              "no SSM parameters",
		device(api.InstanceBlockDeviceMapping{DeviceName: p("/dev/xvda"), Ebs: &api.EbsInstanceBlockDeviceSpecification{VolumeSize: p(int32(1))}}):                 "smaller than the parent image's snapshot of 2 GiB",
		device(api.InstanceBlockDeviceMapping{DeviceName: p("/dev/xvda"), NoDevice: p("")}):                                                                        "root device /dev/xvda",
		device(api.InstanceBlockDeviceMapping{DeviceName: p("/dev/xvdb"), Ebs: &api.EbsInstanceBlockDeviceSpecification{SnapshotId: p("snap-0123456789abcdef0")}}): "snap-0123456789abcdef0",
	} {
		_, err := f.planned(recipe)
		wantFault(t, err, "ClientException", part)
	}
	// The service's own agent is not in the image: that it need not be removed
	// asks for nothing.
	must(f.planned(with(func(in *api.CreateImageRecipeInput) {
		in.AdditionalInstanceConfiguration = &api.AdditionalInstanceConfiguration{SystemsManagerAgent: &api.SystemsManagerAgent{UninstallAfterBuild: p(false)}}
	})))(t)
	dist := must(f.CreateDistributionConfiguration(f.ctx, &api.CreateDistributionConfigurationInput{Name: p("export"), ClientToken: f.token(), Distributions: []api.Distribution{
		{Region: p(home), S3ExportConfiguration: &api.S3ExportConfiguration{RoleName: p("r"), DiskImageFormat: p(api.DiskImageFormatRaw), S3Bucket: p("b")}}}}))(t).DistributionConfigurationArn
	_, err := f.planned(f.recipe("plain", "1.0.0"), func(in *api.CreateImageInput) { in.DistributionConfigurationArn = dist })
	wantFault(t, err, "ClientException", "bucket")
	_, err = f.Plan(f.ctx, prefix+"image/none/1.0.0/1")
	wantFault(t, err, "ResourceNotFoundException")

	// A component that is deleted between the start and the plan is named.
	gone := f.component("gone", "1.0.0", document)
	recipe := f.recipe("uses-gone", "1.0.0", gone)
	image := *must(f.CreateImage(f.ctx, &api.CreateImageInput{ImageRecipeArn: p(recipe), InfrastructureConfigurationArn: p(f.infrastructure("late")), ClientToken: f.token()}))(t).ImageBuildVersionArn
	must(f.DeleteImageRecipe(f.ctx, &api.DeleteImageRecipeInput{ImageRecipeArn: p(recipe)}))(t)
	must(f.DeleteComponent(f.ctx, &api.DeleteComponentInput{ComponentBuildVersionArn: p(gone)}))(t)
	_, err = f.Plan(f.ctx, image)
	wantFault(t, err, "ClientException", gone, "does not exist any more")
}

// values are SSM parameters by reference.
type values map[string]string

func (v values) Value(_ *store.Tx, account, region, reference string) (string, error) {
	value, ok := v[reference]
	if !ok || region != home {
		return "", fault.New("ParameterNotFound", "Parameter %s not found.", reference)
	}
	return value, nil
}

func TestPlanTakesAParentFromAParameter(t *testing.T) {
	t.Parallel()
	parameters := values{"/golden/odd": "not an AMI", "/golden/gone": "ami-0123456789abcdef0"}
	f := open(t, func(c *imagebuilder.Config) { c.Parameters = parameters })
	planned := func(parent string) (*engine.Plan, error) {
		in := f.recipeInput("web", "1.0.x")
		in.ParentImage = p(parent)
		return f.planned(*must(f.CreateImageRecipe(f.ctx, in))(t).ImageRecipeArn)
	}
	plan := must(planned("arn:aws:imagebuilder:us-east-1:aws:image/debian-12-x86/x.x.x"))(t)
	parameters["/golden/base"] = plan.Parent.AMI
	again := must(planned("ssm:/golden/base"))(t)
	same(t, "requested", again.Parent.Requested, "ssm:/golden/base")
	same(t, "snapshot", again.Parent.Snapshot, plan.Parent.Snapshot)
	for parent, part := range map[string]string{"ssm:/golden/none": "no such parameter", "ssm:/golden/odd": "not an AMI ID", "ssm:/golden/gone": "does not exist"} {
		_, err := planned(parent)
		wantFault(t, err, "ClientException", part)
	}
}

func TestPlanTakesTheNewestParent(t *testing.T) {
	t.Parallel()
	f := open(t, func(c *imagebuilder.Config) {
		c.Parents = parents{debian("2026.11.9", 1), debian("2026.11.10", 1), debian("2026.11.10", 2), debian("2025.12.31", 7), {Name: "Not An ARN", Version: "1.0.0", Build: 1}, {Name: "odd", Version: "latest", Build: 1}}
	})
	plan := must(f.planned(f.recipe("web", "1.0.0")))(t)
	same(t, "parent", plan.Parent.ARN, "arn:aws:imagebuilder:us-east-1:aws:image/debian-12-x86/2026.11.10/2")
	in := f.recipeInput("old", "1.0.0")
	in.ParentImage = p("arn:aws:imagebuilder:us-east-1:aws:image/debian-12-x86/2025.x.x")
	plan = must(f.planned(*must(f.CreateImageRecipe(f.ctx, in))(t).ImageRecipeArn))(t)
	same(t, "parent of 2025", plan.Parent.ARN, "arn:aws:imagebuilder:us-east-1:aws:image/debian-12-x86/2025.12.31/7")
}
