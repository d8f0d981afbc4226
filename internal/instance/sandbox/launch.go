package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/goldsmith-build/goldsmith/internal/faultpoint"
	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/cgroup"
	"github.com/goldsmith-build/goldsmith/internal/instance/guest"
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

// leftovers are the files that mean nothing once the instance is gone, the
// record last.
var leftovers = []string{rootFolder, ".#" + rootFolder + ".lck", homeFolder, homeFile, chanFolder + "/agent.sock", chanFolder, recordFile}

// record is what is kept of an instance for Sweep.
type record struct {
	ID     string
	Volume string
	Groups []string
}

// living holds the folders of this process's instances.
var living sync.Map

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
	if _, taken := living.LoadOrStore(spec.Dir, spec.ID); taken {
		return nil, fmt.Errorf("an instance in %s is running already", spec.Dir)
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
	if err := i.prepare(ctx); err != nil {
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
		Slirp: k.found.slirp, ResolvConf: i.path("resolv.conf"),
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
		"--machine=" + i.spec.ID, "--hostname=" + i.spec.Hostname,
		"--console=read-only", "--oom-score-adjust=0",
		"--resolv-conf=off", "--timezone=off", "--link-journal=no", "--settings=no",
		bind("--bind", i.path(homeFolder), guest.Folder),
		bind("--bind-ro", i.spec.Toe, guest.Toe),
		bind("--bind-ro", i.path(chanFolder), guest.Folder+"/"+chanFolder),
		bind("--bind-ro", i.path(guest.UnitName), "/run/systemd/system/"+guest.UnitName),
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

// escapeColons escapes a path for nspawn's --bind.
func escapeColons(path string) string {
	return strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(path)
}

// prepare fills the instance's folder.
func (i *sandbox) prepare(ctx context.Context) error {
	// The row before the action: Sweep must know of what is made next.
	b, err := json.Marshal(record{ID: i.spec.ID, Volume: i.spec.Volume, Groups: i.groups.Dirs})
	if err != nil {
		return err
	}
	unit := guest.Unit(guest.Folder + "/" + chanFolder + "/agent.sock")
	for name, content := range map[string]string{
		recordFile: string(b), guest.UnitName: unit, "resolv.conf": "nameserver " + nameserver + "\n",
	} {
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
	if i.console, err = guest.OpenConsole(i.path(consoleFile)); err != nil {
		return err
	}
	if i.service, err = guest.OpenConsole(i.path(serviceFile)); err != nil {
		return err
	}
	if i.listener, err = guest.Listen(filepath.Join(i.path(chanFolder), "agent.sock")); err != nil {
		return err
	}
	go i.accept()
	if i.control, err = guest.ServeControl(i.Channel, i.spec.Dir); err != nil {
		return err
	}
	return i.groups.Create(cgroup.Limits{MemoryMiB: i.spec.MemoryMiB, CPUs: i.spec.VCPU, PIDs: maxPIDs})
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
	copies.Go(func() { i.console.Copy(consoleOut); consoleOut.Close() })
	copies.Go(func() { i.service.Copy(serviceOut); serviceOut.Close() })
	if err := line.Send(p); err != nil {
		slog.Debug("the supervisor did not take its plan", "error", err) // follow tells why it went
	}
	go i.follow(&copies)
	return nil
}
