package toe

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/goldsmith-build/goldsmith/toe/action"
)

// stateVersion is that of the file format, which docs/executor.md describes.
const stateVersion = 1

// MaxReboots is how often a run may restart the machine or be interrupted.
const MaxReboots = 15

// stateFile is the journal's name in the state directory.
const stateFile = "toe-state.jsonl"

// record is one line of the journal.
type record struct {
	Kind string `json:"kind"` // "run", "step", "suspend", "resume"

	// Of "run".
	Version     int       `json:"version,omitempty"`
	ExecutionID string    `json:"executionId,omitempty"`
	Digest      string    `json:"digest,omitempty"` // of what is run: documents, parameters, phases
	LogFolder   string    `json:"logFolder,omitempty"`
	Temporary   string    `json:"temporary,omitempty"` // a folder to remove, also of "resume"
	Start       time.Time `json:"start,omitzero"`

	// Of "step" and "suspend".
	Scope    string `json:"scope,omitempty"` // "" for the run itself, else of a nested document
	Document int    `json:"document"`
	Phase    string `json:"phase,omitempty"`
	Step     string `json:"step,omitempty"`

	// Of "step": the step has finished.
	Result  *StepResult `json:"result,omitempty"`
	Failure *Failure    `json:"failure,omitempty"`

	// Of "step", and of "suspend" where Next is true: what later steps refer to.
	Chain *chainEntry `json:"chain,omitempty"`

	// Of "suspend": the step asked for a restart.
	Next      bool            `json:"next,omitempty"` // go on behind the step (or iteration), not with it
	Attempt   int             `json:"attempt,omitempty"`
	Iteration int             `json:"iteration,omitempty"`
	Outputs   []action.Output `json:"outputs,omitempty"` // of the iterations before
	Begun     time.Time       `json:"begun,omitzero"`    // when the step began
}

func (r *record) at(scope string, document int, phase, step string) bool {
	return r.Scope == scope && r.Document == document && r.Phase == phase && r.Step == step
}

// journal records what a run has finished, one line each, so that it can go on
// after a restart. Lines are handed to the kernel as they come, which outlives
// the death of this process; only a restart waits for the disk.
type journal struct {
	dir  string // "" until a restart needs one
	file *os.File

	lines     bytes.Buffer // what was recorded while there is no file
	earlier   []record     // of a run that goes on
	fallback  string       // where to put the file if a restart needs one
	suspended bool
}

// digest identifies what is run, so that the state of one run is never taken
// for that of another.
func (x *executor) digest() string {
	h := sha256.New()
	for _, d := range x.docs {
		fmt.Fprintf(h, "document %q %s\n", d.source.Path, d.doc.Hash())
		names := make([]string, 0, len(d.values))
		for name := range d.values {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			fmt.Fprintf(h, "parameter %q %q\n", name, d.values[name])
		}
	}
	sorted := slices.Clone(x.o.Phases)
	slices.Sort(sorted)
	fmt.Fprintf(h, "phases %q\n", sorted)
	if x.o.From != "" {
		fmt.Fprintf(h, "from %q\n", x.o.From)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// defaultStateRoot is where state goes if no directory is given.
func defaultStateRoot() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("ProgramData"), "toe")
	}
	if os.Geteuid() == 0 {
		return "/var/lib/toe"
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "toe")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "state", "toe")
	}
	return filepath.Join(os.TempDir(), "toe-state")
}

// StateMismatchError says that a state directory holds the state of another
// run than the one that was asked for.
type StateMismatchError struct {
	Dir, Reason string
}

// Error names the directory, the reason, and what to do.
func (e *StateMismatchError) Error() string {
	return fmt.Sprintf("the state directory %s holds a run that has not ended: %s; run that one again to finish it, or remove the file %s to give it up", e.Dir, e.Reason, filepath.Join(e.Dir, stateFile))
}

// openJournal opens the state of a run. If there is state of an interrupted
// run that is the same, it is taken up again; if it is another one, that is an
// error. Without an execution id, only a run that waits for a restart is taken
// up: a crashed one is given up, since the caller may mean a new run.
func openJournal(o *Options, digest string) (*journal, *record, error) {
	j := &journal{fallback: filepath.Join(defaultStateRoot(), digest[:32])}
	dir := o.StateDirectory
	if dir == "" {
		if _, err := os.Stat(filepath.Join(j.fallback, stateFile)); err != nil {
			return j, nil, nil
		}
		dir = j.fallback
	}
	if err := j.open(dir); err != nil {
		return nil, nil, err
	}
	header, err := j.read(o, digest)
	if err != nil {
		j.close()
		return nil, nil, err
	}
	if header == nil {
		j.earlier = nil
		if err := j.file.Truncate(0); err != nil {
			j.close()
			return nil, nil, fmt.Errorf("emptying the state: %w", err)
		}
	}
	return j, header, nil
}

