package vm

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

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/cgroup"
	"github.com/goldsmith-build/goldsmith/internal/instance/guest"
	"github.com/goldsmith-build/goldsmith/internal/instance/holding"
)

// Options adjust a Kind; the zero value will do.
type Options struct {
	Log *slog.Logger // nil: slog.Default

	// Kernel is a stock kernel (bzImage) for the trial of KVM. Without one KVM
	// is not used: nothing less than a boot shows whether it works.
	Kernel func(ctx context.Context) (vmlinuz string, err error)

	// Cache is a folder that keeps the outcome of that trial, "" for none.
	Cache string

	Reach []netip.AddrPort // what of the host guests may reach
}

// Kind launches virtual machines. It implements instance.Kind.
type Kind struct {
	opts Options

	probe   sync.Mutex
	probed  bool
	untried bool // KVM was not tried, since no kernel was at hand
	found   abilities
	report  instance.Report
}

var _ instance.Kind = (*Kind)(nil)

// New returns the vm kind.
func New(opts Options) *Kind {
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	return &Kind{opts: opts}
}

// Name is "vm".
func (k *Kind) Name() string { return "vm" }

// abilities are what Probe found.
type abilities struct {
	qemu        string
	version     string // "7.2.22"
	kvm         bool
	debugfs     string
	passt       string    // "" for QEMU's own user-mode network
	uefi        *firmware // nil: BIOS only
	hierarchies []cgroup.Hierarchy
}

// Probe looks for the tools and tries KVM, once. The trial takes at most a few
// seconds; its outcome is kept for as long as machine and QEMU stay the same.
// Until the first launch it looks again where no kernel was at hand to try.
func (k *Kind) Probe(ctx context.Context) instance.Report { return k.settle(ctx, false) }

// settle is Probe; the last word is what launches go by.
func (k *Kind) settle(ctx context.Context, last bool) instance.Report {
	k.probe.Lock()
	defer k.probe.Unlock()
	if !k.probed {
		k.untried = false
		k.report = k.look(ctx)
		k.probed = ctx.Err() == nil && (last || !k.untried)
	}
	return k.report
}

func (k *Kind) look(ctx context.Context) instance.Report {
	k.found = abilities{}
	var missing, better []string
	var err error
	if k.found.qemu, err = guest.Tool("qemu-system-x86_64"); err != nil {
		missing = append(missing, "install QEMU (package qemu-system-x86)")
	} else {
		out, _ := exec.CommandContext(ctx, k.found.qemu, "--version").Output()
		k.found.version = versionOf(string(out))
	}
	if _, err := guest.Tool("mke2fs"); err != nil {
		missing = append(missing, "install mke2fs (package e2fsprogs)")
	}
	if k.found.debugfs, err = guest.Tool("debugfs"); err != nil && os.Geteuid() != 0 {
		missing = append(missing, "install debugfs (package e2fsprogs)")
	}
	if len(missing) > 0 {
		return instance.Report{How: "cannot run", Remedy: strings.Join(missing, "; ")}
	}
	how := []string{"QEMU " + k.found.version}
	kvm, why := k.tryKVM(ctx)
	if k.found.kvm = kvm; kvm {
		how = append(how, "KVM")
	} else {
		how = append(how, "software emulation (TCG): "+why)
		better = append(better, "run on a machine with working KVM: boots take a tenth of the time")
	}
	if k.found.uefi, err = findFirmware(); err != nil {
		how = append(how, "BIOS only")
		better = append(better, "install OVMF (package ovmf) to boot by UEFI")
	} else {
		how = append(how, "BIOS and UEFI")
	}
	report := instance.Report{Usable: true, Address: guestAddress}
	if found, err := cgroup.Hierarchies(); err == nil && os.Geteuid() == 0 {
		if err := cgroup.Try(found); err == nil {
			k.found.hierarchies = found
		} else {
			better = append(better, "let the server make control groups: "+err.Error())
		}
	}
	guarded := holding.TryNetwork(k.found.hierarchies)
	report.Guarded = guarded == nil
	if k.found.passt, err = guest.Tool("passt"); err == nil && streams(k.found.version) {
		how = append(how, "network by passt")
	} else {
		k.found.passt = ""
		how = append(how, "QEMU's user-mode network")
		if !report.Guarded {
			how = append(how, "by which guests reach the host's loopback at "+gateway)
			better = append(better, "install passt, and QEMU 7.2 or later, to keep guests from the host's loopback")
		}
	}
	if report.Guarded {
		how = append(how, "guests kept from the host")
	} else {
		how = append(how, "guests REACH the host's own addresses, and have no metadata")
		better = append(better, "let the server keep guests from the host: "+guarded.Error())
	}
	report.How, report.Remedy = strings.Join(how, ", "), strings.Join(better, "; ")
	return report
}

var versionPattern = regexp.MustCompile(`version (\d+(?:\.\d+)*)`)

func versionOf(s string) string {
	if m := versionPattern.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return "of unknown version"
}

// streams tells whether a version of QEMU can take its network from a socket,
// which came with 7.2.
func streams(version string) bool {
	var major, minor int
	_, err := fmt.Sscanf(version, "%d.%d", &major, &minor)
	return err == nil && (major > 7 || major == 7 && minor >= 2)
}

var idPattern = regexp.MustCompile(`^i-[0-9a-f]{17}$`)

// defaults fills what spec leaves open and refuses what cannot be launched.
func (k *Kind) defaults(spec instance.Spec) (instance.Spec, error) {
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
		spec.BootTimeout = 10 * time.Minute
		if k.found.kvm {
			spec.BootTimeout = 3 * time.Minute
		}
	}
	switch spec.Firmware {
	case "":
		spec.Firmware = "bios"
	case "bios":
	case "uefi":
		if k.found.uefi == nil {
			return spec, errors.New("this machine has no UEFI firmware: install OVMF (package ovmf)")
		}
	default:
		return spec, fmt.Errorf("firmware %q is neither bios nor uefi", spec.Firmware)
	}
	if !hostPattern.MatchString(spec.Hostname) {
		return spec, fmt.Errorf("%q is not a host name", spec.Hostname)
	}
	for _, f := range spec.Forwards {
		if f.Host <= 0 || f.Host > 65535 || f.Guest <= 0 || f.Guest > 65535 {
			return spec, fmt.Errorf("a forward from port %d to port %d is not possible", f.Host, f.Guest)
		}
	}
	return spec, nil
}

// hostPattern keeps what goes into QEMU's comma-separated options harmless.
var hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$`)
