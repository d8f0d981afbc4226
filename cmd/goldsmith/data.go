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

// openData opens the data folder that the command's flags name.
func openData(cmd *cobra.Command) (datadir.Dir, error) {
	path, err := cmd.Flags().GetString("data-dir")
	if err != nil || path == "" {
		path = config.Default().DataDir
	}
	return datadir.Open(path)
}

// existingData is openData for commands that only read: a mistyped folder is
// an error, not a new folder.
func existingData(cmd *cobra.Command) (datadir.Dir, error) {
	path, err := cmd.Flags().GetString("data-dir")
	if err != nil || path == "" {
		path = config.Default().DataDir
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("there is no data folder %s", path)
	}
	return datadir.Open(path)
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
