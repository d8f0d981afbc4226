package imagebuilder_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// finished starts an image and lets it become AVAILABLE with an AMI in each
// region.
func (f *fixture) finished(pipeline string, regions ...string) string {
	f.Helper()
	arn := f.start(pipeline)
	f.write(func(tx *store.Tx) error {
		var amis []engine.OutputAMI
		for _, region := range regions {
			ami, err := f.world.Register(tx, cloud.AMI{
				Account: alice, Region: region, Name: strings.ReplaceAll(arn[len(prefix):], "/", "-"), Platform: "Linux", RootDevice: "/dev/xvda", Tags: map[string]string{"CreatedBy": "EC2 Image Builder"},
				Devices: []cloud.BlockDevice{{DeviceName: "/dev/xvda", Manifest: "sha256:" + arn, SizeGiB: 2}},
			})
			if err != nil {
				return err
			}
			amis = append(amis, engine.OutputAMI{Region: region, Account: alice, AMI: ami.ID, Name: ami.Name})
		}
		if err := f.Outputs(f.ctx, tx, arn, amis); err != nil {
			return err
		}
		return f.Transition(f.ctx, tx, arn, engine.Available, "", nil)
	})
	return arn
}

func (f *fixture) update(arn string, to api.ResourceStatus, change ...func(*api.StartResourceStateUpdateInput)) (string, error) {
	in := &api.StartResourceStateUpdateInput{ResourceArn: p(arn), State: &api.ResourceState{Status: p(to)}, ClientToken: f.token()}
	for _, c := range change {
		c(in)
	}
	out, err := f.StartResourceStateUpdate(f.ctx, in)
	if err != nil {
		return "", err
	}
	return *out.LifecycleExecutionId, nil
}

func included(amis, snapshots bool) func(*api.StartResourceStateUpdateInput) {
	return func(in *api.StartResourceStateUpdateInput) {
		in.ExecutionRole, in.IncludeResources = p("lifecycle"), &api.ResourceStateUpdateIncludeResources{Amis: p(amis), Snapshots: p(snapshots)}
	}
}

func (f *fixture) execution(id string) *api.LifecycleExecution {
	f.Helper()
	return must(f.GetLifecycleExecution(f.ctx, &api.GetLifecycleExecutionInput{LifecycleExecutionId: p(id)}))(f).LifecycleExecution
}

// acts lists what an execution did, as "RESOURCE ACTION STATUS".
func (f *fixture) acts(id string, parent ...string) (all []string) {
	f.Helper()
	in := &api.ListLifecycleExecutionResourcesInput{LifecycleExecutionId: p(id), MaxResults: p(int32(1))}
	if len(parent) > 0 {
		in.ParentResourceId = p(parent[0])
	}
	for {
		out := must(f.ListLifecycleExecutionResources(f.ctx, in))(f)
		for _, r := range out.Resources {
			name := *r.ResourceId
			if strings.HasPrefix(name, "ami-") {
				name = "AMI in " + *r.Region
			}
			all = append(all, strings.TrimPrefix(name, prefix+"image/")+" "+string(*r.Action.Name)+" "+string(*r.State.Status))
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return all
		}
	}
}

// amis gives the state of the AMIs of alice, by region.
func (f *fixture) amis(region string) (all []ec2.Image) {
	f.Helper()
	return must(f.world.EC2().DescribeImages(f.as(alice, region), &ec2.DescribeImagesInput{Owners: []string{"self"}, IncludeDisabled: p(true)}))(f).Images
}

func (f *fixture) snapshots(region string) int {
	f.Helper()
	return len(must(f.world.EC2().DescribeSnapshots(f.as(alice, region), &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}}))(f).Snapshots)
}

