package imagebuilder

import (
	"context"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// Kinds of rows that are no resources of the API: an execution is a child of
// the policy or the image that it is of, and what it acts on are its children.
// What it did to the AMIs of an image are children of both: "EXECUTION/IMAGE".
const (
	lifecycleExecution store.Kind = "lifecycle-execution"
	lifecycleItem      store.Kind = "lifecycle-item"
)

// lifecycleRun is the document of an execution. Its row is due while there is
// something left to do.
type lifecycleRun struct {
	api.LifecycleExecution
	Items int `json:"items"` // how many it has
}

// lifecycleAct is the document of one thing that an execution does.
type lifecycleAct struct {
	api.LifecycleExecutionResource
	Include api.ResourceStateUpdateIncludeResources      `json:"include,omitzero"`
	Exclude *api.LifecyclePolicyDetailExclusionRulesAmis `json:"exclude,omitzero"`
}

// beginExecution adds the row of an execution that belongs to a policy or an
// image.
func beginExecution(tx *store.Tx, r request, of string, run *lifecycleRun, row store.Resource) (store.Resource, error) {
	id := "lce-" + uuid.NewString()
	run.LifecycleExecutionId, run.StartTime = ptr(id), shape.At(r.now)
	run.ResourcesImpactedSummary = &api.LifecycleExecutionResourcesImpactedSummary{HasImpactedResources: ptr(false)}
	row.Key = store.Key{Kind: lifecycleExecution, Account: r.Account, Region: r.Region, Name: id}
	row.ARN, row.Parent, row.Created, row.Status = id, of, r.now, text(run.State.Status)
	doc, err := encode(run)
	if err != nil {
		return row, err
	}
	row.Doc = doc
	return row, tx.Insert(row)
}

// addAct adds a row for something that an execution does, below parent.
func addAct(tx *store.Tx, r request, execution string, run *lifecycleRun, parent string, act *lifecycleAct) error {
	run.Items++
	name := fmt.Sprintf("%s-%s", execution, strconv.Itoa(run.Items))
	doc, err := encode(act)
	if err != nil {
		return err
	}
	return tx.Insert(store.Resource{
		Key: store.Key{Kind: lifecycleItem, Account: r.Account, Region: r.Region, Name: name}, ARN: name, Parent: parent, Created: r.now, Status: text(act.State.Status), Doc: doc,
	})
}

// execution reads an execution of the caller's account and region.
func (r request) execution(tx *store.Tx, id string) (*lifecycleRun, store.Resource, error) {
	row, ok, err := tx.Resource(id)
	if err != nil {
		return nil, row, err
	}
	if !ok || row.Kind != lifecycleExecution || row.Account != r.Account || row.Region != r.Region {
		return nil, row, notFound(id)
	}
	run, err := decode[lifecycleRun](row)
	return run, row, err
}

// GetLifecycleExecution gives an execution.
func (s *Service) GetLifecycleExecution(ctx context.Context, in *api.GetLifecycleExecutionInput) (*api.GetLifecycleExecutionOutput, error) {
	r := s.request(ctx, "GetLifecycleExecution")
	out := &api.GetLifecycleExecutionOutput{}
	err := s.read(ctx, func(tx *store.Tx) error {
		run, _, err := r.execution(tx, text(in.LifecycleExecutionId))
		if err == nil {
			out.LifecycleExecution = &run.LifecycleExecution
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListLifecycleExecutions lists the executions of a policy, or those that were
// started for an image, in the order in which they began.
func (s *Service) ListLifecycleExecutions(ctx context.Context, in *api.ListLifecycleExecutionsInput) (*api.ListLifecycleExecutionsOutput, error) {
	r := s.request(ctx, "ListLifecycleExecutions")
	kind, form := lifecyclePolicy, nameOnly
	if a, ok := parseARN(text(in.ResourceArn)); ok && a.Kind == image {
		kind, form = image, buildForm
	}
	a, err := r.own("resourceArn", in.ResourceArn, kind, form)
	if err != nil {
		return nil, err
	}
	limit, at, err := r.begin(in.MaxResults, in.NextToken, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	out := &api.ListLifecycleExecutionsOutput{LifecycleExecutions: []api.LifecycleExecution{}}
	err = s.read(ctx, func(tx *store.Tx) error {
		page, next, err := collect(at, limit, func(*lifecycleRun) bool { return true }, func(after store.Cursor, n int) ([]store.Resource, error) { return tx.Children(a.String(), after, n) })
		if err != nil {
			return err
		}
		for _, e := range page {
			out.LifecycleExecutions = append(out.LifecycleExecutions, e.shape.LifecycleExecution)
		}
		out.NextToken = next
		if len(page) > 0 {
			return nil
		}
		// What was deleted may still have executions; what never was has none.
		if _, ok, err := tx.Resource(a.String()); err != nil || ok {
			return err
		}
		return notFound(a.String())
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListLifecycleExecutionResources lists what an execution acts on: the images,
// or with parentResourceId the AMIs of one of them.
func (s *Service) ListLifecycleExecutionResources(ctx context.Context, in *api.ListLifecycleExecutionResourcesInput) (*api.ListLifecycleExecutionResourcesOutput, error) {
	r := s.request(ctx, "ListLifecycleExecutionResources")
	id := text(in.LifecycleExecutionId)
	limit, at, err := r.begin(in.MaxResults, in.NextToken, id, in.ParentResourceId)
	if err != nil {
		return nil, err
	}
	parent := id
	if in.ParentResourceId != nil {
		parent += "/" + *in.ParentResourceId
	}
	out := &api.ListLifecycleExecutionResourcesOutput{LifecycleExecutionId: in.LifecycleExecutionId, Resources: []api.LifecycleExecutionResource{}}
	err = s.read(ctx, func(tx *store.Tx) error {
		run, _, err := r.execution(tx, id)
		if err != nil {
			return err
		}
		page, next, err := collect(at, limit, func(*lifecycleAct) bool { return true }, func(after store.Cursor, n int) ([]store.Resource, error) { return tx.Children(parent, after, n) })
		for _, e := range page {
			out.Resources = append(out.Resources, e.shape.LifecycleExecutionResource)
		}
		out.LifecycleExecutionState, out.NextToken = run.State, next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// CancelLifecycleExecution ends an execution that has not ended. What it did
// stays done.
func (s *Service) CancelLifecycleExecution(ctx context.Context, in *api.CancelLifecycleExecutionInput) (*api.CancelLifecycleExecutionOutput, error) {
	r := s.request(ctx, "CancelLifecycleExecution")
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.CancelLifecycleExecutionOutput, error) {
		run, row, err := r.execution(tx, text(in.LifecycleExecutionId))
		if err != nil {
			return nil, err
		}
		switch status := or(run.State.Status, ""); status {
		case api.LifecycleExecutionStatusInProgress:
			run.State = &api.LifecycleExecutionState{Status: ptr(api.LifecycleExecutionStatusCancelling)}
			row.Status = text(run.State.Status)
			err = replace(tx, row, run)
		case api.LifecycleExecutionStatusPending:
			err = s.endExecution(tx, r, row, run, true)
		default:
			err = fault.New(api.CodeInvalidRequest, "The lifecycle execution '%s' is in state %s and can no longer be cancelled.", row.ARN, status)
		}
		if err != nil {
			return nil, err
		}
		return &api.CancelLifecycleExecutionOutput{LifecycleExecutionId: in.LifecycleExecutionId}, nil
	})
}
