package imagebuilder

import (
	"context"
	"fmt"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// RetryImage runs the test or distribution stage of an image again in which it
// failed, or in which it was cancelled: the same build version, under the plan
// that it was made by. What failed in its build stage is not retried.
func (s *Service) RetryImage(ctx context.Context, in *api.RetryImageInput) (*api.RetryImageOutput, error) {
	r := s.request(ctx, "RetryImage")
	a, err := r.own("imageBuildVersionArn", in.ImageBuildVersionArn, image, buildForm)
	if err != nil {
		return nil, err
	}
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.RetryImageOutput, error) {
		shape, row, err := load[api.Image](tx, a)
		if err != nil {
			return nil, err
		}
		if s.queue == nil {
			return nil, fault.New(api.CodeServiceUnavailable, "This server does not build images.")
		}
		if or(shape.Type, api.ImageTypeAmi) != api.ImageTypeAmi {
			return nil, fault.New(api.CodeInvalidRequest, "The image '%s' is a container image; only AMI images can be retried.", a)
		}
		if status := engine.Status(row.Status); status != engine.Failed && status != engine.Cancelled {
			return nil, fault.New(api.CodeInvalidRequest, "The image '%s' is in state %s; only images that are FAILED or CANCELLED can be retried.", a, status)
		}
		if err := engine.CheckRetry(tx, s.world, a.String()); err != nil {
			return nil, err
		}
		if err := s.checkBuilds(tx, r); err != nil {
			return nil, err
		}
		if err := s.tellState(ctx, tx, a, row.Status, string(engine.Pending)); err != nil {
			return nil, err
		}
		shape.State = &api.ImageState{Status: ptr(api.ImageStatusPending)}
		row.Status, row.Updated = string(api.ImageStatusPending), r.now
		if err := replace(tx, row, shape); err != nil {
			return nil, err
		}
		if err := tx.ClearCancel(a.String()); err != nil {
			return nil, err
		}
		if err := s.queue.Enqueue(ctx, tx, a.String()); err != nil {
			return nil, fmt.Errorf("queueing %s: %w", a, err)
		}
		return &api.RetryImageOutput{ClientToken: in.ClientToken, ImageBuildVersionArn: in.ImageBuildVersionArn}, nil
	})
}
