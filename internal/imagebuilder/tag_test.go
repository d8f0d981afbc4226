package imagebuilder_test

import (
	"fmt"
	"testing"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
)

func TestTags(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.pipeline("web")
	got := must(f.GetImagePipeline(f.ctx, &api.GetImagePipelineInput{ImagePipelineArn: p(pipe)}))(t).ImagePipeline
	for _, arn := range []string{pipe, *got.ImageRecipeArn, *got.InfrastructureConfigurationArn, *got.DistributionConfigurationArn, prefix + "component/web/1.0.0/1", f.start(pipe)} {
		tags := func() map[string]string {
			return must(f.ListTagsForResource(f.ctx, &api.ListTagsForResourceInput{ResourceArn: p(arn)}))(t).Tags
		}
		if got := tags(); got == nil || len(got) != 0 {
			t.Errorf("%s: tags %v, want an empty map", arn, got)
		}
		must(f.TagResource(f.ctx, &api.TagResourceInput{ResourceArn: p(arn), Tags: map[string]string{"a": "1", "b": "", "c d": "3"}}))(t)
		must(f.TagResource(f.ctx, &api.TagResourceInput{ResourceArn: p(arn), Tags: map[string]string{"a": "2"}}))(t)
		same(t, arn, tags(), map[string]string{"a": "2", "b": "", "c d": "3"})
		must(f.UntagResource(f.ctx, &api.UntagResourceInput{ResourceArn: p(arn), TagKeys: []string{"b", "c d", "not there"}}))(t)
		same(t, arn, tags(), map[string]string{"a": "2"})
	}
	// The rest of a tagged resource is as it was.
	after := must(f.GetImagePipeline(f.ctx, &api.GetImagePipelineInput{ImagePipelineArn: p(pipe)}))(t).ImagePipeline
	same(t, "tags in the resource", after.Tags, map[string]string{"a": "2"})
	after.Tags = nil
	got.DateLastRun, got.LastRunStatus = after.DateLastRun, after.LastRunStatus
	same(t, "the resource", after, got)
	must(f.UntagResource(f.ctx, &api.UntagResourceInput{ResourceArn: p(pipe), TagKeys: []string{"a"}}))(t)
	if tags := must(f.GetImagePipeline(f.ctx, &api.GetImagePipelineInput{ImagePipelineArn: p(pipe)}))(t).ImagePipeline.Tags; tags != nil {
		t.Errorf("tags after the last was removed: %v", tags)
	}
	component := must(f.GetComponent(f.ctx, &api.GetComponentInput{ComponentBuildVersionArn: p(prefix + "component/web/1.0.0/1")}))(t).Component
	same(t, "document of a tagged component", *component.Data, document)
}

func TestTagRefusals(t *testing.T) {
	t.Parallel()
	f := open(t)
	arn := f.infrastructure("infra")
	tags := map[string]string{}
	for i := range 50 {
		tags[fmt.Sprint("k", i)] = "v"
	}
	must(f.TagResource(f.ctx, &api.TagResourceInput{ResourceArn: p(arn), Tags: tags}))(t)
	_, err := f.TagResource(f.ctx, &api.TagResourceInput{ResourceArn: p(arn), Tags: map[string]string{"one": "more"}})
	wantFault(t, err, "InvalidParameterException", "50")
	must(f.TagResource(f.ctx, &api.TagResourceInput{ResourceArn: p(arn), Tags: map[string]string{"k0": "changed"}}))(t)
	f.component("web", "1.0.0", document)
	for arn, code := range map[string]string{
		prefix + "infrastructure-configuration/none":                      "ResourceNotFoundException",
		prefix + "component/web/1.0.0":                                    "InvalidParameterException",
		prefix + "component/web/x.x.x":                                    "InvalidParameterException",
		prefix + "image-recipe/web/x.x.x":                                 "InvalidParameterException",
		prefix + "image-recipe/web/1.0.0":                                 "ResourceNotFoundException",
		prefix + "nonsense/web":                                           "InvalidParameterException",
		"arn:aws:s3:::bucket":                                             "InvalidParameterException",
		"arn:aws:imagebuilder:us-east-1:" + bob + ":image/a/1.0.0/1":      "AccessDeniedException",
		"arn:aws:imagebuilder:eu-west-1:" + alice + ":image-pipeline/web": "ResourceNotFoundException",
		managed + "component/update-linux/1.0.0/1":                        "AccessDeniedException",
	} {
		_, err := f.TagResource(f.ctx, &api.TagResourceInput{ResourceArn: p(arn), Tags: map[string]string{"a": "b"}})
		t.Run(arn, func(t *testing.T) { wantFault(t, err, code) })
	}
	got := must(f.ListTagsForResource(f.ctx, &api.ListTagsForResourceInput{ResourceArn: p(managed + "component/update-linux/1.0.0/1")}))(t)
	same(t, "tags of a managed component", len(got.Tags), 0)
	_, err = f.ListTagsForResource(f.ctx, &api.ListTagsForResourceInput{ResourceArn: p(managed + "component/nothing/1.0.0/1")})
	wantFault(t, err, "ResourceNotFoundException")
}
