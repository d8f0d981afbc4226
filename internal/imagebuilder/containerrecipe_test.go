package imagebuilder_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
)

const dockerfile = "FROM {{{ imagebuilder:parentImage }}}\n{{{ imagebuilder:environments }}}\n{{{ imagebuilder:components }}}\n"

func (f *fixture) containerInput(name, version string, components ...string) *api.CreateContainerRecipeInput {
	in := &api.CreateContainerRecipeInput{
		Name: p(name), SemanticVersion: p(version), ContainerType: p(api.ContainerTypeDocker), ParentImage: p("amazonlinux:latest"), DockerfileTemplateData: p(dockerfile),
		TargetRepository: &api.TargetContainerRepository{Service: p(api.ContainerRepositoryServiceEcr), RepositoryName: p("team/web")}, ClientToken: f.token(),
	}
	for _, c := range components {
		in.Components = append(in.Components, api.ComponentConfiguration{ComponentArn: p(c)})
	}
	return in
}

func (f *fixture) containerRecipe(name, version string, components ...string) string {
	f.Helper()
	return *must(f.CreateContainerRecipe(f.ctx, f.containerInput(name, version, components...)))(f).ContainerRecipeArn
}

func TestContainerRecipeRoundTrip(t *testing.T) {
	t.Parallel()
	f := open(t)
	in := f.containerInput("My Container", "1.0.0", f.component("web", "1.0.0", document))
	in.Description, in.WorkingDirectory, in.Tags, in.KmsKeyId = p("d"), p("/work"), map[string]string{"t": "v"}, p("key")
	in.InstanceConfiguration = &api.InstanceConfiguration{Image: p("ami-0123456789abcdef0"), BlockDeviceMappings: []api.InstanceBlockDeviceMapping{{DeviceName: p("/dev/xvdb"), NoDevice: p("")}}}
	out := must(f.CreateContainerRecipe(f.ctx, in))(t)
	same(t, "answer", out, &api.CreateContainerRecipeOutput{
		ClientToken: in.ClientToken, ContainerRecipeArn: p(prefix + "container-recipe/my-container/1.0.0"),
		LatestVersionReferences: &api.LatestVersionReferences{
			LatestVersionArn: p(prefix + "container-recipe/my-container/x.x.x"), LatestMajorVersionArn: p(prefix + "container-recipe/my-container/1.x.x"),
			LatestMinorVersionArn: p(prefix + "container-recipe/my-container/1.0.x"), LatestPatchVersionArn: p(prefix + "container-recipe/my-container/1.0.0"),
		},
	})
	want := &api.ContainerRecipe{
		Arn: out.ContainerRecipeArn, ContainerType: in.ContainerType, Name: in.Name, Description: in.Description, Platform: p(api.PlatformLinux), Owner: p(alice), Version: in.SemanticVersion,
		Components: in.Components, InstanceConfiguration: in.InstanceConfiguration, DockerfileTemplateData: in.DockerfileTemplateData, KmsKeyId: in.KmsKeyId, Encrypted: p(true),
		ParentImage: in.ParentImage, DateCreated: p("2026-11-21T10:00:00.000Z"), Tags: in.Tags, WorkingDirectory: in.WorkingDirectory, TargetRepository: in.TargetRepository,
	}
	for _, version := range []string{"1.0.0", "1.0.x", "x.x.x"} {
		got := must(f.GetContainerRecipe(f.ctx, &api.GetContainerRecipeInput{ContainerRecipeArn: p(prefix + "container-recipe/my-container/" + version)}))(t)
		same(t, version, got.ContainerRecipe, want)
		same(t, version, got.LatestVersionReferences, out.LatestVersionReferences)
	}
	bare := must(f.GetContainerRecipe(f.ctx, &api.GetContainerRecipeInput{ContainerRecipeArn: p(f.containerRecipe("bare", "0.1.0"))}))(t).ContainerRecipe
	if bare.Components != nil || bare.WorkingDirectory != nil || bare.InstanceConfiguration != nil || bare.Description != nil || bare.Tags != nil || bare.KmsKeyId != nil {
		t.Errorf("what was not sent came back: %+v", bare)
	}
	_, err := f.CreateContainerRecipe(f.ctx, f.containerInput("MY_CONTAINER", "1.0.0"))
	wantFault(t, err, "ResourceAlreadyExistsException", "The following resource 'ContainerRecipe' already exists: '"+*out.ContainerRecipeArn+"'.")
	same(t, "automatic version", f.containerRecipe("my container", "1.0.x"), prefix+"container-recipe/my-container/1.0.1")
	same(t, "the same token again", must(f.CreateContainerRecipe(f.ctx, in))(t), out)
}

