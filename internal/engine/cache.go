package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/stepcache"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// Steps knows the states of volumes that were kept after components.
type Steps struct {
	States   *stepcache.Cache // nil: none are kept
	Kind     string           // of the instances that build
	Executor string           // the executor binary that is put into them
}

// Mark writes into a plan that asks for it which components need not run,
// because a state that was kept holds what they did. Files that components
// fetched are not looked at: the build does that.
func (s *Steps) Mark(ctx context.Context, p *Plan) error {
	p.clearCached()
	if !p.Cache {
		return nil
	}
	if !s.States.Enabled() {
		p.Cache = false
		return nil
	}
	executor, err := fileDigest(s.Executor)
	if err != nil {
		return err
	}
	keys, found := p.stateKeys(s.Kind, executor), 0
	for i := len(keys) - 1; i >= 0 && found == 0; i-- {
		if _, ok, err := s.States.Get(ctx, keys[i].Key); err != nil {
			return fmt.Errorf("looking for kept states: %w", err)
		} else if ok {
			found = i + 1
		}
	}
	p.markCached(keys, found)
	return nil
}

// markCached notes the keys of the build stage's components, and that the first
// done of them are not run.
func (p *Plan) markCached(keys []CachedStep, done int) {
	n := 0
	for i := range p.Components {
		if !p.Components[i].runsIn(string(workflow.Build)) {
			continue
		}
		key := keys[n]
		key.Cached = n < done
		p.Components[i].Cache = &key
		n++
	}
	p.markSteps()
}

// noteCache says in the plan why the state after a component of the build stage,
// counted from 0, was not kept.
func (p *Plan) noteCache(number int, why string) {
	for i := range p.Components {
		if !p.Components[i].runsIn(string(workflow.Build)) {
			continue
		}
		if number--; number < 0 {
			p.Components[i].Cache.Why = why
			return
		}
	}
}

// markSteps says of the steps that run components whether those are all cached.
func (p *Plan) markSteps() {
	some, all := false, true
	for i := range p.Components {
		if c := &p.Components[i]; c.runsIn(string(workflow.Build)) {
			some, all = true, all && c.Cache != nil && c.Cache.Cached
		}
	}
	for i := range p.Workflows {
		if at := p.Workflows[i].keeper(); at >= 0 {
			p.Workflows[i].Steps[at].Cached = some && all
		}
	}
}

// clearCached takes out of a plan what markCached wrote into it.
func (p *Plan) clearCached() {
	for i := range p.Components {
		p.Components[i].Cache = nil
	}
	p.markSteps()
}

// keeper is the index of the step of a build workflow whose components' states
// are kept: the ExecuteComponents that comes first on the instance of the
// workflow's first launch; -1 if there is none. A step that does something else
// with the instance before it could change what the components find.
func (w *Workflow) keeper() int {
	if w.Type != string(workflow.Build) {
		return -1
	}
	launched := false
	for i, step := range w.Steps {
		switch {
		case step.Runs == runsNo:
		case step.Runs == runsDepends:
			return -1
		case step.Action == "LaunchInstance" && !launched:
			launched = true
		case step.Action == "ExecuteComponents" && launched:
			return i
		case step.Action == waitForActionName, step.Action == "WaitForSSMAgent":
		default:
			return -1
		}
	}
	return -1
}

// progress is how far an instance has come with the components of the build
// stage, and where the states after them go.
type progress struct {
	keys     []CachedStep
	done     int              // components that need not run
	chain    []stepcache.Link // of those
	snapshot string           // the state that the instance started from; "" for the parent
	made     stepcache.State
}

// launchBuilder launches an instance of the build workflow: from the furthest
// state that was kept, where that is asked for and everything that its
// components fetched is still the same; else from the disk it was told.
func (c *call) launchBuilder(ctx context.Context, m func() *machine, size shape, from source) (*machine, error) {
	steps, err := c.progress(from)
	if err != nil {
		return nil, err
	}
	for steps != nil {
		if !c.furthest(ctx, steps) {
			break
		}
		inst, err := c.launchKept(ctx, m(), size, from, steps)
		if err != nil || inst != nil {
			return inst, err
		}
	}
	inst := m()
	if err := c.launch(ctx, c.engine.Builder, inst, size, c.writable(ctx, from)); err != nil {
		return nil, err
	}
	inst.progress = steps
	return inst, c.noteCached(ctx, steps)
}

