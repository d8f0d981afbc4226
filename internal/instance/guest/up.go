package guest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/instance"
)

// AwaitUp waits until the guest's systemd has started everything, and gives its
// state: "running", or "degraded" when some unit failed. An instance that does
// not come up within limit is an error that says in which state it was.
func AwaitUp(ctx context.Context, i instance.Instance, limit time.Duration) (state string, err error) {
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var out strings.Builder
	_, err = i.Exec(waiting, instance.Command{
		Argv: []string{"systemctl", "is-system-running", "--wait"}, Stdout: &limitedWriter{to: &out, left: 256},
	})
	state = printable(strings.TrimSpace(out.String()))
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return "", fmt.Errorf("instance %s was not up within %s", i.ID(), limit)
	case err != nil:
		return "", fmt.Errorf("waiting for instance %s to be up: %w", i.ID(), err)
	case state != "running" && state != "degraded":
		return state, fmt.Errorf("instance %s is in the state %q", i.ID(), state)
	}
	return state, nil
}

// limitedWriter keeps the first bytes and swallows the rest.
type limitedWriter struct {
	to   *strings.Builder
	left int
}

func (w *limitedWriter) Write(b []byte) (int, error) {
	n := min(len(b), w.left)
	w.left -= n
	w.to.Write(b[:n])
	return len(b), nil
}
