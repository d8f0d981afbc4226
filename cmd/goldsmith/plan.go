package main

import (
	"encoding/json"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/internal/server"
)

// planCommand is 'goldsmith plan PIPELINE'.
func planCommand() *cobra.Command {
	var start startFlags
	cmd := &cobra.Command{
		Use:   "plan PIPELINE",
		Short: "Show what a start of a pipeline would do now",
		Long: "Show what a start of a pipeline would do now: the parent, components and workflows that are selected, with\n" +
			"their digests, the steps, the destinations, and what is left out and why. Nothing is started. PIPELINE is the\n" +
			"ARN of an image pipeline. The same object lies beside every image's logs as plan.json.\n\n" +
			"The flags are those of 'goldsmith build': the plan is that of the same start.",
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, _, err := existingData(cmd)
			if err != nil {
				return err
			}
			if _, err := regionOf(args[0]); err != nil {
				return err
			}
			log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
			toe, err := executor()
			if err != nil {
				return err
			}
			tags, err := start.tags()
			if err != nil {
				return err
			}
			plan, err := server.Plan(cmd.Context(), cfg, log, toe, args[0], tags)
			if err != nil {
				return err
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(plan)
			}
			return plan.WriteText(cmd.OutOrStdout())
		},
	}
	start.add(cmd)
	return cmd
}
