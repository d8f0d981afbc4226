package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	recordFile  = "sandbox.json" // what Sweep needs, written before anything else is made
	rootFolder  = "root"         // where the supervisor mounts the volume; empty for everybody else
	chanFolder  = "channel"      // the agent's socket, read-only in the guest
	homeFolder  = "scratch"      // where it mounts guest.Folder; empty likewise
	homeFile    = "scratch.raw"  // the file system in it
	consoleFile = "console.log"
	serviceFile = "supervisor.log"
)

// layout is how sandboxes use their folders.
var layout = holding.Layout{
	Record: recordFile, Console: consoleFile, Service: serviceFile,
	Leftovers: []string{rootFolder, ".#" + rootFolder + ".lck", homeFolder, homeFile, chanFolder + "/agent.sock", chanFolder},
}

// Launch is instance.Kind's Launch.
func (k *Kind) Launch(ctx context.Context, spec instance.Spec) (instance.Instance, error) {
	i, err := k.launch(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("launching sandbox %s: %w", spec.ID, err)
	}
	return i, nil
}

func (k *Kind) launch(ctx context.Context, spec instance.Spec) (_ *sandbox, err error) {
	spec, err = defaults(spec)
	if err != nil {
		return nil, err
	}
	if r := k.Probe(ctx); !r.Usable {
		return nil, errors.New(r.Remedy)
	}
	for _, path := range []*string{&spec.Dir, &spec.Volume, &spec.Toe} {
		if *path, err = filepath.Abs(*path); err != nil {
			return nil, err
		}
	}
	i := &sandbox{
		spec: spec, log: k.opts.Log.With("instance", spec.ID), exited: make(chan struct{}),
		Channel: guest.NewChannel(spec.ID, spec.BootTimeout, k.opts.Log),
		groups:  cgroup.Plan(k.found.hierarchies, spec.ID),
	}
	if i.held, err = layout.Claim(spec.Dir, spec.ID, i.groups); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			i.Channel.Close(err)
			if killErr := i.Kill(); killErr != nil {
				i.log.Warn("cleaning up after a failed launch", "error", killErr)
			}
		}
	}()
	p, err := i.plan(k)
	if err != nil {
		return nil, err
	}
	if err := i.prepare(ctx, k.network(i)); err != nil {
		return nil, err
	}
	faultpoint.Reach("sandbox prepared")
	if err := i.start(p); err != nil {
		return nil, err
	}
	faultpoint.Reach("sandbox started")
	ctx, cancel := context.WithTimeout(ctx, spec.BootTimeout)
	defer cancel()
	if _, err := i.Channel.Boot(ctx, ""); err != nil {
		return nil, i.explain(ctx, err)
	}
	return i, nil
}

// plan says what the supervisor is to do.
func (i *sandbox) plan(k *Kind) (plan, error) {
	root, err := rootOf(i.spec.Volume)
	if err != nil {
		return plan{}, err
	}
	p := plan{
		Volume: i.spec.Volume, Offset: root.Offset, Size: root.Size, Filesystem: root.Filesystem,
		Root: i.path(rootFolder), Scratch: i.path(homeFile), Toe: i.spec.Toe, ScratchDir: i.path(homeFolder), CgroupJoin: i.groups.Join, CgroupV2: i.groups.Leaf,
		Hostname: i.spec.Hostname,
		Slirp:    k.found.slirp, ResolvConf: i.path("resolv.conf"),
	}
	if p.Slirp == "" {
		p.ResolvConf = "/etc/resolv.conf" // of the host, whose network it is
	}
	bind := func(option, host, inside string) string {
		return option + "=" + escapeColons(host) + ":" + escapeColons(inside)
	}
	p.Nspawn = []string{
		k.found.nspawn,
		"--directory=" + p.Root, "--boot", "--register=no", "--keep-unit",
		"--machine=" + i.spec.ID,
		"--console=read-only", "--oom-score-adjust=0",
		"--resolv-conf=off", "--timezone=off", "--link-journal=no", "--settings=no",
		bind("--bind", i.path(homeFolder), guest.Folder),
		bind("--bind-ro", i.spec.Toe, guest.Toe),
		bind("--bind-ro", i.path(chanFolder), guest.Folder+"/"+chanFolder),
		bind("--bind-ro", i.path(guest.UnitName), "/run/systemd/system/"+guest.UnitName),
	}
	if !k.opts.Privileged {
		// Without the right to mount, systemd cannot make this one itself.
		p.Nspawn = append(p.Nspawn, "--drop-capability="+strings.Join(withheld, ","), "--tmpfs=/run/lock:mode=1777,size=5m")
		for _, name := range slices.Sorted(maps.Keys(serviceSettings)) {
			p.Nspawn = append(p.Nspawn, bind("--bind-ro", i.path(settingsFile(name)), "/run/systemd/system/"+name))
		}
	}
	if k.found.suppressSync && !k.opts.KeepSync {
		p.Nspawn = append(p.Nspawn, "--suppress-sync=yes")
	}
	// For the guest's systemd, which reads its arguments as a kernel reads its
	// command line. What it cannot do in a container it need not try.
	p.Nspawn = append(p.Nspawn, "systemd.wants="+guest.UnitName,
		"systemd.mask=console-getty.service", "systemd.mask=systemd-remount-fs.service")
	return p, nil
}

