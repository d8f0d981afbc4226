package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/internal/server"
)

// collectCommand is 'goldsmith collect'.
func collectCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "collect",
		Short: "Remove the blocks of disks that nothing uses any more",
		Long: "Remove the snapshots that no AMI, parent image or kept state names, and the blocks that only they used.\n" +
			"A running server does so every hour; this command works beside it. What is younger than an hour stays.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, dir, err := existingData(cmd)
			if err != nil {
				return err
			}
			got, err := server.Collect(cmd.Context(), cfg, dir)
			if err != nil {
				return err
			}
			value := map[string]any{"snapshots": got.Snapshots, "blocks": got.Blocks, "bytes": got.Bytes}
			return printResult(cmd, value, fmt.Sprintf("%d snapshots and %d blocks removed, %.1f MiB", got.Snapshots, got.Blocks, float64(got.Bytes)/(1<<20)))
		},
	}
}
