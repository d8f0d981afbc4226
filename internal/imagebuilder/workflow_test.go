package imagebuilder_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
)

const (
	testWorkflow = `name: mine
description: Tests the image
schemaVersion: 1.0
parameters:
  - name: waitFor
    type: string
    default: ssmAgent
    description: what to wait for
  - name: hosts
    type: stringList
steps:
  - name: LaunchStep
    action: LaunchInstance
    onFailure: Abort
    inputs:
      waitFor: ssmAgent
  - name: ApplyTestComponents
    action: ExecuteComponents
    inputs:
      instanceId.$: $.stepOutputs.LaunchStep.instanceId
outputs:
  - name: InstanceId
    value: $.stepOutputs.LaunchStep.instanceId
`
	buildWorkflow = `schemaVersion: 1.0
steps:
  - name: LaunchStep
    action: LaunchInstance
    inputs:
      waitFor: ssmAgent
`
)

func (f *fixture) workflowInput(name, version string, kind api.WorkflowType, data string) *api.CreateWorkflowInput {
	return &api.CreateWorkflowInput{Name: p(name), SemanticVersion: p(version), Type: p(kind), Data: p(data), ClientToken: f.token()}
}

func (f *fixture) workflow(name, version string, kind api.WorkflowType, data string) string {
	f.Helper()
	return *must(f.CreateWorkflow(f.ctx, f.workflowInput(name, version, kind, data)))(f).WorkflowBuildVersionArn
}

func TestWorkflowRoundTrip(t *testing.T) {
	t.Parallel()
	f := open(t)
	in := f.workflowInput("My Workflow", "1.0.0", api.WorkflowTypeTest, testWorkflow)
	in.Description, in.ChangeDescription, in.KmsKeyId, in.Tags = p("d"), p("first"), p("key"), map[string]string{"t": "v"}
	out := must(f.CreateWorkflow(f.ctx, in))(t)
	same(t, "ARN", *out.WorkflowBuildVersionArn, prefix+"workflow/test/my-workflow/1.0.0/1")
	same(t, "latest", *out.LatestVersionReferences.LatestMajorVersionArn, prefix+"workflow/test/my-workflow/1.x.x")
	want := &api.Workflow{
		Arn: out.WorkflowBuildVersionArn, Name: in.Name, Version: in.SemanticVersion, Description: in.Description, ChangeDescription: in.ChangeDescription, Type: in.Type, Owner: p(alice), Data: in.Data,
		KmsKeyId: in.KmsKeyId, DateCreated: p("2026-11-21T10:00:00.000Z"), Tags: in.Tags, Parameters: []api.WorkflowParameterDetail{
			{Name: p("waitFor"), Type: p("string"), DefaultValue: []string{"ssmAgent"}, Description: p("what to wait for")}, {Name: p("hosts"), Type: p("stringList")},
		},
	}
	for _, version := range []string{"1.0.0/1", "1.0.0", "1.x.x", "x.x.x"} {
		got := must(f.GetWorkflow(f.ctx, &api.GetWorkflowInput{WorkflowBuildVersionArn: p(prefix + "workflow/test/my-workflow/" + version)}))(t)
		same(t, version, got.Workflow, want)
	}
	// The same content is refused, other content is the next build, another type another workflow.
	again := f.workflowInput("my_workflow", "1.0.0", api.WorkflowTypeTest, testWorkflow)
	again.Description, again.KmsKeyId = in.Description, in.KmsKeyId
	_, err := f.CreateWorkflow(f.ctx, again)
	wantFault(t, err, "ResourceAlreadyExistsException", "The following resource 'Workflow' already exists: '"+*out.WorkflowBuildVersionArn+"'.")
	same(t, "next build", f.workflow("my workflow", "1.0.0", api.WorkflowTypeTest, buildWorkflow), prefix+"workflow/test/my-workflow/1.0.0/2")
	same(t, "another type", f.workflow("my workflow", "1.0.0", api.WorkflowTypeBuild, buildWorkflow), prefix+"workflow/build/my-workflow/1.0.0/1")
	bare := must(f.GetWorkflow(f.ctx, &api.GetWorkflowInput{WorkflowBuildVersionArn: p(prefix + "workflow/build/my-workflow/1.0.0/1")}))(t).Workflow
	if bare.Description != nil || bare.Tags != nil || bare.State != nil || bare.Parameters != nil || bare.ChangeDescription != nil {
		t.Errorf("what was not sent came back: %+v", bare)
	}
	must(f.TagResource(f.ctx, &api.TagResourceInput{ResourceArn: out.WorkflowBuildVersionArn, Tags: map[string]string{"a": "b"}}))(t)
	same(t, "tags", must(f.ListTagsForResource(f.ctx, &api.ListTagsForResourceInput{ResourceArn: out.WorkflowBuildVersionArn}))(t).Tags, map[string]string{"t": "v", "a": "b"})
	_, err = f.ListTagsForResource(f.ctx, &api.ListTagsForResourceInput{ResourceArn: p(prefix + "workflow/test/my-workflow/1.0.0")})
	wantFault(t, err, "InvalidParameterException")
}

