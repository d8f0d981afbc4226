package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/server"
)

// workerCommand is 'goldsmith worker'.
func workerCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Build images for servers on other machines, which share a PostgreSQL database",
		Long: `Build images for servers on other machines, and nothing else. The configuration names the database that they
share (database: postgres://…) and the folder with the disks, which is mounted on all of them (shared: DIR).
It prints one line, 'ready', when it takes work.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usageError{errors.New("worker needs --config FILE")}
			}
			cfg, err := config.Read(file)
			if err != nil {
				return err
			}
			if dir, _ := cmd.Flags().GetString("data-dir"); dir != "" {
				cfg.DataDir = dir
			}
			return work(cmd, cfg)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "the configuration file (YAML)")
	return cmd
}

// work runs a worker until the command's context ends.
func work(cmd *cobra.Command, cfg *config.Config) error {
	toe, err := executor()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	w, err := server.StartWorker(cmd.Context(), server.Options{Config: cfg, Log: log, Toe: toe})
	if errors.Is(err, context.Canceled) && cmd.Context().Err() != nil {
		return nil // told to stop before it had started
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), "ready")
	return w.Wait(cmd.Context())
}
