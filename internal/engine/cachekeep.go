package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/faultpoint"
	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/stepcache"
)

// executeKeeping runs the components that p says are not done yet, one by one,
// and keeps the state of the volume after those where that pays. Behind a
// component without a key the rest runs at once.
//
// The last snapshot may still be at work when it returns without an error:
// machine.settle waits for it.
func (c *call) executeKeeping(ctx context.Context, m *machine, p *progress, docs []Component) error {
	if err := c.tellCached(ctx, p, docs); err != nil {
		return err
	}
	k := newKeeper(ctx, c, m, p)
	m.states = k
	err := k.runAll(ctx, docs)
	if err != nil { // whoever mends the component wants the state before it
		m.settle(ctx)
	}
	if k.noted {
		err = errors.Join(err, c.rewritePlan(context.WithoutCancel(ctx)))
	}
	return err
}

// runAll runs the components that are not done yet.
func (k *keeper) runAll(ctx context.Context, docs []Component) error {
	p := k.progress
	for i := p.done; i < len(docs); {
		n, key := 1, p.keys[i].Key
		if key == "" || k.failed() {
			n, key = len(docs)-i, ""
		}
		fetched, log := &fetches{}, &tail{max: stepcache.MaxLog}
		start := k.engine.Now()
		if err := k.executePart(ctx, k.machine, docs[i:i+n], strconv.Itoa(i), fetched, log); err != nil {
			return k.remark(err)
		}
		if i += n; key == "" {
			continue
		}
		if fetched.hidden {
			k.giveUp(fmt.Errorf("it fetched files that must not be named, or too many"), docs[i-1])
			continue
		}
		k.begun = append(k.begun, stepcache.Link{Key: key, Component: docs[i-1].ARN, Fetched: fetched.all()})
		k.printed.Write(log.buf)
		k.ran += k.engine.Now().Sub(start)
		if why := k.tooShort(i == len(docs)); why != "" {
			k.noteShort(i-1, docs[i-1], why)
			continue
		}
		if err := k.keep(ctx); err != nil {
			return err
		}
	}
	return nil
}

// executePart runs some components of a step and tells what they fetched and
// printed.
func (c *call) executePart(ctx context.Context, m *machine, docs []Component, part string, fetched *fetches, log *tail) error {
	x := c.execution(m, docs, part)
	x.fetched, x.copy = fetched, log
	return x.run(ctx)
}

// tellCached writes into the logs which components are not run, and what they
// printed when they were.
func (c *call) tellCached(ctx context.Context, p *progress, docs []Component) error {
	if p.done == 0 {
		return nil
	}
	dir, err := c.log.stepDir(c.row.WorkflowExecutionID, c.row.Name)
	if err != nil {
		return err
	}
	console, err := os.OpenFile(filepath.Join(dir, "console.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the step's console log: %w", err)
	}
	defer console.Close()
	for i, link := range p.chain {
		c.log.printf("Component %s: cached (state %s, kept by %s)", docs[i].ARN, short(link.Key), p.made.Image)
		if link.Passed {
			fmt.Fprintf(console, "Component %s: cached (with those behind it)\n", docs[i].ARN)
			continue
		}
		fmt.Fprintf(console, "Component %s: cached (state %s). What it printed when it ran:\n", docs[i].ARN, link.Key)
		then, err := c.engine.Steps.Log(ctx, link.Key)
		if err != nil {
			c.engine.Log.Warn("reading the log of a cached component", "image", c.arn, "err", err)
		}
		console.Write(then)
	}
	return nil
}

