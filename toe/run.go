package toe

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/goldsmith-build/goldsmith/toe/problem"
)

// Run runs documents: all selected phases of the first, then of the second, and
// so on.
//
// The error is non-nil only if nothing was run: a *UsageError for mistakes in
// the options, a *StateMismatchError for a state directory that belongs to
// another run, or what kept the log folder or state from being opened. All
// else, documents that are not valid included, is a Result with status failed.
//
// When ctx ends, the running step's programs are ended, the run fails, and what
// it had finished stays in the state directory, if one was given.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Events != nil {
		o.Events = oneAtATime(o.Events)
	}
	docs, problems := loadAll(ctx, &o)
	if len(problems) > 0 {
		return refuse(&o, problems), nil
	}
	x := &executor{o: &o, docs: docs, id: o.ExecutionID, start: time.Now()}
	problems, err := x.withStart()
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return refuse(&o, problems), nil
	}
	if err := x.open(ctx); err != nil {
		return nil, err
	}
	defer x.close()
	outcome := x.documents(ctx)
	if outcome == suspend {
		outcome = x.reboot(ctx)
	}
	return x.finish(ctx, outcome), nil
}

// oneAtATime lets both streams of a program send events.
func oneAtATime(send func(Event)) func(Event) {
	var mu sync.Mutex
	return func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		send(e)
	}
}

// loaded is a document and the values of its variables.
type loaded struct {
	source Source
	doc    *Document
	values map[string]string // of parameters and constants
}

// location is what stands for a document in messages.
func (l *loaded) location() string {
	if l.source.ComponentArn != "" {
		return l.source.ComponentArn
	}
	return l.source.Path
}

// name is the document's own name, else its location.
func (l *loaded) name() string {
	if l.doc.Name != "" {
		return l.doc.Name
	}
	return l.location()
}

func loadAll(ctx context.Context, o *Options) ([]*loaded, Problems) {
	var docs []*loaded
	var problems Problems
	for _, s := range o.Documents {
		d, p := load(ctx, s, o)
		problems = append(problems, p...)
		docs = append(docs, d)
	}
	if len(problems) == 0 {
		warnUndeclared(docs, o)
	}
	return docs, problems
}

