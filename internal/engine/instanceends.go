package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// terminateInstance is the action TerminateInstance. An instance that is gone
// already was terminated as wished. Without waitForTermination a failure to
// remove what the instance used does not fail the step: the ledger has it.
func terminateInstance(ctx context.Context, c *call) (result, error) {
	c.mu.Lock()
	m := c.instances[c.str("instanceId")]
	c.mu.Unlock()
	if m == nil {
		return result{}, nil
	}
	m.settle(ctx)
	err := c.forget(m)
	if err != nil && !c.flag("waitForTermination") {
		c.engine.Log.Error("an instance was not removed", "instance", m.id, "err", err)
		err = nil
	}
	return result{}, err
}

// forget ends an instance at once and removes all that it used. What was wanted
// of its volume was taken before. What cannot be removed stays in the ledger:
// the next server tries again.
func (r *run) forget(m *machine) error {
	r.mu.Lock()
	delete(r.instances, m.id)
	r.mu.Unlock()
	m.settle(ended)
	err := m.end()
	m.keepConsole()
	if err == nil {
		err = os.RemoveAll(m.dir)
	}
	if err == nil {
		err = r.engine.record(context.Background(), m.stage+" instance out of the ledger", nil, func(tx *store.Tx) error { return tx.DeleteInstance(m.id) })
	}
	if err != nil {
		return fmt.Errorf("removing instance %s: %w", m.id, err)
	}
	return nil
}

// ended is a context that waits for nothing.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// end ends the instance at once and gives back the disk that it read.
func (m *machine) end() (err error) {
	if m.Instance != nil {
		err = m.Kill()
	}
	if m.release != nil {
		m.release()
		m.release = nil
	}
	return err
}

// consoleLog is the name of the console's log in the folder of an instance that
// was never launched well; a launched one names it itself.
const consoleLog = "console.log"

// keepConsole copies the end of the console's log beside the step's other logs.
func (m *machine) keepConsole() {
	from := filepath.Join(m.dir, consoleLog)
	if m.Instance != nil {
		from = m.Console()
	}
	in, err := os.Open(from)
	if err != nil {
		return // there was no console yet
	}
	defer in.Close()
	if info, err := in.Stat(); err == nil && info.Size() > maxConsole {
		in.Seek(-maxConsole, io.SeekEnd)
	}
	data, err := io.ReadAll(io.LimitReader(in, maxConsole))
	if err == nil {
		os.WriteFile(m.bootLog, data, 0o600)
	}
}

// maxConsole bounds what is kept of a console's log, in bytes: a guest may
// write to it without end.
const maxConsole = 4 << 20

// running gives the instances that there are.
func (r *run) running() []*machine {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.instances))
}

// killInstances ends whatever the run still has.
func (r *run) killInstances() {
	for _, m := range r.running() {
		if err := r.forget(m); err != nil {
			r.engine.Log.Error("an instance was not removed", "instance", m.id, "err", err)
		}
	}
}

// releaseInstances ends the instances of an image that ended. Those of a failed
// one are kept for a person if the infrastructure configuration or their step
// says so; the words that it gives say how to enter them.
func (r *run) releaseInstances(ctx context.Context, failed bool) string {
	var words strings.Builder
	for _, m := range r.running() {
		if failed {
			m.settle(ctx) // for whoever builds it again
		}
		if keep := failed && (m.keep || !r.plan.Infrastructure.TerminateOnFailure); !keep || m.stopped {
			continue
		}
		if err := r.keepMachine(ctx, m); err != nil { // nobody could find it
			r.engine.Log.Error("keeping an instance", "instance", m.id, "err", err)
			continue
		}
		fmt.Fprintf(&words, "\nInstance %s was kept, until the image is deleted. Enter it with: goldsmith shell %s --data-dir %s", m.id, r.arn, r.engine.Dir)
	}
	r.killInstances()
	return words.String()
}

// keepMachine hands an instance over from the run to the engine.
func (r *run) keepMachine(ctx context.Context, m *machine) (err error) {
	e := r.engine
	m.keepConsole()
	row := store.Instance{ID: m.id, Node: r.engine.Node, Kind: m.kind, Dir: m.dir, Volume: m.volume, ImageARN: r.arn, State: "kept", Created: e.Now()}
	note := keptOf(row)
	note.Enter, note.PID = m.Enter(), os.Getpid()
	if note.Shell, err = m.prepareShell(ctx); err != nil {
		r.engine.Log.Warn("a kept instance has only a plain shell", "instance", m.id, "err", err)
	}
	if err := note.write(); err != nil {
		return err
	}
	if err := e.record(ctx, m.stage+" instance kept", nil, func(tx *store.Tx) error { return tx.PutInstance(row) }); err != nil {
		return err
	}
	e.mu.Lock()
	e.kept[m.id] = m
	e.mu.Unlock()
	r.mu.Lock()
	delete(r.instances, m.id)
	r.mu.Unlock()
	return nil
}

// NewInstanceID gives "i-" and 17 hexadecimal digits, as EC2 does.
func NewInstanceID() string {
	var b [9]byte
	rand.Read(b[:])
	return "i-" + hex.EncodeToString(b[:])[:17]
}