// remark adds to a component's failure that it did not run on a fresh volume, or
// in an instance that was restarted.
func (k *keeper) remark(err error) error {
	var failed *componentError
	if !errors.As(err, &failed) {
		return err
	}
	switch done := k.progress.done; {
	case done > 0:
		failed.note = join(failed.note, fmt.Sprintf("the %d components before it were cached, as after a reboot; --no-cache runs them again", done))
	case k.restarts > 0:
		failed.note = join(failed.note, "the instance was restarted before it, to keep a state; --no-cache does not restart it")
	}
	return err
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// keeper keeps the states of one instance's volume. The snapshots are made
// beside what follows, of copies that nobody writes to.
type keeper struct {
	*call
	machine  *machine
	progress *progress

	begun    []stepcache.Link // of the components since the state that was kept last
	printed  *tail            // what those printed
	ran      time.Duration    // how long they ran
	cost     time.Duration    // of keeping a state: the last restart, at first the launch
	restarts int
	noted    bool // the plan says something new

	chain  []stepcache.Link // up to the state that was kept last
	parent string           // its snapshot
	work   sync.WaitGroup   // the snapshot that is being made
	ctx    context.Context  // of that; it outlives the step
	stop   context.CancelFunc

	mu     sync.Mutex
	gaveUp bool
}

func newKeeper(ctx context.Context, c *call, m *machine, p *progress) *keeper {
	k := &keeper{call: c, machine: m, progress: p, chain: p.chain, parent: m.source.Snapshot, cost: m.took, printed: &tail{max: stepcache.MaxLog}}
	k.ctx, k.stop = context.WithCancel(context.WithoutCancel(ctx))
	return k
}

// lastPays is how many times what keeping a state costs must have been spent
// since the state before it, where no component follows. Such a state is not
// what a change of a component starts from: it is of use where a later step
// failed, or the recipe gets one more component.
const lastPays = 20

// tooShort says why keeping the state now would cost more than it saves, or
// nothing.
func (k *keeper) tooShort(last bool) string {
	ran, cost := k.ran.Seconds(), k.cost.Seconds()
	switch {
	case k.ran < k.cost:
		return fmt.Sprintf("%.2f s of work are less than the %.2f s that keeping it takes", ran, cost)
	case last && k.ran < lastPays*k.cost:
		return fmt.Sprintf("no component follows, and %.2f s of work are less than %d times the %.2f s that keeping it takes", ran, lastPays, cost)
	}
	return ""
}

// noteShort says in the log and in the plan that the state after a component of
// the build stage is not kept.
func (k *keeper) noteShort(number int, after Component, why string) {
	k.begun[len(k.begun)-1].Passed = true
	k.log.printf("The state after component %s is not kept: %s", after.ARN, why)
	k.plan.noteCache(number, why)
	k.noted = true
}

// giveUp notes that no more states are kept of this run, and why. The build goes
// on.
func (k *keeper) giveUp(why error, after Component) {
	k.mu.Lock()
	k.gaveUp = true
	k.mu.Unlock()
	k.log.printf("The state after component %s is not kept, nor are those after it: %v", after.ARN, why)
}

func (k *keeper) failed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.gaveUp
}

// keep restarts the instance and copies its volume in between, when its file
// system is complete. An error is of the instance; a copy that fails ends the
// keeping only.
func (k *keeper) keep(ctx context.Context) error {
	link := k.begun[len(k.begun)-1]
	after := Component{ARN: link.Component}
	m, start := k.machine, k.engine.Now()
	if err := k.engine.spare(m.volume); err != nil {
		k.giveUp(err, after)
		return nil
	}
	if err := k.shell(ctx, stashTemporary); err != nil {
		k.giveUp(fmt.Errorf("putting /tmp aside: %w", err), after)
		return k.shell(ctx, fetchTemporary)
	}
	if err := m.Stop(ctx); err != nil {
		return fmt.Errorf("stopping instance %s: %w", m.id, err)
	}
	faultpoint.Reach("state after a component: instance stopped")
	stopped := k.engine.Now()
	copied := filepath.Join(m.dir, "state-"+link.Key+".raw")
	how, copyErr := disk.CopyFile(ctx, m.volume, copied)
	faultpoint.Reach("state after a component: volume copied")
	copyEnd := k.engine.Now()
	inst, err := m.builder.Launch(ctx, m.spec)
	if err != nil {
		return fmt.Errorf("starting instance %s again: %w", m.id, err)
	}
	m.Instance = inst
	k.restarts++
	if err := k.shell(ctx, fetchTemporary); err != nil {
		return fmt.Errorf("fetching /tmp back: %w", err)
	}
	if copyErr != nil {
		k.giveUp(copyErr, after)
		return nil
	}
	end := k.engine.Now()
	k.cost = end.Sub(start)
	k.log.printf("Restarted instance %s to keep the state after component %s (%.2f s: stop %.2f, %s %.2f, start %.2f)", m.id, link.Component, k.cost.Seconds(),
		stopped.Sub(start).Seconds(), how, copyEnd.Sub(stopped).Seconds(), end.Sub(copyEnd).Seconds())
	k.work.Wait() // one at a time, since each builds on the one before
	links, log := k.begun, k.printed.buf
	k.begun, k.printed, k.ran = nil, &tail{max: stepcache.MaxLog}, 0
	k.work.Go(func() { k.store(k.ctx, links, copied, log) })
	return nil
}

