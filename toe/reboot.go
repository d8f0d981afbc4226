package toe

import (
	"context"
	"time"
)

// reboot does what the run's mode says about a restart that a step asked for.
// The state is on disk before anything happens.
func (x *executor) reboot(ctx context.Context) outcome {
	err := x.journal.secure()
	if err == nil && x.delay > 0 {
		x.logs.linef("Rebooting in %s", x.delay)
		select {
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-time.After(x.delay):
		}
	}
	if err == nil && x.o.RebootMode == RebootStandalone {
		err = x.restart(ctx)
	}
	if err != nil {
		x.counts.FailureMessage = "rebooting: " + err.Error()
		x.failure = &Failure{ErrorMessage: x.counts.FailureMessage}
		x.o.Log.Error("the reboot failed", "error", err)
		return abort
	}
	return suspend
}
