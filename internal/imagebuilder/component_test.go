package imagebuilder_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

func TestComponentRoundTrip(t *testing.T) {
	t.Parallel()
	f := open(t)
	in := f.componentInput("My Web_Server", "1.2.3", parameterised)
	in.Description, in.ChangeDescription, in.KmsKeyId = p("d"), p("c"), p("k")
	in.SupportedOsVersions, in.Tags = []string{"Debian 12"}, map[string]string{"a": ""}
	out := must(f.CreateComponent(f.ctx, in))(t)
	const base = prefix + "component/my-web-server/"
	same(t, "output", out, &api.CreateComponentOutput{
		ClientToken: in.ClientToken, ComponentBuildVersionArn: p(base + "1.2.3/1"),
		LatestVersionReferences: &api.LatestVersionReferences{LatestVersionArn: p(base + "x.x.x"), LatestMajorVersionArn: p(base + "1.x.x"), LatestMinorVersionArn: p(base + "1.2.x"), LatestPatchVersionArn: p(base + "1.2.3")},
	})
	for _, arn := range []string{"1.2.3/1", "1.2.3", "1.2.x", "1.x.x", "x.x.x"} {
		got := must(f.GetComponent(f.ctx, &api.GetComponentInput{ComponentBuildVersionArn: p(base + arn)}))(t)
		same(t, arn, got.Component, &api.Component{
			Arn: out.ComponentBuildVersionArn, Name: in.Name, Version: in.SemanticVersion, Description: in.Description, ChangeDescription: in.ChangeDescription, Type: p(api.ComponentTypeBuild),
			Platform: in.Platform, SupportedOsVersions: in.SupportedOsVersions, State: &api.ComponentState{Status: p(api.ComponentStatusActive)}, Owner: p(alice), Data: in.Data,
			KmsKeyId: in.KmsKeyId, Encrypted: p(true), DateCreated: p("2026-11-21T10:00:00.000Z"), Tags: in.Tags,
			Parameters: []api.ComponentParameterDetail{
				{Name: p("Needed"), Type: p("String"), Description: p("it is needed")},
				{Name: p("Optional"), Type: p("String"), DefaultValue: []string{"fallback"}},
			},
		})
		same(t, arn, got.LatestVersionReferences, out.LatestVersionReferences)
	}
	bare := must(f.GetComponent(f.ctx, &api.GetComponentInput{ComponentBuildVersionArn: p(f.component("bare", "0.0.0", testDocument))}))(t).Component
	if bare.Description != nil || bare.ChangeDescription != nil || bare.KmsKeyId != nil || bare.SupportedOsVersions != nil || bare.Tags != nil || *bare.Type != api.ComponentTypeTest {
		t.Errorf("what was not sent came back: %+v", bare)
	}
}

func TestComponentBuilds(t *testing.T) {
	t.Parallel()
	f := open(t)
	first := f.component("web", "1.0.0", document)
	_, err := f.CreateComponent(f.ctx, f.componentInput("WEB", "1.0.0", document))
	wantFault(t, err, "ResourceAlreadyExistsException", "The following resource 'Component' already exists: '"+first+"'.")
	second := f.component("web", "1.0.0", document+"# changed\n")
	third := f.component("web", "1.0.0", document) // back to what it was: the latest differs
	same(t, "numbers", []string{first, second, third}, []string{prefix + "component/web/1.0.0/1", prefix + "component/web/1.0.0/2", prefix + "component/web/1.0.0/3"})
	same(t, "another version counts anew", f.component("web", "1.0.1", document), prefix+"component/web/1.0.1/1")

	out := must(f.ListComponentBuildVersions(f.ctx, &api.ListComponentBuildVersionsInput{ComponentVersionArn: p(prefix + "component/web/1.0.0")}))(t)
	var arns []string
	for _, c := range out.ComponentSummaryList {
		arns = append(arns, *c.Arn)
	}
	same(t, "builds", arns, []string{first, second, third})

	must(f.DeleteComponent(f.ctx, &api.DeleteComponentInput{ComponentBuildVersionArn: p(third)}))(t)
	_, err = f.GetComponent(f.ctx, &api.GetComponentInput{ComponentBuildVersionArn: p(third)})
	wantFault(t, err, "ResourceNotFoundException")
	got := must(f.GetComponent(f.ctx, &api.GetComponentInput{ComponentBuildVersionArn: p(prefix + "component/web/1.0.0")}))(t)
	same(t, "latest after deletion", *got.Component.Arn, second)
	same(t, "a number is not used again", f.component("web", "1.0.0", document), prefix+"component/web/1.0.0/4")
}

