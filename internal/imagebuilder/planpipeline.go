package imagebuilder

import (
	"context"
	"errors"
	"fmt"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// errPlanned undoes the transaction that a plan was made in.
var errPlanned = errors.New("planned")

// PlanPipeline gives the plan of the image that a start of the pipeline would
// make now, with tags on the image. It starts the image in a transaction that it
// takes back, so that the plan is the very one; nothing is stored.
func (s *Service) PlanPipeline(ctx context.Context, pipelineARN string, tags map[string]string) (*engine.Plan, error) {
	a, ok := parseARN(pipelineARN)
	if !ok || a.Kind != pipeline || a.form != nameOnly {
		return nil, fmt.Errorf("%q is not the ARN of an image pipeline", pipelineARN)
	}
	planner := *s
	planner.queue = nowhere{}
	r := request{Caller: identity.Caller{Account: a.Account, Region: a.Region, ARN: "the plan"}, operation: "StartImagePipelineExecution", now: s.now()}
	var plan *engine.Plan
	err := s.write(ctx, func(tx *store.Tx) error {
		p, row, err := load[api.ImagePipeline](tx, a)
		if err != nil {
			return err
		}
		made, err := planner.startPipeline(ctx, tx, r, p, row, api.BuildTypeUserInitiated, tags)
		if err != nil {
			return err
		}
		shape, _, err := load[api.Image](tx, made)
		if err != nil {
			return err
		}
		if plan, err = planner.plan(ctx, tx, r, made, shape); err != nil {
			return err
		}
		return errPlanned
	})
	if errors.Is(err, errPlanned) {
		err = nil
	}
	return plan, err
}

// nowhere is a queue that nobody takes from.
type nowhere struct{}

func (nowhere) Enqueue(context.Context, *store.Tx, string) error { return nil }
func (nowhere) Interrupt(string)                                 {}
func (nowhere) Standing(*store.Tx, string) (string, error)       { return "", nil }
