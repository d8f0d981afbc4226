package toe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/goldsmith-build/goldsmith/toe/action"
	"github.com/goldsmith-build/goldsmith/toe/internal/condition"
)

// grace is how long programs have after SIGTERM before SIGKILL.
const grace = 5 * time.Second

// running is a step that is being run.
type running struct {
	x       *executor
	at      *place
	result  *StepResult
	resumed *record // the suspension that the step goes on from, or nil
	quiet   bool    // logging is disabled for it

	attempt int
	last    attempted // of the last attempt
	details []*Detail // of nested documents, of all attempts and iterations
}

// attempted is what one attempt did.
type attempted struct {
	action.Result
	secret    bool // an input was secret
	shown     []map[string]any
	texts     []map[string]string
	iteration int // the last one begun
	begun     int // how many
	err       error
}

// step runs one step, or adopts what it did before a restart.
func (x *executor) step(ctx context.Context, at *place) (*StepResult, outcome) {
	if r := x.journal.finished(x.scope, at.document, at.phase.Name, at.step.Name); r != nil {
		x.chain.set(at.document, at.phase.Name, at.step.Name, r.Chain)
		x.count(r.Result, r.Failure)
		return r.Result, after(r.Result)
	}
	s := at.step
	x.announce(at)
	r := &running{x: x, at: at, quiet: at.doc.doc.DisableLogging || at.phase.DisableLogging || s.DisableLogging}
	r.resumed = x.journal.suspendedAt(x.scope, at.document, at.phase.Name, s.Name)
	r.result = &StepResult{
		Name: s.Name, Action: s.Action, TimeoutSeconds: s.TimeoutSeconds, OnFailure: s.OnFailure, MaxAttempts: s.MaxAttempts,
		StartTime: Timestamp{time.Now()}, Inputs: "[]", Outputs: "[]",
	}
	if r.resumed != nil {
		r.result.StartTime = Timestamp{r.resumed.Begun}
	}
	x.logs.line("Step " + s.Name)
	e := x.eventAt(at, EventStepStarted)
	e.Number, e.Of = at.number, len(at.phase.Steps)
	x.event(e)
	return r.result, r.run(ctx)
}

// after says how to go on behind a finished step.
func after(r *StepResult) outcome {
	if (r.Status == StatusFailed || r.Status == StatusTimedOut) && r.OnFailure == Abort {
		return abort
	}
	return proceed
}

func (r *running) run(ctx context.Context) outcome {
	if r.resumed == nil {
		if run, err := r.decide(ctx); err != nil {
			return r.conclude(ctx, err)
		} else if !run {
			r.result.Status = StatusSkipped
			return r.conclude(ctx, nil)
		}
	}
	first := 1
	if r.resumed != nil {
		first = r.resumed.Attempt
	}
	for r.attempt = first; ; r.attempt++ {
		again := r.tryOnce(ctx)
		if r.last.err == nil && r.last.Reboot != action.NoReboot {
			if err := r.suspend(); err != nil {
				return r.conclude(ctx, err)
			}
			return suspend
		}
		if !again {
			return r.conclude(ctx, r.last.err)
		}
	}
}

// decide evaluates the step's "if".
func (r *running) decide(ctx context.Context) (run bool, err error) {
	w := r.at.step.when
	if w == nil {
		return true, nil
	}
	res := &resolver{ctx: ctx, x: r.x, at: r.at}
	holds, err := w.expr.Eval(res.conditionEnv())
	if err != nil {
		return false, fmt.Errorf("deciding the step's if: %w", err)
	}
	outcome := w.decide(holds)
	r.x.logs.linef("The condition of step %s is %t: %s", r.at.step.Name, holds, outcome)
	if outcome == "Abort" {
		return false, errors.New("the step's if is decided as Abort")
	}
	return outcome == "Execute", nil
}

// decide gives "Execute", "Skip" or "Abort" for the condition's result.
func (w *when) decide(holds bool) string {
	outcome, otherwise := w.outcome.Else, "Skip"
	if holds {
		outcome, otherwise = w.outcome.Then, "Execute"
	}
	if outcome == "" {
		return otherwise
	}
	return outcome
}

// tryOnce makes one attempt, in the time that one attempt has, and says
// whether to make another.
func (r *running) tryOnce(ctx context.Context) (again bool) {
	s := r.at.step
	r.result.Attempts = r.attempt
	e := r.x.eventAt(r.at, EventAttempt)
	e.Attempt = r.attempt
	r.x.event(e)
	attemptCtx, cancel := ctx, context.CancelFunc(func() {})
	if s.TimeoutSeconds > 0 && !s.module.Endless {
		attemptCtx, cancel = context.WithTimeout(ctx, time.Duration(s.TimeoutSeconds)*time.Second)
	}
	r.last = r.once(attemptCtx)
	expired := attemptCtx.Err() != nil
	cancel()
	switch {
	case r.last.err == nil:
		return false
	case ctx.Err() != nil:
		r.last.err = fmt.Errorf("the run was stopped: %w", context.Cause(ctx))
		return false
	case expired:
		r.last.err = &timeoutError{seconds: s.TimeoutSeconds, loop: s.Loop != nil}
	}
	again = r.attempt < s.MaxAttempts
	if again {
		r.x.logs.linef("Attempt %d of %d failed: %v", r.attempt, s.MaxAttempts, r.last.err)
	}
	return again
}

