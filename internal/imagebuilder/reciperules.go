package imagebuilder

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// recipeSize is the most bytes that the components of a recipe, with their
// parameters, may take.
const recipeSize = 25 << 10

// reservedTags are those that the service itself puts on AMIs.
var reservedTags = []string{"CreatedBy", "Ec2ImageBuilderArn"}

// checkRecipe holds a recipe to the rules that need no look at other resources.
func checkRecipe(in *api.CreateImageRecipeInput) error {
	for _, key := range reservedTags {
		if _, ok := in.AmiTags[key]; ok {
			return invalid("amiTags", "The tag key '%s' is reserved for the service.", key)
		}
	}
	for i, mark := range in.AmiWatermarks {
		if slices.Contains(in.AmiWatermarks[:i], mark) {
			return invalid(fmt.Sprintf("amiWatermarks[%d]", i), "AMI watermark names must be unique.")
		}
	}
	return checkDevices("", in.BlockDeviceMappings)
}

// checkUses holds the number and the size of a recipe's components to their
// limits.
func (s *Service) checkUses(uses []api.ComponentConfiguration) error {
	if encoded, err := json.Marshal(uses); err != nil || len(encoded) > recipeSize {
		return invalid("components", "You've exceeded the maximum cumulative component size of 25 KB.")
	}
	if !within(len(uses), s.quotas.ComponentsPerRecipe) {
		return quotaExceeded("components per recipe", s.quotas.ComponentsPerRecipe)
	}
	return nil
}

// soldBy reports whether an ARN is of a product of the Marketplace or of another
// third party.
func soldBy(componentARN string) bool {
	parts := strings.SplitN(componentARN, ":", 6)
	return len(parts) == 6 && (strings.HasPrefix(parts[4], "aws-") || parts[4] == "third-party")
}

// checkPlatform holds a recipe to the rules of its platform.
func checkPlatform(in *api.CreateImageRecipeInput, platform api.Platform) error {
	if platform == api.PlatformWindows && in.AdditionalInstanceConfiguration != nil && in.AdditionalInstanceConfiguration.SystemsManagerAgent != nil {
		return invalid("additionalInstanceConfiguration.systemsManagerAgent", "It cannot be set for images of the platform Windows.")
	}
	return nil
}

