package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/goldsmith-build/goldsmith/internal/faultpoint"
	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/cgroup"
	"github.com/goldsmith-build/goldsmith/internal/instance/guest"
	"github.com/goldsmith-build/goldsmith/internal/instance/holding"
	"github.com/goldsmith-build/goldsmith/internal/instance/lifeline"
)

// Files in an instance's folder.
const (
	recordFile    = "vm.json" // what Sweep needs, written before anything else is made
	overlayFile   = "disk.raw"
	scratchFile   = "scratch.raw"
	variablesFile = "uefi-variables.fd"
	consoleFile   = "console.log"
	serviceFile   = "qemu.log"
)

// layout is how machines use their folders.
var layout = holding.Layout{
	Record: recordFile, Console: consoleFile, Service: serviceFile,
	Leftovers: []string{overlayFile, scratchFile, variablesFile, guest.UnitName, mountName}, Temporary: "scratch-",
}

// Launch is instance.Kind's Launch.
func (k *Kind) Launch(ctx context.Context, spec instance.Spec) (instance.Instance, error) {
	m, err := k.launchAgain(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("launching vm %s: %w", spec.ID, err)
	}
	return m, nil
}

// maxCrashes is how often QEMU may crash before a machine has booted. Under
// multi-threaded emulation it does so once in a while, in the midst of the
// guest's bus enumeration; that is no verdict on the disk.
const maxCrashes = 3

// launchAgain launches and, where QEMU itself crashed and the volume was not
// written, does so again from the start.
func (k *Kind) launchAgain(ctx context.Context, spec instance.Spec) (*machine, error) {
	before, err := listing(spec.Dir)
	if err != nil {
		return nil, err
	}
	for crashes := 1; ; crashes++ {
		m, err := k.launch(ctx, spec)
		var crash *crashError
		if err == nil || !spec.Overlay || crashes == maxCrashes || !errors.As(err, &crash) || ctx.Err() != nil {
			return m, err
		}
		k.opts.Log.Warn("QEMU crashed; the machine is launched again", "instance", spec.ID, "crash", crashes, "error", err)
		if err := clearNew(spec.Dir, before); err != nil {
			return nil, err
		}
	}
}

// listing gives what is in a folder.
func listing(dir string) (map[string]bool, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the instance's folder: %w", err)
	}
	all := map[string]bool{}
	for _, e := range entries {
		all[e.Name()] = true
	}
	return all, nil
}

// clearNew removes what is in a folder now and was not before.
func clearNew(dir string, before map[string]bool) error {
	now, err := listing(dir)
	if err != nil {
		return err
	}
	for name := range now {
		if !before[name] {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return fmt.Errorf("clearing the instance's folder: %w", err)
			}
		}
	}
	return nil
}

func (k *Kind) launch(ctx context.Context, spec instance.Spec) (_ *machine, err error) {
	if r := k.settle(ctx, true); !r.Usable {
		return nil, errors.New(r.Remedy)
	}
	spec, err = k.defaults(spec)
	if err != nil {
		return nil, err
	}
	for _, path := range []*string{&spec.Dir, &spec.Volume, &spec.Toe} {
		if *path, err = filepath.Abs(*path); err != nil {
			return nil, err
		}
	}
	m := &machine{
		kind: k, spec: spec, log: k.opts.Log.With("instance", spec.ID), exited: make(chan struct{}),
		Channel: guest.NewChannel(spec.ID, spec.BootTimeout, k.opts.Log),
		groups:  cgroup.Plan(k.found.hierarchies, spec.ID), disk: spec.Volume,
	}
	if m.held, err = layout.Claim(spec.Dir, spec.ID, m.groups); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			m.Channel.Close(err)
			if killErr := m.Kill(); killErr != nil {
				m.log.Warn("cleaning up after a failed launch", "error", killErr)
			}
		}
	}()
	if err := m.prepare(ctx); err != nil {
		return nil, err
	}
	faultpoint.Reach("vm prepared")
	if err := m.start(); err != nil {
		return nil, err
	}
	faultpoint.Reach("vm started")
	if err := m.awaitBoot(ctx, ""); err != nil {
		return nil, err
	}
	return m, nil
}

// prepare makes the machine's disks and its control groups.
func (m *machine) prepare(ctx context.Context) error {
	if err := m.held.Begin(); err != nil {
		return err
	}
	if m.spec.Overlay {
		m.disk = m.path(overlayFile)
		if err := m.copyDisk(ctx); err != nil {
			return fmt.Errorf("copying the disk: %w", err)
		}
	}
	if err := m.kind.inject(ctx, m.disk, m.spec.Dir); err != nil {
		return err
	}
	if err := m.makeScratch(ctx); err != nil {
		return err
	}
	if m.spec.Firmware == "uefi" {
		if err := copySparse(ctx, m.kind.found.uefi.vars, m.path(variablesFile)); err != nil {
			return fmt.Errorf("copying the firmware's variables: %w", err)
		}
	}
	// What QEMU needs beside the guest's memory: translated code and its own.
	const beside = 1024
	limits := cgroup.Limits{MemoryMiB: m.spec.MemoryMiB + beside, CPUs: m.spec.VCPU + 1, PIDs: 512}
	return m.held.Bound(m.Channel, limits, m.network())
}