type timeoutError struct {
	seconds int
	loop    bool
}

func (e *timeoutError) Error() string {
	what := "step"
	if e.loop {
		what = "loop"
	}
	return fmt.Sprintf("the %s timed out after %d seconds", what, e.seconds)
}

// once runs the module, or the loop around it.
func (r *running) once(ctx context.Context) (a attempted) {
	name := r.at.step.Action
	r.x.logs.line(name + ": STARTED EXECUTION")
	defer r.x.logs.line(name + ": FINISHED EXECUTION")
	if r.at.step.Loop == nil {
		if resumed := r.resumed; resumed != nil && resumed.Next {
			r.resumed = nil
			return resumed.left()
		}
		r.resumed = nil
		return r.invoke(ctx, nil)
	}
	return r.iterate(ctx)
}

// left is what a step had done that asked for a restart and goes on behind it.
func (r *record) left() (a attempted) {
	if c := r.Chain; c != nil {
		a.texts, a.Outputs, a.Truncated, a.secret = c.Inputs, c.Outputs, c.Truncated, c.Quiet
		for _, texts := range c.Inputs {
			shown := make(map[string]any, len(texts))
			for name, text := range texts {
				shown[name] = text
			}
			a.shown = append(a.shown, shown)
		}
	}
	return a
}

// invoke runs the module once.
func (r *running) invoke(ctx context.Context, it *iteration) (a attempted) {
	res := &resolver{ctx: ctx, x: r.x, at: r.at, loop: it}
	in, err := res.inputs(r.at.step)
	a.secret = res.secret
	if err != nil {
		a.err = err
		return a
	}
	a.shown, a.texts = in.shown, in.texts
	host, finish := r.host()
	host.Document, host.Fetched = r.nested(it), r.fetched(res.secret)
	a.Result, a.err = r.at.step.module.Run(ctx, host, in.inputs)
	finish()
	a.secret = res.secret // also of what a condition has asked for
	return a
}

// host is what the module acts on; finish ends its streams.
func (r *running) host() (h *action.Host, finish func()) {
	x := r.x
	out := &stream{logs: x.logs, prefix: "Stdout: ", emit: r.emitter("stdout"), quiet: r.quiet}
	errs := &stream{logs: x.logs, prefix: "CmdExecution: Stderr: ", emit: r.emitter("stderr"), quiet: r.quiet}
	h = &action.Host{
		Dir: x.dir, Env: x.env, TempDir: x.temp.dir, Stdout: out, Stderr: errs,
		Flush: func() { out.flush(); errs.flush() }, Log: x.logs.line, Mark: uuid.NewString(), Grace: grace, HTTP: newHTTPClient, Cloud: x.o.Cloud,
	}
	return h, func() { out.close(); errs.close() }
}

// emitter sends what was printed as events, or is nil if nobody listens. Both
// streams of a program come here at once; the lock keeps events one at a time.
func (r *running) emitter(stream string) func(string) {
	if r.x.o.Events == nil {
		return nil
	}
	return func(text string) {
		e := r.x.eventAt(r.at, EventOutput)
		e.Stream, e.Text, e.Attempt = stream, text, r.attempt
		r.x.event(e)
	}
}

// fetched sends what a module got from elsewhere, or is nil if nobody listens. A
// source that may be secret is left out.
func (r *running) fetched(secret bool) func(action.Fetch) {
	if r.x.o.Events == nil {
		return nil
	}
	return func(f action.Fetch) {
		if secret || r.quiet {
			f = action.Fetch{Action: f.Action}
		}
		e := r.x.eventAt(r.at, EventFetched)
		e.Fetched, e.Attempt = &f, r.attempt
		r.x.event(e)
	}
}

