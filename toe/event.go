package toe

import (
	"time"

	"github.com/goldsmith-build/goldsmith/toe/action"
)

// Kinds of event, in the order in which they occur.
const (
	EventDocumentStarted  = "documentStarted"
	EventPhaseStarted     = "phaseStarted"
	EventStepStarted      = "stepStarted"
	EventAttempt          = "attempt" // an attempt of a step begins
	EventOutput           = "output"  // a program of a step has printed something
	EventFetched          = "fetched" // a step got a file from elsewhere
	EventStepFinished     = "stepFinished"
	EventPhaseFinished    = "phaseFinished"
	EventDocumentFinished = "documentFinished"
	EventResult           = "result" // the last one
)

// MaxEventText is the most bytes that Text of one event has.
const MaxEventText = 16 << 10

// Event is something that happened in a run. With --events, the command line
// prints each as one line of JSON.
type Event struct {
	Event        string    `json:"event"`
	Time         time.Time `json:"time"`
	Document     string    `json:"document,omitempty"`     // its own name, else where it came from
	ComponentArn string    `json:"componentArn,omitempty"` // as given beside the document
	Phase        string    `json:"phase,omitempty"`
	Step         string    `json:"step,omitempty"`
	Action       string    `json:"action,omitempty"`
	Number       int       `json:"number,omitempty"`  // of stepStarted: which step of the phase, from 1
	Of           int       `json:"of,omitempty"`      // of stepStarted: how many steps the phase has
	Attempt      int       `json:"attempt,omitempty"` // from 1

	// Status is set when something has finished: one of the Status constants.
	Status string `json:"status,omitempty"`

	// Stream is "stdout" or "stderr", and Text what was printed: whole lines
	// with their line ends where possible, else a piece of a long line. All
	// texts of a stream together are what the program printed, up to
	// MaxLoggedOutput; bytes that are not UTF-8 are replaced.
	Stream string `json:"stream,omitempty"`
	Text   string `json:"text,omitempty"`

	ExitCode   *int   `json:"exitCode,omitempty"`   // of the step's last program
	Error      string `json:"error,omitempty"`      // why it failed
	StderrTail string `json:"stderrTail,omitempty"` // of a step that failed, at most MaxFailureStderr bytes

	// Fetched is what a step got from elsewhere.
	Fetched *action.Fetch `json:"fetched,omitempty"`

	Result  *Summary `json:"result,omitempty"`
	Failure *Failure `json:"failure,omitempty"`
}
