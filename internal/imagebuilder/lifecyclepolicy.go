package imagebuilder

import (
	"context"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// CreateLifecyclePolicy stores a policy. An enabled one runs daily.
func (s *Service) CreateLifecyclePolicy(ctx context.Context, in *api.CreateLifecyclePolicyInput) (*api.CreateLifecyclePolicyOutput, error) {
	r := s.request(ctx, "CreateLifecyclePolicy")
	a := newARN(store.Key{Kind: lifecyclePolicy, Account: r.Account, Region: r.Region, Name: normalise(text(in.Name))}, nameOnly, store.Version{})
	policy := &api.LifecyclePolicy{
		Arn: ptr(a.String()), Name: in.Name, Description: in.Description, Status: ptr(or(in.Status, api.LifecyclePolicyStatusEnabled)), ExecutionRole: in.ExecutionRole, ResourceType: in.ResourceType,
		PolicyDetails: in.PolicyDetails, ResourceSelection: in.ResourceSelection, DateCreated: shape.At(r.now), DateUpdated: shape.At(r.now), Tags: in.Tags,
	}
	if err := r.checkLifecyclePolicy(policy); err != nil {
		return nil, err
	}
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.CreateLifecyclePolicyOutput, error) {
		if err := s.create(tx, r, a, policy, in.DryRun); err != nil {
			return nil, err
		}
		if err := s.settlePolicy(tx, r, a, policy); err != nil {
			return nil, err
		}
		return &api.CreateLifecyclePolicyOutput{ClientToken: in.ClientToken, LifecyclePolicyArn: policy.Arn}, nil
	})
}

// How often policies run, and how long after a policy was enabled it runs for
// the first time: time to correct one that was not meant so.
const (
	lifecycleEvery = 24 * time.Hour
	lifecycleFirst = time.Hour
)

// settlePolicy sets when a policy runs next, if it is enabled and has no such time
// yet.
func (s *Service) settlePolicy(tx *store.Tx, r request, a arn, policy *api.LifecyclePolicy) error {
	_, row, err := load[api.LifecyclePolicy](tx, a)
	if err != nil {
		return err
	}
	row.Status, row.Updated = text(policy.Status), r.now
	switch {
	case or(policy.Status, "") != api.LifecyclePolicyStatusEnabled:
		row.Due = time.Time{}
	case row.Due.IsZero():
		row.Due = r.now.Add(lifecycleFirst)
	}
	return replace(tx, row, policy)
}

// UpdateLifecyclePolicy replaces all of a policy but its name and tags.
func (s *Service) UpdateLifecyclePolicy(ctx context.Context, in *api.UpdateLifecyclePolicyInput) (*api.UpdateLifecyclePolicyOutput, error) {
	r := s.request(ctx, "UpdateLifecyclePolicy")
	a, err := r.own("lifecyclePolicyArn", in.LifecyclePolicyArn, lifecyclePolicy, nameOnly)
	if err != nil {
		return nil, err
	}
	policy := &api.LifecyclePolicy{
		Arn: ptr(a.String()), Description: in.Description, Status: ptr(or(in.Status, api.LifecyclePolicyStatusEnabled)), ExecutionRole: in.ExecutionRole, ResourceType: in.ResourceType,
		PolicyDetails: in.PolicyDetails, ResourceSelection: in.ResourceSelection, DateUpdated: shape.At(r.now),
	}
	if err := r.checkLifecyclePolicy(policy); err != nil {
		return nil, err
	}
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.UpdateLifecyclePolicyOutput, error) {
		before, _, err := load[api.LifecyclePolicy](tx, a)
		if err != nil {
			return nil, err
		}
		policy.Name, policy.Tags, policy.DateCreated, policy.DateLastRun = before.Name, before.Tags, before.DateCreated, before.DateLastRun
		if err := s.settlePolicy(tx, r, a, policy); err != nil {
			return nil, err
		}
		return &api.UpdateLifecyclePolicyOutput{LifecyclePolicyArn: policy.Arn}, nil
	})
}

// GetLifecyclePolicy gives a policy.
func (s *Service) GetLifecyclePolicy(ctx context.Context, in *api.GetLifecyclePolicyInput) (*api.GetLifecyclePolicyOutput, error) {
	r := s.request(ctx, "GetLifecyclePolicy")
	policy, err := get[api.LifecyclePolicy](ctx, s, r, "lifecyclePolicyArn", in.LifecyclePolicyArn, lifecyclePolicy)
	if err != nil {
		return nil, err
	}
	return &api.GetLifecyclePolicyOutput{LifecyclePolicy: policy}, nil
}

// The names of these filters begin with a capital letter, unlike all others
// (API Reference, ListLifecyclePolicies).
var lifecyclePolicyFilters = filters[api.LifecyclePolicy]{
	"Name":   func(x *api.LifecyclePolicy) []string { return []string{text(x.Name)} },
	"Status": func(x *api.LifecyclePolicy) []string { return []string{text(x.Status)} },
}

// ListLifecyclePolicies lists policies by name.
func (s *Service) ListLifecyclePolicies(ctx context.Context, in *api.ListLifecyclePoliciesInput) (*api.ListLifecyclePoliciesOutput, error) {
	r := s.request(ctx, "ListLifecyclePolicies")
	keep, err := lifecyclePolicyFilters.test(in.Filters)
	if err != nil {
		return nil, err
	}
	limit, at, err := r.begin(in.MaxResults, in.NextToken, in.Filters)
	if err != nil {
		return nil, err
	}
	page, next, err := list(ctx, s, store.Query{Kind: lifecyclePolicy, Account: r.Account, Region: r.Region}, at, limit, keep)
	if err != nil {
		return nil, err
	}
	out := &api.ListLifecyclePoliciesOutput{LifecyclePolicySummaryList: []api.LifecyclePolicySummary{}, NextToken: next}
	for _, e := range page {
		x := e.shape
		out.LifecyclePolicySummaryList = append(out.LifecyclePolicySummaryList, api.LifecyclePolicySummary{
			Arn: x.Arn, Name: x.Name, Description: x.Description, Status: x.Status, ExecutionRole: x.ExecutionRole, ResourceType: x.ResourceType, DateCreated: x.DateCreated,
			DateUpdated: x.DateUpdated, DateLastRun: x.DateLastRun, Tags: x.Tags,
		})
	}
	return out, nil
}

// DeleteLifecyclePolicy deletes a policy. What it did stays done, and the
// records of its executions stay until they are too old.
func (s *Service) DeleteLifecyclePolicy(ctx context.Context, in *api.DeleteLifecyclePolicyInput) (*api.DeleteLifecyclePolicyOutput, error) {
	r := s.request(ctx, "DeleteLifecyclePolicy")
	a, err := r.own("lifecyclePolicyArn", in.LifecyclePolicyArn, lifecyclePolicy, nameOnly)
	if err != nil {
		return nil, err
	}
	if err := s.write(ctx, func(tx *store.Tx) error { return s.remove(tx, a) }); err != nil {
		return nil, err
	}
	return &api.DeleteLifecyclePolicyOutput{LifecyclePolicyArn: in.LifecyclePolicyArn}, nil
}
