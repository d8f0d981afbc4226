package imagebuilder_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
)

const managed = "arn:aws:imagebuilder:us-east-1:aws:"

func TestManagedComponents(t *testing.T) {
	t.Parallel()
	f := open(t)
	var names []string
	in := &api.ListComponentsInput{Owner: p(api.OwnershipAmazon)}
	for {
		out := must(f.ListComponents(f.ctx, in))(t)
		for _, c := range out.ComponentVersionList {
			names = append(names, strings.TrimPrefix(*c.Arn, managed+"component/"))
			if *c.Owner != "Amazon" || strings.Contains(*c.Name, "windows") != (*c.Platform == api.PlatformWindows) && *c.Name != "chocolatey" && *c.Name != "putty" {
				t.Errorf("%s: %+v", *c.Arn, c)
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	for _, want := range []string{"aws-cli-version-2-linux/1.0.0", "hello-world-linux/1.0.0", "php-8_2-linux/1.0.0", "reboot-test-linux/1.0.0", "stig-build-linux-high/1.0.0", "update-linux/1.0.0", "update-windows/1.0.0"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among %v", want, names)
		}
	}
	for name, kind := range map[string]api.ComponentType{"update-linux": "BUILD", "hello-world-linux": "BUILD", "simple-boot-test-linux": "TEST", "reboot-test-linux": "TEST"} {
		for _, version := range []string{"x.x.x", "1.x.x", "1.0.0", "1.0.0/1"} {
			out := must(f.GetComponent(f.ctx, &api.GetComponentInput{ComponentBuildVersionArn: p(managed + "component/" + name + "/" + version)}))(t)
			if *out.Component.Arn != managed+"component/"+name+"/1.0.0/1" || *out.Component.Type != kind || !strings.Contains(*out.Component.Data, "schemaVersion: 1.0") {
				t.Errorf("%s/%s: %+v", name, version, out.Component)
			}
		}
	}
	for _, arn := range []string{"component/update-linux/2.x.x", "component/update-linux/1.0.0/2", "component/nothing/x.x.x"} {
		_, err := f.GetComponent(f.ctx, &api.GetComponentInput{ComponentBuildVersionArn: p(managed + arn)})
		wantFault(t, err, "ResourceNotFoundException", arn)
	}
	builds := must(f.ListComponentBuildVersions(f.ctx, &api.ListComponentBuildVersionsInput{ComponentVersionArn: p(managed + "component/update-linux/1.0.0")}))(t)
	same(t, "builds", *builds.ComponentSummaryList[0].Arn, managed+"component/update-linux/1.0.0/1")
	_, err := f.DeleteComponent(f.ctx, &api.DeleteComponentInput{ComponentBuildVersionArn: p(managed + "component/update-linux/1.0.0/1")})
	wantFault(t, err, "AccessDeniedException", "managed by Amazon")
	filtered := must(f.ListComponents(f.ctx, &api.ListComponentsInput{Owner: p(api.OwnershipAmazon), ByName: p(true), Filters: []api.Filter{{Name: p("type"), Values: []string{"TEST"}}}}))(t)
	same(t, "tests by name", *filtered.ComponentVersionList[0].Arn, managed+"component/apt-repository-test-linux/x.x.x")
}

// Recipes may use Amazon's components that this server only knows the names of;
// builds with them are refused.
func TestComponentsWithoutADocument(t *testing.T) {
	t.Parallel()
	f := open(t)
	for _, name := range []string{"stig-build-linux", "docker-ce-linux", "inspector-test-linux"} {
		arn := managed + "component/" + name + "/x.x.x"
		c := f.get(managed + "component/" + name + "/1.0.0/1")
		if c.Data != nil || *c.State.Status != api.ComponentStatusActive || !strings.Contains(*c.State.Reason, "no document") {
			t.Errorf("%s: %+v", name, c)
		}
		in := f.recipeInput(name, "1.0.0", arn, managed+"component/update-linux/x.x.x")
		in.Components[0].Parameters = []api.ComponentParameter{{Name: p("Level"), Value: []string{"High"}}}
		image := f.start(*must(f.CreateImagePipeline(f.ctx, f.pipelineInput(name, *must(f.CreateImageRecipe(f.ctx, in))(t).ImageRecipeArn)))(t).ImagePipelineArn)
		_, err := f.Plan(f.ctx, image)
		wantFault(t, err, "ClientException", name+"/1.0.0/1", "no document for it")
	}
	in := f.recipeInput("windows", "1.0.0", managed+"component/update-windows/x.x.x")
	_, err := f.CreateImageRecipe(f.ctx, in)
	wantFault(t, err, "InvalidParameterValueException", "platform")
	in.ParentImage = p(managed + "image/windows-server-2022-english-full-base-x86/x.x.x")
	must(f.CreateImageRecipe(f.ctx, in))(t)
}

func TestManagedImages(t *testing.T) {
	t.Parallel()
	f := open(t)
	var arns []string
	for _, v := range f.amazonImages(false) {
		arns = append(arns, strings.TrimPrefix(*v.Arn, managed+"image/"))
	}
	name := func(arn string) string { before, _, _ := strings.Cut(arn, "/"); return before }
	if !slices.IsSortedFunc(arns, func(a, b string) int { return strings.Compare(name(a), name(b)) }) {
		t.Errorf("not in the order of names: %v", arns)
	}
	for _, want := range []string{
		"amazon-linux-2-x86/2026.1.1", "amazon-linux-2023-arm64/2026.1.1", "amazon-linux-x86-2/2026.1.1", "debian-12-x86/2026.11.20", "debian-12-x86/2026.11.21", "macos-sonoma-arm64/2026.1.1",
		"ubuntu-server-24-lts-x86/2026.1.1", "windows-server-2022-english-full-base-x86/2026.1.1", "windows-server-2019-x86-core-ltsc2019-amd64/2026.1.1",
	} {
		if !slices.Contains(arns, want) {
			t.Errorf("%s is not in %v", want, arns)
		}
	}
	same(t, "names", len(f.amazonImages(true)), len(arns)-1)

	debian := f.image(debianARN)
	if *debian.Arn != managed+"image/debian-12-x86/2026.11.21/1" || *debian.Name != "Debian 12 x86" || *debian.OsVersion != "Debian 12" || debian.State.Reason != nil || debian.Tags != nil {
		t.Errorf("debian: %+v", debian)
	}
	// Its AMI is there for everyone, in every region, under an ID of that region.
	id := *debian.OutputResources.Amis[0].Image
	out := must(f.world.EC2().DescribeImages(f.as(bob, home), &ec2.DescribeImagesInput{ImageIds: []string{id}}))(t)
	same(t, "AMI name", *out.Images[0].Name, "debian-12-x86 2026.11.21-1")
	same(t, "owner", *out.Images[0].ImageOwnerAlias, "amazon")
	snapshot := *out.Images[0].BlockDeviceMappings[0].Ebs.SnapshotId
	must(f.world.EC2().DescribeSnapshots(f.as(bob, home), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{snapshot}}))(t)
	_, err := f.world.EC2().DescribeImages(f.as(alice, "eu-west-1"), &ec2.DescribeImagesInput{ImageIds: []string{id}})
	wantFault(t, err, "InvalidAMIID.NotFound")

	// What is known but has no disk says what to do, and has no AMI.
	amazon := f.image(managed + "image/amazon-linux-2-x86/x.x.x")
	if *amazon.Name != "Amazon Linux 2 x86" || *amazon.OsVersion != "Amazon Linux 2" || *amazon.EnhancedImageMetadataEnabled || amazon.ImageTestsConfiguration != nil || amazon.OutputResources == nil {
		t.Errorf("amazon: %+v", amazon)
	}
	if !strings.Contains(*amazon.State.Reason, "goldsmith base import FILE --name amazon-linux-2-x86") {
		t.Errorf("reason %q", *amazon.State.Reason)
	}
	all := must(f.world.EC2().DescribeImages(f.ctx, &ec2.DescribeImagesInput{Owners: []string{"amazon"}}))(t)
	same(t, "AMIs", len(all.Images), 2)
	builds := must(f.ListImageBuildVersions(f.ctx, &api.ListImageBuildVersionsInput{ImageVersionArn: p(managed + "image/debian-12-x86/2026.11.21")}))(t)
	same(t, "builds", *builds.ImageSummaryList[0].Arn, *debian.Arn)
	_, err = f.GetImage(f.ctx, &api.GetImageInput{ImageBuildVersionArn: p(managed + "image/nothing/x.x.x")})
	wantFault(t, err, "ResourceNotFoundException")
	_, err = f.DeleteImage(f.ctx, &api.DeleteImageInput{ImageBuildVersionArn: debian.Arn})
	wantFault(t, err, "AccessDeniedException")
}

// amazonImages reads all pages of Amazon's images.
func (f *fixture) amazonImages(byName bool) (all []api.ImageVersion) {
	f.Helper()
	in := &api.ListImagesInput{Owner: p(api.OwnershipAmazon), ByName: p(byName)}
	for {
		out := must(f.ListImages(f.ctx, in))(f)
		all = append(all, out.ImageVersionList...)
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return all
		}
	}
}