func TestWorkflowRefusals(t *testing.T) {
	t.Parallel()
	f := open(t, func(c *imagebuilder.Config) { c.Quotas.Workflows = 1 })
	folder := filepath.Join(f.dir, "s3", "documents")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"good": buildWorkflow, "long": buildWorkflow + strings.Repeat("#\n", 32<<10)} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	uri := func(s string) func(*api.CreateWorkflowInput) {
		return func(in *api.CreateWorkflowInput) { in.Data, in.Uri = nil, p(s) }
	}
	data := func(s string) func(*api.CreateWorkflowInput) {
		return func(in *api.CreateWorkflowInput) { in.Data = p(s) }
	}
	const value = "InvalidParameterValueException"
	for name, test := range map[string]struct {
		change func(*api.CreateWorkflowInput)
		code   string
		part   string
	}{
		"neither":           {func(in *api.CreateWorkflowInput) { in.Data = nil }, "InvalidParameterCombinationException", "either data or uri"},
		"both":              {func(in *api.CreateWorkflowInput) { in.Uri = p("s3://documents/good") }, "InvalidParameterCombinationException", "and not both"},
		"wildcard":          {func(in *api.CreateWorkflowInput) { in.SemanticVersion = p("1.0.x") }, "InvalidVersionNumberException", "without wildcards"},
		"not YAML":          {data("{{"), value, "'data'"},
		"problem with line": {data(strings.Replace(buildWorkflow, "LaunchInstance", "LaunchInstanec", 1)), value, "line 4"},
		"wrong stage": {func(in *api.CreateWorkflowInput) {
			in.Type = p(api.WorkflowTypeDistribution)
			in.Data = p(testWorkflow)
		}, value, "ExecuteComponents"},
		"too long":         {uri("s3://documents/long"), value, "longer than 65536 bytes"},
		"no object":        {uri("s3://documents/none"), value, "does not exist"},
		"no S3":            {uri("file:///etc/passwd"), value, "Invalid S3 URI"},
		"dry run":          {func(in *api.CreateWorkflowInput) { in.DryRun = p(true) }, "DryRunOperationException", ""},
		"dry run from S3":  {func(in *api.CreateWorkflowInput) { uri("s3://documents/good")(in); in.DryRun = p(true) }, "DryRunOperationException", ""},
		"dry run gone bad": {func(in *api.CreateWorkflowInput) { data("a: b")(in); in.DryRun = p(true) }, value, "schemaVersion"},
	} {
		in := f.workflowInput("w", "1.0.0", api.WorkflowTypeBuild, buildWorkflow)
		test.change(in)
		_, err := f.CreateWorkflow(f.ctx, in)
		t.Run(name, func(t *testing.T) { wantFault(t, err, test.code, test.part) })
	}
	f.workflow("w", "1.0.0", api.WorkflowTypeBuild, buildWorkflow)
	f.workflow("w", "1.0.0", api.WorkflowTypeBuild, buildWorkflow+"\n") // a build of the same version
	_, err := f.CreateWorkflow(f.ctx, f.workflowInput("w", "1.0.1", api.WorkflowTypeBuild, buildWorkflow))
	wantFault(t, err, "ServiceQuotaExceededException", "workflows is 1")
}

