package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/toe"
)

// Version is the version that is printed; the build may set it.
var Version = ""

// exitError ends the program with a status and without a message.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// usageError is a mistake on the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// Main runs the command line and gives the exit status: 0 done, 1 failed, 2
// wrong use, 194 (3010 on Windows) when the machine shall be restarted and the
// same command be run again. SIGINT and SIGTERM end the running step.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer, extra ...*cobra.Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := New(extra...)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return ExitCode(root.ExecuteContext(ctx), stderr)
}

// ExitCode gives the status to exit with after a command of New has returned
// err, and prints err if nobody has yet.
func ExitCode(err error, stderr io.Writer) int {
	var exit *exitError
	var usage *usageError
	var options *toe.UsageError
	switch {
	case err == nil:
		return toe.ExitSuccess
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &usage), errors.As(err, &options):
		fmt.Fprintf(stderr, "toe: %v\nRun 'toe --help' for usage.\n", err)
		return toe.ExitUsage
	}
	fmt.Fprintf(stderr, "toe: %v\n", err)
	return toe.ExitFailed
}

// New makes the command "toe" with its sub-commands and the extra ones.
func New(extra ...*cobra.Command) *cobra.Command {
	root := &cobra.Command{
		Use:           "toe",
		Short:         "Run and check component documents",
		Long:          "toe runs and checks component documents: phases of steps that build, validate and\ntest machine images, in the language of EC2 Image Builder.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		// Not by cobra's Version: its template would link text/template, which
		// calls methods by name and so keeps every method of every library.
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asked, _ := cmd.Flags().GetBool("version"); asked {
				return printVersion(cmd)
			}
			return cmd.Help()
		},
	}
	root.Flags().BoolP("version", "v", false, "print the version")
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(runCommand(), validateCommand(), schemaCommand(), versionCommand())
	root.AddCommand(extra...)
	for _, c := range append([]*cobra.Command{root}, root.Commands()...) {
		c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
		markUsage(c)
	}
	return root
}

// markUsage makes errors about positional arguments errors of usage.
func markUsage(c *cobra.Command) {
	check := c.Args
	if check == nil {
		return
	}
	c.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &usageError{err}
		}
		return nil
	}
}

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of component documents",
		Long: "Prints a JSON Schema (draft 2020-12) of component documents, for editors: they then\n" +
			"complete and explain actions, inputs and operators.",
		Example: "  toe schema > component.schema.json\n" +
			"  # yaml-language-server: $schema=./component.schema.json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(toe.Schema())
			return err
		},
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return printVersion(cmd) },
	}
}

func printVersion(cmd *cobra.Command) error {
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "toe %s\n", version())
	return err
}

func version() string {
	if Version != "" {
		return Version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "0.0.0-dev"
}
