package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/faultpoint"
	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// machine is an instance of a run, with what it uses on the host.
type machine struct {
	instance.Instance
	id      string
	step    string // the step execution that launched it
	stage   string // the type of its workflow
	kind    string
	dir     string
	source  source
	volume  string // raw disk that the instance writes; "" for an overlay
	release func() // gives back a disk that is only read
	bootLog string // where its console's log is kept when it ends
	size    string // its instance type, "" if none was named
	guarded bool   // it has metadata at 169.254.169.254
	stopped bool   // its volume became an image
	keep    bool   // its step says that no rollback ends it

	builder  instance.Kind // what it was launched by, and with
	spec     instance.Spec
	took     time.Duration // the launch: to make its volume, and until it answered
	progress *progress     // where states after components are kept; nil otherwise
	states   *keeper       // that kept some; nil once they are settled
	failed   *setting      // where a program of it ran that failed; nil: none did
}

// source is the disk that an instance starts from, and what it is like.
type source struct {
	Parent
	name string // for messages
}

// launchInstance is the action LaunchInstance: in the build workflow a sandbox
// on a fresh volume of the parent, in the others a VM that boots the new AMI on
// an overlay. The instance types are tried in turn.
func launchInstance(ctx context.Context, c *call) (result, error) {
	from, err := c.launchSource(ctx)
	if err != nil {
		return result{}, err
	}
	dir, err := c.log.stepDir(c.row.WorkflowExecutionID, c.row.Name)
	if err != nil {
		return result{}, err
	}
	types := texts(c.inputs["instanceTypesOverride"])
	if len(types) == 0 {
		types = c.plan.Infrastructure.InstanceTypes
	}
	if len(types) == 0 {
		types = []string{""}
	}
	for i, name := range types {
		m, err := c.launchAs(ctx, name, from, filepath.Join(dir, "boot.log"))
		if err == nil {
			c.log.printf("Launched instance (instance id: %s)", m.id)
			return result{outputs: map[string]any{"instanceId": m.id, "instanceType": name}}, nil
		}
		if ctx.Err() != nil || i == len(types)-1 {
			return result{}, err
		}
		c.log.printf("Launching an instance of the type %s failed; the next type is tried: %v", name, err)
	}
	panic("unreachable")
}

// launchSource finds what the step's instance starts from: imageIdOverride, or
// the recipe's parent in the build, or the AMI that the build made.
func (c *call) launchSource(ctx context.Context) (source, error) {
	if id := c.str("imageIdOverride"); id != "" {
		return c.sourceAMI(ctx, id)
	}
	if c.Type == string(workflow.Build) || !c.builds() {
		return source{Parent: c.plan.Parent, name: "parent image " + c.plan.Parent.Requested}, nil
	}
	ami, err := c.outputAMI(ctx)
	if err != nil {
		return source{}, err
	}
	from := source{Parent: c.plan.Parent, name: ami.id}
	from.AMI, from.Snapshot, from.BootMode = ami.id, ami.snapshot, ami.bootMode
	return from, nil
}

// sourceAMI describes an AMI that the image's owner may launch.
func (c *call) sourceAMI(ctx context.Context, id string) (source, error) {
	var ami cloud.AMI
	var ok bool
	err := c.engine.read(ctx, func(tx *store.Tx) (err error) {
		ami, ok, err = c.engine.Cloud.Visible(ctx, tx, c.plan.Image.Account, c.plan.Image.Region, id)
		return err
	})
	if err != nil {
		return source{}, fmt.Errorf("looking for %s: %w", id, err)
	}
	root, hasRoot := ami.Root()
	if !ok || !hasRoot || root.Manifest == "" {
		return source{}, fmt.Errorf("the AMI '%s' does not exist in %s, or the account %s may not use it", id, c.plan.Image.Region, c.plan.Image.Account)
	}
	if err := c.engine.Cloud.MayRead(c.plan.Image.Account, ami); err != nil {
		return source{}, fmt.Errorf("reading the AMI '%s': %w", id, err)
	}
	return source{name: id, Parent: Parent{
		Requested: id, AMI: id, Snapshot: root.Manifest, SizeGiB: root.SizeGiB, OSVersion: ami.OSVersion, Platform: ami.Platform, Architecture: ami.Architecture,
		RootDevice: ami.RootDevice, BootMode: ami.BootMode,
	}}, nil
}

// launchAs launches an instance of a type, and waits for its health where that
// was asked for.
func (c *call) launchAs(ctx context.Context, name string, from source, bootLog string) (*machine, error) {
	size, known := shapeOf(name)
	if !known {
		size = shape{usualVCPU, usualMemory}
	}
	size = c.engine.fit(size)
	if name != "" {
		c.log.printf("An instance of the type %s has %d processors and %d MiB here", name, size.vcpu, size.memory)
	}
	blank := func() *machine {
		return &machine{id: NewInstanceID(), step: c.row.ID, stage: c.Type, bootLog: bootLog, source: from, size: name}
	}
	var m *machine
	var err error
	if c.Type == string(workflow.Build) {
		m, err = c.launchBuilder(ctx, blank, size, from)
	} else {
		prepare := c.readable(ctx, from)
		if c.engine.TestOnCopies {
			prepare = c.throwAway(ctx, from)
		}
		m = blank()
		err = c.launch(ctx, c.engine.Tester, m, size, prepare)
	}
	if err != nil {
		return nil, err
	}
	if m.progress != nil && m.progress.done > 0 {
		return m, nil // a kept state has had its first boot
	}
	if err := c.firstBoot(ctx, m); err != nil {
		return nil, errors.Join(err, c.forget(m))
	}
	return m, nil
}