// copyDisk makes the machine's own disk, or takes the copy that is ready. A
// second launch after a crash of QEMU finds that used up.
func (m *machine) copyDisk(ctx context.Context) error {
	if m.spec.Ready != "" {
		err := os.Rename(m.spec.Ready, m.disk)
		if err == nil || !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.EXDEV) {
			return err
		}
	}
	return copySparse(ctx, m.spec.Volume, m.disk)
}

// network says how the machine's network is guarded: its way out is passt, which
// the keeper starts, or QEMU itself.
func (m *machine) network() holding.Network {
	if !m.kind.report.Guarded {
		return holding.Network{}
	}
	return holding.Network{Groups: []string{m.groups.Helper, m.groups.Leaf}, Reach: m.kind.opts.Reach, Metadata: m.spec.Metadata}
}

// makeScratch makes the disk that brings the executor into the guest.
func (m *machine) makeScratch(ctx context.Context) error {
	from, err := os.MkdirTemp(m.spec.Dir, "scratch-")
	if err != nil {
		return fmt.Errorf("preparing the scratch disk: %w", err)
	}
	defer os.RemoveAll(from)
	toe := filepath.Join(from, filepath.Base(guest.Toe))
	if err := copySparse(ctx, m.spec.Toe, toe); err != nil {
		return fmt.Errorf("copying the executor: %w", err)
	}
	if err := os.Chmod(toe, 0o755); err != nil {
		return fmt.Errorf("preparing the scratch disk: %w", err)
	}
	return guest.MakeScratch(ctx, m.path(scratchFile), from)
}

// start starts QEMU by way of its keeper.
func (m *machine) start() (err error) {
	var files []*os.File // the keeper's, and after the first QEMU's
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	consoleOut, consoleIn, err := os.Pipe()
	if err != nil {
		return err
	}
	files = append(files, consoleIn)
	serviceOut, serviceIn, err := os.Pipe()
	if err != nil {
		consoleOut.Close()
		return err
	}
	defer serviceIn.Close()
	defer func() {
		if err != nil {
			consoleOut.Close()
			serviceOut.Close()
		}
	}()
	agent, err := connect(&files)
	if err != nil {
		return err
	}
	if m.monitor, err = connect(&files); err != nil {
		agent.Close()
		return err
	}
	names := []string{m.disk, m.path(scratchFile)}
	if m.spec.Firmware == "uefi" {
		names = append(names, m.path(variablesFile))
	}
	for _, name := range names {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			agent.Close()
			return err
		}
		files = append(files, f)
	}
	attr := &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() == 0 {
		attr.Cloneflags = syscall.CLONE_NEWPID
	}
	m.cmd, m.line, err = lifeline.Start(keeperName, attr, serviceIn, files...)
	if err != nil {
		agent.Close()
		return err
	}
	m.follow(agent, consoleOut, serviceOut)
	uid, gid := unprivileged(m.kind.found.kvm)
	_ = m.line.Send(errand{ // if the keeper is gone already, follow tells why
		Argv: arguments(m.spec, m.kind.found), Files: len(files) - 1,
		Passt:      passtArguments(m.spec, m.kind.found),
		CgroupJoin: m.groups.Join, CgroupV2: m.groups.Leaf, UID: uid, GID: gid,
	})
	return nil
}

// connect makes a pair of sockets and adds the machine's end to files.
func connect(files *[]*os.File) (net.Conn, error) {
	ours, theirs, err := lifeline.Pair()
	if err != nil {
		return nil, err
	}
	*files = append(*files, theirs)
	defer ours.Close()
	return net.FileConn(ours)
}

// unprivileged says who QEMU runs as: nobody in particular, since it gets all
// it needs as open files. KVM's device may be root's alone, though.
func unprivileged(kvm bool) (uid, gid int) {
	if kvm || os.Geteuid() != 0 {
		return 0, 0
	}
	const nobody = 65534
	return nobody, nobody
}

// follow keeps the console, serves the agent and waits for the end of QEMU.
func (m *machine) follow(agent net.Conn, consoleOut, serviceOut io.ReadCloser) {
	var copies sync.WaitGroup
	copies.Go(func() { m.held.Console.Copy(consoleOut); consoleOut.Close() })
	copies.Go(func() { m.held.Service.Copy(serviceOut); serviceOut.Close() })
	go func() {
		// There is one connection for the life of the machine: without it the
		// machine is of no use.
		err := m.Channel.Serve(agent)
		if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
			m.Channel.Close(err)
		}
	}()
	go func() { _, _ = io.Copy(io.Discard, m.monitor) }() // its answers are of no interest
	go func() {
		r := report{Error: "QEMU's keeper was killed"}
		_ = m.line.Receive(&r) // at its end r stays as it is
		_ = m.cmd.Wait()
		copies.Wait()
		m.outcome = r
		cause := errors.New("it powered off")
		if r.Error != "" {
			cause = errors.New(r.Error)
			if r.Crashed {
				cause = &crashError{r.Error}
			}
			if tail := m.held.Service.Tail(5); tail != "" {
				cause = fmt.Errorf("%w: %s", cause, tail)
			}
		}
		close(m.exited)
		m.Channel.Close(cause)
	}()
}
