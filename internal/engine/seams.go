package engine

import (
	"context"
	"encoding/json"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Status is the state of an image, as the API spells it.
type Status string

// The states of an image (service model, ImageStatus). A build goes PENDING,
// CREATING, BUILDING, TESTING, DISTRIBUTING, INTEGRATING, AVAILABLE; FAILED and
// CANCELLED may follow any of them but the last.
const (
	Pending      Status = "PENDING"
	Creating     Status = "CREATING"
	Building     Status = "BUILDING"
	Testing      Status = "TESTING"
	Distributing Status = "DISTRIBUTING"
	Integrating  Status = "INTEGRATING"
	Available    Status = "AVAILABLE"
	Failed       Status = "FAILED"
	Cancelled    Status = "CANCELLED"
)

// Terminal reports whether a build that is in this state has ended.
func (s Status) Terminal() bool {
	switch s {
	case Pending, Creating, Building, Testing, Distributing, Integrating:
		return false
	}
	return true
}

// Queue is what the service asks of the engine.
type Queue interface {
	// Enqueue adds the job of a PENDING image to the transaction that created
	// the image: both come to be, or neither.
	Enqueue(ctx context.Context, tx *store.Tx, imageARN string) error

	// Standing says why an image that is PENDING waits, for a person; "" if it
	// does not wait.
	Standing(tx *store.Tx, imageARN string) (string, error)

	// Interrupt tells the worker that runs the image, if there is one in this
	// process, to look at Recorder.CancelRequested now. Call it after the
	// transaction that recorded the request was committed. An image that
	// waits for its turn is ended if it was cancelled.
	Interrupt(imageARN string)
}

// Resolver makes plans. The service implements it.
type Resolver interface {
	// Plan resolves all that the image needs. An error ends the image as
	// FAILED; a *fault.Error's message becomes its reason.
	Plan(ctx context.Context, imageARN string) (*Plan, error)
}

// Recorder keeps the image resource. The service implements it.
type Recorder interface {
	// Status gives the image's state now; a fault ResourceNotFoundException if
	// the image was deleted.
	Status(ctx context.Context, imageARN string) (Status, error)

	// CancelRequested reports whether CancelImageCreation was called.
	CancelRequested(ctx context.Context, imageARN string) (bool, error)

	// Transition moves the image to a state inside tx. reason (1 to 1024
	// characters, cut if longer) and failure are kept only for FAILED and
	// CANCELLED. It refuses to leave a terminal state.
	Transition(ctx context.Context, tx *store.Tx, imageARN string, to Status, reason string, failure *Failure) error

	// Outputs replaces the AMIs in the image's outputResources.
	Outputs(ctx context.Context, tx *store.Tx, imageARN string, amis []OutputAMI) error

	// Waiting tells those who want to know that a step waits for
	// SendWorkflowStepAction.
	Waiting(ctx context.Context, tx *store.Tx, step WaitingStep) error

	// Metadata records what was found in the image: its OS ("Debian 12") and
	// its packages, sorted by name.
	Metadata(ctx context.Context, tx *store.Tx, imageARN, osVersion string, packages []Package) error
}

// WaitingStep is a step of an image's workflow that waits for somebody.
type WaitingStep struct {
	ImageARN            string
	WorkflowARN         string
	WorkflowExecutionID string
	StepExecutionID     string
	Name                string
	TopicARN            string // snsTopicArn of the step; "": nobody is told by message
	Payload             string // JSON for whom the message reaches, or ""
}

// Message is what topics and functions are told of the step, as JSON: the
// event's detail, and what else an answer needs.
func (s WaitingStep) Message() ([]byte, error) {
	detail := map[string]any{
		"workflow-execution-id": s.WorkflowExecutionID, "workflow-step-execution-id": s.StepExecutionID, "workflow-step-name": s.Name,
		"image-build-version-arn": s.ImageARN, "workflow-build-version-arn": s.WorkflowARN,
	}
	if s.Payload != "" {
		detail["payload"] = json.RawMessage(s.Payload)
	}
	return json.Marshal(detail)
}

// OutputAMI is one published AMI.
type OutputAMI struct {
	Region      string
	Account     string
	AMI         string // "ami-…"
	Name        string
	Description string
}

// Package is an installed package.
type Package struct {
	Name    string
	Version string
}

// Failure says where a build failed: state.failureContext of the API (User
// Guide, image-failure-context). Every member may be empty.
type Failure struct {
	ImageStatus         Status
	WorkflowExecutionID string // "wf-…"
	WorkflowARN         string
	StepExecutionID     string // "step-…"
	FailedStep          string
	Component           *ComponentFailure
	Distribution        *DistributionFailure
}

// ComponentFailure names the step of a component that failed.
type ComponentFailure struct {
	ComponentARN string
	Phase        string
	Step         string
	Action       string
	ErrorMessage string
}

// DistributionFailure names the regions that failed; those that succeeded are
// left out.
type DistributionFailure struct {
	ErrorMessage string
	Regions      []RegionFailure
}

// RegionFailure is what went wrong in one region.
type RegionFailure struct {
	Region       string
	Account      string // for another account's copy
	Step         string // such as "EXPORT_AMI"
	Status       string // "TIMED_OUT"; "" and "FAILED": it was refused
	ErrorMessage string
}

// The engine keeps its checkpoints in these rows of package store:
//
//	store.WorkflowExecution{ID "wf-UUID", ImageARN, WorkflowARN, Type "BUILD|TEST|DISTRIBUTION",
//	    Status, Message, ParallelGroup, TotalSteps, Succeeded, Failed, Skipped int, Start, End time.Time, Ordinal int}
//	store.StepExecution{ID "step-UUID", WorkflowExecutionID, ImageARN, WorkflowARN, Name, Description, Action,
//	    Status, RollbackStatus, Message, Inputs, Outputs (JSON text), OnFailure, TimeoutSeconds, Attempt,
//	    MaxAttempts int, Start, End time.Time, Ordinal int}
//	store.Instance{ID, Kind, Dir, Volume, ImageARN, State "running|kept", Created time.Time}
//
//	tx.PutWorkflowExecution(we), tx.WorkflowExecution(id), tx.WorkflowExecutions(imageARN)
//	tx.PutStepExecution(se),     tx.StepExecution(id),     tx.StepExecutions(workflowExecutionID)
//	tx.PutInstance(i), tx.Instances(), tx.DeleteInstance(id)
//	tx.PutPlan(imageARN, json), tx.Plan(imageARN) (json, ok, err)
//
// Put inserts or replaces by ID; lists come in order of Ordinal, then Start.