func TestStateUpdateOfTheRecordAlone(t *testing.T) {
	t.Parallel()
	f := open(t)
	arn := f.finished(f.pipeline("web"), home)
	for _, step := range []struct {
		to   api.ResourceStatus
		want api.ImageStatus
		code string
	}{
		{api.ResourceStatusAvailable, "", "InvalidRequestException"}, {api.ResourceStatusDeprecated, api.ImageStatusDeprecated, ""}, {api.ResourceStatusDeprecated, "", "InvalidRequestException"},
		{api.ResourceStatusDisabled, api.ImageStatusDisabled, ""}, {api.ResourceStatusDeprecated, "", "InvalidRequestException"}, {api.ResourceStatusAvailable, api.ImageStatusAvailable, ""},
		{api.ResourceStatusDisabled, api.ImageStatusDisabled, ""},
	} {
		id, err := f.update(arn, step.to)
		if step.code != "" {
			wantFault(t, err, step.code, arn)
			continue
		}
		if err != nil {
			t.Fatalf("to %s: %v", step.to, err)
		}
		img := f.image(arn)
		same(t, "state", *img.State.Status, step.want)
		same(t, "execution", *img.LifecycleExecutionId, id)
		same(t, "execution's state", *f.execution(id).State.Status, api.LifecycleExecutionStatusSuccess)
		if step.to != api.ResourceStatusDisabled && (img.DeprecationTime != nil) != (step.to == api.ResourceStatusDeprecated) {
			t.Errorf("%s with the deprecation time %v", step.to, img.DeprecationTime)
		}
		same(t, "AMIs acted on", len(f.acts(id, arn)), 0)
	}
	same(t, "the AMI", string(*f.amis(home)[0].State), "available")
	same(t, "executions", len(must(f.ListLifecycleExecutions(f.ctx, &api.ListLifecycleExecutionsInput{ResourceArn: p(arn)}))(t).LifecycleExecutions), 4)
}

func TestStateUpdateActsOnAMIs(t *testing.T) {
	t.Parallel()
	f := open(t)
	arn := f.finished(f.pipeline("web"), home, "eu-west-1")
	id := must(f.update(arn, api.ResourceStatusDeprecated, included(true, false)))(t)
	same(t, "acts", f.acts(id), []string{"web/1.0.0/1 DEPRECATE SUCCESS"})
	same(t, "on AMIs", f.acts(id, arn), []string{"AMI in us-east-1 DEPRECATE SUCCESS", "AMI in eu-west-1 DEPRECATE SUCCESS"})
	ami := f.amis("eu-west-1")[0]
	if ami.DeprecationTime == nil || !slices.ContainsFunc(ami.Tags, func(t ec2.Tag) bool { return *t.Key == "DeprecatedBy" && *t.Value == "EC2 Image Builder" }) {
		t.Errorf("deprecated AMI %+v", ami)
	}
	must(f.update(arn, api.ResourceStatusDisabled, included(true, false)))(t)
	ami = f.amis(home)[0]
	if *ami.State != cloud.Disabled || slices.ContainsFunc(ami.Tags, func(t ec2.Tag) bool { return *t.Key == "DeprecatedBy" }) {
		t.Errorf("disabled AMI %+v", ami)
	}
	must(f.update(arn, api.ResourceStatusAvailable, included(true, false)))(t)
	if ami = f.amis(home)[0]; *ami.State != "available" || ami.DeprecationTime != nil {
		t.Errorf("available AMI %+v", ami)
	}
	id = must(f.update(arn, api.ResourceStatusDeleted, included(true, true)))(t)
	same(t, "on AMIs", f.acts(id, arn), []string{"AMI in us-east-1 DELETE SUCCESS", "AMI in eu-west-1 DELETE SUCCESS"})
	deleted := must(f.ListLifecycleExecutionResources(f.ctx, &api.ListLifecycleExecutionResourcesInput{LifecycleExecutionId: p(id), ParentResourceId: p(arn)}))(t)
	if s := deleted.Resources[0].Snapshots; len(s) != 1 || *s[0].State.Status != api.LifecycleExecutionResourceStatusSuccess {
		t.Errorf("snapshots %+v", s)
	}
	if n := len(f.amis(home)) + len(f.amis("eu-west-1")) + f.snapshots(home) + f.snapshots("eu-west-1"); n != 0 {
		t.Errorf("%d AMIs and snapshots are left", n)
	}
	_, err := f.GetImage(f.ctx, &api.GetImageInput{ImageBuildVersionArn: p(arn)})
	wantFault(t, err, "ResourceNotFoundException")
	if !*f.execution(id).ResourcesImpactedSummary.HasImpactedResources {
		t.Error("nothing was impacted")
	}
	same(t, "executions outlive the image", len(must(f.ListLifecycleExecutions(f.ctx, &api.ListLifecycleExecutionsInput{ResourceArn: p(arn)}))(t).LifecycleExecutions), 4)

	// Snapshots stay where only AMIs are included, and AMIs that are gone do not matter.
	arn = f.finished(f.pipeline("kept"), home, "eu-west-1")
	f.write(func(tx *store.Tx) error { return f.world.Remove(tx, *f.amis(home)[0].ImageId) })
	id = must(f.update(arn, api.ResourceStatusDeleted, included(true, false)))(t)
	same(t, "on AMIs", f.acts(id, arn), []string{"AMI in us-east-1 DELETE SUCCESS", "AMI in eu-west-1 DELETE SUCCESS"})
	same(t, "snapshots", []int{f.snapshots(home), f.snapshots("eu-west-1"), len(f.amis("eu-west-1"))}, []int{1, 1, 0})
}

