package fault

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder/types"

	"github.com/goldsmith-build/goldsmith/test/harness"
)

// cachedPipeline makes a pipeline that keeps the state after the first of its two
// components, which no other pipeline shares: their documents name it. A state
// is kept after work that took longer than a launch.
func (s *site) cachedPipeline(number int) string {
	s.t.Helper()
	c, ctx := s.client(), context.Background()
	good, err := c.GetImagePipeline(ctx, &imagebuilder.GetImagePipelineInput{ImagePipelineArn: aws.String(s.pipelines["good"])})
	must(s.t, err)
	name := fmt.Sprintf("cached-%d", number)
	var uses []types.ComponentConfiguration
	for i, script := range []string{"sleep 12; echo one > /tmp/hand # $IMAGE_PIPELINE_ARN", "cat /tmp/hand >> /opt/builds"} {
		component, err := c.CreateComponent(ctx, &imagebuilder.CreateComponentInput{
			Name: aws.String(fmt.Sprintf("%s-%d", name, i)), SemanticVersion: aws.String("1.0.0"), Platform: types.PlatformLinux, Data: aws.String(harness.Document(name, "build", script)),
		})
		must(s.t, err)
		uses = append(uses, types.ComponentConfiguration{ComponentArn: component.ComponentBuildVersionArn})
	}
	recipe, err := c.CreateImageRecipe(ctx, &imagebuilder.CreateImageRecipeInput{Name: &name, SemanticVersion: aws.String("1.0.0"), ParentImage: aws.String(s.parent), Components: uses})
	must(s.t, err)
	pipeline, err := c.CreateImagePipeline(ctx, &imagebuilder.CreateImagePipelineInput{
		Name: &name, ImageRecipeArn: recipe.ImageRecipeArn, InfrastructureConfigurationArn: good.ImagePipeline.InfrastructureConfigurationArn,
		DistributionConfigurationArn: good.ImagePipeline.DistributionConfigurationArn, Tags: map[string]string{"goldsmith:cache": "on"},
		ImageTestsConfiguration: &types.ImageTestsConfiguration{ImageTestsEnabled: aws.Bool(false)},
	})
	must(s.t, err)
	s.pipelines[name] = *pipeline.ImagePipelineArn
	return name
}

// TestKilledWhileStatesAreKept kills the server at the places where a build keeps
// the states after its components. The build comes to its end, and so does the
// next one, from whatever states there are then.
func TestKilledWhileStatesAreKept(t *testing.T) {
	t.Parallel()
	s := newSite(t, setting{})
	var places []string
	for _, place := range s.placesOf(s.cachedPipeline(0), available) {
		if strings.Contains(place, "state after a component") || *full && strings.Contains(place, "disk ") {
			places = append(places, place)
		}
	}
	if len(places) < 4 {
		t.Fatalf("a build that keeps states came through %q only:\n%s", places, s.logOf(s.images[0]))
	}
	for i, place := range some(places, 2) {
		pipeline := s.cachedPipeline(i + 1)
		s.inject("server killed, keeping states", pipeline, place, available, s.kills)
		image := s.build(pipeline)
		for _, wrong := range s.right(image, s.wait(image), available...) {
			t.Errorf("after %s: the next build: %s", place, wrong)
		}
		if log := s.logOf(image); !strings.Contains(log, ": cached (state ") {
			t.Errorf("after %s: the next build took no kept state:\n%s", place, log)
		}
	}
	s.finish()
}

// logOf gives an image's log.
func (s *site) logOf(image string) string {
	_, name, _ := strings.Cut(image, ":image/")
	data, err := os.ReadFile(filepath.Join(s.dir, "logs", name, "image.log"))
	must(s.t, err)
	return string(data)
}
