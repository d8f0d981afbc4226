package action

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"
)

// Host is what a module acts on and reports to.
type Host struct {
	Dir     string   // where relative paths start, absolute
	Env     []string // of programs that are started, "NAME=value"
	TempDir string   // an existing folder of this run; modules make their own within

	// Stdout and Stderr take what programs print, as it comes. Writes never
	// block for long and never fail.
	Stdout, Stderr io.Writer

	// Flush passes on what was printed without a line end; nil if there is
	// nothing to do.
	Flush func()

	// Log writes a line to the run's console log.
	Log func(line string)

	// Mark is a text that is unique to the step and stands in the environment
	// of its programs, so that those which hide from their process group can
	// still be found and ended after a timeout. "" switches that off.
	Mark string

	// Grace is how long programs have after SIGTERM before SIGKILL.
	Grace time.Duration

	// HTTP makes the client of WebDownload.
	HTTP func(ignoreCertificateErrors bool) *http.Client

	// Fetched is told of every file that a module got from elsewhere; nil for
	// nobody. What the document pins by a checksum is not told.
	Fetched func(Fetch)

	// Cloud is AWS; nil if the run has no access to it.
	Cloud Cloud

	// Document runs a document within this run (ExecuteDocument).
	Document func(ctx context.Context, call DocumentCall) (Result, error)
}

// Fetch is a file that a module got from elsewhere, and what it held then.
type Fetch struct {
	Action string `json:"action"`           // "WebDownload", "S3Download"
	Source string `json:"source,omitempty"` // as given to the module; "" if it must not be shown
	Object string `json:"object,omitempty"` // the key, where Source stands for several objects
	Owner  string `json:"owner,omitempty"`  // expected owner of the bucket
	SHA256 string `json:"sha256,omitempty"` // of the content, hex

	IgnoreCertificateErrors bool `json:"ignoreCertificateErrors,omitempty"`
}

// DocumentCall is what ExecuteDocument asks its host to run.
type DocumentCall struct {
	Location   string // a path, s3:// URL or component ARN
	Owner      string // expected owner of the bucket, "" for any
	Phases     string // comma-separated, "" for all
	Parameters []Pair
}

// Path gives the absolute form of a path from a document.
func (h *Host) Path(p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(h.Dir, p)
}

func (h *Host) fetched(f Fetch) {
	if h.Fetched != nil {
		h.Fetched(f)
	}
}

func (h *Host) logf(format string, args ...any) { h.Log(fmt.Sprintf(format, args...)) }

// Reboot says whether and how a module asks for a restart of the machine.
type Reboot int

// The ways to ask for a restart.
const (
	NoReboot    Reboot = iota
	RebootAgain        // restart, then run the same step again
	RebootNext         // restart, then go on with the next step
)

// Output is what later steps can refer to, by key.
type Output map[string]string

// Result is what a module did.
type Result struct {
	Outputs    []Output // one for a Map module, one an entry for some List modules
	ExitCode   *int     // of the program, where one was run
	StderrTail string   // the last of the program's standard error, valid UTF-8
	Reboot     Reboot
	Delay      time.Duration // before the restart
	Truncated  bool          // an output was longer than MaxOutput and was cut
	Detail     any           // ExecuteDocument: the nested run's results
}

// Limits on what is kept of a program's output for later steps and reports.
// Everything is streamed to the log beyond them.
const (
	MaxOutput  = 256 << 10 // bytes of standard output that later steps can refer to
	StderrTail = 64 << 10  // bytes of standard error kept for the failure report
)

// ExitError is a program's failure by its exit status.
type ExitError struct {
	Code   int    // 128+n for signal n
	Signal string // the signal's name, "" if the program ended by itself
}

// Error gives the wording of the original: "exit status 1".
func (e *ExitError) Error() string {
	if e.Signal != "" {
		return "signal: " + e.Signal
	}
	return fmt.Sprintf("exit status %d", e.Code)
}
