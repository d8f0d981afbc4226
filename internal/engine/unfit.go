package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// errElsewhere says that another worker has to build an image: this one cannot.
var errElsewhere = errors.New("another worker has to build the image")

const (
	// handedOn is how long a job lies in the queue that was handed on.
	handedOn = time.Second
	// unfitFor is how long an image waits for a worker that can build it: longer
	// than such a machine takes to start again.
	unfitFor = 10 * time.Minute
)

// needs is what the build of the plan takes of a worker.
func (r *run) needs() []string {
	needs := map[string]bool{}
	if a := r.plan.Parent.Architecture; a != "" {
		needs[architecturePrefix+a] = true
	}
	for i, d := range r.flows {
		if d.Type == string(workflow.Test) && !r.plan.Tests {
			continue
		}
		for _, step := range r.flows[i].document.Steps {
			if step.Action.Name != "LaunchInstance" {
				continue
			}
			kind := r.engine.Tester
			if d.Type == string(workflow.Build) {
				kind = r.engine.Builder
			}
			needs[kind.Name()] = true
		}
	}
	return sorted(needs)
}

func sorted(set map[string]bool) (all []string) {
	for s := range set {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

// suit returns errElsewhere if this worker cannot do what an image needs. Then its
// job is to be handed on, or the image waits for a worker that can. A worker that
// is alone tries: the error of what it lacks says how to mend it.
func (e *Engine) suit(ctx context.Context, imageARN string, needs []string) error {
	if !e.shared() || len(needs) == 0 {
		return nil
	}
	e.mu.Lock()
	mine := Abilities{Architecture: host(), Kinds: e.found}
	e.mu.Unlock()
	if mine.Kinds == nil {
		mine.Kinds = e.probe(ctx)
	}
	if len(mine.lacks(needs)) == 0 {
		return nil
	}
	err := e.persist(ctx, "handing an image on", func() error {
		return e.Store.Write(ctx, func(tx *store.Tx) error { return e.refuse(ctx, tx, imageARN, needs) })
	})
	if err != nil {
		return err
	}
	return errElsewhere
}

// refuse records what an image needs, and gives its place back.
func (e *Engine) refuse(ctx context.Context, tx *store.Tx, imageARN string, needs []string) error {
	q, ok, err := tx.Queued(imageARN)
	if err != nil || !ok {
		return err
	}
	able, _, err := e.able(tx, needs)
	if err != nil {
		return err
	}
	q.Needs, q.Standing = strings.Join(needs, " "), store.Aside
	if !able {
		q.Standing, q.Job, q.Since = store.Unfit, 0, e.Now()
	}
	if err := tx.SetQueued(q); err != nil {
		return err
	}
	return e.place(ctx, tx)
}

// able reports whether a worker besides this one may be able to do what an image
// needs, and says of each what it lacks.
func (e *Engine) able(tx *store.Tx, needs []string) (bool, string, error) {
	all, _, err := Workers(tx)
	if err != nil {
		return false, "", err
	}
	var lacking []string
	for _, w := range all {
		missing := w.lacks(needs)
		if len(missing) == 0 && w.ID != e.id {
			return true, "", nil
		}
		if len(missing) > 0 {
			lacking = append(lacking, w.Host+" lacks "+strings.Join(missing, ", ")+w.remedies(missing))
		}
	}
	slices.Sort(lacking)
	return false, strings.Join(slices.Compact(lacking), "; "), nil
}

// remedies says how to mend what is missing.
func (a Abilities) remedies(missing []string) string {
	var all []string
	for _, k := range a.Kinds {
		if k.Remedy != "" && slices.Contains(missing, k.Kind) {
			all = append(all, k.Remedy)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, "; ") + ")"
}

// unfit says why no worker can build an image.
func (e *Engine) unfit(tx *store.Tx, q store.Queued) (string, error) {
	needs := strings.Fields(q.Needs)
	_, lacking, err := e.able(tx, needs)
	if err != nil {
		return "", err
	}
	return cut(fmt.Sprintf("No worker can build the image: it needs %s. %s", strings.Join(needs, ", "), lacking), maxReason-100), nil
}

// refit gives the images that waited for a worker that can build them places, as
// far as this one can.
func (e *Engine) refit(ctx context.Context, tx *store.Tx) error {
	waiting, err := tx.QueuedAs(store.Unfit, 1000)
	if err != nil {
		return err
	}
	mine := e.abilities()
	for _, q := range waiting {
		if len(mine.lacks(strings.Fields(q.Needs))) > 0 {
			continue
		}
		q.Standing = store.Waits
		if err := tx.SetQueued(q); err != nil {
			return err
		}
	}
	return e.place(ctx, tx)
}

// endUnfit ends the images for which no worker has come.
func (e *Engine) endUnfit(ctx context.Context) {
	var waiting []store.Queued
	err := e.Store.Read(ctx, func(tx *store.Tx) (err error) {
		waiting, err = tx.QueuedAs(store.Unfit, 1000)
		return err
	})
	for _, q := range waiting {
		if err == nil && e.Now().Sub(q.Since) > unfitFor {
			err = e.giveUp(ctx, q)
		}
	}
	if err != nil && ctx.Err() == nil {
		e.Log.Warn("ending images that no worker can build", "err", err)
	}
}

// giveUp ends an image that no worker can build.
func (e *Engine) giveUp(ctx context.Context, q store.Queued) error {
	var why string
	err := e.Store.Read(ctx, func(tx *store.Tx) (err error) {
		why, err = e.unfit(tx, q)
		return err
	})
	if err != nil {
		return err
	}
	status, err := e.Recorder.Status(ctx, q.ImageARN)
	if fault.Code(err) == "ResourceNotFoundException" || err == nil && status.Terminal() {
		return e.left(ctx, q.ImageARN)
	}
	if err != nil {
		return err
	}
	still := func(tx *store.Tx) error {
		now, ok, err := tx.Queued(q.ImageARN)
		if err == nil && (!ok || now.Standing != store.Unfit) {
			err = errPlaced
		}
		return err
	}
	return passed(e.newRun(q.ImageARN, status).end(ctx, errors.New(why), still), errPlaced)
}
