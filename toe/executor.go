package toe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// executor runs documents: those of a run, or the one of an ExecuteDocument
// step within it.
type executor struct {
	o     *Options
	docs  []*loaded
	id    string
	start time.Time
	scope string // "" for the run itself
	// ancestors are the documents that this one is nested in, from the top.
	ancestors []string
	dir       string
	env       []string
	temp      temporary
	logs      *logFolder
	journal   *journal
	chain     *chain
	from      *start // nil for the first step
	detail    *Detail

	counts        Summary // the counters only
	failure       *Failure
	failureStderr string // more of it than the Failure has
	timedOut      bool   // the first failure was one of time

	delay time.Duration // before the restart that a step asked for
}

// outcome says how to go on behind a step, phase or document.
type outcome int

const (
	proceed outcome = iota
	abort           // a step failed with onFailure Abort, or the run was stopped
	suspend         // a step asked for a restart
)

// event sends an event with the present time.
func (x *executor) event(e Event) {
	if x.o.Events != nil {
		e.Time = time.Now()
		hide := x.logs.secrets.hide
		e.Text, e.Error, e.StderrTail = hide(e.Text), hide(e.Error), hide(e.StderrTail)
		x.o.Events(e)
	}
}

// selected says whether a phase is to be run.
func (x *executor) selected(phase string) bool {
	return len(x.o.Phases) == 0 || slices.Contains(x.o.Phases, phase)
}

func (x *executor) documents(ctx context.Context) outcome {
	for i := range x.docs {
		if x.from != nil && i < x.from.document {
			continue
		}
		if o := x.document(ctx, i); o != proceed {
			return o
		}
	}
	if x.counts.ExecutedStepCount+x.counts.SkippedStepCount == 0 {
		x.o.Log.Warn("no step was run: no document has one of the phases", "phases", strings.Join(x.o.Phases, ","))
	}
	return proceed
}

// place is where the executor is.
type place struct {
	document int
	doc      *loaded
	index    int // of the phase
	phase    *Phase
	step     *Step
	number   int // of the step, from 1
	live     *liveness
	result   *DocumentResult
}

// liveness remembers whether the start of a document and phase was announced:
// one that had finished before a restart is not announced again.
type liveness struct{ document, phase bool }

func (x *executor) document(ctx context.Context, index int) outcome {
	d := x.docs[index]
	r := &DocumentResult{
		Name: d.name(), FilePath: d.source.Path, ComponentArn: d.source.ComponentArn,
		Description: d.doc.Description, Status: StatusSuccess, Phases: []*PhaseResult{},
	}
	x.detail.Documents = append(x.detail.Documents, r)
	live := &liveness{}
	result := proceed
	for i := range d.doc.Phases {
		ph := &d.doc.Phases[i]
		if !x.selected(ph.Name) || x.from.skips(index, i, len(ph.Steps)-1) {
			continue
		}
		result = x.phase(ctx, &place{document: index, doc: d, index: i, phase: ph, live: live, result: r})
		if result != proceed {
			break
		}
	}
	if result == suspend {
		r.Status = StatusRebooting
		return result
	}
	r.EndTime = Timestamp{time.Now()}
	if r.Status == StatusFailed || r.Status == StatusTimedOut {
		r.FailureMessage = fmt.Sprintf("Document %s failed!", d.location())
		if x.counts.FailureMessage == "" {
			x.counts.FailureMessage = r.FailureMessage
		}
	}
	if live.document {
		x.event(Event{Event: EventDocumentFinished, Document: d.name(), ComponentArn: d.source.ComponentArn, Status: r.Status, Error: r.FailureMessage})
	}
	return result
}

func (x *executor) phase(ctx context.Context, at *place) outcome {
	r := &PhaseResult{Name: at.phase.Name, Status: StatusSuccess, Steps: []*StepResult{}}
	at.result.Phases = append(at.result.Phases, r)
	at.live.phase = false
	result := proceed
	for i := range at.phase.Steps {
		if x.from.skips(at.document, at.index, i) {
			continue
		}
		at.step, at.number = &at.phase.Steps[i], i+1
		var step *StepResult
		step, result = x.step(ctx, at)
		r.Steps = append(r.Steps, step)
		if len(r.Steps) == 1 {
			r.StartTime = step.StartTime
			if at.result.StartTime.IsZero() {
				at.result.StartTime = step.StartTime
			}
		}
		r.Status = worse(r.Status, step.Status)
		if r.FailureMessage == "" && (step.Status == StatusFailed || step.Status == StatusTimedOut) {
			r.FailureMessage = fmt.Sprintf("Step %s failed: %s", step.Name, step.FailureMessage)
		}
		if result != proceed {
			break
		}
	}
	at.result.Status = worse(at.result.Status, r.Status)
	if result == suspend {
		r.Status = StatusRebooting
		return result
	}
	r.EndTime = Timestamp{time.Now()}
	if at.live.phase {
		e := x.eventAt(at, EventPhaseFinished)
		e.Step, e.Action, e.Status, e.Error = "", "", r.Status, r.FailureMessage
		x.event(e)
	}
	return result
}

// worse combines the status of a whole with that of one more part. The first
// failure settles it.
func worse(whole, part string) string {
	switch {
	case whole == StatusFailed || whole == StatusTimedOut:
		return whole
	case part == StatusFailed || part == StatusTimedOut:
		return part
	case part == StatusIgnoredFailure || part == StatusSuccessWithIgnoredFailure:
		return StatusSuccessWithIgnoredFailure
	}
	return whole
}

// eventAt fills in where something happens.
func (x *executor) eventAt(at *place, kind string) Event {
	return Event{
		Event: kind, Document: at.doc.name(), ComponentArn: at.doc.source.ComponentArn,
		Phase: at.phase.Name, Step: at.step.Name, Action: at.step.Action,
	}
}

// announce tells that a document and phase have begun, before the first step
// of them that runs now.
func (x *executor) announce(at *place) {
	if !at.live.document {
		at.live.document, at.live.phase = true, false
		x.logs.line("Document " + at.doc.location())
		e := x.eventAt(at, EventDocumentStarted)
		e.Phase, e.Step, e.Action = "", "", ""
		x.event(e)
	}
	if !at.live.phase {
		at.live.phase = true
		x.logs.line("Phase " + at.phase.Name)
		e := x.eventAt(at, EventPhaseStarted)
		e.Step, e.Action = "", ""
		x.event(e)
	}
}

// count adds a finished step to the counters and keeps the first failure.
func (x *executor) count(step *StepResult, failure *Failure) {
	switch step.Status {
	case StatusSkipped:
		x.counts.SkippedStepCount++
		return
	case StatusIgnoredFailure:
		x.counts.IgnoredFailedStepCount++
	case StatusFailed, StatusTimedOut:
		x.counts.FailedStepCount++
		if x.failure == nil {
			x.failure = failure
			x.failureStderr = step.Stderr
			x.timedOut = step.Status == StatusTimedOut
		}
	}
	x.counts.ExecutedStepCount++
}

func (x *executor) summary() Summary {
	s := x.counts
	s.ExecutionID, s.LogURL, s.Status = x.id, x.logs.dir, StatusSuccess
	return s
}

func (x *executor) failedStatus() string {
	if x.timedOut {
		return StatusTimedOut
	}
	return StatusFailed
}
