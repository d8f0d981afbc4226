package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/goldsmith-build/goldsmith/toe"
	"github.com/goldsmith-build/goldsmith/toe/awscloud"
)

// runFlags are the flags of "toe run".
type runFlags struct {
	config          string
	documents       string
	phases          string
	parameters      string
	executionID     string
	logDirectory    string
	stateDirectory  string
	rebootMode      string
	blocked         string
	emptyParameters bool
	events          bool
	trace           bool
	dry             bool
	json            bool
	from            string
	outputsFrom     string
	progress        string
	remote          remoteFlags
}

// remoteFlags are those that need AWS.
type remoteFlags struct {
	logBucket, logBucketOwner, logPrefix string
	documentBucketOwner                  string
	cwGroup, cwStream, cwRegion          string
	cwIgnoreFailures                     bool
}

func runCommand() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:   "run (--documents LIST | --config FILE)",
		Short: "Run documents",
		Long: "Runs all selected phases of each document, in order, and prints a summary as JSON.\n\n" +
			"Exit status: 0 success, 1 failure, 2 wrong use, 194 restart the machine and run the\nsame command again.",
		Example: "  toe run --documents nginx.yaml --phases build,validate\n" +
			"  toe run --documents nginx.yaml --parameters Version=1.2,Color=blue --events\n" +
			"  toe run --documents nginx.yaml --dry-run\n" +
			"  toe run --documents nginx.yaml --from build.Configure --outputs-from TOE_2026-11-22_03-18-47_UTC-0_x",
		Args: noDocuments,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.register(cmd.Flags())
	return cmd
}

// noDocuments refuses arguments: validate takes documents as such, and people
// try it here.
func noDocuments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("run takes documents by --documents, not as arguments: --documents %s", strings.Join(args, ","))
	}
	return nil
}

func (f *runFlags) register(flags *pflag.FlagSet) {
	flags.StringVarP(&f.documents, "documents", "d", "", "comma-separated documents, run in this order")
	flags.StringVarP(&f.config, "config", "c", "", "JSON file with the settings of a run")
	flags.StringVarP(&f.phases, "phases", "p", "", "comma-separated phases to run (default all)")
	flags.StringVar(&f.parameters, "parameters", "", "values for parameters: name=value,name2=value2")
	flags.StringVarP(&f.executionID, "execution-id", "i", "", "name of the run in logs and results (default generated)")
	flags.StringVarP(&f.logDirectory, "log-directory", "l", "", "where to make the TOE_… log folder (default the working folder)")
	flags.StringVarP(&f.stateDirectory, "state-directory", "s", "", "where to keep what is needed to go on after a restart or crash")
	flags.StringVar(&f.rebootMode, "reboot-mode", "exit", "what to do when a step asks for a restart: exit (with 194), standalone, forbid")
	flags.StringVar(&f.blocked, "blocked-action-modules", "", "comma-separated actions that documents must not use")
	flags.BoolVar(&f.emptyParameters, "empty-parameters", false, "let parameters without a value be empty instead of failing")
	flags.BoolVar(&f.dry, "dry-run", false, "print what would run, with everything that is known put in, and do nothing")
	flags.StringVar(&f.from, "from", "", "begin with this step: PHASE.STEP, or DOCUMENT:PHASE.STEP")
	flags.StringVar(&f.outputsFrom, "outputs-from", "", "log folder of an earlier run, whose outputs stand for those of the steps before --from")
	flags.StringVar(&f.progress, "progress", progressAuto, "how to show the run on standard error: auto, terminal, plain, none")
	flags.BoolVar(&f.json, "json", false, "print JSON, which a run does anyhow: also for --dry-run")
	flags.BoolVar(&f.events, "events", false, "print one JSON object a line for everything that happens")
	flags.BoolVarP(&f.trace, "trace", "t", false, "copy the console log to standard error")
	flags.StringVarP(&f.remote.logBucket, "log-s3-bucket-name", "b", "", "bucket to upload the logs to")
	flags.StringVar(&f.remote.logBucketOwner, "log-s3-bucket-owner", "", "account that must own the log bucket")
	flags.StringVarP(&f.remote.logPrefix, "log-s3-key-prefix", "k", "", "prefix of the logs in the bucket")
	flags.StringVar(&f.remote.documentBucketOwner, "document-s3-bucket-owner", "", "account that must own the bucket of s3:// documents")
	flags.StringVar(&f.remote.cwGroup, "cw-log-group", "", "CloudWatch log group for the console log")
	flags.StringVar(&f.remote.cwStream, "cw-log-stream", "", "CloudWatch log stream for the console log")
	flags.StringVar(&f.remote.cwRegion, "cw-log-region", "", "region of the CloudWatch log group")
	flags.BoolVar(&f.remote.cwIgnoreFailures, "cw-ignore-failures", false, "do not fail if CloudWatch cannot be reached")
	documentsAlias(flags)
}

