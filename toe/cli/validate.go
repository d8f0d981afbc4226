package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/toe"
	"github.com/goldsmith-build/goldsmith/toe/action"
	"github.com/goldsmith-build/goldsmith/toe/awscloud"
	"github.com/goldsmith-build/goldsmith/toe/problem"
)

type validateFlags struct {
	documents, owner, blocked, platforms, format string
	json, strict, trace                          bool
}

// anyPlatform asks that a document can run on one platform, whichever.
const anyPlatform = "any"

var platforms = []string{action.Linux, action.Windows, action.Darwin}

func validateCommand() *cobra.Command {
	f := &validateFlags{}
	cmd := &cobra.Command{
		Use:   "validate (--documents LIST | FILE|FOLDER|URL…)",
		Short: "Check documents without running them",
		Long: "Checks documents and finds every problem of every one, with its line and column.\n" +
			"Needs no network and no credentials for local files. In a folder, the files\n" +
			"*.yaml, *.yml and *.json that have schemaVersion or phases are documents.\n\n" +
			"Without --format, standard output has the verdict as JSON and standard error the\n" +
			"problems, as the original does it.\n\n" +
			"Exit status: 0 valid, 1 not valid, 2 wrong use. Warnings count with --strict only.",
		Example: "  toe validate components/ --os-platforms any\n" +
			"  toe validate --documents nginx.yaml --os-platforms linux,darwin\n" +
			"  toe validate components/*.yaml --format sarif > toe.sarif",
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.documents, "documents", "d", "", "comma-separated documents to check")
	flags.StringVar(&f.platforms, "os-platforms", "", "comma-separated platforms to check for: linux, windows, darwin (default this one), or any")
	flags.StringVar(&f.blocked, "blocked-action-modules", "", "comma-separated actions that documents must not use")
	flags.StringVar(&f.owner, "document-s3-bucket-owner", "", "account that must own the bucket of s3:// documents")
	flags.StringVar(&f.format, "format", "", "what to print: text, json, sarif, junit (default the verdict)")
	flags.BoolVar(&f.json, "json", false, "the same as --format json")
	flags.BoolVar(&f.strict, "strict", false, "warnings make a document invalid, too")
	flags.BoolVarP(&f.trace, "trace", "t", false, "accepted for compatibility")
	documentsAlias(flags)
	return cmd
}

// checked is a document that was looked at.
type checked struct {
	path     string
	problems toe.Problems
}

func (f *validateFlags) run(cmd *cobra.Command, args []string) error {
	if !cmd.Flags().Changed("documents") && len(args) == 0 {
		return &usageError{fmt.Errorf("--documents is required, or files as arguments")}
	}
	o, err := f.options()
	if err != nil {
		return &usageError{err}
	}
	locations, err := findDocuments(append(splitList(f.documents), args...))
	if err != nil {
		return &usageError{err}
	}
	all := make([]checked, len(locations))
	for i, path := range locations {
		all[i] = checked{path, f.validate(cmd.Context(), path, o)}
	}
	r := newReport(all, f.strict)
	if err := f.print(cmd, r); err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	if r.failed() {
		return &exitError{toe.ExitFailed}
	}
	return nil
}

func (f *validateFlags) print(cmd *cobra.Command, report *report) error {
	out := cmd.OutOrStdout()
	switch f.format {
	case "text":
		return report.text(out)
	case "json":
		return report.json(out)
	case "sarif":
		return report.sarif(out)
	case "junit":
		return report.junit(out)
	}
	for _, p := range report.Problems {
		fmt.Fprintln(cmd.ErrOrStderr(), problemLine(p))
	}
	return writeJSON(out, report.verdict)
}

// options reads and checks the flags.
func (f *validateFlags) options() (o validateOptions, err error) {
	if f.json {
		if f.format != "" && f.format != "json" {
			return o, fmt.Errorf("--json and --format %s exclude each other", f.format)
		}
		f.format = "json"
	}
	if formats := []string{"", "text", "json", "sarif", "junit"}; !slices.Contains(formats, f.format) {
		return o, unknownWord("the format", f.format, formats[1:])
	}
	o.platforms = splitList(f.platforms)
	for _, p := range o.platforms {
		if p != anyPlatform && !slices.Contains(platforms, p) {
			return o, unknownWord("the platform", p, append(slices.Clone(platforms), anyPlatform))
		}
	}
	switch {
	case slices.Contains(o.platforms, anyPlatform) && len(o.platforms) > 1:
		return o, fmt.Errorf("--os-platforms any stands alone")
	case slices.Contains(o.platforms, anyPlatform):
		o.any, o.platforms = true, platforms
	case len(o.platforms) == 0:
		o.platforms = []string{""}
	}
	o.blocked = splitList(f.blocked)
	for _, name := range o.blocked {
		if !slices.Contains(toe.Actions(), name) {
			return o, fmt.Errorf("the blocked action %q does not exist%s", name, didYouMean(name, toe.Actions()))
		}
	}
	return o, nil
}

type validateOptions struct {
	platforms, blocked []string
	any                bool // one of the platforms is enough
}

func unknownWord(what, word string, known []string) error {
	return fmt.Errorf("%s %q is not one of %s%s", what, word, strings.Join(known, ", "), didYouMean(word, known))
}

func didYouMean(word string, known []string) string {
	if near := problem.Nearest(word, known); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// validate gives the problems of one document on several platforms, each
// problem once; or on the platform where it has the fewest errors.
func (f *validateFlags) validate(ctx context.Context, path string, o validateOptions) toe.Problems {
	data, err := toe.Fetch(ctx, awscloud.New(), path, f.owner)
	if err != nil {
		return toe.Problems{{Document: path, Rule: "unreadable", Message: err.Error()}}
	}
	var problems toe.Problems
	for i, platform := range o.platforms {
		found := toe.Examine(path, data, toe.CheckOptions{Platform: platform, BlockedActions: o.blocked})
		switch {
		case !o.any:
			for _, p := range found {
				if !slices.Contains(problems, p) {
					problems = append(problems, p)
				}
			}
		case i == 0 || len(found.Of(toe.SeverityError)) < len(problems.Of(toe.SeverityError)):
			problems = found
		}
	}
	problems.Sort()
	return problems
}
