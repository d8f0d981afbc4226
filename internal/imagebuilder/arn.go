package imagebuilder

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Kinds of resources, as ARNs spell them.
const (
	component       store.Kind = "component"
	imageRecipe     store.Kind = "image-recipe"
	containerRecipe store.Kind = "container-recipe"
	infrastructure  store.Kind = "infrastructure-configuration"
	distribution    store.Kind = "distribution-configuration"
	pipeline        store.Kind = "image-pipeline"
	image           store.Kind = "image"
	workflowKind    store.Kind = "workflow" // of all types: the name begins with the type, "build/NAME"
	lifecyclePolicy store.Kind = "lifecycle-policy"
)

// titles are the kinds as error messages call them.
var titles = map[store.Kind]string{
	component: "Component", imageRecipe: "ImageRecipe", containerRecipe: "ContainerRecipe", infrastructure: "InfrastructureConfiguration", distribution: "DistributionConfiguration",
	pipeline: "ImagePipeline", image: "Image", workflowKind: "Workflow", lifecyclePolicy: "LifecyclePolicy",
}

// amazon is the account of the managed resources.
const amazon = "aws"

// form says which nodes an ARN has after the name.
type form int

const (
	nameOnly    form = iota // image-pipeline/NAME
	versionForm             // image-recipe/NAME/1.2.3, or with wildcards
	buildForm               // component/NAME/1.2.3/4
)

// arn is the name of a resource, or of several where it has wildcards.
type arn struct {
	partition string
	store.Key
	form    form
	version store.Version // Any for a wildcard, and for a build that is not named
}

// String writes the ARN.
func (a arn) String() string {
	var b strings.Builder
	b.Grow(96)
	b.WriteString("arn:")
	b.WriteString(a.partition)
	b.WriteString(":imagebuilder:")
	b.WriteString(a.Region)
	b.WriteByte(':')
	b.WriteString(a.Account)
	b.WriteByte(':')
	b.WriteString(string(a.Kind))
	b.WriteByte('/')
	b.WriteString(a.Name)
	if a.form >= versionForm {
		b.WriteByte('/')
		b.WriteString(versionText(a.version))
	}
	if a.form == buildForm {
		b.WriteByte('/')
		b.WriteString(strconv.FormatInt(a.version.Build, 10))
	}
	return b.String()
}

// versionText writes the first three nodes.
func versionText(v store.Version) string {
	return node(v.Major) + "." + node(v.Minor) + "." + node(v.Patch)
}

func node(n int64) string {
	if n == store.Any {
		return "x"
	}
	return strconv.FormatInt(n, 10)
}

// newARN names a resource of a request's account and region.
func newARN(key store.Key, f form, v store.Version) arn {
	return arn{partition: cloud.PartitionFor(key.Region), Key: key, form: f, version: v}
}

var arnPattern = regexp.MustCompile(`^arn:(aws[a-z-]*):imagebuilder:([a-z0-9-]+):([0-9]{12}|aws[a-z-]*|third-party):` +
	`(image-recipe|container-recipe|infrastructure-configuration|distribution-configuration|component|image|image-pipeline|lifecycle-policy|workflow/(?:build|test|distribution))` +
	`/([a-z0-9_-]+)(?:/([0-9x]+\.[0-9x]+\.[0-9x]+)(?:/([0-9]+))?)?$`)

// parseARN reads an ARN. It has one way to write each resource: numbers have no
// leading zeros, and the part of the partition is that of the region.
func parseARN(s string) (arn, bool) {
	m := arnPattern.FindStringSubmatch(s)
	if m == nil {
		return arn{}, false
	}
	a := arn{partition: m[1], Key: store.Key{Region: m[2], Account: m[3], Kind: store.Kind(m[4]), Name: m[5]}}
	if kind, of, ok := strings.Cut(m[4], "/"); ok {
		a.Kind, a.Name = store.Kind(kind), of+"/"+m[5]
	}
	if a.partition != cloud.PartitionFor(a.Region) {
		return arn{}, false
	}
	if m[6] == "" {
		return a, true
	}
	v, err := parseVersion(m[6])
	if err != nil || !rightOpen(v) {
		return arn{}, false
	}
	a.form, a.version = versionForm, v
	if m[7] != "" {
		n, ok := versionNode(m[7])
		if !ok || n < 1 || exact(v) != nil {
			return arn{}, false
		}
		a.form, a.version.Build = buildForm, n
	}
	return a, true
}

// normalise gives a name as ARNs have it: lower case, with "-" for spaces and
// underscores (User Guide, "How EC2 Image Builder works"). Names that differ
// only in these are the same name.
func normalise(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '_':
			return '-'
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

// ResourceName gives a name as the ARNs of resources have it.
func ResourceName(name string) string { return normalise(name) }
