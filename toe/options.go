package toe

import (
	"fmt"
	"log/slog"
	"regexp"
	"runtime"
	"slices"

	"github.com/goldsmith-build/goldsmith/toe/action"
)

// Source is a document to run.
type Source struct {
	// Path is a file, and stands for the document in logs.
	Path string

	// Data is the document's text; nil means to read it from Path.
	Data []byte

	// ComponentArn names the component that the document belongs to, in logs,
	// events and failures; "" for none.
	ComponentArn string

	// Parameters are values for this document; they win over those of the run.
	Parameters map[string]string
}

// Cloud is what documents may ask of AWS.
type Cloud = action.Cloud

// RebootMode says what a run does when a step asks for a restart.
type RebootMode string

// The ways to restart.
const (
	// RebootExit saves the state and ends with ExitReboot; the caller restarts
	// the machine and calls again with the same arguments. The default.
	RebootExit RebootMode = "exit"

	// RebootStandalone saves the state, registers the command to be run at
	// boot, and restarts the machine.
	RebootStandalone RebootMode = "standalone"

	// RebootForbid lets the step fail.
	RebootForbid RebootMode = "forbid"
)

// Options say what to run and how. Only Documents is required.
type Options struct {
	Documents  []Source
	Parameters map[string]string // for all documents; undeclared names are ignored
	Phases     []string          // which phases to run, in document order; nil for all

	// From is the step to begin with: PHASE.STEP, or DOCUMENT:PHASE.STEP where
	// there are several documents, each named by its path, name or number.
	// Steps before it are not run; "" runs all.
	From string

	// OutputsFrom is the log folder of an earlier run, whose outputs stand for
	// those of the steps before From; "" for none.
	OutputsFrom string

	// EmptyParameters gives parameters without default and value the empty
	// text, as the original does, instead of refusing to run.
	EmptyParameters bool

	// ExecutionID names the run in logs and results; "" generates one.
	ExecutionID string

	// LogDirectory is where the TOE_… folder with the logs is made; "" is the
	// working folder.
	LogDirectory string

	// StateDirectory keeps what is needed to go on after a restart or crash.
	// With "", nothing is kept except across a restart that a step asks for,
	// in a folder of the machine's own (see docs/executor.md).
	StateDirectory string

	RebootMode RebootMode // "" is RebootExit

	// ResumeCommand is the command line that RebootStandalone registers. It
	// must lead to the same Options.
	ResumeCommand []string

	BlockedActions []string // that no document may use

	Dir string   // working folder of the documents; "" is the process's
	Env []string // environment of the documents; nil is the process's

	// Cloud is how documents reach AWS; nil for not at all. Package awscloud
	// has the real one.
	Cloud Cloud

	// LogBucket is where the log folder is uploaded when the run has ended, as
	// LogPrefix/execution id/…; "" for nowhere. LogBucketOwner is the account
	// that must own it, DocumentBucketOwner that of s3:// documents.
	LogBucket, LogPrefix, LogBucketOwner string
	DocumentBucketOwner                  string

	// LogSink receives console.log as it is written; nil for none. A failure to
	// send it fails the run, unless IgnoreLogSink says otherwise.
	LogSink       LogSink
	IgnoreLogSink bool

	// Events receives everything that happens, in order and from one
	// goroutine at a time. It should not block for long: the run waits.
	Events func(Event)

	// Log receives what an operator may want to know; nil discards it. The
	// run's own logs are in its log folder.
	Log *slog.Logger

	// Trace receives a copy of console.log as it is written; nil for none.
	Trace func(line []byte)
}

// UsageError is a mistake in the Options, found before anything was done.
type UsageError struct{ Reason string }

// Error gives the reason.
func (e *UsageError) Error() string { return e.Reason }

var (
	executionIDForm = regexp.MustCompile(`^[A-Za-z0-9_.:/-]{1,200}$`)
	exitReboot      = map[bool]int{true: 3010, false: 194}[runtime.GOOS == "windows"]
)

// check finds mistakes and fills in defaults.
func (o *Options) check() error {
	usage := func(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }
	if len(o.Documents) == 0 {
		return usage("no document is given")
	}
	for i, d := range o.Documents {
		if d.Path == "" && d.Data == nil {
			return usage("documents[%d] has no path", i)
		}
	}
	if o.ExecutionID != "" && !executionIDForm.MatchString(o.ExecutionID) {
		return usage("the execution id %q must have 1 to 200 letters, digits or - _ . : /", o.ExecutionID)
	}
	if o.LogBucket != "" && o.Cloud == nil {
		return usage("logs cannot be uploaded: %v", action.ErrNoCloud)
	}
	switch o.RebootMode {
	case "":
		o.RebootMode = RebootExit
	case RebootExit, RebootForbid:
	case RebootStandalone:
		if len(o.ResumeCommand) == 0 {
			return usage("reboot mode standalone needs a command to resume by")
		}
	default:
		return usage("the reboot mode %q is not one of exit, standalone, forbid", o.RebootMode)
	}
	for _, name := range o.BlockedActions {
		if !slices.Contains(action.Names(), name) {
			return usage("the blocked action %q does not exist%s", name, suggest(name, action.Names()))
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}