// withheld are the capabilities by which root in a container would be root of the
// host (decision 35): mounting, which brings fresh views of /proc, /sys and
// /dev; opening files by their numbers; making device nodes.
var withheld = []string{"CAP_SYS_ADMIN", "CAP_DAC_READ_SEARCH", "CAP_MKNOD"}

// escapeColons escapes a path for nspawn's --bind.
func escapeColons(path string) string {
	return strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(path)
}

// prepare fills the instance's folder.
func (i *sandbox) prepare(ctx context.Context, network holding.Network) (err error) {
	if err := i.held.Begin(); err != nil {
		return err
	}
	unit := guest.Unit(guest.Folder + "/" + chanFolder + "/agent.sock")
	files := map[string]string{guest.UnitName: unit, "resolv.conf": "nameserver " + nameserver + "\n"}
	for name, content := range serviceSettings {
		files[settingsFile(name)] = content
	}
	for name, content := range files {
		if err := os.WriteFile(i.path(name), []byte(content), 0o644); err != nil {
			return fmt.Errorf("preparing the instance's folder: %w", err)
		}
	}
	for _, name := range []string{rootFolder, chanFolder, homeFolder} {
		if err := os.Mkdir(i.path(name), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("preparing the instance's folder: %w", err)
		}
	}
	if err := guest.MakeScratch(ctx, i.path(homeFile), ""); err != nil {
		return err
	}
	if i.listener, err = guest.Listen(filepath.Join(i.path(chanFolder), "agent.sock")); err != nil {
		return err
	}
	go i.accept()
	return i.held.Bound(i.Channel, cgroup.Limits{MemoryMiB: i.spec.MemoryMiB, CPUs: i.spec.VCPU, PIDs: maxPIDs}, network)
}

// network says how an instance's network is guarded: its way out is slirp4netns,
// which the supervisor starts.
func (k *Kind) network(i *sandbox) holding.Network {
	if !k.report.Guarded {
		return holding.Network{}
	}
	return holding.Network{Groups: []string{i.groups.Helper}, Reach: k.opts.Reach, Metadata: i.spec.Metadata}
}

// start starts the supervisor and follows its reports.
func (i *sandbox) start(p plan) error {
	consoleOut, consoleIn, err := os.Pipe()
	if err != nil {
		return err
	}
	defer consoleIn.Close()
	serviceOut, serviceIn, err := os.Pipe()
	if err != nil {
		consoleOut.Close()
		return err
	}
	defer serviceIn.Close()
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Setsid: true}
	cmd, line, err := lifeline.Start(supervisorName, attr, serviceIn, consoleIn)
	if err != nil {
		consoleOut.Close()
		serviceOut.Close()
		return err
	}
	i.cmd, i.line = cmd, line
	var copies sync.WaitGroup
	copies.Go(func() { i.held.Console.Copy(consoleOut); consoleOut.Close() })
	copies.Go(func() { i.held.Service.Copy(serviceOut); serviceOut.Close() })
	if err := line.Send(p); err != nil {
		slog.Debug("the supervisor did not take its plan", "error", err) // follow tells why it went
	}
	go i.follow(&copies)
	return nil
}
