package imagebuilder

import (
	"fmt"
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
)

// checkLifecyclePolicy holds a policy to the rules of the User Guide ("Manage
// image lifecycles") and of the API Reference on which members go together.
func (r request) checkLifecyclePolicy(p *api.LifecyclePolicy) error {
	if err := r.checkRole("executionRole", p.ExecutionRole); err != nil {
		return err
	}
	if err := checkSelection(p.ResourceSelection); err != nil {
		return err
	}
	seen := make(map[api.LifecyclePolicyDetailActionType]bool)
	for i := range p.PolicyDetails {
		d := &p.PolicyDetails[i]
		path := fmt.Sprintf("policyDetails[%d]", i)
		if err := checkDetail(path, or(p.ResourceType, ""), d); err != nil {
			return err
		}
		if kind := *d.Action.Type; seen[kind] {
			return invalid(path+".action.type", "A policy can have one rule for each action, and %s has more.", kind)
		}
		seen[*d.Action.Type] = true
	}
	return nil
}

// passesRole refuses roles of other accounts: IAM lets nobody pass them on.
func (r request) passesRole(role *string) error {
	parts := strings.SplitN(text(role), ":", 6)
	if len(parts) == 6 && parts[4] != r.Account {
		return fault.New(api.CodeAccessDenied, "User: %s is not authorized to perform: iam:PassRole on resource: %s because cross-account pass role is not allowed", r.ARN, text(role))
	}
	return nil
}

// checkRole refuses roles that cannot be passed on, and those that only a
// service may use (User Guide, "Create lifecycle policies").
func (r request) checkRole(member string, role *string) error {
	if err := r.passesRole(role); err != nil {
		return err
	}
	_, name, _ := strings.Cut(":"+text(role), ":role/")
	if name == "" {
		name = text(role)
	}
	if strings.HasPrefix(name, "aws-service-role/") || strings.HasPrefix(name, "AWSServiceRoleFor") {
		return invalid(member, "A service-linked role cannot be used.")
	}
	return nil
}

// checkSelection: images are selected by their recipes or by their tags.
func checkSelection(sel *api.LifecyclePolicyResourceSelection) error {
	if sel == nil || (sel.Recipes == nil) == (sel.TagMap == nil) {
		return combination("You must specify either resourceSelection.recipes or resourceSelection.tagMap, and not both.")
	}
	for i, recipe := range sel.Recipes {
		path := fmt.Sprintf("resourceSelection.recipes[%d].semanticVersion", i)
		v, err := parseVersion(text(recipe.SemanticVersion))
		if err != nil || !rightOpen(v) {
			return invalid(path, "'%s' is not a version or a version with wildcards only to the right of the first.", fault.Clip(text(recipe.SemanticVersion)))
		}
	}
	return nil
}

func checkDetail(path string, kind api.LifecyclePolicyResourceType, d *api.LifecyclePolicyDetail) error {
	action, filter := or(d.Action.Type, ""), d.Filter
	container := kind == api.LifecyclePolicyResourceTypeContainerImage
	if container && action != api.LifecyclePolicyDetailActionTypeDelete {
		return combination("%s.action.type: for container images the only action is DELETE.", path)
	}
	if inc := d.Action.IncludeResources; inc != nil {
		if err := checkIncluded(path+".action.includeResources", container, inc.Amis, inc.Snapshots, inc.Containers); err != nil {
			return err
		}
	}
	switch or(filter.Type, "") {
	case api.LifecyclePolicyDetailFilterTypeAge:
		if filter.Unit == nil {
			return combination("%s.filter: you must specify a unit when the type is AGE.", path)
		}
	case api.LifecyclePolicyDetailFilterTypeCount:
		if filter.RetainAtLeast != nil {
			return combination("%s.filter: you can specify retainAtLeast only when the type is AGE.", path)
		}
	}
	if rules := d.ExclusionRules; rules != nil && rules.Amis != nil {
		if container {
			return combination("%s.exclusionRules: you cannot specify amis for container images.", path)
		}
		return checkExclusion(path+".exclusionRules.amis", rules.Amis)
	}
	return nil
}

// checkIncluded: an image of one type has no resources of the other.
func checkIncluded(path string, container bool, amis, snapshots, containers *bool) error {
	for _, member := range []struct {
		name  string
		asked *bool
		wrong bool
	}{{"amis", amis, container}, {"snapshots", snapshots, container}, {"containers", containers, !container}} {
		if member.wrong && or(member.asked, false) {
			return combination("%s: %s cannot be included for this type of image.", path, member.name)
		}
	}
	return nil
}

func checkExclusion(path string, rules *api.LifecyclePolicyDetailExclusionRulesAmis) error {
	for i, region := range rules.Regions {
		if _, ok := cloud.Partition(region); !ok {
			return invalid(fmt.Sprintf("%s.regions[%d]", path, i), "'%s' is not a region.", fault.Clip(region))
		}
	}
	return nil
}