// documentsAlias takes --document for --documents: the original's
// documentation writes both.
func documentsAlias(flags *pflag.FlagSet) {
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "document" {
			name = "documents"
		}
		return pflag.NormalizedName(name)
	})
}

func (f *runFlags) run(cmd *cobra.Command) error {
	o, err := f.options(cmd)
	if err != nil {
		return err
	}
	stdout, stderr := cmd.OutOrStdout(), cmd.ErrOrStderr()
	o.Log = plainLog(stderr)
	if f.dry {
		return f.dryRun(cmd, o)
	}
	var printer *eventPrinter
	switch {
	case f.events:
		printer = &eventPrinter{out: json.NewEncoder(stdout)}
		printer.out.SetEscapeHTML(false)
		o.Events = printer.print
	case !f.trace:
		if view := newLive(f.progress, stderr); view != nil {
			view.start()
			defer view.finish()
			o.Events, o.Log = view.event, plainLog(writerFunc(view.write))
		}
	}
	if f.trace {
		o.Trace = func(line []byte) { _, _ = stderr.Write(line) }
	}
	result, err := toe.Run(cmd.Context(), o)
	if err != nil {
		return err
	}
	for _, p := range result.Problems {
		fmt.Fprintln(stderr, p)
	}
	if printer != nil {
		err = printer.err
	} else {
		_, err = stdout.Write(result.Summary.JSON())
	}
	if err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	if code := result.ExitCode(); code != 0 {
		return &exitError{code}
	}
	return nil
}

// eventPrinter prints events and remembers the first failure to do so.
type eventPrinter struct {
	out *json.Encoder
	err error
}

func (p *eventPrinter) print(e toe.Event) {
	if p.err == nil {
		p.err = p.out.Encode(e)
	}
}

// options joins the flags and the config file; flags win.
func (f *runFlags) options(cmd *cobra.Command) (toe.Options, error) {
	var o toe.Options
	usage := func(format string, args ...any) (toe.Options, error) {
		return o, &usageError{fmt.Errorf(format, args...)}
	}
	changed := cmd.Flags().Changed
	switch {
	case f.config == "" && !changed("documents"):
		return usage("one of --documents and --config is required")
	case f.config != "" && changed("documents"), f.config != "" && changed("parameters"):
		return usage("--documents and --parameters cannot be given together with --config")
	}
	if f.config != "" {
		c, err := readConfig(cmd.Context(), f.config, cmd.ErrOrStderr())
		if err != nil {
			return o, err
		}
		f.merge(c, changed)
		o.Documents, o.Parameters = c.sources(), c.values()
	} else {
		for _, path := range splitList(f.documents) {
			o.Documents = append(o.Documents, toe.Source{Path: path})
		}
		values, err := splitParameters(f.parameters)
		if err != nil {
			return usage("%w", err)
		}
		o.Parameters = values
	}
	if modes := []string{progressAuto, progressTerminal, progressPlain, progressNone}; !slices.Contains(modes, f.progress) {
		return o, &usageError{unknownWord("the progress", f.progress, modes)}
	}
	if err := f.remote.check(); err != nil {
		return usage("%w", err)
	}
	o.Phases = splitList(f.phases)
	o.EmptyParameters = f.emptyParameters
	o.From, o.OutputsFrom = f.from, f.outputsFrom
	o.ExecutionID = f.executionID
	o.LogDirectory = f.logDirectory
	o.StateDirectory = f.stateDirectory
	o.RebootMode = toe.RebootMode(f.rebootMode)
	o.BlockedActions = splitList(f.blocked)
	o.ResumeCommand = resumeCommand()
	cloud := awscloud.New()
	o.Cloud = cloud
	if f.remote.cwGroup != "" {
		o.LogSink, o.IgnoreLogSink = cloud.LogStream(f.remote.cwGroup, f.remote.cwStream, f.remote.cwRegion), f.remote.cwIgnoreFailures
	}
	o.LogBucket, o.LogPrefix, o.LogBucketOwner = f.remote.logBucket, f.remote.logPrefix, f.remote.logBucketOwner
	o.DocumentBucketOwner = f.remote.documentBucketOwner
	return o, nil
}

// check finds flags that mean nothing without others.
func (r *remoteFlags) check() error {
	if r.logBucket == "" && (r.logPrefix != "" || r.logBucketOwner != "") {
		return fmt.Errorf("--log-s3-key-prefix and --log-s3-bucket-owner need --log-s3-bucket-name")
	}
	if (r.cwGroup == "") != (r.cwStream == "") {
		return fmt.Errorf("--cw-log-group and --cw-log-stream need each other")
	}
	if r.cwGroup == "" && r.cwRegion != "" {
		return fmt.Errorf("--cw-log-region needs --cw-log-group")
	}
	return nil
}

// resumeCommand is this very command line, by the program's absolute path.
func resumeCommand() []string {
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	return append([]string{program}, os.Args[1:]...)
}

// splitList splits at commas and drops blanks and empty elements.
func splitList(s string) []string {
	var list []string
	for _, part := range strings.Split(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}
