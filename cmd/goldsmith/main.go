// Command goldsmith is the golden-image factory: the server that speaks the EC2
// Image Builder API, and the commands around it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/internal/instance/agent"
	"github.com/goldsmith-build/goldsmith/internal/version"
	"github.com/goldsmith-build/goldsmith/toe/cli"
)

// usageError is a wrong use of the command line: exit status 2.
type usageError struct{ error }

func main() {
	if filepath.Base(os.Args[0]) == "toe" { // put into an instance under the executor's name
		os.Exit(runToe(os.Args[1:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	var status exitStatus
	if errors.As(err, &status) {
		os.Exit(int(status))
	}
	fmt.Fprintln(os.Stderr, "goldsmith:", err)
	var usage usageError
	if errors.As(err, &usage) {
		os.Exit(2)
	}
	os.Exit(1)
}

// runToe is the component executor, with the guest agent in it.
func runToe(args []string) int {
	return cli.Main(args, os.Stdin, os.Stdout, os.Stderr, agent.Command())
}

// root is the command line.
func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "goldsmith",
		Short:         "Build, test and publish golden images behind the EC2 Image Builder API",
		Version:       version.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().String("data-dir", "", "the data folder (default ./goldsmith-data, or the configuration's)")
	cmd.PersistentFlags().String("config", "", "the configuration file (YAML)")
	cmd.PersistentFlags().Bool("json", false, "print JSON, for programs")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.AddCommand(serveCommand(), workerCommand(), baseCommand(), buildCommand(), planCommand(), logsCommand(), shellCommand(), imageCommand(), deadLettersCommand(), collectCommand(), doctorCommand(), toeCommand())
	return cmd
}

// toeCommand is 'goldsmith toe …': the same as the program toe.
func toeCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "toe",
		Short:              "The component executor: run and check component documents",
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			os.Exit(runToe(args))
			return nil
		},
	}
}

// noArgs refuses arguments as a wrong use.
func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return usageError{err}
	}
	return nil
}

// exactArgs wants n arguments.
func exactArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cobra.ExactArgs(n)(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}
