//go:build !linux

package main

import "github.com/spf13/cobra"

// extra is nothing where there are no instances.
func extra() []*cobra.Command { return nil }
