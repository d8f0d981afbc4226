package store

import "time"

// WorkflowExecution is one run of a workflow for an image: what the API shows
// and where the engine goes on after a crash.
type WorkflowExecution struct {
	ID            string // "wf-" and a UUID
	ImageARN      string
	WorkflowARN   string
	Type          string // BUILD, TEST, DISTRIBUTION
	Status        string
	Message       string
	ParallelGroup string
	TotalSteps    int
	Succeeded     int
	Failed        int
	Skipped       int
	Start         time.Time
	End           time.Time // zero: still running
	Ordinal       int       // its place among those of the image
}

// StepExecution is one step of a WorkflowExecution.
type StepExecution struct {
	ID                  string // "step-" and a UUID
	WorkflowExecutionID string
	ImageARN            string
	WorkflowARN         string
	Name                string
	Description         string
	Action              string
	Status              string
	RollbackStatus      string
	Message             string
	Inputs              string // JSON
	Outputs             string // JSON
	OnFailure           string
	TimeoutSeconds      int
	Attempt             int
	MaxAttempts         int
	Start               time.Time
	End                 time.Time
	Ordinal             int // its place in the workflow
}

const (
	workflowColumns = `id, image_arn, workflow_arn, type, status, message, parallel_group, total, succeeded, failed, skipped, started, ended, ordinal`
	stepColumns     = `id, workflow_execution, image_arn, workflow_arn, name, description, action, status, rollback_status, message, inputs, outputs, on_failure, timeout_seconds, attempt, max_attempts, started, ended, ordinal`
)

var (
	putWorkflow = define(`INSERT INTO workflow_execution (` + workflowColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET image_arn = excluded.image_arn, workflow_arn = excluded.workflow_arn, type = excluded.type, status = excluded.status,
		message = excluded.message, parallel_group = excluded.parallel_group, total = excluded.total, succeeded = excluded.succeeded, failed = excluded.failed,
		skipped = excluded.skipped, started = excluded.started, ended = excluded.ended, ordinal = excluded.ordinal`)
	selectWorkflow  = define(`SELECT ` + workflowColumns + ` FROM workflow_execution WHERE id = ?`)
	selectWorkflows = define(`SELECT ` + workflowColumns + ` FROM workflow_execution WHERE image_arn = ? ORDER BY ordinal, started, id`)

	putStep = define(`INSERT INTO step_execution (` + stepColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET workflow_execution = excluded.workflow_execution, image_arn = excluded.image_arn, workflow_arn = excluded.workflow_arn,
		name = excluded.name, description = excluded.description, action = excluded.action, status = excluded.status, rollback_status = excluded.rollback_status,
		message = excluded.message, inputs = excluded.inputs, outputs = excluded.outputs, on_failure = excluded.on_failure, timeout_seconds = excluded.timeout_seconds,
		attempt = excluded.attempt, max_attempts = excluded.max_attempts, started = excluded.started, ended = excluded.ended, ordinal = excluded.ordinal`)
	selectStep  = define(`SELECT ` + stepColumns + ` FROM step_execution WHERE id = ?`)
	selectSteps = define(`SELECT ` + stepColumns + ` FROM step_execution WHERE workflow_execution = ? ORDER BY ordinal, started, id`)

	selectWaiting = define(`SELECT ` + stepColumns + ` FROM step_execution WHERE action = 'WaitForAction' AND status = 'RUNNING' ORDER BY started, id`)
)

func scanWorkflow(r row) (w WorkflowExecution, err error) {
	var start, end int64
	err = r.Scan(&w.ID, &w.ImageARN, &w.WorkflowARN, &w.Type, &w.Status, &w.Message, &w.ParallelGroup, &w.TotalSteps, &w.Succeeded, &w.Failed, &w.Skipped, &start, &end, &w.Ordinal)
	w.Start, w.End = fromMillis(start), fromMillis(end)
	return w, err
}

func scanStep(r row) (s StepExecution, err error) {
	var start, end int64
	err = r.Scan(&s.ID, &s.WorkflowExecutionID, &s.ImageARN, &s.WorkflowARN, &s.Name, &s.Description, &s.Action, &s.Status, &s.RollbackStatus, &s.Message,
		&s.Inputs, &s.Outputs, &s.OnFailure, &s.TimeoutSeconds, &s.Attempt, &s.MaxAttempts, &start, &end, &s.Ordinal)
	s.Start, s.End = fromMillis(start), fromMillis(end)
	return s, err
}

// PutWorkflowExecution inserts a workflow execution or replaces the one with
// its ID.
func (tx *Tx) PutWorkflowExecution(w WorkflowExecution) error {
	err := tx.later(putWorkflow, w.ID, w.ImageARN, w.WorkflowARN, w.Type, w.Status, prose(w.Message), w.ParallelGroup, w.TotalSteps, w.Succeeded, w.Failed, w.Skipped,
		millis(w.Start), millis(w.End), w.Ordinal)
	if err != nil {
		return failed("recording workflow execution "+w.ID, err)
	}
	return nil
}

// WorkflowExecution gives a workflow execution.
func (tx *Tx) WorkflowExecution(id string) (WorkflowExecution, bool, error) {
	return one(tx, "reading workflow execution "+id, selectWorkflow, scanWorkflow, id)
}

// WorkflowExecutions gives those of an image, by Ordinal, then Start.
func (tx *Tx) WorkflowExecutions(imageARN string) ([]WorkflowExecution, error) {
	return many(tx, "reading the workflow executions of "+imageARN, selectWorkflows, scanWorkflow, imageARN)
}

// PutStepExecution inserts a step execution or replaces the one with its ID.
func (tx *Tx) PutStepExecution(s StepExecution) error {
	err := tx.later(putStep, s.ID, s.WorkflowExecutionID, s.ImageARN, s.WorkflowARN, s.Name, prose(s.Description), s.Action, s.Status, s.RollbackStatus, prose(s.Message),
		prose(s.Inputs), prose(s.Outputs), s.OnFailure, s.TimeoutSeconds, s.Attempt, s.MaxAttempts, millis(s.Start), millis(s.End), s.Ordinal)
	if err != nil {
		return failed("recording step execution "+s.ID, err)
	}
	return nil
}

// StepExecution gives a step execution.
func (tx *Tx) StepExecution(id string) (StepExecution, bool, error) {
	return one(tx, "reading step execution "+id, selectStep, scanStep, id)
}

// StepExecutions gives those of a workflow execution, by Ordinal, then Start.
func (tx *Tx) StepExecutions(workflowExecutionID string) ([]StepExecution, error) {
	return many(tx, "reading the steps of "+workflowExecutionID, selectSteps, scanStep, workflowExecutionID)
}

// WaitingSteps gives the steps of all images that wait for somebody's answer,
// the longest waiting first. They are few.
func (tx *Tx) WaitingSteps() ([]StepExecution, error) {
	return many(tx, "reading the waiting steps", selectWaiting, scanStep)
}
