package imagebuilder

import (
	"context"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// ListWaitingWorkflowSteps lists the steps of the caller's images in the region
// that wait for SendWorkflowStepAction, the longest waiting first.
func (s *Service) ListWaitingWorkflowSteps(ctx context.Context, in *api.ListWaitingWorkflowStepsInput) (*api.ListWaitingWorkflowStepsOutput, error) {
	r := s.request(ctx, "ListWaitingWorkflowSteps")
	limit, at, err := r.begin(in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &api.ListWaitingWorkflowStepsOutput{Steps: []api.WorkflowStepExecution{}}
	err = s.read(ctx, func(tx *store.Tx) error {
		waiting, err := tx.WaitingSteps()
		if err != nil {
			return err
		}
		var own []store.StepExecution
		for _, step := range waiting {
			if step.Outputs == "" && r.ownImage(step.ID, step.ImageARN) == nil {
				own = append(own, step)
			}
		}
		page, next := window(own, at, limit)
		out.NextToken = next
		for _, step := range page {
			out.Steps = append(out.Steps, api.WorkflowStepExecution{
				StepExecutionId: ptr(step.ID), ImageBuildVersionArn: ptr(step.ImageARN), WorkflowExecutionId: ptr(step.WorkflowExecutionID), WorkflowBuildVersionArn: ptr(step.WorkflowARN),
				Name: ptr(step.Name), Action: ptr(step.Action), StartTime: moment(step.Start),
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// SendWorkflowStepAction answers a waiting step: its workflow goes on, or fails
// the image. The reason becomes an output of the step.
func (s *Service) SendWorkflowStepAction(ctx context.Context, in *api.SendWorkflowStepActionInput) (*api.SendWorkflowStepActionOutput, error) {
	r := s.request(ctx, "SendWorkflowStepAction")
	a, err := r.own("imageBuildVersionArn", in.ImageBuildVersionArn, image, buildForm)
	if err != nil {
		return nil, err
	}
	params := *in
	params.ClientToken = nil
	out, err := once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.SendWorkflowStepActionOutput, error) {
		step, ok, err := tx.StepExecution(text(in.StepExecutionId))
		if err != nil {
			return nil, err
		}
		if !ok || r.ownImage(step.ID, step.ImageARN) != nil {
			return nil, notFound(text(in.StepExecutionId))
		}
		if step.ImageARN != a.String() {
			return nil, invalid("imageBuildVersionArn", "The workflow step execution '%s' is not one of the image '%s'.", step.ID, a)
		}
		if err := engine.Answer(tx, step, string(or(in.Action, "")), text(in.Reason), r.now); err != nil {
			return nil, err
		}
		return &api.SendWorkflowStepActionOutput{ClientToken: in.ClientToken, ImageBuildVersionArn: in.ImageBuildVersionArn, StepExecutionId: in.StepExecutionId}, nil
	})
	if err == nil && s.queue != nil {
		s.queue.Interrupt(a.String())
	}
	return out, err
}
