package toe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/goldsmith-build/goldsmith/toe/action"
)

// MaxNesting is how deep documents may run documents below the top one.
const MaxNesting = 3

// nested runs a document within a step of this one (ExecuteDocument). It has
// its own parameters, references and counters, and the run's logs and state.
func (r *running) nested(it *iteration) func(context.Context, action.DocumentCall) (action.Result, error) {
	return func(ctx context.Context, call action.DocumentCall) (action.Result, error) {
		child, err := r.x.child(ctx, r.at, it, call)
		if err != nil {
			return action.Result{}, err
		}
		outcome := child.documents(ctx)
		result := action.Result{Outputs: []action.Output{child.output()}, StderrTail: child.failureStderr}
		child.detail.Status, child.detail.EndTime = StatusSuccess, Timestamp{time.Now()}
		if outcome == suspend {
			child.detail.Status = StatusRebooting
			result.Reboot, result.Delay = action.RebootAgain, child.delay
		} else if child.failure != nil {
			child.detail.Status, child.detail.FailureMessage = child.failedStatus(), child.counts.FailureMessage
		}
		r.details = append(r.details, child.detail)
		switch {
		case outcome == suspend:
			return result, nil
		case child.failure != nil:
			f := child.failure
			return result, fmt.Errorf("%s Step %s in phase %s: %s", child.counts.FailureMessage, f.Step, f.Phase, f.ErrorMessage)
		case ctx.Err() != nil:
			return result, ctx.Err()
		}
		return result, nil
	}
}

// child makes the executor of a nested document.
func (x *executor) child(ctx context.Context, at *place, it *iteration, call action.DocumentCall) (*executor, error) {
	if len(x.ancestors) >= MaxNesting {
		return nil, fmt.Errorf("documents are nested more than %d levels deep", MaxNesting)
	}
	path := x.locate(at, call.Location)
	ancestors := append(slices.Clone(x.ancestors), identity(at.doc.source.Path))
	if slices.Contains(ancestors, identity(path)) {
		return nil, fmt.Errorf("the document %s would run itself", call.Location)
	}
	o := *x.o
	o.Phases, o.Parameters = nil, map[string]string{}
	for _, name := range strings.Split(call.Phases, ",") {
		if name = strings.TrimSpace(name); name != "" {
			o.Phases = append(o.Phases, name)
		}
	}
	for _, p := range call.Parameters {
		o.Parameters[p.Name] = p.Value
	}
	o.DocumentBucketOwner = call.Owner
	doc, problems := load(ctx, Source{Path: path, ComponentArn: componentARN(path)}, &o)
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("the document %s is not valid:\n%w", call.Location, err)
	}
	scope := fmt.Sprintf("%s%d/%s/%s", x.scope, at.document, at.phase.Name, at.step.Name)
	if it != nil {
		scope += "#" + strconv.Itoa(it.index)
	}
	c := *x
	c.o, c.docs, c.scope, c.ancestors = &o, []*loaded{doc}, scope+"/", ancestors
	// The same id after a restart.
	c.id = uuid.NewSHA1(uuid.NameSpaceOID, []byte(x.id+"/"+c.scope)).String()
	c.chain, c.from = newChain(1), nil
	c.detail = &Detail{ExecutionID: c.id, StartTime: Timestamp{time.Now()}}
	c.counts, c.failure, c.failureStderr, c.timedOut, c.delay = Summary{}, nil, "", false, 0
	return &c, nil
}

// componentARN gives the location if it is that of a component.
func componentARN(location string) string {
	if strings.HasPrefix(location, "arn:") {
		return location
	}
	return ""
}

func isRemote(location string) bool {
	return strings.HasPrefix(location, "s3://") || strings.HasPrefix(location, "arn:")
}

// locate finds a nested document: relative to the working folder, else beside
// the document that asks for it.
func (x *executor) locate(at *place, location string) string {
	if isRemote(location) || filepath.IsAbs(location) {
		return location
	}
	path := filepath.Join(x.dir, location)
	if parent := at.doc.source.Path; !fileExists(path) && parent != "" && !isRemote(parent) {
		if beside := filepath.Join(filepath.Dir(identity(parent)), location); fileExists(beside) {
			return beside
		}
	}
	return path
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// identity names a document's file by its real path, so that a cycle through
// links is found. The paths of the run's own documents start at the process's
// working folder, those of nested ones are absolute.
func identity(path string) string {
	if isRemote(path) {
		return path
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// output is what later steps can refer to of a nested run.
func (x *executor) output() action.Output {
	status := StatusSuccess
	if x.failure != nil {
		status = x.failedStatus()
	}
	return action.Output{
		"executionId":            x.id,
		"status":                 status,
		"executedStepCount":      strconv.Itoa(x.counts.ExecutedStepCount),
		"failedStepCount":        strconv.Itoa(x.counts.FailedStepCount),
		"ignoredFailedStepCount": strconv.Itoa(x.counts.IgnoredFailedStepCount),
		"failureMessage":         x.counts.FailureMessage,
		"logUrl":                 "",
	}
}
