package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// machine is an instance of a run, with what it uses on the host.
type machine struct {
	instance.Instance
	id      string
	dir     string
	volume  string // raw disk that the instance writes; "" for an overlay
	release func() // gives back a disk that is only read
	bootLog string // where its console's log is kept when it ends
	stopped bool
}

// launchInstance is the action LaunchInstance: in the build workflow a sandbox
// on a fresh volume of the parent, in the test workflow a VM that boots the new
// AMI on an overlay.
func launchInstance(ctx context.Context, c *call) (result, error) {
	if c.str("waitFor") != "ssmAgent" {
		return result{}, fmt.Errorf("waitFor must be ssmAgent")
	}
	launch := c.run.launchBuilder
	if c.stage.kind == "TEST" {
		launch = c.run.launchTester
	}
	dir, err := c.run.log.stepDir(c.row.WorkflowExecutionID, c.row.Name)
	if err != nil {
		return result{}, err
	}
	m, err := launch(ctx, filepath.Join(dir, "boot.log"))
	if err != nil {
		return result{}, err
	}
	c.run.log.printf("Launched instance (instance id: %s)", m.id)
	return result{outputs: map[string]any{"instanceId": m.id}}, nil
}

// launchBuilder starts the build instance.
func (r *run) launchBuilder(ctx context.Context, bootLog string) (*machine, error) {
	return r.launch(ctx, r.engine.Builder, bootLog, func(m *machine, spec *instance.Spec) error {
		m.volume = filepath.Join(m.dir, volumeFile)
		spec.Volume = m.volume
		start := time.Now()
		how, err := r.engine.Disks.Volume(ctx, r.plan.Parent.Snapshot, m.volume, r.plan.Volume.SizeGiB)
		if err != nil {
			return fmt.Errorf("making a volume of parent image %s: %w", r.plan.Parent.Requested, err)
		}
		r.log.printf("Made a volume of %d GiB from %s (%s, %.2f s)", r.plan.Volume.SizeGiB, r.plan.Parent.Requested, how, time.Since(start).Seconds())
		return nil
	})
}

// launchTester boots the AMI that the build workflow made and waits until the
// system has come up: the boot test that every image passes.
func (r *run) launchTester(ctx context.Context, bootLog string) (*machine, error) {
	ami, err := r.outputAMI(ctx)
	if err != nil {
		return nil, err
	}
	m, err := r.launch(ctx, r.engine.Tester, bootLog, func(m *machine, spec *instance.Spec) (err error) {
		spec.Overlay = true
		if r.plan.Parent.BootMode == "uefi" {
			spec.Firmware = "uefi"
		}
		spec.Volume, m.release, err = r.engine.Disks.Disk(ctx, ami.snapshot)
		return err
	})
	if err != nil {
		return nil, err
	}
	var state strings.Builder
	start := time.Now()
	if _, err = m.Exec(ctx, instance.Command{Argv: []string{"systemctl", "is-system-running", "--wait"}, Stdout: &limited{w: &state, left: 64}}); err != nil {
		return nil, fmt.Errorf("waiting until %s has booted: %w", ami.id, err)
	}
	r.log.printf("%s has booted: system state %s (after another %.1f s)", ami.id, strings.TrimSpace(state.String()), time.Since(start).Seconds())
	return m, nil
}

// launch writes the instance into the ledger, lets prepare fill in its volume,
// and starts it. On an error nothing of it is left.
func (r *run) launch(ctx context.Context, kind instance.Kind, bootLog string, prepare func(*machine, *instance.Spec) error) (_ *machine, err error) {
	e := r.engine
	m := &machine{id: NewInstanceID(), bootLog: bootLog}
	m.dir = e.instanceDir(m.id)
	row := store.Instance{ID: m.id, Kind: kind.Name(), Dir: m.dir, ImageARN: r.arn, State: "running", Created: e.Now()}
	if err := e.Store.Write(ctx, func(tx *store.Tx) error { return tx.PutInstance(row) }); err != nil {
		return nil, fmt.Errorf("recording instance %s: %w", m.id, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.forget(m))
		}
	}()
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of instance %s: %w", m.id, err)
	}
	if err := e.room(r.plan.Volume.SizeGiB); err != nil {
		return nil, err
	}
	spec := instance.Spec{ID: m.id, Dir: m.dir, Toe: e.Toe, VCPU: 2, MemoryMiB: 2048, Hostname: "ip-" + m.id[2:10]}
	if err := prepare(m, &spec); err != nil {
		return nil, err
	}
	r.log.printf("Launching instance %s (%s)", m.id, kind.Name())
	start := time.Now()
	if m.Instance, err = kind.Launch(ctx, spec); err != nil {
		return nil, fmt.Errorf("launching instance %s: %w", m.id, err)
	}
	r.log.printf("Instance %s (%s) answers after %.2f s", m.id, kind.Name(), time.Since(start).Seconds())
	r.instances[m.id] = m
	return m, nil
}