func TestContainerRecipeTemplateComesFromS3(t *testing.T) {
	t.Parallel()
	f := open(t)
	folder := filepath.Join(f.dir, "s3", "templates")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"good": dockerfile, "long": dockerfile + strings.Repeat("#\n", 32<<10), "bad": "FROM debian\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := f.containerInput("web", "1.0.0")
	in.DockerfileTemplateData, in.DockerfileTemplateUri = nil, p("s3://templates/good")
	arn := must(f.CreateContainerRecipe(f.ctx, in))(t).ContainerRecipeArn
	same(t, "template", *must(f.GetContainerRecipe(f.ctx, &api.GetContainerRecipeInput{ContainerRecipeArn: arn}))(t).ContainerRecipe.DockerfileTemplateData, dockerfile)
	for uri, part := range map[string]string{
		"s3://templates/long": "longer than 65536 bytes", "s3://templates/bad": "must contain '{{{ imagebuilder:parentImage }}}'", "s3://templates/none": "does not exist",
		"https://templates/good": "Invalid S3 URI", "s3://templates/../templates/good": "cannot be used",
	} {
		in := f.containerInput("other", "1.0.0")
		in.DockerfileTemplateData, in.DockerfileTemplateUri = nil, p(uri)
		_, err := f.CreateContainerRecipe(f.ctx, in)
		wantFault(t, err, "InvalidParameterValueException", "dockerfileTemplateUri", part)
	}
}

