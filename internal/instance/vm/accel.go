package vm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// trial is how long a kernel may take under KVM to say its first line. Working
// KVM needs a fraction of a second. On nested hosts /dev/kvm may open, make
// machines and even run firmware, and yet never get a stock kernel that far.
const trial = 2 * time.Second

// outcome is what is kept of a trial.
type outcome struct {
	Key string // machine boot, QEMU version and kernel
	KVM bool
	Why string
}

// tryKVM says whether KVM boots a stock kernel here, and if not, why.
func (k *Kind) tryKVM(ctx context.Context) (bool, string) {
	device, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, "this machine has no /dev/kvm"
	case err != nil:
		return false, "KVM: " + err.Error()
	}
	device.Close()
	if k.opts.Kernel == nil {
		return false, "KVM was not tried, since no stock kernel is at hand"
	}
	kernel, err := k.opts.Kernel(ctx)
	if err != nil {
		k.untried = true
		return false, "KVM was not tried, since no stock kernel is at hand: " + err.Error()
	}
	info, err := os.Stat(kernel)
	if err != nil {
		return false, "KVM was not tried: " + err.Error()
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // without one the key only holds longer
	key := fmt.Sprintf("%s %s %d %d", strings.TrimSpace(string(boot)), k.found.version, info.Size(), info.ModTime().Unix())
	if o, ok := k.recall(key); ok {
		return o.KVM, o.Why
	}
	o := outcome{Key: key}
	o.KVM, o.Why = bootsUnderKVM(ctx, k.found.qemu, kernel)
	if ctx.Err() == nil {
		k.remember(o)
	}
	return o.KVM, o.Why
}

func bootsUnderKVM(ctx context.Context, qemu, kernel string) (bool, string) {
	ctx, cancel := context.WithTimeout(ctx, trial)
	defer cancel()
	cmd := exec.CommandContext(ctx, qemu, "-nodefaults", "-no-user-config", "-display", "none",
		"-machine", "q35", "-accel", "kvm", "-cpu", "host", "-m", "256", "-no-reboot",
		"-kernel", kernel, "-append", "earlyprintk=serial,ttyS0 console=ttyS0 panic=-1",
		"-chardev", "stdio,id=c,signal=off", "-serial", "chardev:c")
	var stderr bytes.Buffer
	seen := &seeker{want: []byte("Linux version"), found: cancel}
	cmd.Stdout, cmd.Stderr = seen, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch {
	case seen.done:
		return true, ""
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return false, fmt.Sprintf("under KVM a stock kernel did not print its first line within %s", trial)
	}
	why, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
	return false, fmt.Sprintf("QEMU could not use KVM: %v: %s", err, why)
}

// seeker looks for a pattern in what is written to it.
type seeker struct {
	want  []byte
	found func()
	done  bool
	tail  []byte
}

func (s *seeker) Write(b []byte) (int, error) {
	if !s.done {
		s.tail = append(s.tail, b...)
		if bytes.Contains(s.tail, s.want) {
			s.done = true
			s.found()
		}
		s.tail = s.tail[max(0, len(s.tail)-len(s.want)):]
	}
	return len(b), nil
}

const outcomeFile = "kvm-trial.json"

// recall gives the outcome of an earlier trial under the same circumstances.
func (k *Kind) recall(key string) (outcome, bool) {
	if k.opts.Cache == "" {
		return outcome{}, false
	}
	var o outcome
	b, err := os.ReadFile(filepath.Join(k.opts.Cache, outcomeFile))
	if err != nil || json.Unmarshal(b, &o) != nil || o.Key != key {
		return outcome{}, false
	}
	return o, true
}

// remember keeps an outcome. If that fails, the next start tries again.
func (k *Kind) remember(o outcome) {
	if k.opts.Cache == "" {
		return
	}
	b, err := json.Marshal(o)
	if err == nil {
		err = os.MkdirAll(k.opts.Cache, 0o755)
	}
	name := filepath.Join(k.opts.Cache, outcomeFile)
	if err == nil {
		err = os.WriteFile(name+".new", b, 0o644)
	}
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		k.opts.Log.Debug("the outcome of the KVM trial was not kept", "error", err)
	}
}
