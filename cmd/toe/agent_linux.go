package main

import (
	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/internal/instance/agent"
)

// extra is the guest agent, which instances start from this same binary.
func extra() []*cobra.Command { return []*cobra.Command{agent.Command()} }
