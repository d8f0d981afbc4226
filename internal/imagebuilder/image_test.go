package imagebuilder_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

func TestStartedImage(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.pipeline("My Web")
	arn := f.start(pipe)
	same(t, "ARN", arn, prefix+"image/my-web/1.0.0/1")
	same(t, "jobs", f.queue.jobs, []string{arn})
	got := must(f.GetImagePipeline(f.ctx, &api.GetImagePipelineInput{ImagePipelineArn: p(pipe)}))(t).ImagePipeline
	recipe := must(f.GetImageRecipe(f.ctx, &api.GetImageRecipeInput{ImageRecipeArn: got.ImageRecipeArn}))(t).ImageRecipe
	infra := must(f.GetInfrastructureConfiguration(f.ctx, &api.GetInfrastructureConfigurationInput{InfrastructureConfigurationArn: got.InfrastructureConfigurationArn}))(t).InfrastructureConfiguration
	dist := must(f.GetDistributionConfiguration(f.ctx, &api.GetDistributionConfigurationInput{DistributionConfigurationArn: got.DistributionConfigurationArn}))(t).DistributionConfiguration
	same(t, "image", f.image(arn), &api.Image{
		Arn: p(arn), Type: p(api.ImageTypeAmi), Name: p("My Web"), Version: p("1.0.0/1"), Platform: p(api.PlatformLinux), EnhancedImageMetadataEnabled: p(true),
		State: &api.ImageState{Status: p(api.ImageStatusPending)}, ImageRecipe: recipe, SourcePipelineArn: p(pipe), SourcePipelineName: p("My Web"), InfrastructureConfiguration: infra,
		DistributionConfiguration: dist, ImageTestsConfiguration: &api.ImageTestsConfiguration{ImageTestsEnabled: p(true), TimeoutMinutes: p(int32(720))}, DateCreated: p("2026-11-21T10:00:00.000Z"),
		OutputResources: &api.OutputResources{}, BuildType: p(api.BuildTypeUserInitiated), ImageSource: p(api.ImageSourceCustom),
	})
	same(t, "pipeline's last run", []string{*got.DateLastRun, string(*got.LastRunStatus)}, []string{"2026-11-21T10:00:00.000Z", "PENDING"})

	// What is deleted and changed later does not concern the image.
	must(f.DeleteImagePipeline(f.ctx, &api.DeleteImagePipelineInput{ImagePipelineArn: p(pipe)}))(t)
	must(f.DeleteImageRecipe(f.ctx, &api.DeleteImageRecipeInput{ImageRecipeArn: got.ImageRecipeArn}))(t)
	same(t, "the image's recipe", f.image(arn).ImageRecipe, recipe)
	_, err := f.StartImagePipelineExecution(f.ctx, &api.StartImagePipelineExecutionInput{ImagePipelineArn: p(pipe), ClientToken: f.token()})
	wantFault(t, err, "ResourceNotFoundException", pipe)
}

func TestImageAndJobComeTogether(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.pipeline("web")
	f.queue.fail = errors.New("the queue is broken")
	_, err := f.StartImagePipelineExecution(f.ctx, &api.StartImagePipelineExecutionInput{ImagePipelineArn: p(pipe), ClientToken: f.token()})
	if !errors.Is(err, f.queue.fail) {
		t.Errorf("start = %v, want the queue's error", err)
	}
	list := must(f.ListImages(f.ctx, &api.ListImagesInput{}))(t)
	same(t, "images without a job", len(list.ImageVersionList), 0)
	got := must(f.GetImagePipeline(f.ctx, &api.GetImagePipelineInput{ImagePipelineArn: p(pipe)}))(t).ImagePipeline
	if got.DateLastRun != nil {
		t.Errorf("the pipeline says it ran at %s", *got.DateLastRun)
	}
	f.queue.fail = nil
	same(t, "the first number", f.start(pipe), prefix+"image/web/1.0.0/1")
}

