package fault

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder/types"
)

// patience is when the suite stops waiting for a cancelled image: what a
// cancellation takes is measured and written down, and no test of speed.
const patience = time.Minute

// cancels is a harm: the image is cancelled while it is at work.
func (s *site) cancels(place string, pause time.Duration) func(string, int) {
	return func(image string, _ int) {
		s.t.Helper()
		if pause > 0 {
			s.points.release()
			time.Sleep(pause)
		}
		if err := s.cancel(image); err != nil && place != "after state AVAILABLE" {
			s.t.Errorf("cancelling at %q: %v", place, err)
		}
		start := time.Now()
		s.points.release()
		for time.Since(start) < patience {
			if _, ok := s.state(image); ok {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		figures.cancelled(place, time.Since(start))
	}
}

// TestCancelled cancels images at the places of a build.
func TestCancelled(t *testing.T) {
	t.Parallel()
	s := newSite(t, setting{})
	for _, place := range some(s.placesOf("good", available), 3) {
		end := cancelled
		if place == "after state AVAILABLE" {
			end = available
		}
		s.inject("cancelled", "good", place, end, s.cancels(place, 0))
	}
	s.finish()
}

// TestCancelledInTheMiddle cancels images in the middle of a component that
// ignores signals, and while a step waits for an answer, with an instance and
// without.
func TestCancelledInTheMiddle(t *testing.T) {
	t.Parallel()
	s := newSite(t, setting{})
	s.asks()
	for _, tc := range []struct {
		pipeline, place string
		pause           time.Duration
		always          bool
	}{
		{"deaf", "in BUILD ApplyBuildComponents at work", 700 * time.Millisecond, true},
		{"deaftest", "in TEST ApplyTestComponents at work", 700 * time.Millisecond, false},
		{"asks with an instance", "after BUILD Ask waiting", 700 * time.Millisecond, true},
		{"asks", "after TEST Ask waiting", 700 * time.Millisecond, true},
	} {
		if tc.always || *full {
			place := tc.place + ", " + tc.pipeline
			s.inject("cancelled", tc.pipeline, tc.place, cancelled, func(image string, pid int) {
				s.exact = place
				s.cancels(place, tc.pause)(image, pid)
			})
		}
	}
	s.finish()
}

// TestKilledWhileCancelled kills the server at the places that a cancelled image
// comes through on its way to CANCELLED.
func TestKilledWhileCancelled(t *testing.T) {
	t.Parallel()
	if !*full {
		t.Skip("a part of make fault")
	}
	s := newSite(t, setting{})
	at := "in BUILD ApplyBuildComponents at work"
	s.points.hold(t, at)
	image := s.build("deaf")
	if _, ok := s.points.held(t, s.ended(image)); !ok {
		t.Fatal("the build did not come to its component")
	}
	s.points.trace(t)
	must(t, s.cancel(image))
	s.points.release()
	s.wait(image)
	places := s.points.trace(t)
	if len(places) < 3 {
		t.Fatalf("a cancelled image came through %q", places)
	}
	for _, place := range places {
		s.points.hold(t, at)
		image := s.build("deaf")
		if _, ok := s.points.held(t, s.ended(image)); !ok {
			t.Fatal("the build did not come to its component")
		}
		s.points.hold(t, place)
		must(t, s.cancel(image))
		s.points.release()
		if _, ok := s.points.held(t, s.ended(image)); !ok {
			t.Errorf("the cancelled image did not come to %q", place)
			continue
		}
		start := time.Now()
		s.kills("", 0)
		e := s.wait(image)
		wrong := append(s.right(image, e, cancelled...), s.dirty()...)
		for _, what := range wrong {
			t.Errorf("killed while cancelled, %s: %s", place, what)
		}
		figures.add(fault{"server killed while cancelling", place, string(e.state), e.at.Sub(start), len(wrong) > 0})
	}
	s.finish()
}

// The workflows of the pipelines that ask somebody.
const (
	asksInBuild = `schemaVersion: 1.0
steps:
  - {name: Launch, action: LaunchInstance, inputs: {waitFor: ssmAgent}}
  - {name: Ask, action: WaitForAction}
  - {name: Image, action: CreateImage, inputs: {instanceId.$: $.stepOutputs.Launch.instanceId}}
`
	asksInTest = `schemaVersion: 1.0
steps:
  - {name: Ask, action: WaitForAction}
`
)

// asks makes two pipelines that wait for an answer: one with an instance, one
// without.
func (s *site) asks() {
	s.t.Helper()
	c, ctx := s.client(), context.Background()
	like, err := c.GetImagePipeline(ctx, &imagebuilder.GetImagePipelineInput{ImagePipelineArn: aws.String(s.pipelines["good"])})
	must(s.t, err)
	for name, w := range map[string]struct {
		t        types.WorkflowType
		document string
	}{"asks with an instance": {types.WorkflowTypeBuild, asksInBuild}, "asks": {types.WorkflowTypeTest, asksInTest}} {
		slug := strings.ReplaceAll(name, " ", "-")
		flow, err := c.CreateWorkflow(ctx, &imagebuilder.CreateWorkflowInput{Name: &slug, SemanticVersion: aws.String("1.0.0"), Type: w.t, Data: &w.document})
		must(s.t, err)
		flows := []types.WorkflowConfiguration{{WorkflowArn: flow.WorkflowBuildVersionArn}}
		if w.t == types.WorkflowTypeTest {
			flows = append(flows, types.WorkflowConfiguration{WorkflowArn: aws.String("arn:aws:imagebuilder:us-east-1:aws:workflow/build/build-image/x.x.x")})
		}
		pipeline, err := c.CreateImagePipeline(ctx, &imagebuilder.CreateImagePipelineInput{
			Name: &slug, ImageRecipeArn: like.ImagePipeline.ImageRecipeArn, InfrastructureConfigurationArn: like.ImagePipeline.InfrastructureConfigurationArn,
			DistributionConfigurationArn: like.ImagePipeline.DistributionConfigurationArn, ExecutionRole: aws.String("golden"), Workflows: flows,
		})
		must(s.t, err)
		s.pipelines[name] = *pipeline.ImagePipelineArn
	}
}