// room refuses a launch that could fill the server's own disk.
func (e *Engine) room(sizeGiB int64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(e.Dir, &fs); err != nil {
		return fmt.Errorf("looking for free space: %w", err)
	}
	free := int64(fs.Bavail)*fs.Bsize - e.promised()
	if need := sizeGiB<<30 + e.Reserve; free < need {
		return fmt.Errorf("no space left on device: the server's data folder has %.1f GiB free and this instance may need %.1f", float64(free)/(1<<30), float64(need)/(1<<30))
	}
	return nil
}

// promised is how much the volumes of all instances may still grow, in bytes:
// they are sparse files, and none of them may find the disk full.
func (e *Engine) promised() int64 {
	volumes, err := filepath.Glob(filepath.Join(e.Dir, "instances", "*", volumeFile))
	if err != nil {
		return 0 // the pattern is right
	}
	var sum int64
	for _, name := range volumes {
		var st unix.Stat_t
		if unix.Stat(name, &st) == nil {
			sum += max(0, st.Size-st.Blocks*512)
		}
	}
	return sum
}

// volumeFile is the name of a build instance's volume in its folder.
const volumeFile = "volume.raw"

// terminateInstance is the action TerminateInstance. An instance that is gone
// already was terminated as wished.
func terminateInstance(ctx context.Context, c *call) (result, error) {
	m, err := c.instance()
	if err != nil {
		return result{}, nil
	}
	return result{}, c.run.forget(m)
}

// forget ends an instance at once and removes all that it used. What was wanted
// of its volume was taken before. What cannot be removed stays in the ledger:
// the next server tries again.
func (r *run) forget(m *machine) error {
	delete(r.instances, m.id)
	err := m.end()
	m.keepConsole()
	if err == nil {
		err = os.RemoveAll(m.dir)
	}
	if err == nil {
		err = r.engine.Store.Write(context.Background(), func(tx *store.Tx) error { return tx.DeleteInstance(m.id) })
	}
	if err != nil {
		return fmt.Errorf("removing instance %s: %w", m.id, err)
	}
	return nil
}

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

// killInstances ends whatever the run still has.
func (r *run) killInstances() {
	for _, m := range r.instances {
		if err := r.forget(m); err != nil {
			r.engine.Log.Error("an instance was not removed", "instance", m.id, "err", err)
		}
	}
}

// releaseInstances ends the instances of a failed image, or keeps them for a
// person and gives the words that say how to enter them.
func (r *run) releaseInstances(ctx context.Context, keep bool) string {
	if !keep || len(r.instances) == 0 {
		r.killInstances()
		return ""
	}
	e := r.engine
	var words strings.Builder
	for id, m := range r.instances {
		m.keepConsole()
		row := store.Instance{ID: id, Kind: r.kindOf(m), Dir: m.dir, Volume: m.volume, ImageARN: r.arn, State: "kept", Created: e.Now()}
		note := keptOf(row)
		note.Enter, note.PID = m.Enter(), os.Getpid()
		if m.stopped {
			continue
		}
		err := note.write()
		if err == nil {
			err = e.Store.Write(ctx, func(tx *store.Tx) error { return tx.PutInstance(row) })
		}
		if err != nil { // nobody could find it
			e.Log.Error("keeping an instance", "instance", id, "err", err)
			continue
		}
		e.mu.Lock()
		e.kept[id] = m
		e.mu.Unlock()
		delete(r.instances, id)
		fmt.Fprintf(&words, "\nInstance %s was kept. Enter it with: goldsmith shell %s --data-dir %s", id, r.arn, e.Dir)
	}
	r.killInstances()
	return words.String()
}

// kindOf names the kind that launched m: only overlays have no volume.
func (r *run) kindOf(m *machine) string {
	if m.volume == "" {
		return r.engine.Tester.Name()
	}
	return r.engine.Builder.Name()
}

// NewInstanceID gives "i-" and 17 hexadecimal digits, as EC2 does.
func NewInstanceID() string {
	var b [9]byte
	rand.Read(b[:])
	return "i-" + hex.EncodeToString(b[:])[:17]
}
