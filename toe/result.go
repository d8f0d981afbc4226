package toe

import (
	"encoding/json"
	"time"
)

// Status of a step, phase, document or run.
const (
	StatusSuccess                   = "success"
	StatusFailed                    = "failed"
	StatusTimedOut                  = "timedOut"                  // failed because a step took too long
	StatusSkipped                   = "skipped"                   // a step whose "if" said so; counts as success
	StatusIgnoredFailure            = "ignoredFailure"            // a step that failed with onFailure Ignore
	StatusSuccessWithIgnoredFailure = "successWithIgnoredFailure" // a phase or document with such a step
	StatusRebooting                 = "rebooting"                 // the run goes on after a restart
)

// Summary is what a run prints when it ends. The order of its fields is that
// of the original.
type Summary struct {
	ExecutionID            string `json:"executionId"`
	Status                 string `json:"status"`
	FailedStepCount        int    `json:"failedStepCount"`
	ExecutedStepCount      int    `json:"executedStepCount"` // failed ones included, skipped ones not
	IgnoredFailedStepCount int    `json:"ignoredFailedStepCount"`
	SkippedStepCount       int    `json:"skippedStepCount"`
	FailureMessage         string `json:"failureMessage"`
	LogURL                 string `json:"logUrl"` // the log folder, or s3://bucket/prefix/executionId
}

// JSON gives the summary as the command line prints it.
func (s Summary) JSON() []byte {
	b, err := json.MarshalIndent(s, "", "    ")
	if err != nil { // it has only texts and numbers
		panic(err)
	}
	return append(b, '\n')
}

// MaxFailureStderr is the most bytes of standard error that a Failure has.
const MaxFailureStderr = 4 << 10

// Failure describes the first step that failed in a run.
type Failure struct {
	Document     string `json:"document"` // its own name, else where it came from
	ComponentArn string `json:"componentArn,omitempty"`
	Phase        string `json:"phase,omitempty"`
	Step         string `json:"step,omitempty"`
	Action       string `json:"action,omitempty"`
	ErrorMessage string `json:"errorMessage,omitempty"` // "exit status 1"
	Stderr       string `json:"stderr,omitempty"`       // the last of it, at most MaxFailureStderr bytes
}

// Result is how a run ended.
type Result struct {
	Summary  Summary
	Failure  *Failure // nil unless the run failed
	Detail   *Detail  // everything, as in detailedoutput.json
	Problems Problems // what is wrong with the documents, if that is why it failed
}

// Exit statuses of the command line.
const (
	ExitSuccess = 0
	ExitFailed  = 1
	ExitUsage   = 2
)

// ExitReboot is the exit status by which a run asks its caller to restart the
// machine and call again: 194, and 3010 on Windows.
var ExitReboot = exitReboot

// ExitCode is the status to exit with.
func (r *Result) ExitCode() int {
	switch r.Summary.Status {
	case StatusSuccess:
		return ExitSuccess
	case StatusRebooting:
		return ExitReboot
	}
	return ExitFailed
}

// Detail is the content of detailedoutput.json.
type Detail struct {
	ExecutionID    string            `json:"executionId"`
	Status         string            `json:"status"`
	StartTime      Timestamp         `json:"startTime"`
	EndTime        Timestamp         `json:"endTime"`
	FailureMessage string            `json:"failureMessage"`
	Documents      []*DocumentResult `json:"documents"`
}

// DocumentResult is how a document went.
type DocumentResult struct {
	Name           string         `json:"name"`
	FilePath       string         `json:"filePath"`
	ComponentArn   string         `json:"componentArn,omitempty"`
	Status         string         `json:"status"`
	Description    string         `json:"description"`
	StartTime      Timestamp      `json:"startTime"`
	EndTime        Timestamp      `json:"endTime"`
	FailureMessage string         `json:"failureMessage"`
	Phases         []*PhaseResult `json:"phases"`
}

// PhaseResult is how a phase went.
type PhaseResult struct {
	Name           string        `json:"name"`
	Status         string        `json:"status"`
	StartTime      Timestamp     `json:"startTime"`
	EndTime        Timestamp     `json:"endTime"`
	FailureMessage string        `json:"failureMessage"`
	Steps          []*StepResult `json:"steps"`
}

// StepResult is how a step went. Inputs and Outputs are JSON arrays as text,
// as the original writes them; they are empty where logging is disabled.
type StepResult struct {
	Name           string      `json:"name"`
	Status         string      `json:"status"`
	FailureMessage string      `json:"failureMessage"`
	TimeoutSeconds int         `json:"timeoutSeconds"`
	OnFailure      string      `json:"onFailure"`
	MaxAttempts    int         `json:"maxAttempts"`
	Attempts       int         `json:"attempts"` // how many were made
	Action         string      `json:"action"`
	StartTime      Timestamp   `json:"startTime"`
	EndTime        Timestamp   `json:"endTime"`
	Inputs         string      `json:"inputs"`
	Outputs        string      `json:"outputs"`
	ExitCode       *int        `json:"exitCode,omitempty"`
	Stderr         string      `json:"stderr,omitempty"` // the last of it, of a step that failed
	Loop           *LoopResult `json:"loop"`
	DetailedOutput []*Detail   `json:"detailedOutput"` // of nested runs (ExecuteDocument)
}

// LoopResult says how a step was looped.
type LoopResult struct {
	Name       string `json:"name,omitempty"`
	Iterations int    `json:"iterations"` // that were begun
}

// Timestamp is a time that is written with seconds and the local offset, and
// as "" when it is not known.
type Timestamp struct{ time.Time }

// MarshalJSON gives RFC 3339, or "".
func (t Timestamp) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte(`""`), nil
	}
	return []byte(`"` + t.Format(time.RFC3339) + `"`), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (t *Timestamp) UnmarshalJSON(b []byte) error {
	if string(b) == `""` {
		t.Time = time.Time{}
		return nil
	}
	return json.Unmarshal(b, &t.Time)
}
