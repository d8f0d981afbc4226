package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/server"
)

// serveCommand is 'goldsmith serve'.
func serveCommand() *cobra.Command {
	var listen string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server: API, schedules and builds in one process",
		Long:  "Run the server: API, schedules and builds in one process. It prints one line, 'ready http://HOST:PORT', when it answers.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			read := func() (*config.Config, error) {
				cfg, err := configuration(cmd)
				if err != nil {
					return nil, err
				}
				cfg.Listen = cmp.Or(listen, cfg.Listen)
				return cfg, nil
			}
			level := slog.LevelInfo
			if verbose {
				level = slog.LevelDebug
			}
			log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			file, _ := cmd.Flags().GetString("config")
			return serve(cmd, read, file != "", log)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "HOST:PORT to listen on (default 127.0.0.1:7420; port 0 takes a free one)")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log every request")
	return cmd
}

// serve runs a server until the command's context ends. If the configuration can
// be read again, SIGHUP has it do so; otherwise that signal ends it, as when its
// terminal is closed.
func serve(cmd *cobra.Command, read func() (*config.Config, error), again bool, log *slog.Logger) error {
	hangups := make(chan os.Signal, 1)
	if again {
		signal.Notify(hangups, syscall.SIGHUP)
		defer signal.Stop(hangups)
	}
	cfg, err := read()
	if err != nil {
		return err
	}
	toe, err := executor()
	if err != nil {
		return err
	}
	s, err := server.Start(cmd.Context(), server.Options{Config: cfg, Log: log, Toe: toe})
	if errors.Is(err, context.Canceled) && cmd.Context().Err() != nil {
		return nil // told to stop before it had started
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "ready %s\n", s.URL)
	go func() {
		for {
			select {
			case <-cmd.Context().Done():
				return
			case <-hangups:
			}
			if err := reload(s, read); err != nil {
				log.Error("the configuration was not taken: the one before stays", "err", err)
			}
		}
	}()
	return s.Wait(cmd.Context())
}

func reload(s *server.Server, read func() (*config.Config, error)) error {
	cfg, err := read()
	if err != nil {
		return err
	}
	return s.Reload(cfg)
}

// executor is the static binary that is put into instances: the program toe
// beside this one, or this one itself, which answers to the name toe.
func executor() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("looking for the executor: %w", err)
	}
	toe := filepath.Join(filepath.Dir(self), "toe")
	if info, err := os.Stat(toe); err == nil && info.Mode().IsRegular() {
		return toe, nil
	}
	return self, nil
}
