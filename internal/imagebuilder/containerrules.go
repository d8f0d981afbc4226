package imagebuilder

import (
	"context"
	"regexp"
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// dockerfileSize is the most bytes that a template can have (General Reference,
// quotas); inline, the model allows 16,000 characters of it.
const dockerfileSize = 64 << 10

// templateVariable is a variable of a Dockerfile template, with whatever space
// stands in its braces.
var templateVariable = regexp.MustCompile(`\{\{\{\s*imagebuilder:([A-Za-z0-9_.-]*)\s*\}\}\}`)

// The variables of a Dockerfile template (User Guide, "Create a container
// recipe").
const (
	parentVariable       = "parentImage"
	environmentsVariable = "environments"
	componentsVariable   = "components"
)

// dockerfile gives the template of a recipe and holds it to the rules.
func (s *Service) dockerfile(ctx context.Context, in *api.CreateContainerRecipeInput) ([]byte, error) {
	member, template := "dockerfileTemplateData", []byte(text(in.DockerfileTemplateData))
	if in.DockerfileTemplateUri != nil {
		member = "dockerfileTemplateUri"
		var err error
		if template, err = s.fetch(ctx, member, *in.DockerfileTemplateUri, dockerfileSize); err != nil {
			return nil, err
		}
	}
	return template, checkTemplate(member, string(template), len(in.Components) > 0)
}

// checkTemplate holds a template to the rules on its variables: the parent image
// is needed always, the environments and after them the components where there
// are components.
func checkTemplate(member, template string, components bool) error {
	first := make(map[string]int)
	for _, m := range templateVariable.FindAllStringSubmatchIndex(template, -1) {
		name := template[m[2]:m[3]]
		switch name {
		case parentVariable, environmentsVariable, componentsVariable:
		default:
			return invalid(member, "The Dockerfile template has the variable '{{{ imagebuilder:%s }}}', which is none of imagebuilder:parentImage, imagebuilder:environments and imagebuilder:components.", fault.Clip(name))
		}
		if _, ok := first[name]; !ok {
			first[name] = m[0]
		}
	}
	if _, ok := first[parentVariable]; !ok {
		return invalid(member, "The Dockerfile template must contain '{{{ imagebuilder:parentImage }}}'.")
	}
	environments, hasEnvironments := first[environmentsVariable]
	steps, hasComponents := first[componentsVariable]
	switch {
	case components && !hasEnvironments:
		return invalid(member, "The Dockerfile template must contain '{{{ imagebuilder:environments }}}' when the recipe has components.")
	case components && !hasComponents:
		return invalid(member, "The Dockerfile template must contain '{{{ imagebuilder:components }}}' when the recipe has components.")
	case hasComponents && !hasEnvironments, hasComponents && steps < environments:
		return invalid(member, "In the Dockerfile template '{{{ imagebuilder:environments }}}' must precede '{{{ imagebuilder:components }}}'.")
	}
	return nil
}

// repositoryName is ECR's rule for the names of repositories (ECR API Reference,
// CreateRepository).
var repositoryName = regexp.MustCompile(`^(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*$`)

func checkRepository(path string, r *api.TargetContainerRepository) error {
	if r == nil {
		return nil
	}
	if name := text(r.RepositoryName); len(name) < 2 || len(name) > 256 || !repositoryName.MatchString(name) {
		return invalid(path+".repositoryName", "'%s' is not the name of an ECR repository: 2 to 256 lower case letters, digits, '.', '_', '-' and '/'.", fault.Clip(name))
	}
	return nil
}

// checkContainerRecipe holds a recipe to the rules that need no look at other
// resources.
func (s *Service) checkContainerRecipe(in *api.CreateContainerRecipeInput) error {
	if (in.DockerfileTemplateData == nil) == (in.DockerfileTemplateUri == nil) {
		return combination("You must specify either dockerfileTemplateData or a dockerfileTemplateUri.")
	}
	if or(in.PlatformOverride, "") == api.PlatformMacOS {
		return invalid("platformOverride", "Container recipes don't currently support the macOS platform.")
	}
	if err := checkRepository("targetRepository", in.TargetRepository); err != nil {
		return err
	}
	if err := s.checkUses(in.Components); err != nil {
		return err
	}
	for _, use := range in.Components {
		if soldBy(text(use.ComponentArn)) {
			return invalid("components", "Container Recipes must not contain marketplace components.")
		}
	}
	c := in.InstanceConfiguration
	if c == nil {
		return nil
	}
	if image := text(c.Image); c.Image != nil && !amiID.MatchString(image) && !ssmName.MatchString(image) {
		return invalid("instanceConfiguration.image", "'%s' is not an AMI ID or an SSM parameter (ssm:NAME).", fault.Clip(image))
	}
	return checkDevices("instanceConfiguration.", c.BlockDeviceMappings)
}

// containerReference is an image of a registry: a name, with the registry's host
// before it if it is not Docker Hub, and a tag or a digest after it.
var containerReference = regexp.MustCompile(`^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]{1,5})?/)?` +
	`[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`)

// containerParent reads the parent of a container recipe: an image of Image
// Builder, whose platform is then known, or one of a registry.
func (s *Service) containerParent(ctx context.Context, tx *store.Tx, r request, in *api.CreateContainerRecipeInput) (parentOf, error) {
	parent := text(in.ParentImage)
	if !strings.HasPrefix(parent, "arn:") {
		if !containerReference.MatchString(parent) {
			return parentOf{}, invalid("parentImage", "'%s' is not the ARN of an Image Builder image or the name of a container image.", fault.Clip(parent))
		}
		platform := or(in.PlatformOverride, api.PlatformLinux)
		if platform == api.PlatformWindows && in.ImageOsVersionOverride == nil {
			return parentOf{}, invalid("imageOsVersionOverride", "You must specify an image OsVersion override when using ECR Repositories as your parent image for Windows Platform.")
		}
		return parentOf{platform: platform, osVersion: text(in.ImageOsVersionOverride)}, nil
	}
	if in.PlatformOverride != nil {
		return parentOf{}, invalid("platformOverride", "You cannot specify a platform override when using an Image Builder Image as your parent.")
	}
	found, err := s.imageParent(ctx, tx, r, parent, api.ImageTypeDocker)
	if err != nil {
		return parentOf{}, err
	}
	if found.platform == api.PlatformMacOS {
		return parentOf{}, invalid("parentImage", "Container recipes don't currently support the macOS platform.")
	}
	found.osVersion = or(in.ImageOsVersionOverride, found.osVersion)
	return found, nil
}

// imageParent reads a parent that is an image of Image Builder, of the type that
// the recipe makes.
func (s *Service) imageParent(ctx context.Context, tx *store.Tx, r request, parent string, want api.ImageType) (parentOf, error) {
	a, err := s.borrows(tx, r, "parentImage", &parent, image, versionForm, buildForm)
	if err != nil {
		return parentOf{}, err
	}
	var found parentOf
	kind := api.ImageTypeAmi
	if a.Account == amazon {
		m, err := s.managedImage(ctx, a)
		if fault.Code(err) == api.CodeResourceNotFound {
			return parentOf{}, invalid("parentImage", "The image '%s' does not exist. 'goldsmith base list' shows the parent images of this server.", parent)
		}
		if err != nil {
			return parentOf{}, err
		}
		found, kind = parentOf{platform: api.Platform(m.Platform), osVersion: m.OSVersion}, m.kind
	} else {
		shape, _, err := resolve[api.Image](tx, a)
		if fault.Code(err) == api.CodeResourceNotFound {
			return parentOf{}, invalid("parentImage", "The image '%s' does not exist.", parent)
		}
		if err != nil {
			return parentOf{}, err
		}
		found, kind = parentOf{platform: or(shape.Platform, api.PlatformLinux), osVersion: text(shape.OsVersion)}, or(shape.Type, api.ImageTypeAmi)
		if a.Account == r.Account { // whoever shares an image may still delete it
			found.image = &a
		}
	}
	if kind != want {
		return parentOf{}, invalid("parentImage", "The image '%s' is of the type %s, and the recipe needs one of the type %s.", parent, kind, want)
	}
	return found, nil
}
