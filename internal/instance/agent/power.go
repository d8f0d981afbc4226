package agent

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/instance/protocol"
)

// power asks the service manager to power the guest off or to reboot it, and
// returns once it has accepted that.
func power(action string) error {
	if action != protocol.PowerOff && action != protocol.PowerReboot {
		return refusedError(fmt.Sprintf("no power action %q", action))
	}
	// The service manager may be wedged; the host must hear of that.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemctl", "--no-block", action)
	cmd.Env = append(os.Environ(), environment()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", action, err, strings.TrimSpace(truncate(string(out), 1<<10)))
	}
	return nil
}
