package imagebuilder

import (
	"context"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// updates are the actions that bring an image to the states that can be asked
// for.
var updates = map[api.ResourceStatus]api.LifecycleExecutionResourceActionName{
	api.ResourceStatusAvailable: api.LifecycleExecutionResourceActionNameAvailable, api.ResourceStatusDeprecated: api.LifecycleExecutionResourceActionNameDeprecate,
	api.ResourceStatusDisabled: api.LifecycleExecutionResourceActionNameDisable, api.ResourceStatusDeleted: api.LifecycleExecutionResourceActionNameDelete,
}

// StartResourceStateUpdate moves an image, and its AMIs if they are included, to
// another state: at once, or at the time when it is to be deprecated.
func (s *Service) StartResourceStateUpdate(ctx context.Context, in *api.StartResourceStateUpdateInput) (*api.StartResourceStateUpdateOutput, error) {
	r := s.request(ctx, "StartResourceStateUpdate")
	a, err := r.own("resourceArn", in.ResourceArn, image, buildForm)
	if err != nil {
		return nil, err
	}
	if err := r.checkStateUpdate(in); err != nil {
		return nil, err
	}
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.StartResourceStateUpdateOutput, error) {
		img, row, err := load[api.Image](tx, a)
		if err != nil {
			return nil, err
		}
		if err := updatable(tx, in, row, img); err != nil {
			return nil, err
		}
		id, err := s.startStateUpdate(ctx, tx, r, in, row, img)
		if err != nil {
			return nil, err
		}
		return &api.StartResourceStateUpdateOutput{LifecycleExecutionId: ptr(id), ResourceArn: in.ResourceArn}, nil
	})
}

// checkStateUpdate holds a request to the rules that need no look at the image.
func (r request) checkStateUpdate(in *api.StartResourceStateUpdateInput) error {
	if in.State == nil || in.State.Status == nil {
		return invalid("state.status", "It is required.")
	}
	if err := r.checkRole("executionRole", in.ExecutionRole); err != nil {
		return err
	}
	to, inc := *in.State.Status, in.IncludeResources
	if inc == nil && to == api.ResourceStatusDeleted {
		return combination("You must specify includeResources when state.status is DELETED. To delete the image without its resources, use DeleteImage.")
	}
	if inc != nil && in.ExecutionRole == nil {
		return combination("You must specify an executionRole when you specify includeResources.")
	}
	if in.UpdateAt != nil {
		if to != api.ResourceStatusDeprecated {
			return combination("You can specify updateAt only when state.status is DEPRECATED.")
		}
		if !in.UpdateAt.After(r.now) {
			return invalid("updateAt", "The time must be in the future.")
		}
	}
	if rules := in.ExclusionRules; rules != nil && rules.Amis != nil {
		return checkExclusion("exclusionRules.amis", rules.Amis)
	}
	return nil
}

// updatable refuses what an image in its state, or of its type, cannot do.
func updatable(tx *store.Tx, in *api.StartResourceStateUpdateInput, row store.Resource, img *api.Image) error {
	to, from := *in.State.Status, api.ImageStatus(row.Status)
	container := or(img.Type, api.ImageTypeAmi) == api.ImageTypeDocker
	if container && to != api.ResourceStatusDeleted {
		return invalid("state.status", "A container image can only be DELETED.")
	}
	if inc := in.IncludeResources; inc != nil {
		if err := checkIncluded("includeResources", container, inc.Amis, inc.Snapshots, inc.Containers); err != nil {
			return err
		}
	}
	for _, state := range unfinished {
		if row.Status == state {
			return inUse("The image '%s' is in state %s. Wait until it is finished, or cancel its creation first.", row.ARN, row.Status)
		}
	}
	for _, can := range comesFrom[states[updates[to]]] {
		if can == from {
			return notScheduled(tx, img, to)
		}
	}
	return fault.New(api.CodeInvalidRequest, "The image '%s' is in state %s and cannot go to %s.", row.ARN, from, to)
}

// notScheduled refuses to deprecate what is to be deprecated at a later time.
func notScheduled(tx *store.Tx, img *api.Image, to api.ResourceStatus) error {
	if to != api.ResourceStatusDeprecated || img.LifecycleExecutionId == nil {
		return nil
	}
	row, ok, err := tx.Resource(*img.LifecycleExecutionId)
	if err != nil || !ok || row.Status != string(api.LifecycleExecutionStatusPending) {
		return err
	}
	return inUse("The image '%s' is to be deprecated by the lifecycle execution '%s'. Cancel that first.", text(img.Arn), row.ARN)
}

// startStateUpdate begins the execution, and ends it too if nothing has to be
// waited for.
func (s *Service) startStateUpdate(ctx context.Context, tx *store.Tx, r request, in *api.StartResourceStateUpdateInput, imageRow store.Resource, img *api.Image) (string, error) {
	run := &lifecycleRun{}
	run.State = &api.LifecycleExecutionState{Status: ptr(api.LifecycleExecutionStatusInProgress)}
	row := store.Resource{}
	if in.UpdateAt != nil {
		run.State.Status, row.Due = ptr(api.LifecycleExecutionStatusPending), in.UpdateAt.Time
	}
	row, err := beginExecution(tx, r, imageRow.ARN, run, row)
	if err != nil {
		return "", err
	}
	act := &lifecycleAct{LifecycleExecutionResource: api.LifecycleExecutionResource{
		AccountId: ptr(r.Account), ResourceId: ptr(imageRow.ARN), Region: ptr(r.Region), StartTime: shape.At(r.now),
		Action: &api.LifecycleExecutionResourceAction{Name: ptr(updates[*in.State.Status]), Reason: ptr("StartResourceStateUpdate was called.")},
		State:  &api.LifecycleExecutionResourceState{Status: ptr(api.LifecycleExecutionResourceStatusInProgress)},
	}}
	if in.IncludeResources != nil {
		act.Include = *in.IncludeResources
	}
	if in.ExclusionRules != nil {
		act.Exclude = in.ExclusionRules.Amis
	}
	if in.UpdateAt != nil {
		img.DeprecationTime, img.LifecycleExecutionId = in.UpdateAt, ptr(row.ARN)
		if err := replace(tx, imageRow, img); err != nil {
			return "", err
		}
	} else if err := s.carryOut(ctx, tx, r, row.ARN, run, act); err != nil {
		return "", err
	}
	if err := addAct(tx, r, row.ARN, run, row.ARN, act); err != nil {
		return "", err
	}
	if in.UpdateAt != nil {
		return row.ARN, replace(tx, row, run)
	}
	return row.ARN, s.endExecution(tx, r, row, run, false)
}
