package imagebuilder_test

import (
	"strings"
	"testing"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

func TestRetryImage(t *testing.T) {
	t.Parallel()
	f := open(t)
	image := f.start(f.pipeline("web"))
	retry := func(arn string) error {
		_, err := f.RetryImage(f.ctx, &api.RetryImageInput{ImageBuildVersionArn: p(arn), ClientToken: f.token()})
		return err
	}
	wantFault(t, retry(prefix+"image/none/1.0.0/1"), "ResourceNotFoundException")
	wantFault(t, retry(image), "InvalidRequestException", "is in state PENDING")
	f.write(func(tx *store.Tx) error { return f.Transition(f.ctx, tx, image, engine.Failed, "why", nil) })
	wantFault(t, retry(image), "InvalidRequestException", "before its build began")
	// An image that has no build stage has nothing that could have failed there.
	f.write(func(tx *store.Tx) error {
		if err := tx.RequestCancel(image, f.now()); err != nil {
			return err
		}
		return tx.PutPlan(image, []byte(`{"workflows":[{"type":"TEST"}]}`))
	})
	jobs := len(f.queue.jobs)
	if err := retry(image); err != nil {
		t.Fatal(err)
	}
	got := f.image(image)
	if *got.State.Status != api.ImageStatusPending || got.State.Reason != nil || len(f.queue.jobs) != jobs+1 {
		t.Errorf("the image is %+v after %d jobs", got.State, len(f.queue.jobs)-jobs)
	}
	if cancelled := must(f.CancelRequested(f.ctx, image))(t); cancelled {
		t.Error("the old cancellation still counts")
	}
}

func TestWaitingSteps(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.pipeline("web")
	image, other := f.start(pipe), f.start(pipe)
	const id, done = "step-00000000-0000-4000-8000-000000000001", "step-00000000-0000-4000-8000-000000000002"
	f.write(func(tx *store.Tx) error {
		for _, step := range []store.StepExecution{
			{ID: id, Status: "RUNNING"}, {ID: done, Status: "COMPLETED"},
		} {
			step.WorkflowExecutionID, step.ImageARN, step.WorkflowARN, step.Name, step.Action = "wf-1", image, "arn:flow", "Ask", "WaitForAction"
			step.TimeoutSeconds, step.Attempt, step.Start = 600, 1, f.now()
			if err := tx.PutStepExecution(step); err != nil {
				return err
			}
		}
		return nil
	})
	waiting := func(ctx ...string) int {
		account, region := alice, home
		if len(ctx) == 2 {
			account, region = ctx[0], ctx[1]
		}
		return len(must(f.ListWaitingWorkflowSteps(f.as(account, region), &api.ListWaitingWorkflowStepsInput{}))(t).Steps)
	}
	if waiting() != 1 || waiting(bob, home) != 0 || waiting(alice, "eu-west-1") != 0 {
		t.Errorf("%d steps wait; bob sees %d, another region %d", waiting(), waiting(bob, home), waiting(alice, "eu-west-1"))
	}
	send := func(step, image string) error {
		_, err := f.SendWorkflowStepAction(f.ctx, &api.SendWorkflowStepActionInput{StepExecutionId: p(step), ImageBuildVersionArn: p(image), Action: p(api.WorkflowStepActionTypeResume), Reason: p("fine"), ClientToken: f.token()})
		return err
	}
	wantFault(t, send("step-00000000-0000-4000-8000-000000000009", image), "ResourceNotFoundException")
	wantFault(t, send(id, other), "InvalidParameterValueException", "imageBuildVersionArn")
	wantFault(t, send(done, image), "InvalidRequestException", "COMPLETED")
	if err := send(id, image); err != nil {
		t.Fatal(err)
	}
	wantFault(t, send(id, image), "InvalidRequestException", "answered already")
	if waiting() != 0 || f.queue.interrupted[len(f.queue.interrupted)-1] != image {
		t.Errorf("%d steps wait; woken: %v", waiting(), f.queue.interrupted)
	}
	step := must(f.GetWorkflowStepExecution(f.ctx, &api.GetWorkflowStepExecutionInput{StepExecutionId: p(id)}))(t)
	if *step.AttemptNumber != 1 || !strings.Contains(*step.Outputs, "RESUME") {
		t.Errorf("the step is %+v", step)
	}
}

func TestDistributeImage(t *testing.T) {
	t.Parallel()
	parameters := values{}
	f := open(t, func(c *imagebuilder.Config) { c.Parameters = parameters })
	source := f.finished(f.pipeline("web"), home)
	dist := f.distribution("spread", "eu-west-1")
	parameters["/golden/odd"], parameters["/golden/web"] = "not an AMI", *f.image(source).OutputResources.Amis[0].Image
	distribute := func(image string) (string, error) {
		out, err := f.DistributeImage(f.ctx, &api.DistributeImageInput{SourceImage: p(image), DistributionConfigurationArn: p(dist), ExecutionRole: p("role"), Tags: map[string]string{"a": "b"}, ClientToken: f.token()})
		if err != nil {
			return "", err
		}
		return *out.ImageBuildVersionArn, nil
	}
	made := must(distribute(source))(t)
	same(t, "the image", made, prefix+"image/web/1.0.0/2")
	got := f.image(made)
	if *got.State.Status != api.ImageStatusPending || got.ImageRecipe != nil || got.Tags["a"] != "b" || *got.DistributionConfiguration.Arn != dist {
		t.Errorf("the image is %+v", got)
	}
	ami := *f.image(source).OutputResources.Amis[0].Image
	byID := must(distribute(ami))(t)
	same(t, "the image of an AMI", byID, prefix+"image/"+ami+"/1.0.0/1")
	same(t, "the image of a parameter", must(distribute("ssm:/golden/web"))(t), prefix+"image/"+ami+"/1.0.0/2")

	_, err := distribute(prefix + "image/none/x.x.x")
	wantFault(t, err, "InvalidParameterValueException", "sourceImage")
	_, err = distribute("ami-00000000000000000")
	wantFault(t, err, "InvalidParameterValueException", "sourceImage", "does not exist")
	_, err = distribute("ssm:/golden/none")
	wantFault(t, err, "InvalidParameterValueException", "The source image 'ssm:/golden/none'", "no such parameter")
	_, err = distribute("ssm:/golden/odd")
	wantFault(t, err, "InvalidParameterValueException", "not an AMI ID")
	_, err = distribute(made)
	wantFault(t, err, "InvalidParameterValueException", "not valid. The source image '"+made+"' selects no image")
	dist = prefix + "distribution-configuration/none"
	_, err = distribute(source)
	wantFault(t, err, "ResourceNotFoundException")
}

func TestPlanPipeline(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.pipeline("web")
	plan := must(f.PlanPipeline(f.ctx, pipe, nil))(t)
	again := must(f.PlanPipeline(f.ctx, pipe, nil))(t)
	same(t, "digest of the same plan", again.Digest(), plan.Digest())
	if images := must(f.ListImages(f.ctx, &api.ListImagesInput{}))(t).ImageVersionList; len(images) != 0 {
		t.Errorf("planning left %d images", len(images))
	}
	image := f.start(pipe)
	same(t, "plan of the image that is started then", must(f.Plan(f.ctx, image))(t).Digest(), plan.Digest())
	_, err := f.PlanPipeline(f.ctx, prefix+"image-pipeline/none", nil)
	wantFault(t, err, "ResourceNotFoundException")
	_, err = f.PlanPipeline(f.ctx, "web", nil)
	if err == nil {
		t.Error("a name was taken for an ARN")
	}

	tagged := *must(f.StartImagePipelineExecution(f.ctx, &api.StartImagePipelineExecutionInput{ImagePipelineArn: p(pipe), Tags: map[string]string{"goldsmith:on-failure": "keep"}, ClientToken: f.token()}))(t).ImageBuildVersionArn
	if must(f.Plan(f.ctx, tagged))(t).Infrastructure.TerminateOnFailure {
		t.Error("the instance of an image with the tag is ended")
	}
}