func TestContainerRecipeRefusals(t *testing.T) {
	t.Parallel()
	f := open(t, func(c *imagebuilder.Config) { c.Quotas.ContainerRecipes = 2 })
	plain := f.component("plain", "1.0.0", document)
	template := func(s string) func(*api.CreateContainerRecipeInput) {
		return func(in *api.CreateContainerRecipeInput) { in.DockerfileTemplateData = p(s) }
	}
	parent := func(s string) func(*api.CreateContainerRecipeInput) {
		return func(in *api.CreateContainerRecipeInput) { in.ParentImage = p(s) }
	}
	const value, exclusive = "InvalidParameterValueException", "InvalidParameterCombinationException"
	for name, test := range map[string]struct {
		change func(*api.CreateContainerRecipeInput)
		code   string
		part   string
	}{
		"no template": {func(in *api.CreateContainerRecipeInput) { in.DockerfileTemplateData = nil }, exclusive, "You must specify either dockerfileTemplateData or a dockerfileTemplateUri"},
		"both templates": {func(in *api.CreateContainerRecipeInput) { in.DockerfileTemplateUri = p("s3://a-bucket/x") }, exclusive,
			"You must specify either dockerfileTemplateData or a dockerfileTemplateUri"},
		"template without a parent":     {template("FROM debian\n{{{ imagebuilder:environments }}}{{{ imagebuilder:components }}}"), value, "must contain '{{{ imagebuilder:parentImage }}}'"},
		"template without environments": {template("FROM {{{imagebuilder:parentImage}}}\n{{{ imagebuilder:components }}}"), value, "must contain '{{{ imagebuilder:environments }}}'"},
		"template without components":   {template("FROM {{{imagebuilder:parentImage}}}\n{{{ imagebuilder:environments }}}"), value, "must contain '{{{ imagebuilder:components }}}'"},
		"environments after components": {template("FROM {{{imagebuilder:parentImage}}}\n{{{imagebuilder:components}}}\n{{{imagebuilder:environments}}}"), value, "must precede"},
		"unknown variable":              {template(dockerfile + "{{{ imagebuilder:secrets }}}"), value, "imagebuilder:secrets"},
		"macOS":                         {func(in *api.CreateContainerRecipeInput) { in.PlatformOverride = p(api.PlatformMacOS) }, value, "Container recipes don't currently support the macOS platform"},
		"Windows without an OS":         {func(in *api.CreateContainerRecipeInput) { in.PlatformOverride = p(api.PlatformWindows) }, value, "You must specify an image OsVersion override when using ECR Repositories"},
		"override with a managed parent": {func(in *api.CreateContainerRecipeInput) {
			in.ParentImage, in.PlatformOverride = p(managed+"image/amazon-linux-x86-2/x.x.x"), p(api.PlatformLinux)
		}, value, "You cannot specify a platform override when using an Image Builder Image as your parent"},
		"parent that is an AMI image": {parent(debianARN), value, "is of the type AMI"},
		"parent that is not there":    {parent(managed + "image/nothing/x.x.x"), value, "does not exist"},
		"parent with spaces":          {parent("debian latest"), value, "'parentImage'"},
		"parent with upper case":      {parent("library/Debian"), value, "'parentImage'"},
		"parent that is a command":    {parent("debian;rm -rf /"), value, "'parentImage'"},
		"parent over several lines":   {parent("debian\nRUN id"), value, "'parentImage'"},
		"parent of another account":   {parent(strings.Replace(prefix, alice, bob, 1) + "image/web/1.0.0"), "AccessDeniedException", "not authorized"},
		"component of the Marketplace": {func(in *api.CreateContainerRecipeInput) {
			in.Components[0].ComponentArn = p("arn:aws:imagebuilder:us-east-1:aws-marketplace:component/x/1.0.0/1")
		}, value, "Container Recipes must not contain marketplace components"},
		"component twice": {func(in *api.CreateContainerRecipeInput) { in.Components = append(in.Components, in.Components[0]) }, value, "at most once"},
		"component of another platform": {func(in *api.CreateContainerRecipeInput) {
			in.PlatformOverride, in.ImageOsVersionOverride = p(api.PlatformWindows), p("Windows Server 2022")
		}, value, "platform"},
		"repository with upper case": {func(in *api.CreateContainerRecipeInput) { in.TargetRepository.RepositoryName = p("Web") }, value, "targetRepository.repositoryName"},
		"repository that climbs":     {func(in *api.CreateContainerRecipeInput) { in.TargetRepository.RepositoryName = p("../web") }, value, "targetRepository.repositoryName"},
		"instance image that is nonsense": {func(in *api.CreateContainerRecipeInput) {
			in.InstanceConfiguration = &api.InstanceConfiguration{Image: p("debian")}
		}, value, "instanceConfiguration.image"},
		"instance device twice": {func(in *api.CreateContainerRecipeInput) {
			in.InstanceConfiguration = &api.InstanceConfiguration{BlockDeviceMappings: []api.InstanceBlockDeviceMapping{{DeviceName: p("/dev/a")}, {DeviceName: p("/dev/a")}}}
		}, value, "instanceConfiguration.blockDeviceMappings[1].deviceName"},
		"version with two x": {func(in *api.CreateContainerRecipeInput) { in.SemanticVersion = p("1.x.x") }, "InvalidVersionNumberException", "one optional x"},
		"dry run":            {func(in *api.CreateContainerRecipeInput) { in.DryRun = p(true) }, "DryRunOperationException", "Request would have succeeded"},
	} {
		in := f.containerInput("web", "1.0.0", plain)
		test.change(in)
		_, err := f.CreateContainerRecipe(f.ctx, in)
		t.Run(name, func(t *testing.T) { wantFault(t, err, test.code, test.part) })
	}
	for _, parent := range []string{
		"debian", "library/debian:12", "111111111111.dkr.ecr.us-east-1.amazonaws.com/team/web:1", "public.ecr.aws/amazonlinux/amazonlinux:2023", "localhost:5000/a",
		"debian@sha256:" + strings.Repeat("a", 64), managed + "image/amazon-linux-x86-2/x.x.x",
	} {
		in := f.containerInput("parents", "1.0.x")
		in.ParentImage, in.DryRun = p(parent), p(true)
		_, err := f.CreateContainerRecipe(f.ctx, in)
		wantFault(t, err, "DryRunOperationException")
	}
	image := f.recipeInput("ami", "1.0.0")
	image.ParentImage = p(managed + "image/amazon-linux-x86-2/x.x.x")
	_, err := f.CreateImageRecipe(f.ctx, image)
	wantFault(t, err, "InvalidParameterValueException", "is of the type DOCKER")

	f.containerRecipe("one", "1.0.0")
	f.containerRecipe("two", "1.0.0")
	_, err = f.CreateContainerRecipe(f.ctx, f.containerInput("three", "1.0.0"))
	wantFault(t, err, "ServiceQuotaExceededException", "container recipes is 2")
}

