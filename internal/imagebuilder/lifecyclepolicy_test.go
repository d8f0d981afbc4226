package imagebuilder_test

import (
	"strings"
	"testing"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// rule is one that deletes what is older than a number of days.
func rule(action api.LifecyclePolicyDetailActionType, days int32) api.LifecyclePolicyDetail {
	return api.LifecyclePolicyDetail{
		Action: &api.LifecyclePolicyDetailAction{Type: p(action)},
		Filter: &api.LifecyclePolicyDetailFilter{Type: p(api.LifecyclePolicyDetailFilterTypeAge), Value: p(days), Unit: p(api.LifecyclePolicyTimeUnitDays)},
	}
}

func (f *fixture) policyInput(name string, rules ...api.LifecyclePolicyDetail) *api.CreateLifecyclePolicyInput {
	return &api.CreateLifecyclePolicyInput{
		Name: p(name), ExecutionRole: p("lifecycle"), ResourceType: p(api.LifecyclePolicyResourceTypeAmiImage), PolicyDetails: rules,
		ResourceSelection: &api.LifecyclePolicyResourceSelection{Recipes: []api.LifecyclePolicyResourceSelectionRecipe{{Name: p("web"), SemanticVersion: p("x.x.x")}}}, ClientToken: f.token(),
	}
}

func (f *fixture) policy(in *api.CreateLifecyclePolicyInput) string {
	f.Helper()
	return *must(f.CreateLifecyclePolicy(f.ctx, in))(f).LifecyclePolicyArn
}

func TestLifecyclePolicyRoundTrip(t *testing.T) {
	t.Parallel()
	f := open(t)
	deletion := rule(api.LifecyclePolicyDetailActionTypeDelete, 10)
	deletion.Action.IncludeResources = &api.LifecyclePolicyDetailActionIncludeResources{Amis: p(true), Snapshots: p(true), Containers: p(false)}
	deletion.Filter.RetainAtLeast = p(int32(3))
	deletion.ExclusionRules = &api.LifecyclePolicyDetailExclusionRules{TagMap: map[string]string{"keep": "yes"}, Amis: &api.LifecyclePolicyDetailExclusionRulesAmis{
		IsPublic: p(false), Regions: []string{"eu-west-1"}, SharedAccounts: []string{bob}, TagMap: map[string]string{"k": "v"},
		LastLaunched: &api.LifecyclePolicyDetailExclusionRulesAmisLastLaunched{Unit: p(api.LifecyclePolicyTimeUnitWeeks), Value: p(int32(1))},
	}}
	in := f.policyInput("My_Policy", deletion, rule(api.LifecyclePolicyDetailActionTypeDeprecate, 5))
	in.Tags = map[string]string{"t": "v"}
	arn := f.policy(in)
	same(t, "ARN", arn, prefix+"lifecycle-policy/my-policy")
	got := must(f.GetLifecyclePolicy(f.ctx, &api.GetLifecyclePolicyInput{LifecyclePolicyArn: p(arn)}))(t).LifecyclePolicy
	want := &api.LifecyclePolicy{
		Arn: p(arn), Name: in.Name, Status: p(api.LifecyclePolicyStatusEnabled), ExecutionRole: in.ExecutionRole, ResourceType: in.ResourceType, PolicyDetails: in.PolicyDetails,
		ResourceSelection: in.ResourceSelection, DateCreated: shape.At(start), DateUpdated: shape.At(start), Tags: in.Tags,
	}
	same(t, "policy", got, want)
	if got.Description != nil || got.DateLastRun != nil {
		t.Errorf("what was not sent came back: %+v", got)
	}
	same(t, "the same token again", f.policy(in), arn)
	_, err := f.CreateLifecyclePolicy(f.ctx, f.policyInput("my policy", deletion))
	wantFault(t, err, "ResourceAlreadyExistsException", "The following resource 'LifecyclePolicy' already exists: '"+arn+"'.")

	f.advance(time.Minute)
	update := &api.UpdateLifecyclePolicyInput{
		LifecyclePolicyArn: p(arn), Description: p("now with one"), Status: p(api.LifecyclePolicyStatusDisabled), ExecutionRole: p("other"), ResourceType: in.ResourceType,
		PolicyDetails: []api.LifecyclePolicyDetail{rule(api.LifecyclePolicyDetailActionTypeDisable, 1)}, ResourceSelection: &api.LifecyclePolicyResourceSelection{TagMap: map[string]string{"a": "b"}}, ClientToken: f.token(),
	}
	must(f.UpdateLifecyclePolicy(f.ctx, update))(t)
	got = must(f.GetLifecyclePolicy(f.ctx, &api.GetLifecyclePolicyInput{LifecyclePolicyArn: p(arn)}))(t).LifecyclePolicy
	same(t, "updated", got, &api.LifecyclePolicy{
		Arn: p(arn), Name: in.Name, Description: update.Description, Status: update.Status, ExecutionRole: update.ExecutionRole, ResourceType: in.ResourceType, PolicyDetails: update.PolicyDetails,
		ResourceSelection: update.ResourceSelection, DateCreated: shape.At(start), DateUpdated: shape.At(start.Add(time.Minute)), Tags: in.Tags,
	})
	f.policy(f.policyInput("another", deletion))
	list := func(filters ...api.Filter) (names []string) {
		for _, x := range must(f.ListLifecyclePolicies(f.ctx, &api.ListLifecyclePoliciesInput{Filters: filters}))(t).LifecyclePolicySummaryList {
			names = append(names, *x.Name)
		}
		return names
	}
	same(t, "all", list(), []string{"another", "My_Policy"})
	same(t, "disabled", list(api.Filter{Name: p("Status"), Values: []string{"DISABLED"}}), []string{"My_Policy"})
	same(t, "by name", list(api.Filter{Name: p("Name"), Values: []string{"another"}}), []string{"another"})
	_, err = f.ListLifecyclePolicies(f.ctx, &api.ListLifecyclePoliciesInput{Filters: []api.Filter{{Name: p("name"), Values: []string{"x"}}}})
	wantFault(t, err, "InvalidParameterValueException", "Name, Status")
	must(f.DeleteLifecyclePolicy(f.ctx, &api.DeleteLifecyclePolicyInput{LifecyclePolicyArn: p(arn)}))(t)
	_, err = f.GetLifecyclePolicy(f.ctx, &api.GetLifecyclePolicyInput{LifecyclePolicyArn: p(arn)})
	wantFault(t, err, "ResourceNotFoundException", arn)
	update.ClientToken = f.token()
	_, err = f.UpdateLifecyclePolicy(f.ctx, update)
	wantFault(t, err, "ResourceNotFoundException", arn)
}

func TestLifecyclePolicyRefusals(t *testing.T) {
	t.Parallel()
	f := open(t, func(c *imagebuilder.Config) { c.Quotas.LifecyclePolicies = 1 })
	const value, exclusive = "InvalidParameterValueException", "InvalidParameterCombinationException"
	container := func(in *api.CreateLifecyclePolicyInput) {
		in.ResourceType = p(api.LifecyclePolicyResourceTypeContainerImage)
	}
	include := func(in *api.CreateLifecyclePolicyInput, inc api.LifecyclePolicyDetailActionIncludeResources) {
		in.PolicyDetails[0].Action.IncludeResources = &inc
	}
	for name, test := range map[string]struct {
		change func(*api.CreateLifecyclePolicyInput)
		code   string
		part   string
	}{
		"no selection": {func(in *api.CreateLifecyclePolicyInput) {
			in.ResourceSelection = &api.LifecyclePolicyResourceSelection{}
		}, exclusive, "either resourceSelection.recipes or resourceSelection.tagMap"},
		"both selections": {func(in *api.CreateLifecyclePolicyInput) { in.ResourceSelection.TagMap = map[string]string{"a": "b"} }, exclusive, "and not both"},
		"version with an x in the middle": {func(in *api.CreateLifecyclePolicyInput) {
			in.ResourceSelection.Recipes[0].SemanticVersion = p("1.x.0")
		}, value, "resourceSelection.recipes[0].semanticVersion"},
		"age without unit": {func(in *api.CreateLifecyclePolicyInput) { in.PolicyDetails[0].Filter.Unit = nil }, exclusive, "policyDetails[0].filter: you must specify a unit"},
		"count with retention": {func(in *api.CreateLifecyclePolicyInput) {
			in.PolicyDetails[0].Filter = &api.LifecyclePolicyDetailFilter{Type: p(api.LifecyclePolicyDetailFilterTypeCount), Value: p(int32(3)), RetainAtLeast: p(int32(1))}
		}, exclusive, "retainAtLeast"},
		"two rules of an action": {func(in *api.CreateLifecyclePolicyInput) {
			in.PolicyDetails = append(in.PolicyDetails, in.PolicyDetails[0])
		}, value, "policyDetails[1].action.type"},
		"deprecated containers": {func(in *api.CreateLifecyclePolicyInput) {
			container(in)
			in.PolicyDetails[0].Action.Type = p(api.LifecyclePolicyDetailActionTypeDeprecate)
		}, exclusive, "the only action is DELETE"},
		"AMIs of containers": {func(in *api.CreateLifecyclePolicyInput) {
			container(in)
			include(in, api.LifecyclePolicyDetailActionIncludeResources{Amis: p(true)})
		}, exclusive, "amis cannot be included"},
		"containers of AMIs": {func(in *api.CreateLifecyclePolicyInput) {
			include(in, api.LifecyclePolicyDetailActionIncludeResources{Containers: p(true)})
		}, exclusive, "containers cannot be included"},
		"excluded AMIs of containers": {func(in *api.CreateLifecyclePolicyInput) {
			container(in)
			in.PolicyDetails[0].ExclusionRules = &api.LifecyclePolicyDetailExclusionRules{Amis: &api.LifecyclePolicyDetailExclusionRulesAmis{IsPublic: p(true)}}
		}, exclusive, "cannot specify amis"},
		"region that is none": {func(in *api.CreateLifecyclePolicyInput) {
			in.PolicyDetails[0].ExclusionRules = &api.LifecyclePolicyDetailExclusionRules{Amis: &api.LifecyclePolicyDetailExclusionRulesAmis{Regions: []string{"atlantis"}}}
		}, value, "policyDetails[0].exclusionRules.amis.regions[0]"},
		"role of a service": {func(in *api.CreateLifecyclePolicyInput) {
			in.ExecutionRole = p("arn:aws:iam::" + alice + ":role/aws-service-role/x/AWSServiceRoleForX")
		}, value, "service-linked"},
		"role of another account": {func(in *api.CreateLifecyclePolicyInput) {
			in.ExecutionRole = p("arn:aws:iam::" + bob + ":role/lifecycle")
		}, "AccessDeniedException", "iam:PassRole"},
		"dry run":                  {func(in *api.CreateLifecyclePolicyInput) { in.DryRun = p(true) }, "DryRunOperationException", ""},
		"dry run of what is wrong": {func(in *api.CreateLifecyclePolicyInput) { in.DryRun, in.PolicyDetails[0].Filter.Unit = p(true), nil }, exclusive, "unit"},
		"dry run of what is refused": {func(in *api.CreateLifecyclePolicyInput) {
			in.DryRun, in.ExecutionRole = p(true), p("AWSServiceRoleForX")
		}, value, "service-linked"},
	} {
		in := f.policyInput("p", rule(api.LifecyclePolicyDetailActionTypeDelete, 1))
		test.change(in)
		_, err := f.CreateLifecyclePolicy(f.ctx, in)
		t.Run(name, func(t *testing.T) { wantFault(t, err, test.code, test.part) })
	}
	// What clients send though it says nothing.
	in := f.policyInput("plain", rule(api.LifecyclePolicyDetailActionTypeDeprecate, 1))
	include(in, api.LifecyclePolicyDetailActionIncludeResources{Amis: p(true), Snapshots: p(true), Containers: p(false)})
	f.policy(in)
	_, err := f.CreateLifecyclePolicy(f.ctx, f.policyInput("second", rule(api.LifecyclePolicyDetailActionTypeDelete, 1)))
	wantFault(t, err, "ServiceQuotaExceededException", "lifecycle policies is 1")
	_, err = f.GetLifecyclePolicy(f.as(bob, home), &api.GetLifecyclePolicyInput{LifecyclePolicyArn: p(prefix + "lifecycle-policy/plain")})
	wantFault(t, err, "AccessDeniedException")
	_, err = f.GetLifecyclePolicy(f.ctx, &api.GetLifecyclePolicyInput{LifecyclePolicyArn: p(strings.Replace(prefix, alice, "aws", 1) + "lifecycle-policy/plain")})
	wantFault(t, err, "ResourceNotFoundException")
}
