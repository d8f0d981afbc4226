package imagebuilder

import (
	"context"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// moment is a time of an execution, absent for none.
func moment(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return date(t)
}

// window cuts a page out of a list that is short by nature.
func window[T any](all []T, at place, limit int) ([]T, *string) {
	from := min(max(int(at.After.ID), 0), len(all))
	to := min(from+limit, len(all))
	if to == len(all) {
		return all[from:], nil
	}
	return all[from:to], at.token(store.Cursor{ID: int64(to)})
}

// ownImage refuses executions of images that are not the caller's.
func (r request) ownImage(id, imageARN string) error {
	if a, ok := parseARN(imageARN); !ok || a.Account != r.Account || a.Region != r.Region {
		return notFound(id)
	}
	return nil
}

// ListWorkflowExecutions lists the workflows that ran for an image.
func (s *Service) ListWorkflowExecutions(ctx context.Context, in *api.ListWorkflowExecutionsInput) (*api.ListWorkflowExecutionsOutput, error) {
	r := s.request(ctx, "ListWorkflowExecutions")
	a, err := r.own("imageBuildVersionArn", in.ImageBuildVersionArn, image, buildForm)
	if err != nil {
		return nil, err
	}
	limit, at, err := r.begin(in.MaxResults, in.NextToken, in.ImageBuildVersionArn)
	if err != nil {
		return nil, err
	}
	out := &api.ListWorkflowExecutionsOutput{ImageBuildVersionArn: in.ImageBuildVersionArn, WorkflowExecutions: []api.WorkflowExecutionMetadata{}}
	err = s.read(ctx, func(tx *store.Tx) error {
		shape, _, err := load[api.Image](tx, a)
		if err != nil {
			return err
		}
		if shape.State != nil {
			out.Message = limited(text(shape.State.Reason), 500)
		}
		all, err := tx.WorkflowExecutions(a.String())
		if err != nil {
			return err
		}
		last := map[int]string{} // the latest execution of each workflow of the image
		for _, w := range all {
			last[w.Ordinal] = w.ID
		}
		page, next := window(all, at, limit)
		out.NextToken = next
		for _, w := range page {
			out.WorkflowExecutions = append(out.WorkflowExecutions, api.WorkflowExecutionMetadata{
				WorkflowBuildVersionArn: some(w.WorkflowARN), WorkflowExecutionId: ptr(w.ID), Type: some(api.WorkflowType(w.Type)), Status: some(api.WorkflowExecutionStatus(w.Status)),
				Message: limited(w.Message, 500), TotalStepCount: ptr(int32(w.TotalSteps)), TotalStepsSucceeded: ptr(int32(w.Succeeded)), TotalStepsFailed: ptr(int32(w.Failed)),
				TotalStepsSkipped: ptr(int32(w.Skipped)), StartTime: moment(w.Start), EndTime: moment(w.End), ParallelGroup: some(w.ParallelGroup),
				Retried: onlyTrue(last[w.Ordinal] != w.ID),
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// GetWorkflowExecution gives one run of a workflow.
func (s *Service) GetWorkflowExecution(ctx context.Context, in *api.GetWorkflowExecutionInput) (*api.GetWorkflowExecutionOutput, error) {
	r := s.request(ctx, "GetWorkflowExecution")
	var w store.WorkflowExecution
	err := s.read(ctx, func(tx *store.Tx) (err error) {
		w, err = s.execution(tx, r, text(in.WorkflowExecutionId))
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.GetWorkflowExecutionOutput{
		WorkflowBuildVersionArn: some(w.WorkflowARN), WorkflowExecutionId: ptr(w.ID), ImageBuildVersionArn: ptr(w.ImageARN), Type: some(api.WorkflowType(w.Type)),
		Status: some(api.WorkflowExecutionStatus(w.Status)), Message: limited(w.Message, 500), TotalStepCount: ptr(int32(w.TotalSteps)), TotalStepsSucceeded: ptr(int32(w.Succeeded)),
		TotalStepsFailed: ptr(int32(w.Failed)), TotalStepsSkipped: ptr(int32(w.Skipped)), StartTime: moment(w.Start), EndTime: moment(w.End), ParallelGroup: some(w.ParallelGroup),
	}, nil
}

func (s *Service) execution(tx *store.Tx, r request, id string) (store.WorkflowExecution, error) {
	w, ok, err := tx.WorkflowExecution(id)
	if err != nil {
		return w, err
	}
	if !ok {
		return w, notFound(id)
	}
	return w, r.ownImage(id, w.ImageARN)
}

// ListWorkflowStepExecutions lists the steps of a run of a workflow.
func (s *Service) ListWorkflowStepExecutions(ctx context.Context, in *api.ListWorkflowStepExecutionsInput) (*api.ListWorkflowStepExecutionsOutput, error) {
	r := s.request(ctx, "ListWorkflowStepExecutions")
	limit, at, err := r.begin(in.MaxResults, in.NextToken, in.WorkflowExecutionId)
	if err != nil {
		return nil, err
	}
	out := &api.ListWorkflowStepExecutionsOutput{WorkflowExecutionId: in.WorkflowExecutionId, Steps: []api.WorkflowStepMetadata{}}
	err = s.read(ctx, func(tx *store.Tx) error {
		w, err := s.execution(tx, r, text(in.WorkflowExecutionId))
		if err != nil {
			return err
		}
		out.WorkflowBuildVersionArn, out.ImageBuildVersionArn, out.Message = some(w.WorkflowARN), ptr(w.ImageARN), limited(w.Message, 500)
		all, err := tx.StepExecutions(w.ID)
		if err != nil {
			return err
		}
		page, next := window(all, at, limit)
		out.NextToken = next
		for _, step := range page {
			out.Steps = append(out.Steps, stepMetadata(step))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func stepMetadata(step store.StepExecution) api.WorkflowStepMetadata {
	return api.WorkflowStepMetadata{
		StepExecutionId: ptr(step.ID), Name: ptr(step.Name), Description: limited(step.Description, 500), Action: ptr(step.Action), Status: some(api.WorkflowStepExecutionStatus(step.Status)),
		RollbackStatus: some(api.WorkflowStepExecutionRollbackStatus(step.RollbackStatus)), Message: limited(step.Message, 500), Inputs: some(step.Inputs), Outputs: some(step.Outputs),
		StartTime: moment(step.Start), EndTime: moment(step.End), AttemptNumber: attempts(step.Attempt), MaxAttempts: attempts(step.MaxAttempts),
	}
}

// onlyTrue is a flag that is absent where it is false.
func onlyTrue(b bool) *bool {
	if !b {
		return nil
	}
	return &b
}

// attempts is a count of attempts, absent for steps that had none.
func attempts(n int) *int32 {
	if n == 0 {
		return nil
	}
	return ptr(int32(n))
}

// GetWorkflowStepExecution gives one step of a run of a workflow.
func (s *Service) GetWorkflowStepExecution(ctx context.Context, in *api.GetWorkflowStepExecutionInput) (*api.GetWorkflowStepExecutionOutput, error) {
	r := s.request(ctx, "GetWorkflowStepExecution")
	id := text(in.StepExecutionId)
	var step store.StepExecution
	err := s.read(ctx, func(tx *store.Tx) (err error) {
		var ok bool
		step, ok, err = tx.StepExecution(id)
		if err == nil && !ok {
			err = notFound(id)
		}
		if err == nil {
			err = r.ownImage(id, step.ImageARN)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	m := stepMetadata(step)
	return &api.GetWorkflowStepExecutionOutput{
		StepExecutionId: m.StepExecutionId, WorkflowBuildVersionArn: some(step.WorkflowARN), WorkflowExecutionId: ptr(step.WorkflowExecutionID), ImageBuildVersionArn: ptr(step.ImageARN),
		Name: m.Name, Description: m.Description, Action: m.Action, Status: m.Status, RollbackStatus: m.RollbackStatus, Message: m.Message, Inputs: m.Inputs, Outputs: m.Outputs,
		StartTime: m.StartTime, EndTime: m.EndTime, OnFailure: some(step.OnFailure), TimeoutSeconds: ptr(int32(step.TimeoutSeconds)),
		AttemptNumber: m.AttemptNumber, MaxAttempts: m.MaxAttempts,
	}, nil
}

// ListImagePackages lists the packages that were found in an image.
func (s *Service) ListImagePackages(ctx context.Context, in *api.ListImagePackagesInput) (*api.ListImagePackagesOutput, error) {
	r := s.request(ctx, "ListImagePackages")
	a, err := r.own("imageBuildVersionArn", in.ImageBuildVersionArn, image, buildForm)
	if err != nil {
		return nil, err
	}
	limit, at, err := r.begin(in.MaxResults, in.NextToken, in.ImageBuildVersionArn)
	if err != nil {
		return nil, err
	}
	out := &api.ListImagePackagesOutput{ImagePackageList: []api.ImagePackage{}}
	err = s.read(ctx, func(tx *store.Tx) error {
		if _, _, err := load[api.Image](tx, a); err != nil {
			return err
		}
		rows, err := tx.Packages(a.String(), at.After.ID, limit+1)
		if err != nil {
			return err
		}
		if len(rows) > limit {
			rows = rows[:limit]
			out.NextToken = at.token(store.Cursor{ID: at.After.ID + int64(limit)})
		}
		for _, p := range rows {
			out.ImagePackageList = append(out.ImagePackageList, api.ImagePackage{PackageName: limited(p.Name, 1024), PackageVersion: limited(p.Version, 1024)})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