func TestWhatCannotBeBuiltOnSaysWhy(t *testing.T) {
	t.Parallel()
	f := open(t)
	for name, want := range map[string]struct {
		kind     api.ImageType
		platform api.Platform
		reason   string
	}{
		"windows-server-2022-english-full-base-x86": {api.ImageTypeAmi, api.PlatformWindows, "Linux images only"},
		"macos-sequoia-x86":                         {api.ImageTypeAmi, api.PlatformMacOS, "Linux images only"},
		"amazon-linux-x86-latest":                   {api.ImageTypeDocker, api.PlatformLinux, "container images are not built"},
		"ubuntu-server-22-lts-arm64":                {api.ImageTypeAmi, api.PlatformLinux, "goldsmith base import FILE --name ubuntu-server-22-lts-arm64"},
	} {
		got := f.image(managed + "image/" + name + "/x.x.x")
		if *got.Type != want.kind || *got.Platform != want.platform || !strings.Contains(*got.State.Reason, want.reason) {
			t.Errorf("%s: %s, %s, %q", name, *got.Type, *got.Platform, *got.State.Reason)
		}
	}
}

func TestImportedParentsAreManagedImages(t *testing.T) {
	t.Parallel()
	imported := debian("1.2.3", 1)
	imported.Name, imported.OSVersion = "rocky-9", "Rocky Linux 9"
	f := open(t, func(c *imagebuilder.Config) { c.Parents = parents{imported} })
	same(t, "name", *f.image(managed + "image/rocky-9/x.x.x").Name, "rocky-9")
	if r := f.image(debianARN).State.Reason; r == nil || !strings.Contains(*r, "goldsmith base build debian-12-x86") {
		t.Errorf("debian without a disk: %v", r)
	}
	none := open(t, func(c *imagebuilder.Config) { c.Parents = nil })
	list := none.amazonImages(false)
	if len(list) < 5 || slices.ContainsFunc(list, func(v api.ImageVersion) bool { return *v.Version != "2026.1.1" }) {
		t.Errorf("%+v", list)
	}
}
