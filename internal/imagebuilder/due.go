package imagebuilder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// lookEvery is how often the schedules are looked at. Amazon promises a start
// within a minute of the match.
const lookEvery = 5 * time.Second

// dueAtOnce is how many pipelines are read at once.
const dueAtOnce = 500

// RunSchedules starts the pipelines whose schedules are due, and runs lifecycle
// policies, until ctx ends. A pipeline that was due while the server was down is
// started once when it is up again.
func (s *Service) RunSchedules(ctx context.Context) {
	var lifecycles sync.WaitGroup
	lifecycles.Go(func() { s.RunLifecycles(ctx) })
	defer lifecycles.Wait()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := s.StartDue(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("looking for schedules that are due failed", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// StartDue starts the pipelines that are due now, or passes over those that
// wait for updates of what they use when there are none.
func (s *Service) StartDue(ctx context.Context) error {
	for {
		n, err := s.startSome(ctx)
		if n < dueAtOnce || err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// startSome is StartDue for the pipelines that are due the longest; it says how
// many it has looked at. Several servers take them in orders of their own, so that
// they do not all wait for each other over the same one.
func (s *Service) startSome(ctx context.Context) (int, error) {
	var due []store.Resource
	err := s.read(ctx, func(tx *store.Tx) (err error) {
		due, err = tx.DueBy(pipeline, s.now(), dueAtOnce)
		return err
	})
	if err != nil {
		return 0, err
	}
	rand.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
	var errs []error
	for _, row := range due {
		if ctx.Err() != nil {
			break
		}
		if err := s.runDue(ctx, row); err != nil {
			errs = append(errs, fmt.Errorf("running the schedule of %s: %w", row.ARN, err))
		}
	}
	return len(due), errors.Join(errs...)
}

// runDue starts one pipeline and sets the time at which it is due next, in one
// transaction, so that a crash neither forgets nor repeats a start.
func (s *Service) runDue(ctx context.Context, due store.Resource) error {
	// The schedule acts for the pipeline's owner.
	r := request{Caller: identity.Caller{Account: due.Account, Region: due.Region, ARN: "the schedule of " + due.ARN}, operation: "StartImagePipelineExecution", now: s.now().UTC().Truncate(time.Millisecond)}
	why, err := s.whyBuild(ctx, r, due)
	if err != nil {
		return err
	}
	taken := false
	err = s.write(ctx, func(tx *store.Tx) error {
		row, ok, err := tx.Resource(due.ARN)
		if err != nil || !ok || !row.Due.Equal(due.Due) {
			return err // deleted, changed, or started by another server
		}
		taken = true
		if row.Due, err = s.dueAgain(row, r.now); err != nil {
			return err
		}
		if err := tx.Update(row); err != nil || why == "" {
			return err
		}
		p, err := decode[api.ImagePipeline](row)
		if err != nil {
			return err
		}
		_, err = s.startPipeline(ctx, tx, r, p, row, api.BuildTypeScheduled, nil)
		return err
	})
	switch {
	case fault.Code(err) != "":
		s.log.Warn("a scheduled start was refused", "pipeline", due.ARN, "err", err)
		return s.passOver(ctx, r, due)
	case err != nil || !taken:
		return err
	case why == "":
		s.log.Info("a schedule is due and nothing that the pipeline uses was updated: no build", "pipeline", due.ARN)
	default:
		s.log.Info("started by schedule", "pipeline", due.ARN, "why", why)
	}
	return nil
}

// dueAgain gives the time after now at which a pipeline's schedule is due.
func (s *Service) dueAgain(row store.Resource, now time.Time) (time.Time, error) {
	p, err := decode[api.ImagePipeline](row)
	if err != nil {
		return time.Time{}, err
	}
	next, _ := nextRun(p, setAt(p), now)
	return next, nil
}

// passOver counts a start that was refused as a failure and waits for the next
// match.
func (s *Service) passOver(ctx context.Context, r request, due store.Resource) error {
	return s.write(ctx, func(tx *store.Tx) error {
		row, ok, err := tx.Resource(due.ARN)
		if err != nil || !ok || !row.Due.Equal(due.Due) {
			return err // deleted, changed, or passed over by another server
		}
		if row.Due, err = s.dueAgain(row, r.now); err != nil {
			return err
		}
		p, err := decode[api.ImagePipeline](row)
		if err != nil {
			return err
		}
		if err := s.countFailure(ctx, tx, p, &row); err != nil {
			return err
		}
		return replace(tx, row, p)
	})
}

// defaultFailures is how many scheduled failures in a row disable a pipeline
// that has no policy (API Reference, AutoDisablePolicy).
const defaultFailures = 5

// countFailure counts a scheduled failure, and disables the pipeline when there
// were too many in a row.
func (s *Service) countFailure(ctx context.Context, tx *store.Tx, p *api.ImagePipeline, row *store.Resource) error {
	limit := int32(defaultFailures)
	if p.Schedule != nil && p.Schedule.AutoDisablePolicy != nil {
		limit = or(p.Schedule.AutoDisablePolicy.FailureCount, limit)
	}
	p.ConsecutiveFailures = ptr(or(p.ConsecutiveFailures, 0) + 1)
	if *p.ConsecutiveFailures >= limit && or(p.Status, api.PipelineStatusEnabled) == api.PipelineStatusEnabled {
		p.Status = ptr(api.PipelineStatusDisabled)
		row.Status, row.Due = text(p.Status), time.Time{}
		s.log.Warn("a pipeline was disabled after failures in a row", "pipeline", row.ARN, "failures", *p.ConsecutiveFailures)
		return s.tellDisabled(ctx, tx, *row, *p.ConsecutiveFailures)
	}
	return nil
}

// whyBuild says why a pipeline whose schedule is due shall build; "" if it shall
// not, because it waits for updates of its parent image and components, and the
// last image was made of the same ones.
func (s *Service) whyBuild(ctx context.Context, r request, due store.Resource) (why string, err error) {
	p, err := decode[api.ImagePipeline](due)
	if err != nil {
		return "", err
	}
	if p.Schedule != nil && or(p.Schedule.PipelineExecutionStartCondition, "") == api.PipelineExecutionStartConditionExpressionMatchOnly {
		return "the schedule matches", nil
	}
	err = s.read(ctx, func(tx *store.Tx) error {
		last, ok, err := tx.LastChild(due.ARN)
		if err != nil {
			return err
		}
		if !ok || !slices.Contains(made, last.Status) {
			why = "there is no image of its last run"
			return nil
		}
		encoded, ok, err := tx.Plan(last.ARN)
		if err != nil {
			return err
		}
		var before engine.Plan
		if !ok || json.Unmarshal(encoded, &before) != nil {
			why = "what its last run used is not known"
			return nil
		}
		why = s.updated(ctx, tx, r, p, before)
		return nil
	})
	return why, err
}

// made are the states of an image that was made, and that may have been taken
// out of use since.
var made = []string{string(api.ImageStatusAvailable), string(api.ImageStatusDeprecated), string(api.ImageStatusDisabled)}

// updated names what a pipeline would use now and did not before. What cannot
// be resolved is left to the build to report.
func (s *Service) updated(ctx context.Context, tx *store.Tx, r request, p *api.ImagePipeline, before engine.Plan) string {
	parts, err := s.parts(tx, r, p.ImageRecipeArn, p.ContainerRecipeArn, p.InfrastructureConfigurationArn, p.DistributionConfigurationArn)
	if err != nil {
		return "what it uses has changed: " + err.Error()
	}
	of := parts.of()
	if text(of.arn) != before.Image.Recipe {
		return "a newer recipe: " + text(of.arn)
	}
	parent, _, err := s.planParent(ctx, tx, r, text(of.parent))
	if err != nil {
		return "its parent image has changed: " + err.Error()
	}
	if parent.Snapshot != before.Parent.Snapshot {
		return "a newer parent image: " + parent.ARN
	}
	components, err := s.planComponents(tx, r, of.components, nil)
	if err != nil || len(components) != len(before.Components) {
		return "its components have changed"
	}
	for i, c := range components {
		if c.ARN != before.Components[i].ARN {
			return "a newer component: " + c.ARN
		}
	}
	return ""
}
