package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/disk/partition"
	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/cgroup"
	"github.com/goldsmith-build/goldsmith/internal/instance/guest"
	"github.com/goldsmith-build/goldsmith/internal/instance/holding"
)

// Options adjust a Kind; the zero value will do.
type Options struct {
	Log *slog.Logger // nil: slog.Default

	// KeepSync passes fsync and its relatives on to the disk. By default they
	// do nothing in a sandbox, because a volume is worth nothing until it is
	// stopped, and then it is written as a whole; packages install in half the
	// time that way.
	KeepSync bool

	Reach []netip.AddrPort // what of the host guests may reach

	// Privileged lets components mount file systems and make device nodes.
	// Root in such a sandbox can become root of the host.
	Privileged bool
}

// Kind launches sandboxes. It implements instance.Kind.
type Kind struct {
	opts Options

	probe  sync.Once
	found  tools
	report instance.Report
}

var _ instance.Kind = (*Kind)(nil)

// New returns the sandbox kind.
func New(opts Options) *Kind {
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	return &Kind{opts: opts}
}

// Name is "sandbox".
func (k *Kind) Name() string { return "sandbox" }

// tools are the programs and abilities that Probe found.
type tools struct {
	nspawn       string
	version      string // systemd's
	suppressSync bool
	slirp        string // "" when there is none that works
	hierarchies  []cgroup.Hierarchy
}

// Probe looks for the tools once; it starts no container.
func (k *Kind) Probe(ctx context.Context) instance.Report {
	k.probe.Do(func() { k.report = k.look(ctx) })
	return k.report
}

func (k *Kind) look(ctx context.Context) instance.Report {
	var missing, better []string
	var err error
	if os.Geteuid() != 0 {
		missing = append(missing, "run the server as root: mounting a volume and starting a container need it")
	}
	if k.found.nspawn, err = guest.Tool("systemd-nspawn"); err != nil {
		missing = append(missing, "install systemd-nspawn (package systemd-container)")
	} else {
		out, _ := exec.CommandContext(ctx, k.found.nspawn, "--version").Output()
		k.found.version = firstNumber(string(out))
		help, _ := exec.CommandContext(ctx, k.found.nspawn, "--help").Output()
		k.found.suppressSync = strings.Contains(string(help), "--suppress-sync")
	}
	if _, err := guest.Tool("mke2fs"); err != nil {
		missing = append(missing, "install mke2fs (package e2fsprogs)")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		missing = append(missing, "give the machine loop devices (modprobe loop)")
	}
	how := []string{"systemd-nspawn " + k.found.version}
	k.found.slirp, err = guest.Tool("slirp4netns")
	_, tun := os.Stat("/dev/net/tun")
	switch {
	case err != nil:
		better = append(better, "install slirp4netns, so that builds get a network of their own")
	case tun != nil:
		better = append(better, "give the machine /dev/net/tun (modprobe tun), so that builds get a network of their own")
		k.found.slirp = ""
	}
	if k.found.slirp != "" {
		how = append(how, "private network by slirp4netns")
	} else {
		how = append(how, "NO private network: builds use the host's, loopback included")
	}
	limits, remedy := k.lookForLimits()
	how = append(how, limits)
	if remedy != "" {
		better = append(better, remedy)
	}
	if len(missing) > 0 {
		return instance.Report{How: "cannot run", Remedy: strings.Join(append(missing, better...), "; ")}
	}
	report := instance.Report{Usable: true}
	if k.found.slirp != "" {
		report.Address = address
		if err := holding.TryNetwork(k.found.hierarchies); err != nil {
			how = append(how, "guests REACH the host's own addresses, and have no metadata")
			better = append(better, "let the server keep guests from the host: "+err.Error())
		} else {
			report.Guarded = true
			how = append(how, "guests kept from the host")
		}
	}
	report.How, report.Remedy = strings.Join(how, ", "), strings.Join(better, "; ")
	return report
}

// lookForLimits says how instances are limited, and how that could be better.
func (k *Kind) lookForLimits() (how, remedy string) {
	found, err := cgroup.Hierarchies()
	if err == nil {
		err = cgroup.Try(found)
	}
	if err != nil {
		return "NO limits of memory, processors and processes", "let the server make control groups: " + err.Error()
	}
	k.found.hierarchies = found
	g := cgroup.Plan(found, "probe")
	switch missing := strings.Join(g.Missing, ", "); {
	case missing != "":
		return "no limit of " + missing, "give the server the control group controllers " + missing
	case g.Leaf != "":
		return "limits by control groups v2", ""
	}
	return "limits by control groups v1", ""
}

// firstNumber gives the first word of digits: "systemd 252 (252.39-1)" is 252.
func firstNumber(s string) string {
	for _, word := range strings.Fields(s) {
		if strings.Trim(word, "0123456789") == "" {
			return word
		}
	}
	return "of unknown version"
}

// maxPIDs bounds the processes and threads of an instance.
const maxPIDs = 4096

var idPattern = regexp.MustCompile(`^i-[0-9a-f]{17}$`)

// defaults fills what spec leaves open and refuses what cannot be launched.
func defaults(spec instance.Spec) (instance.Spec, error) {
	if !idPattern.MatchString(spec.ID) {
		return spec, fmt.Errorf("%q is not an instance id", spec.ID)
	}
	if spec.VCPU <= 0 {
		spec.VCPU = 2
	}
	if spec.MemoryMiB <= 0 {
		spec.MemoryMiB = 1024
	}
	if spec.Hostname == "" {
		spec.Hostname = spec.ID
	}
	if spec.BootTimeout <= 0 {
		spec.BootTimeout = 90 * time.Second
	}
	switch {
	case spec.Overlay:
		return spec, errors.New("a sandbox has no overlay: give it a volume of its own")
	case len(spec.Forwards) > 0:
		return spec, errors.New("a sandbox forwards no ports: launch a vm")
	}
	return spec, nil
}

// rootOf finds the root partition of a raw disk.
func rootOf(volume string) (partition.Partition, error) {
	f, err := os.Open(volume)
	if err != nil {
		return partition.Partition{}, fmt.Errorf("opening the volume: %w", err)
	}
	defer f.Close()
	size, err := f.Seek(0, 2)
	if err != nil {
		return partition.Partition{}, fmt.Errorf("measuring the volume: %w", err)
	}
	table, err := partition.Read(f, size)
	if err != nil {
		return partition.Partition{}, fmt.Errorf("volume: %w", err)
	}
	root, err := table.Root()
	if err != nil {
		return partition.Partition{}, fmt.Errorf("volume: %w", err)
	}
	return root, nil
}
