package imagebuilder

import (
	"context"
	"encoding/json"
	"fmt"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// maxTags is how many tags a resource can have.
const maxTags = 50

// tagged reads the ARN of a tag operation: of any kind, and of one resource.
func (r request) tagged(value *string) (arn, error) {
	s := text(value)
	a, ok := parseARN(s)
	switch {
	case !ok:
		return arn{}, fault.New(api.CodeInvalidParameter, "'%s' is not the ARN of an Image Builder resource.", fault.Clip(s))
	case a.Region != r.Region:
		return arn{}, notFound(s)
	case a.Account != r.Account && a.Account != amazon:
		return arn{}, r.accessDenied(s)
	case a.form != nameOnly && wildcards(a.version) > 0 || a.form == versionForm && (a.Kind == component || a.Kind == image || a.Kind == workflowKind):
		return arn{}, fault.New(api.CodeInvalidParameter, "'%s' does not name one resource.", s)
	}
	return a, nil
}

// ListTagsForResource gives the tags of a resource.
func (s *Service) ListTagsForResource(ctx context.Context, in *api.ListTagsForResourceInput) (*api.ListTagsForResourceOutput, error) {
	r := s.request(ctx, "ListTagsForResource")
	a, err := r.tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	out := &api.ListTagsForResourceOutput{Tags: map[string]string{}}
	if a.Account == amazon {
		return out, s.managedExists(ctx, a)
	}
	err = s.read(ctx, func(tx *store.Tx) error {
		tags, _, err := load[struct {
			Tags map[string]string `json:"tags"`
		}](tx, a)
		if err == nil && tags.Tags != nil {
			out.Tags = tags.Tags
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) managedExists(ctx context.Context, a arn) error {
	switch a.Kind {
	case component:
		_, err := managedComponent(a)
		return err
	case image:
		_, err := s.managedImage(ctx, a)
		return err
	case workflowKind:
		_, err := managedWorkflow(a)
		return err
	}
	return notFound(a.String())
}

// TagResource adds tags, or changes their values.
func (s *Service) TagResource(ctx context.Context, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	r := s.request(ctx, "TagResource")
	err := s.retag(ctx, r, in.ResourceArn, func(tags map[string]string) error {
		for key, v := range in.Tags {
			tags[key] = v
		}
		if len(tags) > maxTags {
			return fault.New(api.CodeInvalidParameter, "A resource can have at most %d tags.", maxTags)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.TagResourceOutput{}, nil
}

// UntagResource removes tags; keys that are not there do not matter.
func (s *Service) UntagResource(ctx context.Context, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	r := s.request(ctx, "UntagResource")
	err := s.retag(ctx, r, in.ResourceArn, func(tags map[string]string) error {
		for _, key := range in.TagKeys {
			delete(tags, key)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.UntagResourceOutput{}, nil
}

// retag changes the tags in a resource's document, whatever its kind.
func (s *Service) retag(ctx context.Context, r request, resource *string, change func(map[string]string) error) error {
	a, err := r.tagged(resource)
	if err != nil {
		return err
	}
	if a.Account == amazon {
		return r.managed(a.String())
	}
	return s.write(ctx, func(tx *store.Tx) error {
		doc, row, err := load[map[string]json.RawMessage](tx, a)
		if err != nil {
			return err
		}
		tags := make(map[string]string)
		if raw, ok := (*doc)["tags"]; ok {
			if err := json.Unmarshal(raw, &tags); err != nil {
				return fmt.Errorf("decoding the tags of %s: %w", a, err)
			}
		}
		if tags == nil {
			tags = make(map[string]string)
		}
		if err := change(tags); err != nil {
			return err
		}
		delete(*doc, "tags")
		if len(tags) > 0 {
			if (*doc)["tags"], err = json.Marshal(tags); err != nil {
				return fmt.Errorf("encoding the tags of %s: %w", a, err)
			}
		}
		return replace(tx, row, doc)
	})
}