func TestListWorkflows(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.workflow("zeta", "1.0.0", api.WorkflowTypeBuild, buildWorkflow)
	f.workflow("alpha", "1.0.0", api.WorkflowTypeTest, testWorkflow)
	f.workflow("alpha", "1.0.0", api.WorkflowTypeTest, buildWorkflow)
	f.workflow("alpha", "2.0.0", api.WorkflowTypeTest, testWorkflow)
	list := func(in *api.ListWorkflowsInput) (all []string) {
		in.MaxResults = p(int32(1))
		for {
			out := must(f.ListWorkflows(f.ctx, in))(t)
			for _, w := range out.WorkflowVersionList {
				all = append(all, (*w.Arn)[strings.Index(*w.Arn, ":workflow/")+len(":workflow/"):])
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				return all
			}
		}
	}
	same(t, "versions", list(&api.ListWorkflowsInput{}), []string{"build/zeta/1.0.0", "test/alpha/1.0.0", "test/alpha/2.0.0"})
	same(t, "names", list(&api.ListWorkflowsInput{ByName: p(true)}), []string{"build/zeta/x.x.x", "test/alpha/x.x.x"})
	same(t, "tests", list(&api.ListWorkflowsInput{Filters: []api.Filter{{Name: p("type"), Values: []string{"TEST"}}, {Name: p("version"), Values: []string{"2.0.0"}}}}), []string{"test/alpha/2.0.0"})
	same(t, "by name", list(&api.ListWorkflowsInput{Filters: []api.Filter{{Name: p("name"), Values: []string{"zeta"}}}}), []string{"build/zeta/1.0.0"})
	same(t, "Amazon's", list(&api.ListWorkflowsInput{Owner: p(api.OwnershipAmazon)}), []string{
		"build/build-container/1.0.0", "build/build-image/1.0.0", "distribution/distribute-container/1.0.0", "distribution/distribute-image/1.0.0", "test/test-container/1.0.0", "test/test-image/1.0.0",
	})
	same(t, "shared", len(list(&api.ListWorkflowsInput{Owner: p(api.OwnershipShared)})), 0)
	builds := func(version *string) (all []string) {
		for _, w := range must(f.ListWorkflowBuildVersions(f.ctx, &api.ListWorkflowBuildVersionsInput{WorkflowVersionArn: version}))(t).WorkflowSummaryList {
			all = append(all, strings.TrimPrefix(*w.Arn, prefix+"workflow/"))
		}
		return all
	}
	same(t, "builds", builds(p(prefix+"workflow/test/alpha/1.0.0")), []string{"test/alpha/1.0.0/1", "test/alpha/1.0.0/2"})
	same(t, "builds of all versions", builds(p(prefix+"workflow/test/alpha/x.x.x")), []string{"test/alpha/1.0.0/1", "test/alpha/1.0.0/2", "test/alpha/2.0.0/1"})
	same(t, "all builds", len(builds(nil)), 4)
	same(t, "Amazon's builds", builds(p(managed+"workflow/test/test-image/x.x.x")), []string{managed + "workflow/test/test-image/1.0.0/1"})

	m := must(f.GetWorkflow(f.ctx, &api.GetWorkflowInput{WorkflowBuildVersionArn: p(managed + "workflow/build/build-image/x.x.x")}))(t)
	if *m.Workflow.Owner != "Amazon" || !strings.Contains(*m.Workflow.Data, "schemaVersion") || m.LatestVersionReferences.LatestMajorVersionArn != nil {
		t.Errorf("managed workflow %+v with %+v", m.Workflow, m.LatestVersionReferences)
	}
	_, err := f.GetWorkflow(f.ctx, &api.GetWorkflowInput{WorkflowBuildVersionArn: p(managed + "workflow/test/build-image/x.x.x")})
	wantFault(t, err, "ResourceNotFoundException")
	_, err = f.DeleteWorkflow(f.ctx, &api.DeleteWorkflowInput{WorkflowBuildVersionArn: p(managed + "workflow/build/build-image/1.0.0/1")})
	wantFault(t, err, "AccessDeniedException", "managed by Amazon")
}