func (j *journal) open(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the state directory: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, stateFile), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening the state: %w", err)
	}
	if err := lockFile(file); err != nil {
		file.Close()
		return fmt.Errorf("the state directory %s is in use by another run: %w", dir, err)
	}
	j.dir, j.file = dir, file
	return nil
}

// read gives the header of the run to go on with, or nil to start afresh.
func (j *journal) read(o *Options, digest string) (*record, error) {
	all, err := j.readLines()
	if err != nil {
		return nil, err
	}
	if len(all) == 0 || all[0].Kind != "run" {
		return nil, nil
	}
	header := &all[0]
	waiting := all[len(all)-1].Kind == "suspend"
	if o.ExecutionID == "" && !waiting {
		o.Log.Warn("the state of a run that broke off is given up", "executionId", header.ExecutionID, "stateDirectory", j.dir)
		return nil, nil
	}
	mismatch := func(format string, args ...any) error {
		return &StateMismatchError{Dir: j.dir, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case header.Version != stateVersion:
		return nil, mismatch("it was written in format %d, this program knows %d", header.Version, stateVersion)
	case o.ExecutionID != "" && o.ExecutionID != header.ExecutionID:
		return nil, mismatch("it has the execution id %s, not %s", header.ExecutionID, o.ExecutionID)
	case header.Digest != digest:
		return nil, mismatch("its documents, parameters or phases are not the ones given now")
	}
	resumes := 0
	for _, r := range all {
		if r.Kind == "resume" {
			resumes++
		}
	}
	if resumes >= MaxReboots {
		j.finish()
		return nil, fmt.Errorf("the run %s was interrupted %d times; it is given up", header.ExecutionID, resumes+1)
	}
	j.earlier = all[1:]
	return header, nil
}

// readLines reads the journal as far as it is whole, and cuts off the torn line
// that a machine leaves which loses power.
func (j *journal) readLines() ([]record, error) {
	var all []record
	var whole int64
	reader := bufio.NewReader(j.file)
	for {
		line, err := reader.ReadBytes('\n')
		var r record
		if err == nil && json.Unmarshal(line, &r) == nil {
			all = append(all, r)
			whole += int64(len(line))
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("reading the state: %w", err)
		}
		if err := j.file.Truncate(whole); err != nil {
			return nil, fmt.Errorf("repairing the state: %w", err)
		}
		return all, nil
	}
}

// add records a line.
func (j *journal) add(r *record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("recording the state: %w", err)
	}
	b = append(b, '\n')
	if j.file == nil {
		j.lines.Write(b)
		return nil
	}
	if _, err := j.file.Write(b); err != nil {
		return fmt.Errorf("recording the state: %w", err)
	}
	return nil
}

// finished gives the record of a step that has finished before, or nil.
func (j *journal) finished(scope string, document int, phase, step string) *record {
	for i := range j.earlier {
		if r := &j.earlier[i]; r.Kind == "step" && r.at(scope, document, phase, step) {
			return r
		}
	}
	return nil
}

// suspendedAt gives the record of the step that asked for the last restart, if
// it is this one, or nil.
func (j *journal) suspendedAt(scope string, document int, phase, step string) *record {
	for i := len(j.earlier) - 1; i >= 0; i-- {
		r := &j.earlier[i]
		if r.Kind == "suspend" && r.at(scope, document, phase, step) {
			return r
		}
		if r.Kind == "resume" || r.Kind == "step" {
			break
		}
	}
	return nil
}

// secure makes the journal outlive a restart of the machine.
func (j *journal) secure() error {
	if j.file == nil {
		if err := j.open(j.fallback); err != nil {
			return err
		}
		if _, err := j.file.Write(j.lines.Bytes()); err != nil {
			return fmt.Errorf("saving the state: %w", err)
		}
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("saving the state: %w", err)
	}
	j.suspended = true
	if dir, err := os.Open(j.dir); err == nil { // the name must be on disk too
		_ = dir.Sync()
		dir.Close()
	}
	return nil
}

// finish removes the state of a run that has ended.
func (j *journal) finish() {
	if j.file == nil {
		return
	}
	if err := os.Remove(filepath.Join(j.dir, stateFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		_ = j.file.Truncate(0)
	}
	if j.dir == j.fallback {
		_ = os.Remove(j.dir) // only if empty
	}
	j.close()
}

func (j *journal) close() {
	if j.file != nil {
		// Said and not left to Close: a program that is just being started
		// elsewhere in this process still has a copy of the descriptor.
		unlockFile(j.file)
		j.file.Close()
		j.file = nil
	}
}