// firstBoot does in a new instance what its first boot does at EC2, and waits
// for its health where that was asked for.
func (c *call) firstBoot(ctx context.Context, m *machine) error {
	if err := c.authorize(ctx, m); err != nil {
		return err
	}
	if err := c.runUserData(ctx, m); err != nil {
		return err
	}
	if c.Type == string(workflow.Build) || c.str("healthCheck") == "RUNNING" {
		return nil
	}
	return c.healthy(ctx, m)
}

// writable gives the instance a volume of its own.
func (c *call) writable(ctx context.Context, from source) func(*machine, *instance.Spec) error {
	return func(m *machine, spec *instance.Spec) error {
		m.volume = filepath.Join(m.dir, volumeFile)
		spec.Volume = m.volume
		size, start := max(c.plan.Volume.SizeGiB, from.SizeGiB), time.Now()
		how, err := c.engine.Disks.Volume(ctx, from.Snapshot, m.volume, size)
		if err != nil {
			return fmt.Errorf("making a volume of %s: %w", from.name, err)
		}
		c.log.printf("Made a volume of %d GiB from %s (%s, %.2f s)", size, from.name, how, time.Since(start).Seconds())
		return nil
	}
}

// throwAway gives the instance a copy that goes with it: nothing is made of it.
func (c *call) throwAway(ctx context.Context, from source) func(*machine, *instance.Spec) error {
	prepare := c.writable(ctx, from)
	return func(m *machine, spec *instance.Spec) error {
		err := prepare(m, spec)
		m.volume = ""
		return err
	}
}

// readable lets the instance boot the disk itself, on a throw-away overlay.
func (c *call) readable(ctx context.Context, from source) func(*machine, *instance.Spec) error {
	return func(m *machine, spec *instance.Spec) (err error) {
		spec.Overlay = true
		if from.BootMode == "uefi" {
			spec.Firmware = "uefi"
		}
		spec.Volume, m.release, err = c.engine.Disks.Disk(ctx, from.Snapshot)
		return err
	}
}

// healthy waits until the system has come up: the boot test that every image
// passes.
func (c *call) healthy(ctx context.Context, m *machine) error {
	var state strings.Builder
	start := time.Now()
	cmd := command("systemctl", "is-system-running", "--wait")
	cmd.Stdout = &limited{w: &state, left: 64}
	if _, err := m.Exec(ctx, cmd); err != nil {
		return fmt.Errorf("waiting until %s has booted: %w", m.source.name, err)
	}
	c.log.printf("%s has booted: system state %s (after another %.1f s)", m.source.name, strings.TrimSpace(state.String()), time.Since(start).Seconds())
	return nil
}

// launch writes the instance into the ledger, lets prepare fill in its volume,
// and starts it. On an error nothing of it is left.
func (r *run) launch(ctx context.Context, kind instance.Kind, m *machine, size shape, prepare func(*machine, *instance.Spec) error) (err error) {
	e := r.engine
	m.dir, m.kind = e.instanceDir(m.id), kind.Name()
	row := store.Instance{ID: m.id, Node: e.Node, Kind: m.kind, Dir: m.dir, ImageARN: r.arn, State: "running", Created: e.Now()}
	if err := e.record(ctx, m.stage+" instance in the ledger", nil, func(tx *store.Tx) error { return tx.PutInstance(row) }); err != nil {
		return fmt.Errorf("recording instance %s: %w", m.id, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.forget(m))
		}
	}()
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of instance %s: %w", m.id, err)
	}
	if err := e.room(r.plan.Volume.SizeGiB); err != nil {
		return err
	}
	spec := instance.Spec{ID: m.id, Dir: m.dir, Toe: e.Toe, VCPU: size.vcpu, MemoryMiB: size.memory, Hostname: "ip-" + m.id[2:10]}
	begun := e.Now()
	if err := prepare(m, &spec); err != nil {
		return err
	}
	if report := kind.Probe(ctx); report.Guarded {
		m.guarded = true
		spec.Metadata = r.metadata(m, spec, report.Address)
	}
	faultpoint.Reach(m.stage, "instance has its volume")
	r.log.printf("Launching instance %s (%s)", m.id, m.kind)
	start := e.Now()
	m.builder, m.spec = kind, spec
	if m.Instance, err = kind.Launch(ctx, spec); err != nil {
		return fmt.Errorf("launching instance %s: %w", m.id, err)
	}
	end := e.Now()
	m.took = end.Sub(begun)
	r.log.printf("Instance %s (%s) answers after %.2f s", m.id, m.kind, end.Sub(start).Seconds())
	r.mu.Lock()
	r.instances[m.id] = m
	r.mu.Unlock()
	faultpoint.Reach(m.stage, "instance answers")
	return nil
}

// room refuses a launch that could fill the server's own disk.
func (e *Engine) room(sizeGiB int64) error {
	free, err := e.free()
	if err != nil {
		return err
	}
	if need := sizeGiB<<30 + e.Reserve; free < need {
		return fmt.Errorf("no space left on device: the server's data folder has %.1f GiB free and this instance may need %.1f", float64(free)/(1<<30), float64(need)/(1<<30))
	}
	return nil
}

// free is how much of the server's own disk is neither used nor promised, in
// bytes.
func (e *Engine) free() (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(e.Dir, &fs); err != nil {
		return 0, fmt.Errorf("looking for free space: %w", err)
	}
	return int64(fs.Bavail)*fs.Bsize - e.promised(), nil
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