func TestComponentRefusals(t *testing.T) {
	t.Parallel()
	f := open(t)
	for name, test := range map[string]struct {
		change func(*api.CreateComponentInput)
		code   string
		parts  []string
	}{
		"data and uri": {func(in *api.CreateComponentInput) { in.Uri = p("s3://bucket/key") }, "InvalidParameterCombinationException", []string{"data or uri"}},
		"neither":      {func(in *api.CreateComponentInput) { in.Data = nil }, "InvalidParameterCombinationException", []string{"data or uri"}},
		"huge version": {func(in *api.CreateComponentInput) { in.SemanticVersion = p("1.0.1073741824") }, "InvalidVersionNumberException", []string{"The supplied semantic version does not follow the required format"}},
		"leading zero": {func(in *api.CreateComponentInput) { in.SemanticVersion = p("1.01.0") }, "InvalidVersionNumberException", nil},
		"wildcard":     {func(in *api.CreateComponentInput) { in.SemanticVersion = p("1.0.x") }, "InvalidVersionNumberException", nil},
		"bad YAML":     {func(in *api.CreateComponentInput) { in.Data = p("name: [") }, "InvalidParameterValueException", []string{"'data'", "line 1"}},
		"unknown action": {func(in *api.CreateComponentInput) {
			in.Data = p(strings.Replace(document, "ExecuteBash", "ExecuteBsh", 1))
		}, "InvalidParameterValueException", []string{"line 7", "ExecuteBash"}},
		"unknown field": {func(in *api.CreateComponentInput) { in.Data = p(strings.Replace(document, "commands", "comands", 1)) }, "InvalidParameterValueException", []string{"line 9"}},
		"no known phase": {func(in *api.CreateComponentInput) {
			in.Data = p(strings.Replace(document, "name: build", "name: other", 1))
		}, "InvalidParameterValueException", []string{"build, validate or test"}},
		"wrong platform":  {func(in *api.CreateComponentInput) { in.Platform = p(api.PlatformWindows) }, "InvalidParameterValueException", []string{"line"}},
		"dry run":         {func(in *api.CreateComponentInput) { in.DryRun = p(true) }, "DryRunOperationException", []string{"Request would have succeeded, but dryRun flag is set."}},
		"bad dry run":     {func(in *api.CreateComponentInput) { in.DryRun, in.Data = p(true), p("x") }, "InvalidParameterValueException", nil},
		"uri without key": {func(in *api.CreateComponentInput) { in.Data, in.Uri = nil, p("s3://bucket/") }, "InvalidParameterValueException", []string{"Invalid S3 URI"}},
		"uri elsewhere":   {func(in *api.CreateComponentInput) { in.Data, in.Uri = nil, p("https://bucket/key") }, "InvalidParameterValueException", []string{"Invalid S3 URI"}},
		"uri to nothing":  {func(in *api.CreateComponentInput) { in.Data, in.Uri = nil, p("s3://bucket/key") }, "InvalidParameterValueException", []string{"does not exist"}},
	} {
		in := f.componentInput("web", "1.0.0", document)
		test.change(in)
		_, err := f.CreateComponent(f.ctx, in)
		t.Run(name, func(t *testing.T) { wantFault(t, err, test.code, test.parts...) })
	}
	out := must(f.ListComponents(f.ctx, &api.ListComponentsInput{}))(t)
	same(t, "components after refusals", len(out.ComponentVersionList), 0)
	same(t, "the first number", f.component("web", "1.0.0", document), prefix+"component/web/1.0.0/1") // a dry run uses none
}

