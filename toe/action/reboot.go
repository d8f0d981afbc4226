package action

import (
	"context"
	"time"
)

// runReboot only asks: how and whether the machine restarts is the run's
// decision.
func runReboot(_ context.Context, _ *Host, in Inputs) (Result, error) {
	var delay time.Duration
	if len(in.Entries) > 0 {
		const longest = 24 * 60 * 60
		delay = time.Duration(min(in.Entries[0].Int("delaySeconds"), longest)) * time.Second
	}
	return Result{Reboot: RebootNext, Delay: delay}, nil
}
