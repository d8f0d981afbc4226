package imagebuilder

import (
	"context"
	"errors"
	"fmt"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// executionLife is how long the records of a policy's executions are kept.
const executionLife = 90 * 24 * time.Hour

// RunLifecycles runs the policies that are due, and goes on with executions that
// are not finished, such as those that a crash left, until ctx ends.
func (s *Service) RunLifecycles(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := s.LifecyclesDue(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("running lifecycle policies failed", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// LifecyclesDue does what is due now.
func (s *Service) LifecyclesDue(ctx context.Context) error {
	var policies, executions []store.Resource
	err := s.read(ctx, func(tx *store.Tx) (err error) {
		policies, err = tx.DueBy(lifecyclePolicy, s.now(), dueAtOnce)
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, row := range policies {
		if err := s.runPolicy(ctx, row); err != nil {
			errs = append(errs, fmt.Errorf("running %s: %w", row.ARN, err))
		}
	}
	err = s.read(ctx, func(tx *store.Tx) (err error) {
		executions, err = tx.DueBy(lifecycleExecution, s.now(), dueAtOnce)
		return err
	})
	errs = append(errs, err)
	for _, row := range executions {
		if err := s.continueExecution(ctx, row); err != nil {
			errs = append(errs, fmt.Errorf("going on with %s: %w", row.ARN, err))
		}
	}
	return errors.Join(errs...)
}

// lifecycleRequest acts for the owner of a policy or an execution.
func (s *Service) lifecycleRequest(row store.Resource) request {
	return request{
		Caller: identity.Caller{Account: row.Account, Region: row.Region, ARN: "the lifecycle policy " + row.ARN}, operation: "StartResourceStateUpdate",
		now: s.now().UTC().Truncate(time.Millisecond),
	}
}

// runPolicy begins an execution of a policy: the images and what is to be done
// to them are fixed in one transaction, and done one by one afterwards.
func (s *Service) runPolicy(ctx context.Context, due store.Resource) error {
	r := s.lifecycleRequest(due)
	policy, err := decode[api.LifecyclePolicy](due)
	if err != nil {
		return err
	}
	images, err := s.selected(ctx, r, policy)
	if err != nil {
		return err
	}
	images, verdicts := judge(policy.PolicyDetails, images, r.now)
	return s.write(ctx, func(tx *store.Tx) error {
		row, ok, err := tx.Resource(due.ARN)
		if err != nil || !ok || !row.Due.Equal(due.Due) {
			return err // deleted or changed meanwhile
		}
		row.Due = r.now.Add(lifecycleEvery)
		last, ok, err := tx.LastChild(row.ARN)
		if err != nil {
			return err
		}
		if ok && !last.Due.IsZero() {
			return tx.Update(row) // its last execution goes on
		}
		policy.DateLastRun = shape.At(r.now)
		if err := replace(tx, row, policy); err != nil {
			return err
		}
		if err := forgetExecutions(tx, row.ARN, r.now.Add(-executionLife)); err != nil {
			return err
		}
		return s.beginPolicyRun(tx, r, row.ARN, images, verdicts)
	})
}

func (s *Service) beginPolicyRun(tx *store.Tx, r request, policyARN string, images []candidate, verdicts map[string]verdict) error {
	run := &lifecycleRun{}
	run.LifecyclePolicyArn, run.State = ptr(policyARN), &api.LifecycleExecutionState{Status: ptr(api.LifecycleExecutionStatusInProgress)}
	row, err := beginExecution(tx, r, policyARN, run, store.Resource{Due: r.now})
	if err != nil {
		return err
	}
	for _, c := range images {
		v := verdicts[c.arn]
		act := &lifecycleAct{LifecycleExecutionResource: api.LifecycleExecutionResource{
			AccountId: ptr(r.Account), ResourceId: ptr(c.arn), Region: ptr(r.Region), StartTime: shape.At(r.now),
			Action: &api.LifecycleExecutionResourceAction{Name: ptr(api.LifecycleExecutionResourceActionName(*v.rule.Action.Type)), Reason: limited(v.reason, 1024)},
			State:  &api.LifecycleExecutionResourceState{Status: ptr(api.LifecycleExecutionResourceStatusInProgress)},
		}}
		if inc := v.rule.Action.IncludeResources; inc != nil {
			act.Include = api.ResourceStateUpdateIncludeResources(*inc)
		}
		if v.rule.ExclusionRules != nil {
			act.Exclude = v.rule.ExclusionRules.Amis
		}
		if err := addAct(tx, r, row.ARN, run, row.ARN, act); err != nil {
			return err
		}
	}
	if len(images) == 0 {
		return s.endExecution(tx, r, row, run, false)
	}
	return replace(tx, row, run)
}

// selected gives the images that a policy selects and that are not being made.
func (s *Service) selected(ctx context.Context, r request, p *api.LifecyclePolicy) ([]candidate, error) {
	want := api.ImageTypeAmi
	if or(p.ResourceType, "") == api.LifecyclePolicyResourceTypeContainerImage {
		want = api.ImageTypeDocker
	}
	var queries []store.Query
	all := store.Query{Kind: image, Account: r.Account, Region: r.Region}
	if p.ResourceSelection.Recipes == nil {
		queries = append(queries, all)
	}
	for _, recipe := range p.ResourceSelection.Recipes {
		v, err := parseVersion(text(recipe.SemanticVersion))
		if err != nil {
			return nil, err
		}
		q := all
		q.Name, q.Pattern = normalise(text(recipe.Name)), &v
		queries = append(queries, q)
	}
	var images []candidate
	seen := make(map[string]bool)
	for _, q := range queries {
		err := s.each(ctx, q, func(row store.Resource) error {
			img, err := decode[api.Image](row)
			if err != nil || seen[row.ARN] || or(img.Type, api.ImageTypeAmi) != want {
				return err
			}
			if tags := p.ResourceSelection.TagMap; tags != nil {
				if _, ok := sharedTag(tags, img.Tags); !ok {
					return nil
				}
			}
			for _, state := range unfinished {
				if row.Status == state {
					return nil
				}
			}
			seen[row.ARN] = true
			images = append(images, candidate{row.ARN, row.Name + "/" + versionText(row.Version), api.ImageStatus(row.Status), row.Created, img.Tags})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return images, nil
}

// each calls fn with the rows of a list, reading them page by page so that no
// transaction is long.
func (s *Service) each(ctx context.Context, q store.Query, fn func(store.Resource) error) error {
	q.Limit = 200
	for {
		var rows []store.Resource
		err := s.read(ctx, func(tx *store.Tx) (err error) {
			rows, err = tx.List(q)
			return err
		})
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := fn(row); err != nil {
				return err
			}
			q.After = row.Cursor()
		}
		if len(rows) < q.Limit {
			return nil
		}
	}
}