func TestStateUpdateRefusals(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.pipeline("web")
	arn, building := f.finished(pipe, home), f.start(pipe)
	failed := f.start(pipe)
	f.write(func(tx *store.Tx) error { return f.Transition(f.ctx, tx, failed, engine.Failed, "why", nil) })
	container := *must(f.CreateImage(f.ctx, &api.CreateImageInput{ContainerRecipeArn: p(f.containerRecipe("box", "1.0.0")), InfrastructureConfigurationArn: p(f.infrastructure("i")), ClientToken: f.token()}))(t).ImageBuildVersionArn
	f.write(func(tx *store.Tx) error { return f.Transition(f.ctx, tx, container, engine.Available, "", nil) })
	later := func(d time.Duration) func(*api.StartResourceStateUpdateInput) {
		return func(in *api.StartResourceStateUpdateInput) { in.UpdateAt = shape.At(start.Add(d)) }
	}
	for name, test := range map[string]struct {
		arn    string
		to     api.ResourceStatus
		change func(*api.StartResourceStateUpdateInput)
		code   string
		part   string
	}{
		"deleted without resources": {arn, "DELETED", nil, "InvalidParameterCombinationException", "includeResources"},
		"resources without a role": {arn, "DISABLED", func(in *api.StartResourceStateUpdateInput) {
			in.IncludeResources = &api.ResourceStateUpdateIncludeResources{}
		}, "InvalidParameterCombinationException", "executionRole"},
		"containers of an AMI image": {arn, "DELETED", func(in *api.StartResourceStateUpdateInput) {
			included(true, true)(in)
			in.IncludeResources.Containers = p(true)
		}, "InvalidParameterCombinationException", "containers"},
		"AMIs of a container image": {container, "DELETED", included(true, false), "InvalidParameterCombinationException", "amis"},
		"container deprecated":      {container, "DEPRECATED", nil, "InvalidParameterValueException", "can only be DELETED"},
		"failed one deprecated":     {failed, "DEPRECATED", nil, "InvalidRequestException", "FAILED"},
		"failed one made available": {failed, "AVAILABLE", nil, "InvalidRequestException", "FAILED"},
		"one that is being made":    {building, "DELETED", included(true, true), "ResourceInUseException", "PENDING"},
		"one that is not there":     {prefix + "image/nothing/1.0.0/1", "DISABLED", nil, "ResourceNotFoundException", "nothing"},
		"of another account":        {strings.Replace(arn, alice, bob, 1), "DISABLED", nil, "AccessDeniedException", "imagebuilder:StartResourceStateUpdate"},
		"of Amazon":                 {managed + "image/debian-12-x86/2026.11.21/1", "DISABLED", nil, "AccessDeniedException", "managed by Amazon"},
		"no state":                  {arn, "", func(in *api.StartResourceStateUpdateInput) { in.State.Status = nil }, "InvalidParameterValueException", "state.status"},
		"time for disabling":        {arn, "DISABLED", later(time.Hour), "InvalidParameterCombinationException", "updateAt"},
		"time that has passed":      {arn, "DEPRECATED", later(-time.Hour), "InvalidParameterValueException", "future"},
		"region that is none": {arn, "DEPRECATED", func(in *api.StartResourceStateUpdateInput) {
			in.ExclusionRules = &api.ResourceStateUpdateExclusionRules{Amis: &api.LifecyclePolicyDetailExclusionRulesAmis{Regions: []string{"x"}}}
		}, "InvalidParameterValueException", "exclusionRules.amis.regions[0]"},
	} {
		var changes []func(*api.StartResourceStateUpdateInput)
		if test.change != nil {
			changes = append(changes, test.change)
		}
		_, err := f.update(test.arn, test.to, changes...)
		t.Run(name, func(t *testing.T) { wantFault(t, err, test.code, test.part) })
	}
	must(f.update(failed, "DELETED", included(true, true)))(t)

	// An image that a recipe starts from stays, and its AMI with it.
	in := f.recipeInput("child", "1.0.0")
	in.ParentImage = p(arn)
	child := *must(f.CreateImageRecipe(f.ctx, in))(t).ImageRecipeArn
	id := must(f.update(arn, "DELETED", included(true, true)))(t)
	same(t, "execution", *f.execution(id).State.Status, api.LifecycleExecutionStatusFailed)
	out := must(f.ListLifecycleExecutionResources(f.ctx, &api.ListLifecycleExecutionResourcesInput{LifecycleExecutionId: p(id)}))(t)
	if r := *out.Resources[0].State.Reason; !strings.Contains(r, child) || len(f.amis(home)) != 1 {
		t.Errorf("reason %q with %d AMIs", r, len(f.amis(home)))
	}
}

