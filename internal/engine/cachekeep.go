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
// and keeps the state of the volume after each that has a key. Behind a
// component without one the rest runs at once.
func (c *call) executeKeeping(ctx context.Context, m *machine, p *progress, docs []Component) error {
	if err := c.tellCached(ctx, p, docs); err != nil {
		return err
	}
	k := &keeper{call: c, machine: m, chain: p.chain, parent: m.source.Snapshot}
	defer k.finish(ctx)
	for i := p.done; i < len(docs); {
		n, key := 1, p.keys[i].Key
		if key == "" || k.failed() {
			n, key = len(docs)-i, ""
		}
		fetched, log := &fetches{}, &tail{max: stepcache.MaxLog}
		if err := c.executePart(ctx, m, docs[i:i+n], strconv.Itoa(i), fetched, log); err != nil {
			return p.remark(err)
		}
		if i += n; key == "" {
			continue
		}
		if fetched.hidden {
			k.giveUp(fmt.Errorf("it fetched files that must not be named, or too many"), docs[i-1])
			continue
		}
		link := stepcache.Link{Key: key, Component: docs[i-1].ARN, Fetched: fetched.all()}
		if err := k.keep(ctx, link, log.buf); err != nil {
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
		fmt.Fprintf(console, "Component %s: cached (state %s). What it printed when it ran:\n", docs[i].ARN, link.Key)
		then, err := c.engine.Steps.Log(ctx, link.Key)
		if err != nil {
			c.engine.Log.Warn("reading the log of a cached component", "image", c.arn, "err", err)
		}
		console.Write(then)
	}
	return nil
}

// remark adds to a component's failure that it did not run on a fresh volume.
func (p *progress) remark(err error) error {
	var failed *componentError
	if p.done > 0 && errors.As(err, &failed) {
		failed.note = join(failed.note, fmt.Sprintf("the %d components before it were cached, as after a reboot; --no-cache runs them again", p.done))
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
// beside the components that follow.
type keeper struct {
	*call
	machine *machine
	chain   []stepcache.Link // up to the state that was kept last
	parent  string           // its snapshot
	work    sync.WaitGroup   // the snapshot that is being made

	mu     sync.Mutex
	gaveUp bool
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
func (k *keeper) keep(ctx context.Context, link stepcache.Link, log []byte) error {
	after := Component{ARN: link.Component}
	m, start := k.machine, time.Now()
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
	copied := filepath.Join(m.dir, "state-"+link.Key+".raw")
	copyErr := disk.CopyFile(ctx, m.volume, copied)
	faultpoint.Reach("state after a component: volume copied")
	inst, err := m.builder.Launch(ctx, m.spec)
	if err != nil {
		return fmt.Errorf("starting instance %s again: %w", m.id, err)
	}
	m.Instance = inst
	if err := k.shell(ctx, fetchTemporary); err != nil {
		return fmt.Errorf("fetching /tmp back: %w", err)
	}
	if copyErr != nil {
		k.giveUp(copyErr, after)
		return nil
	}
	k.log.printf("Restarted instance %s to keep the state after component %s (%.2f s)", m.id, link.Component, time.Since(start).Seconds())
	k.work.Wait() // one at a time, since each builds on the one before
	k.work.Go(func() { k.store(ctx, link, copied, log) })
	return nil
}

// store makes a state of the copy of a volume.
func (k *keeper) store(ctx context.Context, link stepcache.Link, copied string, log []byte) {
	defer os.Remove(copied) // it is gone if all went well
	if k.failed() {
		return
	}
	start := time.Now()
	var made Stored
	_, key, err := k.keys() // what is encrypted in the end is encrypted here, too
	if err == nil {
		made, err = k.engine.Disks.Snapshot(ctx, copied, k.parent, "", key)
	}
	faultpoint.Reach("state after a component: snapshot made")
	if err == nil {
		link.Bytes = made.Changed
		k.chain = append(k.chain[:len(k.chain):len(k.chain)], link)
		err = k.engine.Steps.Put(ctx, stepcache.State{Snapshot: made.Snapshot, Image: k.arn, Made: k.engine.Now().UTC(), Chain: k.chain}, log)
	}
	if err != nil {
		k.giveUp(err, Component{ARN: link.Component})
		return
	}
	k.parent = made.Snapshot
	faultpoint.Reach("state after a component: recorded")
	k.log.printf("Kept the state %s after component %s: %d of %d blocks new, %.1f MiB written (%.2f s)", short(link.Key), link.Component, made.NewBlocks, made.Blocks, float64(made.NewBytes)/(1<<20), time.Since(start).Seconds())
}

// finish waits for the last snapshot and makes room.
func (k *keeper) finish(ctx context.Context) {
	k.work.Wait()
	k.engine.trimSteps(ctx)
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
		return fmt.Errorf("exit status %d: %s", exit, lastLines(stderr.String(), 400))
	}
	return nil
}