// store makes a state of the copy of a volume, after the components of links.
func (k *keeper) store(ctx context.Context, links []stepcache.Link, copied string, log []byte) {
	defer os.Remove(copied) // it is gone if all went well
	if k.failed() {
		return
	}
	start, last := time.Now(), &links[len(links)-1]
	var made Stored
	_, key, err := k.keys() // what is encrypted in the end is encrypted here, too
	if err == nil {
		made, err = k.engine.Disks.Snapshot(ctx, copied, k.parent, "", key)
	}
	faultpoint.Reach("state after a component: snapshot made")
	if err == nil {
		last.Bytes = made.Changed
		k.chain = append(k.chain[:len(k.chain):len(k.chain)], links...)
		err = k.engine.Steps.Put(ctx, stepcache.State{Snapshot: made.Snapshot, Image: k.arn, Made: k.engine.Now().UTC(), Chain: k.chain}, log)
	}
	if err != nil {
		k.giveUp(err, Component{ARN: last.Component})
		return
	}
	k.parent = made.Snapshot
	faultpoint.Reach("state after a component: recorded")
	k.log.printf("Kept the state %s after component %s: %d of %d blocks new, %.1f MiB written (%.2f s)", short(last.Key), last.Component, made.NewBlocks, made.Blocks, float64(made.NewBytes)/(1<<20), time.Since(start).Seconds())
}

// settle waits until the states of the instance's volume are stored, and makes
// room. When ctx ends, what is not stored yet is given up. It gives the snapshot
// that the volume is nearest to.
func (m *machine) settle(ctx context.Context) (parent string) {
	k := m.states
	if k == nil {
		return m.source.Snapshot
	}
	m.states = nil
	m.source.Snapshot = k.finish(ctx)
	return m.source.Snapshot
}

func (k *keeper) finish(ctx context.Context) (parent string) {
	defer k.stop()
	defer context.AfterFunc(ctx, k.stop)()
	k.work.Wait()
	k.engine.trimSteps(ctx)
	return k.parent
}

// trimSteps holds the kept states to their limit.
func (e *Engine) trimSteps(ctx context.Context) {
	if !e.Steps.Enabled() {
		return
	}
	t, err := e.Steps.Trim(ctx)
	if err != nil && ctx.Err() == nil {
		e.Log.Warn("dropping the states that were used least recently", "err", err)
	}
	if t.States > 0 {
		e.Log.Info("dropped the states that were used least recently", "dropped", t.States, "kept", t.Kept, "bytes", t.Bytes)
	}
}

// spare refuses a copy of a volume that the server's own disk has no room for.
func (e *Engine) spare(volume string) error {
	var st unix.Stat_t
	if err := unix.Stat(volume, &st); err != nil {
		return fmt.Errorf("looking at the volume: %w", err)
	}
	free, err := e.free()
	if err != nil {
		return err
	}
	// The copy, and at worst every block of it once more in the store.
	if need := 2*st.Blocks*512 + e.Reserve; free < need {
		return fmt.Errorf("no space left on device: the server's data folder has %.1f GiB free, and a copy of the volume may need %.1f", float64(free)/(1<<30), float64(need)/(1<<30))
	}
	return nil
}

// A restart empties /tmp, as on any machine with systemd; what components leave
// there for later ones is put aside on the same file system. Folders of services
// are made anew by them.
const (
	stashTemporary = `d=/.goldsmith-tmp
mkdir -m 700 "$d" || exit 1
for f in /tmp/* /tmp/.[!.]* /tmp/..?*; do
  case $f in /tmp/systemd-private-*|/tmp/.*-unix) continue;; esac
  if [ -e "$f" ] || [ -L "$f" ]; then mv -f -- "$f" "$d/" || exit 1; fi
done`
	fetchTemporary = `d=/.goldsmith-tmp
[ -d "$d" ] && [ ! -L "$d" ] || exit 0
for f in "$d"/* "$d"/.[!.]* "$d"/..?*; do
  if [ -e "$f" ] || [ -L "$f" ]; then mv -f -- "$f" /tmp/ || exit 1; fi
done
rmdir "$d"`
)

// shell runs a script in the instance that must succeed.
func (k *keeper) shell(ctx context.Context, script string) error {
	return inShell(ctx, k.machine, script)
}

func inShell(ctx context.Context, m *machine, script string) error {
	stderr := &tail{max: 4096}
	exit, err := m.Exec(ctx, instance.Command{Argv: []string{"/bin/sh", "-c", script}, Stderr: stderr})
	if err != nil {
		return err
	}
	if exit != 0 {
		return errors.New(exitWords(exit, stderr.String()))
	}
	return nil
}