func TestListAndDeleteContainerRecipes(t *testing.T) {
	t.Parallel()
	f := open(t)
	in := f.containerInput("windows", "1.0.0")
	in.PlatformOverride, in.ImageOsVersionOverride = p(api.PlatformWindows), p("Windows Server 2022")
	in.InstanceConfiguration = &api.InstanceConfiguration{Image: p("ssm:/ecs/image")}
	must(f.CreateContainerRecipe(f.ctx, in))(t)
	c := f.component("used", "1.0.0", document)
	recipe := f.containerRecipe("web", "1.0.0", c)
	f.containerRecipe("web", "1.1.0")
	list := func(filters ...api.Filter) []string {
		var arns []string
		for _, x := range must(f.ListContainerRecipes(f.ctx, &api.ListContainerRecipesInput{Filters: filters}))(t).ContainerRecipeSummaryList {
			arns = append(arns, strings.TrimPrefix(*x.Arn, prefix+"container-recipe/"))
		}
		return arns
	}
	same(t, "all", list(), []string{"web/1.0.0", "web/1.1.0", "windows/1.0.0"})
	same(t, "Windows", list(api.Filter{Name: p("platform"), Values: []string{"Windows"}}), []string{"windows/1.0.0"})
	same(t, "by name and parent", list(api.Filter{Name: p("name"), Values: []string{"web"}}, api.Filter{Name: p("parentImage"), Values: []string{"amazonlinux:latest"}}), []string{"web/1.0.0", "web/1.1.0"})
	same(t, "by type", len(list(api.Filter{Name: p("containerType"), Values: []string{"DOCKER"}})), 3)
	same(t, "summary", must(f.ListContainerRecipes(f.ctx, &api.ListContainerRecipesInput{Filters: []api.Filter{{Name: p("name"), Values: []string{"windows"}}}}))(t).ContainerRecipeSummaryList, []api.ContainerRecipeSummary{{
		Arn: p(prefix + "container-recipe/windows/1.0.0"), ContainerType: p(api.ContainerTypeDocker), Name: p("windows"), Platform: p(api.PlatformWindows), Owner: p(alice),
		ParentImage: p("amazonlinux:latest"), DateCreated: p("2026-11-21T10:00:00.000Z"), InstanceImage: p("ssm:/ecs/image"),
	}})
	same(t, "Amazon's", len(must(f.ListContainerRecipes(f.ctx, &api.ListContainerRecipesInput{Owner: p(api.OwnershipAmazon)}))(t).ContainerRecipeSummaryList), 0)
	_, err := f.ListContainerRecipes(f.ctx, &api.ListContainerRecipesInput{Filters: []api.Filter{{Name: p("version"), Values: []string{"1.0.0"}}}})
	wantFault(t, err, "InvalidParameterValueException", "containerType, name, parentImage, platform")

	_, err = f.DeleteComponent(f.ctx, &api.DeleteComponentInput{ComponentBuildVersionArn: p(c)})
	wantFault(t, err, "ResourceDependencyException", recipe)
	pipe := f.pipelineInput("web", "")
	pipe.ImageRecipeArn, pipe.ContainerRecipeArn = nil, p(prefix+"container-recipe/web/1.0.x")
	made := must(f.CreateImagePipeline(f.ctx, pipe))(t).ImagePipelineArn
	remove := func(arn string) error {
		_, err := f.DeleteContainerRecipe(f.ctx, &api.DeleteContainerRecipeInput{ContainerRecipeArn: p(arn)})
		return err
	}
	wantFault(t, remove(recipe), "ResourceDependencyException", *made)
	wantFault(t, remove(prefix+"container-recipe/web/x.x.x"), "InvalidParameterValueException", "more than one")
	must(f.DeleteImagePipeline(f.ctx, &api.DeleteImagePipelineInput{ImagePipelineArn: made}))(t)
	if err := remove(recipe); err != nil {
		t.Fatal(err)
	}
	wantFault(t, remove(recipe), "ResourceNotFoundException")
	must(f.DeleteComponent(f.ctx, &api.DeleteComponentInput{ComponentBuildVersionArn: p(c)}))(t)
}

// A container recipe makes an image of the type DOCKER; its plan says that it
// is not built yet.
func TestContainerImagesAreRefusedByThePlan(t *testing.T) {
	t.Parallel()
	f := open(t)
	recipe := f.containerRecipe("web", "1.2.3")
	in := &api.CreateImageInput{ContainerRecipeArn: p(recipe), InfrastructureConfigurationArn: p(f.infrastructure("infra")), ClientToken: f.token()}
	arn := *must(f.CreateImage(f.ctx, in))(t).ImageBuildVersionArn
	same(t, "ARN", arn, prefix+"image/web/1.2.3/1")
	got := f.image(arn)
	if *got.Type != api.ImageTypeDocker || got.ImageRecipe != nil || *got.ContainerRecipe.Arn != recipe || *got.ContainerRecipe.DockerfileTemplateData != dockerfile {
		t.Errorf("image %+v", got)
	}
	_, err := f.Plan(f.ctx, arn)
	wantFault(t, err, "ClientException", "container images are not built in this version")
	in.ImageRecipeArn, in.ClientToken = p(f.recipe("web", "1.0.0")), f.token()
	_, err = f.CreateImage(f.ctx, in)
	wantFault(t, err, "InvalidParameterCombinationException", "imageRecipeArn or containerRecipeArn")
}