func TestTwoStartsAtOnce(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.pipeline("web")
	const n = 8
	var group sync.WaitGroup
	arns := make([]string, n)
	same2 := f.token()
	repeated := make([]string, n)
	for i := range n {
		in := &api.StartImagePipelineExecutionInput{ImagePipelineArn: p(pipe), ClientToken: f.token()}
		group.Go(func() {
			if out, err := f.StartImagePipelineExecution(f.ctx, in); err == nil {
				arns[i] = *out.ImageBuildVersionArn
			}
		})
		group.Go(func() {
			if out, err := f.StartImagePipelineExecution(f.ctx, &api.StartImagePipelineExecutionInput{ImagePipelineArn: p(pipe), ClientToken: same2}); err == nil {
				repeated[i] = *out.ImageBuildVersionArn
			}
		})
	}
	group.Wait()
	var want []string
	for i := range n + 1 {
		want = append(want, fmt.Sprintf(prefix+"image/web/1.0.0/%d", i+1))
	}
	same(t, "build numbers", sorted(append(arns, repeated[0])), want)
	for _, arn := range repeated {
		same(t, "one token", arn, repeated[0])
	}
	same(t, "jobs", sorted(f.queue.jobs), want)
}

func TestImageTags(t *testing.T) {
	t.Parallel()
	f := open(t)
	in := f.pipelineInput("web", f.recipe("web", "1.0.0"))
	in.ImageTags = map[string]string{"a": "pipeline", "b": "pipeline"}
	pipe := must(f.CreateImagePipeline(f.ctx, in))(t).ImagePipelineArn
	out := must(f.StartImagePipelineExecution(f.ctx, &api.StartImagePipelineExecutionInput{ImagePipelineArn: pipe, ClientToken: f.token(), Tags: map[string]string{"b": "start", "c": "start"}}))(t)
	same(t, "tags", f.image(*out.ImageBuildVersionArn).Tags, map[string]string{"a": "pipeline", "b": "start", "c": "start"})
}

func TestCreateImage(t *testing.T) {
	t.Parallel()
	f := open(t)
	recipe, infra := f.recipe("web", "1.0.0"), f.infrastructure("infra")
	in := &api.CreateImageInput{ImageRecipeArn: p(prefix + "image-recipe/web/x.x.x"), InfrastructureConfigurationArn: p(infra), EnhancedImageMetadataEnabled: p(false), Tags: map[string]string{"a": "b"}, ClientToken: f.token()}
	out := must(f.CreateImage(f.ctx, in))(t)
	same(t, "ARN", *out.ImageBuildVersionArn, prefix+"image/web/1.0.0/1")
	same(t, "latest", *out.LatestVersionReferences.LatestPatchVersionArn, prefix+"image/web/1.0.0")
	got := f.image(*out.ImageBuildVersionArn)
	if got.SourcePipelineArn != nil || got.DistributionConfiguration != nil || *got.EnhancedImageMetadataEnabled || got.Tags["a"] != "b" || *got.ImageRecipe.Arn != recipe {
		t.Errorf("image %+v", got)
	}
	marked := f.recipeInput("marked", "1.0.0")
	marked.AmiWatermarks = []string{"golden"}
	must(f.CreateImageRecipe(f.ctx, marked))(t)
	public := must(f.CreateDistributionConfiguration(f.ctx, &api.CreateDistributionConfigurationInput{Name: p("public"), ClientToken: f.token(), Distributions: []api.Distribution{
		{Region: p(home), AmiDistributionConfiguration: &api.AmiDistributionConfiguration{LaunchPermission: &api.LaunchPermissionConfiguration{UserGroups: []string{"all"}}}}}}))(t)
	_, err := f.CreateImage(f.ctx, &api.CreateImageInput{ImageRecipeArn: p(prefix + "image-recipe/marked/1.0.0"), InfrastructureConfigurationArn: p(infra), DistributionConfigurationArn: public.DistributionConfigurationArn, ClientToken: f.token()})
	wantFault(t, err, "InvalidParameterCombinationException", "watermarks")
}

func TestConcurrentBuildsQuota(t *testing.T) {
	t.Parallel()
	f := open(t, func(c *imagebuilder.Config) { c.Quotas.Builds = 2 })
	pipe := f.pipeline("web")
	first := f.start(pipe)
	f.start(pipe)
	_, err := f.StartImagePipelineExecution(f.ctx, &api.StartImagePipelineExecutionInput{ImagePipelineArn: p(pipe), ClientToken: f.token()})
	wantFault(t, err, "ServiceQuotaExceededException", "concurrent builds is 2")
	f.write(func(tx *store.Tx) error { return f.Transition(f.ctx, tx, first, engine.Failed, "why", nil) })
	f.start(pipe)
}