// checkDevices checks block device mappings; prefix is what stands before the
// member in a request.
func checkDevices(prefix string, mappings []api.InstanceBlockDeviceMapping) error {
	names := make(map[string]bool)
	for i, m := range mappings {
		path := fmt.Sprintf("%sblockDeviceMappings[%d]", prefix, i)
		// A mapping without a name is accepted, as Amazon accepts it; a build
		// cannot do anything with it.
		if name := text(m.DeviceName); name != "" {
			if names[name] {
				return invalid(path+".deviceName", "The device '%s' is mapped more than once.", fault.Clip(name))
			}
			names[name] = true
		}
		kinds := 0
		for _, has := range []bool{m.Ebs != nil, m.VirtualName != nil, m.NoDevice != nil} {
			if has {
				kinds++
			}
		}
		if kinds > 1 {
			return invalid(path, "Only one of ebs, virtualName and noDevice can be specified.")
		}
		if m.Ebs != nil {
			if err := checkEBS(path+".ebs", m.Ebs); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkEBS refuses members that contradict each other. A volume whose type is
// not given has that of the parent image, which the build sees.
func checkEBS(path string, ebs *api.EbsInstanceBlockDeviceSpecification) error {
	kind := text(ebs.VolumeType)
	switch {
	case ebs.Iops == nil && (kind == "io1" || kind == "io2"):
		return invalid(path+".iops", "It is required for volumes of type %s.", kind)
	case ebs.Iops != nil && kind != "" && !slices.Contains([]string{"io1", "io2", "gp3"}, kind):
		return invalid(path+".iops", "It can only be set for volumes of the types io1, io2 and gp3.")
	case ebs.Throughput != nil && kind != "" && kind != "gp3":
		return invalid(path+".throughput", "It can only be set for volumes of type gp3.")
	case ebs.KmsKeyId != nil && !or(ebs.Encrypted, true):
		return invalid(path+".kmsKeyId", "It needs encrypted to be true.")
	}
	return nil
}

// parentOf is what is known of a recipe's parent image when it is created.
type parentOf struct {
	platform  api.Platform
	osVersion string // "" if unknown
	image     *arn   // of an own image, which then cannot be deleted
}

var (
	amiID       = regexp.MustCompile(`^ami-(?:[0-9a-f]{8}|[0-9a-f]{17})$`)
	ssmName     = regexp.MustCompile(`^ssm:(?:arn:aws[a-z-]*:ssm:[a-z0-9-]+:[0-9]{12}:parameter)?[a-zA-Z0-9_.\-/:]+$`)
	marketplace = regexp.MustCompile(`^(?:prod-[a-z0-9]{13}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$`)
)

// recipeParent reads a parent image: an AMI, an image of Image Builder, an SSM
// parameter, or a product of the Marketplace. An AMI need not exist yet.
func (s *Service) recipeParent(ctx context.Context, tx *store.Tx, r request, parent string) (parentOf, error) {
	linux := parentOf{platform: api.PlatformLinux}
	switch {
	case amiID.MatchString(parent):
		a, ok, err := s.world.Visible(ctx, tx, r.Account, r.Region, parent)
		if err != nil || !ok || a.Platform == "" {
			return linux, err
		}
		return parentOf{platform: api.Platform(a.Platform), osVersion: a.OSVersion}, nil
	case ssmName.MatchString(parent), marketplace.MatchString(parent):
		return linux, nil
	case !strings.HasPrefix(parent, "arn:"):
		return parentOf{}, invalid("parentImage", "'%s' is not an AMI ID, the ARN of an Image Builder image, an SSM parameter (ssm:NAME) or a Marketplace product ID.", fault.Clip(parent))
	}
	return s.imageParent(ctx, tx, r, parent, api.ImageTypeAmi)
}

// recipeComponents checks the components of a recipe and gives the references
// to the caller's own.
func (s *Service) recipeComponents(tx *store.Tx, r request, uses []api.ComponentConfiguration, parent parentOf) ([]store.Target, error) {
	var targets []store.Target
	seen := make(map[store.Key]bool)
	for i, use := range uses {
		path := fmt.Sprintf("components[%d]", i)
		if soldBy(text(use.ComponentArn)) {
			return nil, invalid(path+".componentArn", "The component '%s' is a product of the Marketplace or of a third party, and this server has no subscriptions.", fault.Clip(text(use.ComponentArn)))
		}
		a, err := s.borrows(tx, r, path+".componentArn", use.ComponentArn, component, versionForm, buildForm)
		if err != nil {
			return nil, err
		}
		if seen[a.Key] {
			return nil, invalid(path+".componentArn", "A component may be specified in an image recipe at most once: '%s'.", a.Name)
		}
		seen[a.Key] = true
		c, _, err := s.component(tx, a)
		if fault.Code(err) == api.CodeResourceNotFound {
			return nil, invalid(path+".componentArn", "The component '%s' does not exist.", a)
		}
		if err != nil {
			return nil, err
		}
		if err := fits(path, a, c, parent); err != nil {
			return nil, err
		}
		if hasDocument(c) { // the parameters of one that is only known are not
			if err := checkParameters(path, c, use.Parameters); err != nil {
				return nil, err
			}
		}
		if a.Account == r.Account { // whoever shares something may still delete it
			targets = append(targets, target(a))
		}
	}
	return targets, nil
}

// fits reports whether a component can be used on a parent.
func fits(path string, a arn, c *api.Component, parent parentOf) error {
	if or(c.Platform, "") != parent.platform {
		return invalid(path+".componentArn", "The platform of the component '%s' is %s, that of the parent image %s.", a, text(c.Platform), parent.platform)
	}
	if state := status(c.State); state != nil && *state != api.ComponentStatusActive {
		return invalid(path+".componentArn", "The component '%s' is %s.", a, *state)
	}
	if parent.osVersion == "" || len(c.SupportedOsVersions) == 0 {
		return nil
	}
	for _, version := range c.SupportedOsVersions {
		if strings.HasPrefix(parent.osVersion, version) {
			return nil
		}
	}
	return invalid(path+".componentArn", "The component '%s' supports the OS versions %s, and the parent image has %s.", a, strings.Join(c.SupportedOsVersions, ", "), parent.osVersion)
}

// checkParameters holds the parameters of a use to what the component declares.
func checkParameters(path string, c *api.Component, given []api.ComponentParameter) error {
	set := make(map[string]bool)
	for i, p := range given {
		at := fmt.Sprintf("%s.parameters[%d]", path, i)
		name := text(p.Name)
		j := slices.IndexFunc(c.Parameters, func(d api.ComponentParameterDetail) bool { return text(d.Name) == name })
		switch {
		case j < 0:
			return invalid(at+".name", "The component '%s' has no parameter '%s'.", text(c.Name), fault.Clip(name))
		case set[name]:
			return invalid(at+".name", "The parameter '%s' is given more than once.", fault.Clip(name))
		case len(p.Value) != 1:
			return invalid(at+".value", "The parameter '%s' takes exactly one value.", fault.Clip(name))
		case len([]rune(p.Value[0])) > 1024:
			return invalid(at+".value", "A parameter's value can have at most 1024 characters.")
		}
		set[name] = true
	}
	for _, d := range c.Parameters {
		if !set[text(d.Name)] && d.DefaultValue == nil {
			return invalid(path+".parameters", "The component '%s' needs a value for its parameter '%s', which has no default.", text(c.Name), text(d.Name))
		}
	}
	return nil
}