// progress gives what is known of the step's instance before it starts; nil if
// states are not kept of it.
func (c *call) progress(from source) (*progress, error) {
	if !c.plan.Cache || !c.engine.Steps.Enabled() || c.str("imageIdOverride") != "" {
		return nil, nil
	}
	w := &c.plan.Workflows[c.flow.row.Ordinal]
	at := w.keeper()
	if at < 0 || !c.document.Steps[at].Uses(c.row.Name) || from.Snapshot != c.plan.Parent.Snapshot {
		return nil, nil
	}
	executor, err := fileDigest(c.engine.Toe)
	if err != nil {
		return nil, err
	}
	keys := c.plan.stateKeys(c.engine.Builder.Name(), executor)
	return &progress{keys: keys, done: len(keys)}, nil
}

// furthest finds the furthest state of at most p.done components, and notes it
// in p. States that turned out to be of no use lie behind p.done.
func (c *call) furthest(ctx context.Context, p *progress) bool {
	for ; p.done > 0; p.done-- {
		state, ok, err := c.engine.Steps.Get(ctx, p.keys[p.done-1].Key)
		if err != nil {
			c.log.printf("The state %s cannot be looked up: %v", short(p.keys[p.done-1].Key), err)
		}
		if ok && len(state.Chain) == p.done {
			p.chain, p.snapshot, p.made = state.Chain, state.Snapshot, state
			return true
		}
	}
	p.chain, p.snapshot, p.made = nil, "", stepcache.State{}
	return false
}

// launchKept launches an instance on the state in p. If that cannot be used, the
// machine is nil and p.done is what may still be.
func (c *call) launchKept(ctx context.Context, m *machine, size shape, from source, p *progress) (*machine, error) {
	from.Snapshot, from.SizeGiB = p.snapshot, max(c.plan.Volume.SizeGiB, from.SizeGiB)
	from.name = fmt.Sprintf("the state after %d components", p.done)
	m.source = from
	if err := c.launch(ctx, c.engine.Builder, m, size, c.writable(ctx, from)); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		c.log.printf("The kept state %s cannot be used: %v", short(p.made.Key()), err)
		if errors.Is(err, disk.ErrNotFound) || errors.Is(err, disk.ErrCorrupt) {
			if err := c.engine.Steps.Drop(ctx, p.made.Key()); err != nil {
				c.engine.Log.Warn("forgetting a kept state", "image", c.arn, "err", err)
			}
		}
		p.done--
		return nil, nil
	}
	err := inShell(ctx, m, fetchTemporary)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("fetching /tmp back: %w", err), c.forget(m))
	}
	same, err := c.stillSame(ctx, m, p.chain)
	if err == nil && same == len(p.chain) {
		m.progress = p
		if err := c.engine.Steps.Used(ctx, p.made); err != nil {
			c.engine.Log.Warn("a kept state", "image", c.arn, "err", err)
		}
		return m, c.noteCached(ctx, p)
	}
	if forgetErr := c.forget(m); err != nil || forgetErr != nil {
		return nil, errors.Join(err, forgetErr)
	}
	p.done = same
	return nil, nil
}

// noteCached writes into the plan what was really taken.
func (c *call) noteCached(ctx context.Context, p *progress) error {
	before := c.plan.cachedCount()
	switch {
	case p == nil && !c.plan.Cache:
		return nil
	case p == nil:
		c.plan.clearCached()
	default:
		c.plan.markCached(p.keys, p.done)
	}
	if c.plan.cachedCount() == before {
		return nil
	}
	return c.rewritePlan(ctx)
}

// cachedCount is how many components the plan says are not run.
func (p *Plan) cachedCount() (n int) {
	for i := range p.Components {
		if c := p.Components[i].Cache; c != nil && c.Cached {
			n++
		}
	}
	return n
}

// rewritePlan records the plan as it is now.
func (r *run) rewritePlan(ctx context.Context) error {
	data, err := r.plan.encode()
	if err != nil {
		return err
	}
	if err := r.log.writeFile("plan.json", append(slices.Clone(data), '\n')); err != nil {
		return err
	}
	return r.engine.persist(ctx, "writing the plan", func() error {
		return r.engine.Store.Write(ctx, func(tx *store.Tx) error {
			if err := tx.PutPlan(r.arn, data); err != nil {
				return fmt.Errorf("writing the plan: %w", err)
			}
			return nil
		})
	})
}