func TestWorkflowsOfPipelines(t *testing.T) {
	t.Parallel()
	f := open(t)
	mine, other := f.workflow("mine", "1.0.0", api.WorkflowTypeTest, testWorkflow), f.workflow("other", "1.0.0", api.WorkflowTypeTest, testWorkflow)
	build := f.workflow("mine", "1.0.0", api.WorkflowTypeBuild, buildWorkflow)
	recipe := f.recipe("web", "1.0.0")
	hosts := api.WorkflowParameter{Name: p("hosts"), Value: []string{"a", "b"}}
	use := func(arn string, parameters ...api.WorkflowParameter) api.WorkflowConfiguration {
		return api.WorkflowConfiguration{WorkflowArn: p(arn), Parameters: parameters}
	}
	create := func(name string, uses ...api.WorkflowConfiguration) (*api.CreateImagePipelineOutput, error) {
		in := f.pipelineInput(name, recipe)
		in.ExecutionRole, in.Workflows = p("role"), uses
		return f.CreateImagePipeline(f.ctx, in)
	}
	grouped := use(prefix+"workflow/test/mine/1.x.x", hosts)
	grouped.ParallelGroup, grouped.OnFailure = p("g1"), p(api.OnWorkflowFailureContinue)
	made := must(create("good", use(build), grouped, use(managed+"workflow/test/test-image/x.x.x")))(t).ImagePipelineArn
	got := must(f.GetImagePipeline(f.ctx, &api.GetImagePipelineInput{ImagePipelineArn: made}))(t).ImagePipeline
	same(t, "workflows", got.Workflows, []api.WorkflowConfiguration{use(build), grouped, use(managed + "workflow/test/test-image/x.x.x")})
	const value = "InvalidParameterValueException"
	for name, test := range map[string]struct {
		uses []api.WorkflowConfiguration
		code string
		part string
	}{
		"value missing":     {[]api.WorkflowConfiguration{use(mine)}, value, "'workflows[0].parameters' is not valid. The parameter 'hosts' has no default"},
		"unknown parameter": {[]api.WorkflowConfiguration{use(build), use(mine, hosts, api.WorkflowParameter{Name: p("nobody"), Value: []string{"x"}})}, value, "'workflows[1].parameters[1].name'"},
		"several values":    {[]api.WorkflowConfiguration{use(mine, hosts, api.WorkflowParameter{Name: p("waitFor"), Value: []string{"x", "y"}})}, value, "'workflows[0].parameters[1].value'"},
		"output twice":      {[]api.WorkflowConfiguration{use(mine, hosts), use(other, hosts)}, value, "'InstanceId'"},
		"two builds":        {[]api.WorkflowConfiguration{use(build), use(managed + "workflow/build/build-image/x.x.x")}, "InvalidParameterCombinationException", "at most one BUILD"},
		"form of the ARN":   {[]api.WorkflowConfiguration{use(recipe)}, value, "workflow/TYPE/NAME"},
		"elsewhere":         {[]api.WorkflowConfiguration{use(strings.Replace(mine, home, "eu-west-1", 1), hosts)}, value, "another region"},
	} {
		_, err := create("bad "+name, test.uses...)
		t.Run(name, func(t *testing.T) { wantFault(t, err, test.code, test.part) })
		in := &api.CreateImageInput{ImageRecipeArn: p(recipe), InfrastructureConfigurationArn: got.InfrastructureConfigurationArn, ExecutionRole: p("role"), Workflows: test.uses, ClientToken: f.token()}
		_, err = f.CreateImage(f.ctx, in)
		t.Run(name+" of an image", func(t *testing.T) { wantFault(t, err, test.code, test.part) })
	}
	remove := func(arn string) error {
		_, err := f.DeleteWorkflow(f.ctx, &api.DeleteWorkflowInput{WorkflowBuildVersionArn: p(arn)})
		return err
	}
	wantFault(t, remove(mine), "ResourceDependencyException", *made)
	wantFault(t, remove(build), "ResourceDependencyException", *made)
	if err := remove(other); err != nil {
		t.Error(err)
	}
	wantFault(t, remove(other), "ResourceNotFoundException", other)
	newer := f.workflow("mine", "1.1.0", api.WorkflowTypeTest, testWorkflow)
	if err := remove(mine); err != nil {
		t.Errorf("deleting one of two that are selected: %v", err)
	}
	wantFault(t, remove(newer), "ResourceDependencyException", *made)
	must(f.UpdateImagePipeline(f.ctx, &api.UpdateImagePipelineInput{ImagePipelineArn: made, ImageRecipeArn: p(recipe), InfrastructureConfigurationArn: got.InfrastructureConfigurationArn, ClientToken: f.token()}))(t)
	for _, arn := range []string{newer, build} {
		if err := remove(arn); err != nil {
			t.Errorf("deleting %s, which nothing uses any more: %v", arn, err)
		}
	}
}