func TestStateMachine(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.pipeline("web")
	arn := f.start(pipe)
	lastRun := func() string {
		return string(*must(f.GetImagePipeline(f.ctx, &api.GetImagePipelineInput{ImagePipelineArn: p(pipe)}))(t).ImagePipeline.LastRunStatus)
	}
	for _, to := range []engine.Status{engine.Creating, engine.Building, engine.Testing, engine.Distributing, engine.Integrating, engine.Available} {
		f.write(func(tx *store.Tx) error { return f.Transition(f.ctx, tx, arn, to, "not kept", nil) })
		same(t, "state", f.image(arn).State, &api.ImageState{Status: p(api.ImageStatus(to))})
		same(t, "status", must(f.Status(f.ctx, arn))(t), to)
		same(t, "the pipeline's last run", lastRun(), string(to))
	}
	err := f.store.Write(f.ctx, func(tx *store.Tx) error { return f.Transition(f.ctx, tx, arn, engine.Failed, "late", nil) })
	if err == nil || !strings.Contains(err.Error(), "AVAILABLE") {
		t.Errorf("leaving AVAILABLE: %v", err)
	}

	f.advance(time.Second)
	second := f.start(pipe)
	f.advance(time.Second)
	third := f.start(pipe)
	failure := &engine.Failure{
		ImageStatus: engine.Testing, WorkflowExecutionID: "wf-1", WorkflowARN: "arn:wf", StepExecutionID: "step-1", FailedStep: "ApplyTestComponents",
		Component:    &engine.ComponentFailure{ComponentARN: "arn:c", Phase: "test", Step: "Check", Action: "ExecuteBash", ErrorMessage: "exit 1"},
		Distribution: &engine.DistributionFailure{ErrorMessage: "m", Regions: []engine.RegionFailure{{Region: home, Account: bob, Step: "COPY_AMI", ErrorMessage: "e"}}},
	}
	f.write(func(tx *store.Tx) error {
		return f.Transition(f.ctx, tx, second, engine.Failed, strings.Repeat("ü", 2000), failure)
	})
	same(t, "failed", f.image(second).State, &api.ImageState{Status: p(api.ImageStatusFailed), Reason: p(strings.Repeat("ü", 1024)), FailureContext: &api.ImageFailureContext{
		ImageStatus: p(api.ImageStatusTesting), WorkflowExecutionId: p("wf-1"), WorkflowArn: p("arn:wf"), StepExecutionId: p("step-1"), FailedStep: p("ApplyTestComponents"),
		ComponentFailure: &api.ComponentFailureContext{ComponentArn: p("arn:c"), PhaseName: p("test"), StepName: p("Check"), Action: p("ExecuteBash"), ErrorMessage: p("exit 1")},
		DistributionFailure: &api.DistributionFailureContext{ErrorMessage: p("m"), RegionFailures: []api.RegionFailure{{
			Region: p(home), Status: p(api.RegionFailureStatus("FAILED")), ImageConfigurationStep: p(api.ImageConfigurationStep("COPY_AMI")), ErrorMessage: p("e"), TargetAccountId: p(bob)}}},
	}})
	same(t, "the last run is the third", lastRun(), "PENDING")
	f.write(func(tx *store.Tx) error { return f.Transition(f.ctx, tx, third, engine.Cancelled, "asked", failure) })
	same(t, "cancelled has no failure context", f.image(third).State, &api.ImageState{Status: p(api.ImageStatusCancelled), Reason: p("asked")})
	same(t, "the last run", lastRun(), "CANCELLED")
	_, err = f.Status(f.ctx, prefix+"image/web/1.0.0/9")
	wantFault(t, err, "ResourceNotFoundException")
}