func TestExclusionRules(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.pipeline("web")
	for name, test := range map[string]struct {
		rules  api.LifecyclePolicyDetailExclusionRulesAmis
		change func(*cloud.AMI)
	}{
		"region": {api.LifecyclePolicyDetailExclusionRulesAmis{Regions: []string{"eu-west-1"}}, nil},
		"public": {api.LifecyclePolicyDetailExclusionRulesAmis{IsPublic: p(true)}, func(a *cloud.AMI) { a.Permissions.Groups = []string{store.Everyone} }},
		"tag":    {api.LifecyclePolicyDetailExclusionRulesAmis{TagMap: map[string]string{"x": "y", "keep": "yes"}}, func(a *cloud.AMI) { a.Tags = map[string]string{"keep": "yes"} }},
		"shared": {api.LifecyclePolicyDetailExclusionRulesAmis{SharedAccounts: []string{bob}}, func(a *cloud.AMI) { a.Permissions.UserIDs = []string{bob} }},
	} {
		arn := f.finished(pipe, home, "eu-west-1")
		if test.change != nil {
			f.write(func(tx *store.Tx) error {
				_, err := f.world.Modify(tx, *f.image(arn).OutputResources.Amis[1].Image, test.change)
				return err
			})
		}
		id := must(f.update(arn, api.ResourceStatusDisabled, included(true, false), func(in *api.StartResourceStateUpdateInput) {
			in.ExclusionRules = &api.ResourceStateUpdateExclusionRules{Amis: &test.rules}
		}))(t)
		same(t, name+": AMIs", f.acts(id, arn), []string{"AMI in us-east-1 DISABLE SUCCESS", "AMI in eu-west-1 DISABLE SKIPPED"})
		same(t, name+": image", f.acts(id), []string{arn[len(prefix+"image/"):] + " DISABLE SKIPPED"})
		same(t, name+": state", *f.image(arn).State.Status, api.ImageStatusAvailable)
		must(f.update(arn, api.ResourceStatusDeleted, included(true, true)))(t)
	}
}