// warnUndeclared names the values of the run that no document has a parameter
// for: they are ignored, as the original does it, and mostly are misspelt.
func warnUndeclared(docs []*loaded, o *Options) {
	var declared []string
	for _, d := range docs {
		for _, p := range d.doc.Parameters {
			declared = append(declared, p.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Parameters)) {
		if slices.Contains(declared, name) {
			continue
		}
		message := "no document has the parameter '" + shorten(name) + "'"
		if near := problem.Nearest(name, declared); near != "" {
			message += ", did you mean '" + near + "'?"
		}
		o.Log.Warn(message)
	}
}

func load(ctx context.Context, s Source, o *Options) (*loaded, Problems) {
	if s.Data == nil {
		data, err := Fetch(ctx, o.Cloud, s.Path, o.DocumentBucketOwner)
		if err != nil {
			return nil, Problems{{Document: s.Path, Rule: "unreadable", Message: err.Error()}}
		}
		s.Data = data
	}
	doc, problems := parse(s.Path, s.Data)
	if doc != nil {
		problems = append(problems, doc.Check(CheckOptions{BlockedActions: o.BlockedActions})...)
		problems.Sort()
	}
	if len(problems) > 0 {
		return nil, problems
	}
	for _, w := range doc.warnings {
		o.Log.Warn(w.String())
	}
	l := &loaded{source: s, doc: doc, values: map[string]string{}}
	return l, l.setVariables(o)
}

// setVariables gives every parameter and constant its value.
func (l *loaded) setVariables(o *Options) Problems {
	var problems Problems
	add := func(line int, rule, format string, args ...any) {
		problems = append(problems, Problem{Document: l.source.Path, Line: line, Rule: rule, Message: fmt.Sprintf(format, args...)})
	}
	for _, c := range l.doc.Constants {
		l.values[c.Name] = c.Value
	}
	for _, p := range l.doc.Parameters {
		value, given := l.source.Parameters[p.Name]
		if !given {
			value, given = o.Parameters[p.Name]
		}
		switch {
		case given && p.AllowedValues != nil && !slices.Contains(p.AllowedValues, value):
			add(p.Line, "parameter-value", "The value of the parameter '%s' is not among its allowedValues: %s.", p.Name, strings.Join(p.AllowedValues, ", "))
		case given:
		case p.Default != nil:
			value = *p.Default
		case !o.EmptyParameters:
			add(p.Line, "parameter-missing", "The parameter '%s' has neither a value nor a default.", p.Name)
		}
		l.values[p.Name] = value
	}
	return problems
}

// refuse is the result of a run whose documents are not valid.
func refuse(o *Options, problems Problems) *Result {
	id := o.ExecutionID
	if id == "" {
		id = newExecutionID()
	}
	first := problems[0]
	r := &Result{
		Summary:  Summary{ExecutionID: id, Status: StatusFailed, FailureMessage: cutString(first.String(), maxMessage)},
		Failure:  &Failure{Document: first.Document, ErrorMessage: cutString(problems.Error(), MaxFailureStderr)},
		Problems: problems,
	}
	for _, d := range o.Documents {
		if d.Path == first.Document {
			r.Failure.ComponentArn = d.ComponentArn
		}
	}
	if o.Events != nil {
		o.Events(Event{Event: EventResult, Time: time.Now(), Status: StatusFailed, Error: r.Summary.FailureMessage, Result: &r.Summary, Failure: r.Failure})
	}
	return r
}

// newExecutionID is time-based, as the original's are.
func newExecutionID() string {
	if id, err := uuid.NewUUID(); err == nil {
		return id.String()
	}
	return uuid.NewString()
}

// open opens the state and the logs of a run, new or interrupted.
func (x *executor) open(ctx context.Context) error {
	o := x.o
	if err := x.environment(); err != nil {
		return err
	}
	journal, header, err := openJournal(o, x.digest())
	if err != nil {
		return err
	}
	x.journal = journal
	if x.id == "" {
		x.id = newExecutionID()
	}
	logDir := filepath.Join(o.LogDirectory, folderName(x.start, x.id))
	if header != nil {
		x.id, x.start, logDir = header.ExecutionID, header.Start, header.LogFolder
	}
	if logDir, err = filepath.Abs(logDir); err != nil {
		journal.close()
		return fmt.Errorf("finding the log folder: %w", err)
	}
	if x.logs, err = openLogs(logDir, time.Now, o.Trace); err != nil {
		journal.close()
		return err
	}
	if err := x.openSink(ctx); err != nil {
		x.close()
		return err
	}
	if err := x.begin(header); err != nil {
		x.close()
		return err
	}
	x.removeAutorun(ctx, header != nil)
	return nil
}

// begin records the start, or the resumption, of the run.
func (x *executor) begin(header *record) error {
	var err error
	if x.temp, err = makeTemporary(); err != nil {
		return fmt.Errorf("making a temporary folder: %w", err)
	}
	x.detail = &Detail{ExecutionID: x.id, StartTime: Timestamp{x.start}}
	if header != nil {
		x.logs.line("Executor: System has rebooted successfully")
		x.o.Log.Info("going on with an interrupted run", "executionId", x.id)
		x.sweep(header)
		return x.journal.add(&record{Kind: "resume", Start: time.Now(), Temporary: x.temp.dir})
	}
	for i, d := range x.docs {
		x.logs.writeDocument(i, d.source.Data)
	}
	x.logs.debug.Info("run started", "executionId", x.id, "documents", len(x.docs), "platform", runtime.GOOS)
	return x.journal.add(&record{
		Kind: "run", Version: stateVersion, ExecutionID: x.id, Start: x.start,
		Digest: x.digest(), LogFolder: x.logs.dir, Temporary: x.temp.dir,
	})
}

// sweep removes the temporary folders that an interrupted run left. Only a
// folder that can be one of them is removed, whatever the state file says.
func (x *executor) sweep(header *record) {
	for _, r := range append([]record{*header}, x.journal.earlier...) {
		if r.Temporary != "" && filepath.Dir(r.Temporary) == filepath.Clean(os.TempDir()) && strings.HasPrefix(filepath.Base(r.Temporary), temporaryPrefix) {
			_ = os.RemoveAll(r.Temporary)
		}
	}
}

// environment settles the working folder and the environment of the steps.
func (x *executor) environment() error {
	dir, err := filepath.Abs(x.o.Dir)
	if err != nil {
		return fmt.Errorf("finding the working folder: %w", err)
	}
	x.dir, x.env = dir, slices.Clone(x.o.Env)
	if x.o.Env == nil {
		x.env = os.Environ()
	}
	if _, ok := lookupEnv(x.env, "HOME"); !ok && runtime.GOOS != "windows" {
		if home := homeFolder(); home != "" {
			x.env = append(x.env, "HOME="+home)
		}
	}
	if _, ok := lookupEnv(x.env, "WORKING_DIRECTORY"); !ok {
		x.env = append(x.env, "WORKING_DIRECTORY="+os.TempDir())
	}
	return nil
}

// lookupEnv finds a variable; the last one of a name counts.
func lookupEnv(env []string, name string) (value string, ok bool) {
	for _, v := range env {
		key, rest, found := strings.Cut(v, "=")
		if found && (key == name || runtime.GOOS == "windows" && strings.EqualFold(key, name)) {
			value, ok = rest, true
		}
	}
	return value, ok
}

// finish writes the results and gives up or keeps the state.
func (x *executor) finish(ctx context.Context, outcome outcome) *Result {
	s := x.summary()
	if outcome == abort && x.failure == nil { // stopped in a step whose failure is ignored
		x.failure = &Failure{ErrorMessage: "the run was stopped"}
		s.FailureMessage = x.failure.ErrorMessage
	}
	switch {
	case outcome == suspend:
		s.Status = StatusRebooting
	case x.failure != nil:
		s.Status = x.failedStatus()
	}
	x.detail.Status, x.detail.FailureMessage, x.detail.EndTime = s.Status, s.FailureMessage, Timestamp{time.Now()}
	x.logs.writeJSON("detailedoutput.json", x.detail)
	x.logs.writeJSON(chainFile, x.chain.published())
	x.closingLines(s.Status)
	x.closeSink()
	if err := x.logs.failure(); err != nil && s.Status == StatusSuccess {
		s.Status, s.FailureMessage = StatusFailed, err.Error()
		x.failure = &Failure{ErrorMessage: err.Error()}
	}
	if x.o.LogBucket != "" && outcome != suspend {
		s.LogURL = x.upload()
	}
	r := &Result{Summary: s, Failure: x.failure, Detail: x.detail}
	if s.Status == StatusSuccess || s.Status == StatusRebooting {
		r.Failure = nil
	}
	if outcome != suspend && ctx.Err() == nil {
		x.journal.finish()
	}
	x.event(Event{Event: EventResult, Status: s.Status, Error: s.FailureMessage, Result: &r.Summary, Failure: r.Failure})
	return r
}

// closingLines are the last lines of console.log, the description of the first
// failure among them.
func (x *executor) closingLines(status string) {
	if status == StatusRebooting {
		x.logs.line("Rebooting the system now")
		return
	}
	x.logs.line("Executor: FINISHED EXECUTION OF ALL DOCUMENTS")
	if status == StatusSuccess {
		x.logs.line("TOE has completed execution successfully")
		return
	}
	x.logs.line("TOE has completed execution with failure - Execution failed!")
	if f := x.failure; f != nil {
		lines := []string{"  Document: " + f.Document}
		for _, l := range []struct{ label, text string }{
			{"ComponentArn", f.ComponentArn}, {"Phase", f.Phase}, {"Step", f.Step}, {"Action", f.Action},
			{"ErrorMessage", f.ErrorMessage}, {"Stderr", x.failureStderr},
		} {
			if l.text != "" {
				lines = append(lines, "  "+l.label+": "+l.text)
			}
		}
		x.logs.lines("", []byte(strings.Join(lines, "\n")))
	}
}

func (x *executor) close() {
	if err := x.temp.remove(); err != nil {
		x.o.Log.Warn("the temporary folder was not removed", "error", err)
	}
	x.closeSink()
	x.logs.close()
	x.journal.close()
}