func TestCancelImageCreation(t *testing.T) {
	t.Parallel()
	f := open(t)
	arn := f.start(f.pipeline("web"))
	same(t, "before", must(f.CancelRequested(f.ctx, arn))(t), false)
	in := &api.CancelImageCreationInput{ImageBuildVersionArn: p(arn), ClientToken: f.token()}
	out := must(f.CancelImageCreation(f.ctx, in))(t)
	same(t, "output", out, &api.CancelImageCreationOutput{ClientToken: in.ClientToken, ImageBuildVersionArn: p(arn)})
	same(t, "after", must(f.CancelRequested(f.ctx, arn))(t), true)
	same(t, "interrupted", f.queue.interrupted, []string{arn})
	f.write(func(tx *store.Tx) error { return f.Transition(f.ctx, tx, arn, engine.Cancelled, "asked", nil) })
	_, err := f.CancelImageCreation(f.ctx, &api.CancelImageCreationInput{ImageBuildVersionArn: p(arn), ClientToken: f.token()})
	wantFault(t, err, "InvalidRequestException", "CANCELLED")
	_, err = f.CancelImageCreation(f.ctx, &api.CancelImageCreationInput{ImageBuildVersionArn: p(prefix + "image/web/1.0.0/9"), ClientToken: f.token()})
	wantFault(t, err, "ResourceNotFoundException")
	_, err = f.CancelImageCreation(f.as(bob, home), &api.CancelImageCreationInput{ImageBuildVersionArn: p(arn), ClientToken: f.token()})
	wantFault(t, err, "AccessDeniedException")
	same(t, "interrupted in the end", f.queue.interrupted, []string{arn})
}