func TestExecutionsAreTheirOwners(t *testing.T) {
	t.Parallel()
	f := open(t)
	arn := f.finished(f.pipeline("web"), home)
	id := must(f.update(arn, "DISABLED"))(t)
	for _, call := range map[string]func(context.Context) error{
		"get": func(ctx context.Context) error {
			_, err := f.GetLifecycleExecution(ctx, &api.GetLifecycleExecutionInput{LifecycleExecutionId: p(id)})
			return err
		},
		"list": func(ctx context.Context) error {
			_, err := f.ListLifecycleExecutionResources(ctx, &api.ListLifecycleExecutionResourcesInput{LifecycleExecutionId: p(id)})
			return err
		},
		"cancel": func(ctx context.Context) error {
			_, err := f.CancelLifecycleExecution(ctx, &api.CancelLifecycleExecutionInput{LifecycleExecutionId: p(id), ClientToken: f.token()})
			return err
		},
	} {
		for _, ctx := range []context.Context{f.as(bob, home), f.as(alice, "eu-west-1")} {
			wantFault(t, call(ctx), "ResourceNotFoundException", id)
		}
	}
	_, err := f.ListLifecycleExecutions(f.as(bob, home), &api.ListLifecycleExecutionsInput{ResourceArn: p(arn)})
	wantFault(t, err, "AccessDeniedException")
	_, err = f.ListLifecycleExecutions(f.ctx, &api.ListLifecycleExecutionsInput{ResourceArn: p(prefix + "lifecycle-policy/none")})
	wantFault(t, err, "ResourceNotFoundException")
	_, err = f.ListLifecycleExecutions(f.ctx, &api.ListLifecycleExecutionsInput{ResourceArn: p(prefix + "image-pipeline/web")})
	wantFault(t, err, "InvalidParameterValueException", "resourceArn")
	// No other read takes an execution for a resource.
	_, err = f.ListTagsForResource(f.ctx, &api.ListTagsForResourceInput{ResourceArn: p(id)})
	wantFault(t, err, "InvalidParameterException")
}

// Deprecated images are built on, disabled ones are not.
func TestParentsByState(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.pipeline("web")
	older, newer := f.finished(pipe, home), f.finished(pipe, home)
	in := f.recipeInput("child", "1.0.0")
	in.ParentImage = p(prefix + "image/web/x.x.x")
	child := f.pipelineInput("child", *must(f.CreateImageRecipe(f.ctx, in))(t).ImageRecipeArn)
	image := f.start(*must(f.CreateImagePipeline(f.ctx, child))(t).ImagePipelineArn)
	parent := func() string {
		t.Helper()
		return must(f.Plan(f.ctx, image))(t).Parent.ARN
	}
	must(f.update(newer, "DEPRECATED"))(t)
	same(t, "parent", parent(), newer)
	must(f.update(newer, "DISABLED"))(t)
	same(t, "parent", parent(), older)
	must(f.update(older, "DISABLED"))(t)
	_, err := f.Plan(f.ctx, image)
	wantFault(t, err, "ClientException", "selects no image that is AVAILABLE or DEPRECATED")
	must(f.update(older, "AVAILABLE"))(t)
	f.write(func(tx *store.Tx) error { return f.world.Disable(tx, *f.image(older).OutputResources.Amis[0].Image) })
	_, err = f.Plan(f.ctx, image)
	wantFault(t, err, "ClientException", "has no AMI in us-east-1 any more") // a disabled AMI is not there to be launched
}