// suspend records that the step asked for a restart.
func (r *running) suspend() error {
	x, s := r.x, r.at.step
	if x.o.RebootMode == RebootForbid {
		return errors.New("the step asks for a reboot, and reboots are forbidden here")
	}
	x.logs.line("Getting reboot signal")
	x.delay = r.last.Delay
	r.result.Status = StatusRebooting
	r.show()
	var outputs []action.Output
	var link *chainEntry
	if s.Loop != nil {
		outputs = r.last.Outputs
	} else if r.last.Reboot == action.RebootNext {
		link = &chainEntry{Inputs: r.last.texts, Outputs: r.last.Outputs, Truncated: r.last.Truncated, Quiet: r.quiet || r.last.secret}
	}
	return x.journal.add(&record{
		Kind: "suspend", Scope: x.scope, Document: r.at.document, Phase: r.at.phase.Name, Step: s.Name,
		Next: r.last.Reboot == action.RebootNext, Attempt: r.attempt, Iteration: r.last.iteration,
		Outputs: outputs, Chain: link, Begun: r.result.StartTime.Time,
	})
}

// show fills in what the last attempt took and gave, unless that is secret.
func (r *running) show() {
	r.result.ExitCode = r.last.ExitCode
	r.result.DetailedOutput = r.details
	if loop := r.at.step.Loop; loop != nil {
		r.result.Loop = &LoopResult{Name: loop.Name, Iterations: r.last.begun}
	}
	if !r.quiet {
		hide := r.x.logs.secrets.hide
		r.result.Inputs, r.result.Outputs = hide(jsonText(r.last.shown)), hide(jsonText(r.last.Outputs))
	}
}

// conclude settles the step's status, counts and records it.
func (r *running) conclude(ctx context.Context, err error) outcome {
	x, s := r.x, r.at.step
	r.result.EndTime = Timestamp{time.Now()}
	r.show()
	var failure *Failure
	if err != nil {
		failure = r.fail(err)
	} else if r.result.Status == "" {
		r.result.Status = StatusSuccess
	}
	x.count(r.result, failure)
	link := &chainEntry{Inputs: r.last.texts, Outputs: r.last.Outputs, Truncated: r.last.Truncated, Quiet: r.quiet || r.last.secret}
	x.chain.set(r.at.document, r.at.phase.Name, s.Name, link)
	e := x.eventAt(r.at, EventStepFinished)
	e.Attempt, e.Status, e.Error, e.ExitCode = r.result.Attempts, r.result.Status, r.result.FailureMessage, r.result.ExitCode
	if failure != nil {
		e.StderrTail = failure.Stderr
	}
	x.event(e)
	x.logs.debug.Info("step finished", "phase", r.at.phase.Name, "step", s.Name, "action", s.Action, "status", r.result.Status, "attempts", r.result.Attempts)
	if ctx.Err() != nil {
		return abort // whatever onFailure says; and the step does not count as finished
	}
	if recordErr := x.journal.add(&record{
		Kind: "step", Scope: x.scope, Document: r.at.document, Phase: r.at.phase.Name, Step: s.Name,
		Result: r.result, Chain: link, Failure: failure,
	}); recordErr != nil {
		x.logs.remember("of the state", recordErr)
	}
	return after(r.result)
}

// fail settles the status of a step that failed.
func (r *running) fail(err error) *Failure {
	r.result.Status = StatusFailed
	if timeout := (*timeoutError)(nil); errors.As(err, &timeout) {
		r.result.Status = StatusTimedOut
	}
	if r.at.step.OnFailure == Ignore {
		r.result.Status = StatusIgnoredFailure
	}
	hide := r.x.logs.secrets.hide
	r.result.FailureMessage = cutString(hide(err.Error()), maxMessage)
	if !r.quiet {
		r.result.Stderr = hide(r.last.StderrTail)
	}
	r.x.logs.linef("Step %s failed: %v", r.at.step.Name, err)
	return &Failure{
		Document: r.at.doc.name(), ComponentArn: r.at.doc.source.ComponentArn, Phase: r.at.phase.Name,
		Step: r.at.step.Name, Action: r.at.step.Action, ErrorMessage: r.result.FailureMessage,
		Stderr: lastBytes(r.result.Stderr, MaxFailureStderr),
	}
}

// maxMessage bounds messages: they may quote what a document holds.
const maxMessage = 4 << 10

// lastBytes gives the end of a text, beginning with a whole character.
func lastBytes(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[len(s)-most:], "")
}

// cutString gives the beginning of a text, ending with a whole character.
func cutString(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

// conditionEnv is what expressions are decided in.
func (r *resolver) conditionEnv() condition.Env {
	return condition.Env{
		Expand: r.expand, Dir: r.x.dir,
		BinaryExists: func(name string) bool {
			return action.BinaryExists(r.ctx, &action.Host{Dir: r.x.dir, Env: r.x.env}, name)
		},
	}
}

// newHTTPClient makes a client for downloads: without a limit in time, which
// is the step's, but with one on silence.
func newHTTPClient(ignoreCertificateErrors bool) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = time.Minute
	t.DisableCompression = true // a file is what the server sends, not what it unpacks to
	if ignoreCertificateErrors {
		t.TLSClientConfig.InsecureSkipVerify = true //nolint:gosec // the document asks for it
	}
	return &http.Client{Transport: t}
}