func TestOutputsAndMetadata(t *testing.T) {
	t.Parallel()
	f := open(t)
	arn := f.start(f.pipeline("web"))
	var packages []engine.Package
	for i := range 60 {
		packages = append(packages, engine.Package{Name: fmt.Sprintf("p%02d", i), Version: "1"})
	}
	f.write(func(tx *store.Tx) error {
		return errors.Join(
			f.Outputs(f.ctx, tx, arn, []engine.OutputAMI{{Region: home, Account: alice, AMI: "ami-1", Name: "n", Description: "d"}, {Region: "ap-northeast-1", Account: alice, AMI: "ami-2"}}),
			f.Metadata(f.ctx, tx, arn, "Debian 12", packages),
		)
	})
	got := f.image(arn)
	same(t, "outputs", got.OutputResources, &api.OutputResources{Amis: []api.Ami{
		{Region: p(home), Image: p("ami-1"), Name: p("n"), Description: p("d"), AccountId: p(alice)}, {Region: p("ap-northeast-1"), Image: p("ami-2"), AccountId: p(alice)},
	}})
	same(t, "OS", *got.OsVersion, "Debian 12")
	var names []string
	in := &api.ListImagePackagesInput{ImageBuildVersionArn: p(arn)}
	for {
		out := must(f.ListImagePackages(f.ctx, in))(t)
		for _, x := range out.ImagePackageList {
			names = append(names, *x.PackageName)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
		if len(out.ImagePackageList) != 25 {
			t.Errorf("a page of %d", len(out.ImagePackageList))
		}
	}
	if len(names) != 60 || names[59] != "p59" {
		t.Errorf("%d packages: %v", len(names), names)
	}
	f.write(func(tx *store.Tx) error { return f.Outputs(f.ctx, tx, arn, nil) })
	same(t, "outputs taken back", f.image(arn).OutputResources, &api.OutputResources{})
	_, err := f.ListImagePackages(f.ctx, &api.ListImagePackagesInput{ImageBuildVersionArn: p(prefix + "image/web/1.0.0/9")})
	wantFault(t, err, "ResourceNotFoundException")
}

func TestListImages(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.pipeline("web")
	first := f.start(pipe)
	second := f.start(pipe)
	other := f.recipe("web", "1.1.0")
	third := *must(f.CreateImage(f.ctx, &api.CreateImageInput{ImageRecipeArn: p(other), InfrastructureConfigurationArn: p(f.infrastructure("i")), ClientToken: f.token()}))(t).ImageBuildVersionArn
	f.start(f.pipeline("zoo"))

	versions := func(in api.ListImagesInput) (arns []string) {
		for _, v := range must(f.ListImages(f.ctx, &in))(t).ImageVersionList {
			arns = append(arns, strings.TrimPrefix(*v.Arn, prefix))
		}
		return arns
	}
	same(t, "versions", versions(api.ListImagesInput{}), []string{"image/web/1.0.0", "image/web/1.1.0", "image/zoo/1.0.0"})
	same(t, "names", versions(api.ListImagesInput{ByName: p(true)}), []string{"image/web/x.x.x", "image/zoo/x.x.x"})
	same(t, "of a name", versions(api.ListImagesInput{Filters: []api.Filter{{Name: p("name"), Values: []string{"web"}}}}), []string{"image/web/1.0.0", "image/web/1.1.0"})
	same(t, "of a version", versions(api.ListImagesInput{Filters: []api.Filter{{Name: p("version"), Values: []string{"1.1.0", "9.9.9"}}}}), []string{"image/web/1.1.0"})
	same(t, "case matters", versions(api.ListImagesInput{Filters: []api.Filter{{Name: p("name"), Values: []string{"Web"}}}}), []string(nil))
	same(t, "shared", versions(api.ListImagesInput{Owner: p(api.OwnershipShared)}), []string(nil))
	_, err := f.ListImages(f.ctx, &api.ListImagesInput{Filters: []api.Filter{{Name: p("state"), Values: []string{"x"}}}})
	wantFault(t, err, "InvalidParameterValueException", "filters[0].name", "osVersion")

	builds := func(in api.ListImageBuildVersionsInput) (arns []string) {
		for _, v := range must(f.ListImageBuildVersions(f.ctx, &in))(t).ImageSummaryList {
			arns = append(arns, *v.Arn)
		}
		return arns
	}
	same(t, "builds", builds(api.ListImageBuildVersionsInput{ImageVersionArn: p(prefix + "image/web/1.0.0")}), []string{first, second})
	same(t, "all builds of a name", builds(api.ListImageBuildVersionsInput{Filters: []api.Filter{{Name: p("name"), Values: []string{"web"}}}}), []string{first, second, third})

	var ofPipeline []string
	in := &api.ListImagePipelineImagesInput{ImagePipelineArn: p(pipe), MaxResults: p(int32(1))}
	for {
		out := must(f.ListImagePipelineImages(f.ctx, in))(t)
		for _, x := range out.ImageSummaryList {
			ofPipeline = append(ofPipeline, *x.Arn)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	same(t, "images of the pipeline", ofPipeline, []string{first, second})
	_, err = f.ListImagePipelineImages(f.ctx, &api.ListImagePipelineImagesInput{ImagePipelineArn: p(prefix + "image-pipeline/none")})
	wantFault(t, err, "ResourceNotFoundException")
}

func TestExecutions(t *testing.T) {
	t.Parallel()
	f := open(t)
	arn := f.start(f.pipeline("web"))
	const wf, step = "wf-00000000-0000-0000-0000-000000000001", "step-00000000-0000-0000-0000-000000000001"
	f.write(func(tx *store.Tx) error {
		return errors.Join(
			tx.PutWorkflowExecution(store.WorkflowExecution{ID: wf, ImageARN: arn, WorkflowARN: "arn:wf", Type: "BUILD", Status: "RUNNING", TotalSteps: 7, Succeeded: 1, Start: start, Ordinal: 1}),
			tx.PutWorkflowExecution(store.WorkflowExecution{ID: "wf-2", ImageARN: arn, WorkflowARN: "arn:wf2", Type: "TEST", Status: "PENDING", Ordinal: 2}),
			tx.PutStepExecution(store.StepExecution{ID: step, WorkflowExecutionID: wf, ImageARN: arn, WorkflowARN: "arn:wf", Name: "Launch", Action: "LaunchInstance", Status: "COMPLETED",
				Inputs: `{"waitFor":"ssmAgent"}`, Outputs: `{"instanceId":"i-1"}`, OnFailure: "Abort", TimeoutSeconds: 4500, Start: start, End: start.Add(time.Second), Ordinal: 1}),
		)
	})
	list := must(f.ListWorkflowExecutions(f.ctx, &api.ListWorkflowExecutionsInput{ImageBuildVersionArn: p(arn), MaxResults: p(int32(1))}))(t)
	zero := p(int32(0))
	same(t, "first page", list.WorkflowExecutions, []api.WorkflowExecutionMetadata{{
		WorkflowBuildVersionArn: p("arn:wf"), WorkflowExecutionId: p(wf), Type: p(api.WorkflowTypeBuild), Status: p(api.WorkflowExecutionStatusRunning), TotalStepCount: p(int32(7)),
		TotalStepsSucceeded: p(int32(1)), TotalStepsFailed: zero, TotalStepsSkipped: zero, StartTime: p("2026-11-21T10:00:00.000Z"),
	}})
	list = must(f.ListWorkflowExecutions(f.ctx, &api.ListWorkflowExecutionsInput{ImageBuildVersionArn: p(arn), MaxResults: p(int32(1)), NextToken: list.NextToken}))(t)
	if len(list.WorkflowExecutions) != 1 || *list.WorkflowExecutions[0].WorkflowExecutionId != "wf-2" || list.NextToken != nil {
		t.Errorf("second page: %+v", list)
	}
	one := must(f.GetWorkflowExecution(f.ctx, &api.GetWorkflowExecutionInput{WorkflowExecutionId: p(wf)}))(t)
	same(t, "image of the execution", *one.ImageBuildVersionArn, arn)
	steps := must(f.ListWorkflowStepExecutions(f.ctx, &api.ListWorkflowStepExecutionsInput{WorkflowExecutionId: p(wf)}))(t)
	same(t, "steps", steps.Steps, []api.WorkflowStepMetadata{{
		StepExecutionId: p(step), Name: p("Launch"), Action: p("LaunchInstance"), Status: p(api.WorkflowStepExecutionStatusCompleted), Inputs: p(`{"waitFor":"ssmAgent"}`),
		Outputs: p(`{"instanceId":"i-1"}`), StartTime: p("2026-11-21T10:00:00.000Z"), EndTime: p("2026-11-21T10:00:01.000Z"),
	}})
	got := must(f.GetWorkflowStepExecution(f.ctx, &api.GetWorkflowStepExecutionInput{StepExecutionId: p(step)}))(t)
	if *got.TimeoutSeconds != 4500 || *got.OnFailure != "Abort" || *got.ImageBuildVersionArn != arn {
		t.Errorf("step %+v", got)
	}
	// IDs tell nothing to other accounts and regions.
	for _, ctx := range []struct{ account, region string }{{bob, home}, {alice, "eu-west-1"}} {
		ctx := f.as(ctx.account, ctx.region)
		_, err := f.GetWorkflowExecution(ctx, &api.GetWorkflowExecutionInput{WorkflowExecutionId: p(wf)})
		wantFault(t, err, "ResourceNotFoundException")
		_, err = f.GetWorkflowStepExecution(ctx, &api.GetWorkflowStepExecutionInput{StepExecutionId: p(step)})
		wantFault(t, err, "ResourceNotFoundException")
		_, err = f.ListWorkflowStepExecutions(ctx, &api.ListWorkflowStepExecutionsInput{WorkflowExecutionId: p(wf)})
		wantFault(t, err, "ResourceNotFoundException")
	}
	f.write(func(tx *store.Tx) error { return f.Transition(f.ctx, tx, arn, engine.Failed, "why", nil) })
	must(f.DeleteImage(f.ctx, &api.DeleteImageInput{ImageBuildVersionArn: p(arn)}))(t)
	_, err := f.GetWorkflowExecution(f.ctx, &api.GetWorkflowExecutionInput{WorkflowExecutionId: p(wf)})
	wantFault(t, err, "ResourceNotFoundException")
}

// An image that waits says for what, until it is at work.
func TestPendingImagesSayWhy(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.queue.why = "The image waits for its turn."
	arn := f.start(f.pipeline("web"))
	same(t, "state", f.image(arn).State, &api.ImageState{Status: p(api.ImageStatusPending), Reason: p("The image waits for its turn.")})
	f.write(func(tx *store.Tx) error { return f.Transition(f.ctx, tx, arn, engine.Creating, "", nil) })
	same(t, "state at work", f.image(arn).State, &api.ImageState{Status: p(api.ImageStatusCreating)})
}
