package imagebuilder_test

import (
	"strings"
	"testing"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/engine"
)

// TestParametersAtTheStart: tags of a start give parameters other values for this
// one image, and wrong ones are refused at once.
func TestParametersAtTheStart(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.component("My Web", "1.0.0", strings.Replace(parameterised, "default: fallback", "default: fallback\n      allowedValues: [fallback, other]", 1))
	in := f.recipeInput("web", "1.0.0", prefix+"component/my-web/x.x.x")
	in.Components[0].Parameters = []api.ComponentParameter{{Name: p("Needed"), Value: []string{"of the recipe"}}}
	recipe := *must(f.CreateImageRecipe(f.ctx, in))(t).ImageRecipeArn
	pipe := *must(f.CreateImagePipeline(f.ctx, f.pipelineInput("web", recipe)))(t).ImagePipelineArn
	start := func(tags map[string]string) (string, error) {
		out, err := f.StartImagePipelineExecution(f.ctx, &api.StartImagePipelineExecutionInput{ImagePipelineArn: p(pipe), Tags: tags, ClientToken: f.token()})
		if err != nil {
			return "", err
		}
		return *out.ImageBuildVersionArn, nil
	}
	image := must(start(map[string]string{"goldsmith:parameter/my-web/Needed": "of the start", "goldsmith:parameter/My Web/Optional": "other"}))(t)
	plan := must(f.Plan(f.ctx, image))(t)
	same(t, "parameters", plan.Components[0].Parameters, []engine.Parameter{{Name: "Needed", Value: "of the start"}, {Name: "Optional", Value: "other"}})
	same(t, "given", plan.Given, []engine.GivenParameter{{Kind: "component", Of: "my-web", Name: "Optional", Value: "other"}, {Kind: "component", Of: "my-web", Name: "Needed", Value: "of the start"}})
	if got := f.image(image); got.Tags["goldsmith:parameter/my-web/Needed"] != "of the start" {
		t.Errorf("the image keeps the tags %v", got.Tags)
	}
	plain := must(f.Plan(f.ctx, must(start(nil))(t)))(t)
	same(t, "another start", plain.Components[0].Parameters[0].Value, "of the recipe")
	if plain.Given != nil {
		t.Errorf("given without a start's values: %v", plain.Given)
	}
	before := len(f.queue.jobs)
	for _, tc := range []struct{ tag, value, why string }{
		{"goldsmith:parameter/my-web/Neded", "x", "The component 'My Web' has no parameter 'Neded'; it has: Needed, Optional."},
		{"goldsmith:parameter/my-web/Optional", "third", "The value 'third' of the parameter 'Optional' is not among its allowedValues: fallback, other."},
		{"goldsmith:parameter/web/Needed", "x", "The image has no component 'web'; it has: My Web."},
		{"goldsmith:parameter/Needed", "x", "names no parameter: it must be goldsmith:parameter/NAME/PARAMETER."},
		{"goldsmith:parameter//Needed", "x", "names no parameter"},
		{"goldsmith:workflow-parameter/build-image/x", "x", "The workflow 'build-image' has no parameter 'x'."},
		{"goldsmith:workflow-parameter/none/x", "x", "The image has no workflow 'none'; it has: build-image, test-image, distribute-image."},
	} {
		_, err := start(map[string]string{tc.tag: tc.value})
		wantFault(t, err, "InvalidParameterValueException", tc.why, "'tags")
		_, err = f.CreateImage(f.ctx, &api.CreateImageInput{ImageRecipeArn: p(recipe), InfrastructureConfigurationArn: p(f.infrastructure("infra " + *f.token())), Tags: map[string]string{tc.tag: tc.value}, ClientToken: f.token()})
		wantFault(t, err, "InvalidParameterValueException", tc.why)
	}
	if len(f.queue.jobs) != before {
		t.Error("a refused start was queued")
	}
}

// TestCacheIsAskedForByTags: of the image before those of its pipeline.
func TestCacheIsAskedForByTags(t *testing.T) {
	t.Parallel()
	f := open(t)
	recipe := f.recipe("web", "1.0.0")
	for _, tc := range []struct {
		name, pipeline, image string
		want                  bool
	}{{"neither", "", "", false}, {"pipeline", "on", "", true}, {"image", "", "on", true}, {"not this one", "on", "off", false}} {
		in := f.pipelineInput("cached "+tc.name, recipe)
		if tc.pipeline != "" {
			in.Tags = map[string]string{"goldsmith:cache": tc.pipeline}
		}
		pipe := *must(f.CreateImagePipeline(f.ctx, in))(t).ImagePipelineArn
		start := &api.StartImagePipelineExecutionInput{ImagePipelineArn: p(pipe), ClientToken: f.token()}
		if tc.image != "" {
			start.Tags = map[string]string{"goldsmith:cache": tc.image}
		}
		image := *must(f.StartImagePipelineExecution(f.ctx, start))(t).ImageBuildVersionArn
		if got := must(f.Plan(f.ctx, image))(t).Cache; got != tc.want {
			t.Errorf("%s: cache %v, want %v", tc.name, got, tc.want)
		}
	}
}
