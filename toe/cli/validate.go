package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/toe"
	"github.com/goldsmith-build/goldsmith/toe/action"
	"github.com/goldsmith-build/goldsmith/toe/awscloud"
)

type validateFlags struct {
	documents, owner, blocked, platforms string
	trace                                bool
}

func validateCommand() *cobra.Command {
	f := &validateFlags{}
	cmd := &cobra.Command{
		Use:   "validate --documents LIST",
		Short: "Check documents without running them",
		Long: "Checks documents and prints the verdict as JSON. Every problem of every document is\n" +
			"printed to standard error as file:line:column. Needs no network and no credentials.",
		Example: "  toe validate --documents nginx.yaml --os-platforms linux,darwin",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.documents, "documents", "d", "", "comma-separated documents to check")
	flags.StringVar(&f.platforms, "os-platforms", "", "comma-separated platforms to check for: linux, windows, darwin (default this one)")
	flags.StringVar(&f.blocked, "blocked-action-modules", "", "comma-separated actions that documents must not use")
	flags.StringVar(&f.owner, "document-s3-bucket-owner", "", "account that must own the bucket of s3:// documents")
	flags.BoolVarP(&f.trace, "trace", "t", false, "accepted for compatibility")
	return cmd
}

// verdict is what validate prints.
type verdict struct {
	ValidationStatus string `json:"validationStatus"`
	Message          string `json:"message"`
}

func (f *validateFlags) run(cmd *cobra.Command) error {
	if !cmd.Flags().Changed("documents") {
		return &usageError{fmt.Errorf("--documents is required")}
	}
	platforms := splitList(f.platforms)
	for _, p := range platforms {
		if !slices.Contains([]string{action.Linux, action.Windows, action.Darwin}, p) {
			return &usageError{fmt.Errorf("the platform %q is not one of linux, windows, darwin", p)}
		}
	}
	if len(platforms) == 0 {
		platforms = []string{""}
	}
	blocked := splitList(f.blocked)
	for _, name := range blocked {
		if !slices.Contains(toe.Actions(), name) {
			return &usageError{fmt.Errorf("the blocked action %q does not exist", name)}
		}
	}
	var all toe.Problems
	for _, path := range splitList(f.documents) {
		all = append(all, f.validate(cmd.Context(), path, platforms, blocked)...)
	}
	for _, p := range all {
		fmt.Fprintln(cmd.ErrOrStderr(), p)
	}
	v := verdict{"success", "Validation successful."}
	if len(all) > 0 {
		v = verdict{"failed", all[0].Text()}
	}
	if err := printVerdict(cmd.OutOrStdout(), v); err != nil {
		return err
	}
	if len(all) > 0 {
		return &exitError{toe.ExitFailed}
	}
	return nil
}

func printVerdict(w io.Writer, v verdict) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "    ")
	out.SetEscapeHTML(false)
	return out.Encode(v)
}

// validate gives the problems of one document on several platforms, each
// problem once.
func (f *validateFlags) validate(ctx context.Context, path string, platforms, blocked []string) toe.Problems {
	data, err := toe.Fetch(ctx, awscloud.New(), path, f.owner)
	if err != nil {
		return toe.Problems{{Document: path, Rule: "unreadable", Message: err.Error()}}
	}
	var problems toe.Problems
	for _, platform := range platforms {
		for _, p := range toe.Validate(path, data, toe.CheckOptions{Platform: platform, BlockedActions: blocked}) {
			if !slices.Contains(problems, p) {
				problems = append(problems, p)
			}
		}
	}
	problems.Sort()
	return problems
}
