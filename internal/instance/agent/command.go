package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// Command is the hidden sub-command "agent": it serves the channel named by
// --channel until it gets SIGTERM, and opens it again whenever it breaks.
func Command() *cobra.Command {
	var channel string
	cmd := &cobra.Command{
		Use:    "agent --channel PATH",
		Short:  "Serve the host from inside an instance",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			return Run(ctx, channel, log)
		},
	}
	cmd.Flags().StringVar(&channel, "channel", "", "virtio-serial device or unix socket that leads to the host")
	if err := cmd.MarkFlagRequired("channel"); err != nil {
		panic(err) // the flag is defined one line above
	}
	return cmd
}

// Run serves the channel at path, a character device or a unix socket, until
// ctx ends. A channel that is missing or breaks is tried again for ever: the
// host may be late, and without a channel there is nobody to report to.
func Run(ctx context.Context, path string, log *slog.Logger) error {
	const shortest, longest = 20 * time.Millisecond, time.Second
	wait := shortest
	for ctx.Err() == nil {
		conn, err := openChannel(path)
		if err == nil {
			started := time.Now()
			err = Serve(ctx, conn)
			if time.Since(started) > longest {
				wait = shortest
			}
		}
		if ctx.Err() != nil {
			break
		}
		if !errors.Is(err, os.ErrNotExist) || wait >= longest {
			log.Warn("channel to the host", "path", path, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, longest)
	}
	return nil
}
