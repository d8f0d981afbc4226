package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
)

// configuration is that of the file that --config names, or the default, with
// the data folder that --data-dir names.
func configuration(cmd *cobra.Command) (*config.Config, error) {
	cfg := config.Default()
	if file, _ := cmd.Flags().GetString("config"); file != "" {
		var err error
		if cfg, err = config.Read(file); err != nil {
			return nil, err
		}
	}
	if dir, _ := cmd.Flags().GetString("data-dir"); dir != "" {
		cfg.DataDir = dir
	}
	return cfg, nil
}

// openData opens the data folder that the command's flags name.
func openData(cmd *cobra.Command) (*config.Config, datadir.Dir, error) {
	cfg, err := configuration(cmd)
	if err != nil {
		return nil, "", err
	}
	dir, err := datadir.Open(cfg.DataDir)
	return cfg, dir, err
}

// existingData is openData for commands that only read: a mistyped folder is
// an error, not a new folder.
func existingData(cmd *cobra.Command) (*config.Config, datadir.Dir, error) {
	cfg, err := configuration(cmd)
	if err != nil {
		return nil, "", err
	}
	if _, err := os.Stat(cfg.DataDir); err != nil {
		return nil, "", fmt.Errorf("there is no data folder %s: name that of the server with --data-dir, or its configuration with --config", cfg.DataDir)
	}
	dir, err := datadir.Open(cfg.DataDir)
	return cfg, dir, err
}

// printResult prints value as JSON if --json was given, and text otherwise.
func printResult(cmd *cobra.Command, value any, text string) error {
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		return enc.Encode(value)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}

// regionOf is the region of an ARN.
func regionOf(arn string) (string, error) {
	parts := strings.Split(arn, ":")
	if len(parts) < 6 || parts[0] != "arn" || parts[3] == "" {
		return "", usageError{fmt.Errorf("%q is not an ARN with a region", arn)}
	}
	return parts[3], nil
}