func TestConcurrentCreates(t *testing.T) {
	t.Parallel()
	f := open(t)
	const n = 12
	var group sync.WaitGroup
	made, taken := make(chan string, n), make(chan error, n)
	for i := range n {
		in := f.componentInput("web", "1.0.0", document+strings.Repeat("#\n", i%3))
		infra := &api.CreateInfrastructureConfigurationInput{Name: p("Same_Name"), InstanceProfileName: p("x"), ClientToken: f.token()}
		group.Go(func() {
			if out, err := f.CreateComponent(f.ctx, in); err == nil {
				made <- *out.ComponentBuildVersionArn
			}
		})
		group.Go(func() {
			_, err := f.CreateInfrastructureConfiguration(f.ctx, infra)
			taken <- err
		})
	}
	group.Wait()
	close(made)
	close(taken)
	seen := make(map[string]bool)
	for arn := range made {
		if seen[arn] {
			t.Errorf("%s was given twice", arn)
		}
		seen[arn] = true
	}
	for i := range len(seen) {
		if arn := fmt.Sprintf(prefix+"component/web/1.0.0/%d", i+1); !seen[arn] {
			t.Errorf("%s is missing: the numbers have a gap", arn)
		}
	}
	won := 0
	for err := range taken {
		if err == nil {
			won++
		} else {
			wantFault(t, err, "ResourceAlreadyExistsException", "'InfrastructureConfiguration'")
		}
	}
	same(t, "creations of one name", won, 1)
}

func TestComponentQuota(t *testing.T) {
	t.Parallel()
	f := open(t, func(c *imagebuilder.Config) { c.Quotas.Components = 2 })
	f.component("a", "1.0.0", document)
	b := f.component("b", "1.0.0", document)
	f.component("b", "1.0.0", testDocument) // a build of a version that counts already
	_, err := f.CreateComponent(f.ctx, f.componentInput("c", "1.0.0", document))
	wantFault(t, err, "ServiceQuotaExceededException", "components is 2")
	must(f.CreateComponent(f.as(bob, home), f.componentInput("c", "1.0.0", document)))(t)
	must(f.CreateComponent(f.as(alice, "eu-west-1"), f.componentInput("c", "1.0.0", document)))(t)
	must(f.DeleteComponent(f.ctx, &api.DeleteComponentInput{ComponentBuildVersionArn: p(b)}))(t)
	must(f.DeleteComponent(f.ctx, &api.DeleteComponentInput{ComponentBuildVersionArn: p(strings.TrimSuffix(b, "1") + "2")}))(t)
	f.component("c", "1.0.0", document)
}

func TestClientTokens(t *testing.T) {
	t.Parallel()
	f := open(t)
	in := f.componentInput("web", "1.0.0", document)
	first := must(f.CreateComponent(f.ctx, in))(t)
	same(t, "the same request again", must(f.CreateComponent(f.ctx, in))(t), first)
	other := *in
	other.Description = p("other")
	_, err := f.CreateComponent(f.ctx, &other)
	wantFault(t, err, "IdempotentParameterMismatchException", "same client token")
	// Another account, another region and another operation have tokens of their own.
	must(f.CreateComponent(f.as(bob, home), &other))(t)
	must(f.CreateComponent(f.as(alice, "eu-west-1"), &other))(t)
	must(f.CreateInfrastructureConfiguration(f.ctx, &api.CreateInfrastructureConfigurationInput{Name: p("infra"), InstanceProfileName: p("x"), ClientToken: in.ClientToken}))(t)
	// What failed can be sent again, corrected.
	bad := f.componentInput("bad", "1.0.0", "x")
	if _, err := f.CreateComponent(f.ctx, bad); err == nil {
		t.Fatal("a bad document was taken")
	}
	bad.Data = p(document)
	must(f.CreateComponent(f.ctx, bad))(t)
	// A day later the token is forgotten.
	f.advance(store.TokenLife)
	_, err = f.CreateComponent(f.ctx, in)
	wantFault(t, err, "ResourceAlreadyExistsException")
}
