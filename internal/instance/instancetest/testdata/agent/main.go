// Command agent is the guest agent alone, for tests.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/internal/instance/agent"
)

func main() {
	root := &cobra.Command{Use: "toe", SilenceUsage: true}
	root.AddCommand(agent.Command())
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
