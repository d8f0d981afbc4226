package imagebuilder

import (
	"cmp"
	"context"
	"fmt"
	"unicode/utf8"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Status gives the state of an image.
func (s *Service) Status(ctx context.Context, imageARN string) (status engine.Status, err error) {
	err = s.read(ctx, func(tx *store.Tx) error {
		row, ok, err := tx.Resource(imageARN)
		if err == nil && !ok {
			err = notFound(imageARN)
		}
		status = engine.Status(row.Status)
		return err
	})
	return status, err
}

// CancelRequested reports whether CancelImageCreation was called.
func (s *Service) CancelRequested(ctx context.Context, imageARN string) (requested bool, err error) {
	err = s.read(ctx, func(tx *store.Tx) error {
		requested, err = tx.CancelRequested(imageARN)
		return err
	})
	return requested, err
}

// recorded reads the image that the engine reports on.
func recorded(tx *store.Tx, imageARN string) (*api.Image, store.Resource, error) {
	a, ok := parseARN(imageARN)
	if !ok || a.Kind != image || a.form != buildForm {
		return nil, store.Resource{}, fmt.Errorf("%q is not the ARN of an image", imageARN)
	}
	return load[api.Image](tx, a)
}

// Transition moves an image to a state, and its pipeline's lastRunStatus with it
// if it is the pipeline's last run.
func (s *Service) Transition(ctx context.Context, tx *store.Tx, imageARN string, to engine.Status, reason string, failure *engine.Failure) error {
	shape, row, err := recorded(tx, imageARN)
	if err != nil {
		return err
	}
	if engine.Status(row.Status).Terminal() {
		return fault.New(api.CodeInvalidRequest, "The image '%s' is in state %s and cannot go to %s.", imageARN, row.Status, to)
	}
	shape.State = &api.ImageState{Status: ptr(api.ImageStatus(to))}
	if to == engine.Failed || to == engine.Cancelled {
		shape.State.Reason = limited(reason, 1024)
	}
	if to == engine.Failed {
		shape.State.FailureContext = failureContext(failure)
	}
	from := engine.Status(row.Status)
	row.Status, row.Updated = string(to), s.now()
	if err := replace(tx, row, shape); err != nil {
		return err
	}
	a, _ := parseARN(imageARN)
	if err := s.tell(ctx, tx, a, shape, from, to); err != nil {
		return err
	}
	return s.reportToPipeline(ctx, tx, row, shape, to)
}

// reportToPipeline keeps lastRunStatus and the count of failures: a success sets
// it back, a scheduled failure counts, a manual one does not (User Guide, "Use
// cron expressions").
func (s *Service) reportToPipeline(ctx context.Context, tx *store.Tx, imageRow store.Resource, shape *api.Image, to engine.Status) error {
	if imageRow.Parent == "" {
		return nil
	}
	row, ok, err := tx.Resource(imageRow.Parent)
	if err != nil || !ok {
		return err
	}
	p, err := decode[api.ImagePipeline](row)
	if err != nil {
		return err
	}
	if text(p.DateLastRun) == text(shape.DateCreated) {
		p.LastRunStatus = ptr(api.ImageStatus(to))
	}
	switch {
	case to == engine.Available:
		p.ConsecutiveFailures = ptr(int32(0))
	case to == engine.Failed && or(shape.BuildType, "") == api.BuildTypeScheduled:
		if err := s.countFailure(ctx, tx, p, &row); err != nil {
			return err
		}
	}
	return replace(tx, row, p)
}

// Outputs replaces the AMIs of an image.
func (s *Service) Outputs(_ context.Context, tx *store.Tx, imageARN string, amis []engine.OutputAMI) error {
	shape, row, err := recorded(tx, imageARN)
	if err != nil {
		return err
	}
	shape.OutputResources = &api.OutputResources{}
	for _, a := range amis {
		shape.OutputResources.Amis = append(shape.OutputResources.Amis, api.Ami{
			Region: ptr(a.Region), Image: ptr(a.AMI), Name: some(a.Name), Description: some(a.Description), AccountId: some(a.Account),
		})
	}
	return replace(tx, row, shape)
}

// Metadata records the OS and the packages of an image.
func (s *Service) Metadata(_ context.Context, tx *store.Tx, imageARN, osVersion string, packages []engine.Package) error {
	shape, row, err := recorded(tx, imageARN)
	if err != nil {
		return err
	}
	shape.OsVersion = some(osVersion)
	if err := replace(tx, row, shape); err != nil {
		return err
	}
	rows := make([]store.Package, 0, len(packages))
	for _, p := range packages {
		rows = append(rows, store.Package{Name: p.Name, Version: p.Version})
	}
	return tx.PutPackages(imageARN, rows)
}

// limited gives a member of at most n characters, absent for none.
func limited(s string, n int) *string {
	if utf8.RuneCountInString(s) > n {
		s = string([]rune(s)[:n])
	}
	return some(s)
}

// failureContext is the engine's account of a failure in the API's shape.
func failureContext(f *engine.Failure) *api.ImageFailureContext {
	if f == nil {
		return nil
	}
	out := &api.ImageFailureContext{
		ImageStatus: some(api.ImageStatus(f.ImageStatus)), WorkflowExecutionId: some(f.WorkflowExecutionID), WorkflowArn: some(f.WorkflowARN), StepExecutionId: some(f.StepExecutionID),
		FailedStep: some(f.FailedStep),
	}
	if c := f.Component; c != nil {
		out.ComponentFailure = &api.ComponentFailureContext{
			ComponentArn: some(c.ComponentARN), PhaseName: limited(c.Phase, 1024), StepName: limited(c.Step, 1024), Action: limited(c.Action, 1024), ErrorMessage: limited(c.ErrorMessage, 384000),
		}
	}
	if d := f.Distribution; d != nil {
		out.DistributionFailure = &api.DistributionFailureContext{ErrorMessage: limited(d.ErrorMessage, 384000)}
		for _, region := range d.Regions {
			out.DistributionFailure.RegionFailures = append(out.DistributionFailure.RegionFailures, api.RegionFailure{
				Region: some(region.Region), Status: ptr(api.RegionFailureStatus(cmp.Or(region.Status, "FAILED"))), ImageConfigurationStep: some(api.ImageConfigurationStep(region.Step)),
				ErrorMessage: limited(region.ErrorMessage, 384000), TargetAccountId: some(region.Account),
			})
		}
	}
	return out
}
