package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/instance"
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
