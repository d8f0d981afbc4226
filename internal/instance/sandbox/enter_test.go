package sandbox

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/instance/instancetest"
)

// TestEnter runs the command line that is given to people.
func TestEnter(t *testing.T) {
	t.Parallel()
	h := instancetest.Harness{Kind: usable(t, false)}
	spec := h.Spec(t)
	i := h.Launch(t, spec)
	shell(t, i, "echo inside >/root/where")
	for range 2 { // also after a reboot, when the agent has another pid
		line := i.Enter()
		cmd := exec.Command(line[0], line[1:]...)
		cmd.Stdin = strings.NewReader("cat /root/where; readlink /proc/1/exe; ip -brief link | grep -c host0; exit 3\n")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 3 || !strings.Contains(string(out), "inside\n") || !strings.Contains(string(out), "systemd") {
			t.Errorf("%q: %v: %s", line, err, out)
		}
		if err := i.Reboot(t.Context()); err != nil {
			t.Fatalf("Reboot: %v", err)
		}
	}
}
