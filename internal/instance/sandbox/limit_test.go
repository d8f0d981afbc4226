package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/cgroup"
	"github.com/goldsmith-build/goldsmith/internal/instance/instancetest"
)

// TestLimits looks that a command that takes too much is stopped, and nothing
// else is.
func TestLimits(t *testing.T) {
	t.Parallel()
	k := usable(t, false)
	if len(k.found.hierarchies) == 0 {
		t.Skipf("this machine cannot limit sandboxes: %s", k.report.Remedy)
	}
	h := instancetest.Harness{Kind: k}
	spec := h.Spec(t)
	spec.MemoryMiB, spec.VCPU = 256, 1
	i := h.Launch(t, spec)
	out, exit := shell(t, i, `perl -e '$x = "x" x (1 << 30); print "got it"'`)
	if exit != 137 {
		t.Errorf("1 GiB of memory under a limit of 256 MiB: exit status %d, %s", exit, out)
	}
	if _, exit := shell(t, i, "true"); exit != 0 {
		t.Error("after that the instance is of no use")
	}
}

// TestForkBomb looks that the number of processes is limited. The agent may be
// among those that get no more threads; then it comes back without the bomb.
func TestForkBomb(t *testing.T) {
	t.Parallel()
	k := usable(t, false)
	if len(k.found.hierarchies) == 0 {
		t.Skipf("this machine cannot limit sandboxes: %s", k.report.Remedy)
	}
	h := instancetest.Harness{Kind: k}
	spec := h.Spec(t)
	spec.MemoryMiB = 2048
	i := h.Launch(t, spec)
	var out bytes.Buffer
	exit, err := i.Exec(t.Context(), instance.Command{
		Argv: []string{"perl", "-e", fmt.Sprintf(`for (1..%d) { my $p = fork; die "limit" unless defined $p; sleep 5 unless $p }`, maxPIDs+100)}, Stderr: &out,
	})
	var lost *instance.LostError
	if !errors.As(err, &lost) && (err != nil || exit == 0 || !strings.Contains(out.String(), "limit")) {
		t.Errorf("%d processes under a limit of %d: %d, %v, %s", maxPIDs+100, maxPIDs, exit, err, out.String())
	}
	// Until the bomb is over there is no process left for another command.
	for range 600 {
		if _, err = i.Exec(t.Context(), instance.Command{Argv: []string{"true"}}); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("after that the instance is of no use: %v", err)
}

// TestHostIsHidden looks that devices and kernel settings of the host are out
// of a component's reach.
func TestHostIsHidden(t *testing.T) {
	t.Parallel()
	h := instancetest.Harness{Kind: usable(t, false)}
	i := h.Launch(t, h.Spec(t))
	for what, script := range map[string]string{
		"a kernel setting can be written": "echo 1 >/proc/sys/kernel/panic",
		"sysfs can be written":            "echo 1 >/sys/kernel/mm/transparent_hugepage/khugepaged/defrag",
		"a device node works":             "mknod /root/disk b 7 0 && head -c 1 /root/disk",
		"the host's loop devices show":    "ls /dev/loop0",
		"the host's kvm shows":            "ls /dev/kvm",
		"the clock can be set":            "date -s 2001-01-01",
		"a kernel module can be loaded":   "modprobe -n dummy && modprobe dummy",
		"the executor can be changed":     "echo >>" + i.Toe(),
		"the agent can be stopped":        "systemctl stop goldsmith-agent.service",
	} {
		if out, exit := shell(t, i, script); exit == 0 {
			t.Errorf("%s: %s", what, out)
		}
	}
}

// TestServicesAreSeenToEnd looks that the container's service manager hears of
// the end of a service whose processes it is not the parent of, which it does
// in control groups version 2 only: without that, a sandbox that powers off
// while such a service runs waits for minutes.
func TestServicesAreSeenToEnd(t *testing.T) {
	t.Parallel()
	k := usable(t, false)
	if cgroup.Plan(k.found.hierarchies, "x").Leaf == "" {
		t.Skip("this machine has no control groups version 2")
	}
	h := instancetest.Harness{Kind: k}
	i := h.Launch(t, h.Spec(t))
	if out, _ := shell(t, i, "stat -f -c %T /sys/fs/cgroup"); out != "cgroup2fs" {
		t.Fatalf("/sys/fs/cgroup is %q in the guest", out)
	}
	// The main process is gone, and the one that is left has another parent.
	const orphan = `systemd-run --quiet --unit orphan --service-type=forking --property=GuessMainPID=no \
		/bin/sh -c 'sleep 3600 & echo $! > /run/orphan'
	kill $(cat /run/orphan)
	until [ "$(systemctl is-active orphan)" = inactive ] || systemctl is-failed -q orphan; do sleep 0.1; done; echo ended`
	if out, exit := shell(t, i, orphan); exit != 0 || out != "ended" {
		t.Errorf("%d, %s", exit, out)
	}
}

// TestKnowsVersion2 reads versions of images as distributions lay them out.
func TestKnowsVersion2(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]bool{
		"usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so":      true,
		"usr/lib64/systemd/libsystemd-shared-252.23-3.amzn2023.so":       true,
		"lib/systemd/libsystemd-shared-237.so":                           true,
		"usr/lib/systemd/libsystemd-shared-232.so":                       false,
		"usr/lib/systemd/libsystemd-shared-.so":                          false,
		"usr/lib/systemd/systemd":                                        false,
		"usr/lib/x86_64-linux-gnu/systemd/deeper/libsystemd-shared-9.so": false,
	} {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := knowsVersion2(root); got != want {
			t.Errorf("%s: %t", file, got)
		}
	}
	if knowsVersion2(filepath.Join(t.TempDir(), "missing")) {
		t.Error("an image that is not there")
	}
}
