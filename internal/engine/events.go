package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/toe"
)

// maxEventLine bounds a line of the event stream; the executor splits longer
// output. What comes from a guest is never trusted to keep to it.
const maxEventLine = 1 << 20

// maxLogs bounds what is fetched of a step's log folder, and what is kept of its
// console, in bytes; maxLogFiles bounds the files.
const (
	maxLogs     = 256 << 20
	maxLogFiles = 10_000
)

// eventReader takes the executor's events as they come, writes the output they
// carry to the step's console log, and keeps what the last one says of a failure.
type eventReader struct {
	console io.Writer
	line    []byte
	skip    bool // the rest of a line that was too long
	failure *toe.Failure
	fetched *fetches // gets what was fetched; nil: nobody wants to know
}

func newEventReader(console io.Writer) *eventReader { return &eventReader{console: console} }

// Write implements io.Writer; it never fails, so that a guest's nonsense cannot
// stop the guest's own output.
func (r *eventReader) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			r.add(p)
			break
		}
		r.add(p[:i])
		r.flush()
		p = p[i+1:]
	}
	return n, nil
}

// add appends to the line at hand unless it grows too long.
func (r *eventReader) add(p []byte) {
	if r.skip || len(r.line)+len(p) > maxEventLine {
		r.skip, r.line = true, nil
		return
	}
	r.line = append(r.line, p...)
}

// flush ends the line at hand.
func (r *eventReader) flush() {
	line, skip := r.line, r.skip
	r.line, r.skip = r.line[:0], false
	if skip || len(line) == 0 {
		return
	}
	var e toe.Event
	if err := json.Unmarshal(line, &e); err != nil {
		fmt.Fprintf(r.console, "%s\n", line)
		return
	}
	if e.Failure != nil {
		r.failure = e.Failure
	}
	if e.Fetched != nil && r.fetched != nil {
		r.fetched.add(*e.Fetched)
	}
	at := e.Time.UTC().Format("2006-01-02 15:04:05.000")
	for line := range strings.Lines(describe(e)) {
		fmt.Fprintf(r.console, "%s %s\n", at, strings.TrimRight(line, "\r\n"))
	}
}

// describe is an event as lines of console.log.
func describe(e toe.Event) string {
	switch e.Event {
	case toe.EventDocumentStarted:
		return "Document " + e.Document
	case toe.EventPhaseStarted:
		return "Phase " + e.Phase
	case toe.EventStepStarted:
		return "Step " + e.Step
	case toe.EventOutput:
		prefix := "Stdout: "
		if e.Stream == "stderr" {
			prefix = "Stderr: "
		}
		return prefix + strings.ReplaceAll(strings.TrimRight(e.Text, "\r\n"), "\n", "\n"+prefix)
	case toe.EventStepFinished:
		if e.Error != "" {
			return fmt.Sprintf("Step %s: %s: %s", e.Step, e.Status, e.Error)
		}
		return fmt.Sprintf("Step %s: %s", e.Step, e.Status)
	}
	return ""
}

// fetchLogs brings the executor's log folder to the host. A guest that fails to
// give it does not fail the step.
func (x *execution) fetchLogs(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, afterwards)
	defer cancel()
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := unpack(pr, x.dir)
		pr.CloseWithError(err)
		done <- err
	}()
	exit, err := x.machine.Exec(ctx, instance.Command{Argv: []string{"tar", "-C", path.Join(x.base, "logs"), "-cf", "-", "."}, Stdout: pw})
	pw.Close()
	if unpackErr := <-done; err == nil {
		err = unpackErr
	}
	if err != nil || exit != 0 {
		x.log.printf("The executor's logs could not be fetched from the instance (exit status %d, %v)", exit, err)
	}
}

// unpack writes the regular files of a tar stream below dir. Names that leave
// dir, links and devices are passed over: the archive comes from a guest.
func unpack(r io.Reader, dir string) error {
	defer io.Copy(io.Discard, r) // let the sender finish
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	left, files := int64(maxLogs), 0
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the logs: %w", err)
		}
		name := path.Clean(h.Name)
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(name) {
			continue
		}
		if left -= h.Size; h.Size < 0 || left < 0 {
			return fmt.Errorf("the logs are larger than %d MiB; the rest is left out", maxLogs>>20)
		}
		if files++; files > maxLogFiles {
			return fmt.Errorf("the logs are more than %d files; the rest is left out", maxLogFiles)
		}
		if err := unpackFile(root, name, tr); err != nil {
			return err
		}
	}
}

// unpackFile writes one file of the archive.
func unpackFile(root *os.Root, name string, r io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	if name == "console.log" {
		name = "executor-console.log" // the engine's own is there
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// stepConsole writes a step's console log up to a limit, for a guest may print
// without end. It never fails: a full disk of the host does not stop the guest's
// output. It is safe for concurrent use.
type stepConsole struct {
	mu   sync.Mutex
	w    io.Writer
	left int
}

// Write implements io.Writer.
func (c *stepConsole) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.left >= len(p):
		c.w.Write(p)
	case c.left > 0:
		fmt.Fprintf(c.w, "%s\n(the rest of the output is left out)\n", p[:c.left])
	}
	c.left = max(0, c.left-len(p))
	return len(p), nil
}

// tail keeps the last max bytes written to it.
type tail struct {
	max int
	buf []byte
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - t.max; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

// String gives what is kept.
func (t *tail) String() string { return string(t.buf) }

// limited passes on the first left bytes and drops the rest.
type limited struct {
	w    io.Writer
	left int
}

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	n := len(p)
	if len(p) > l.left {
		p = p[:l.left]
	}
	l.left -= len(p)
	if _, err := l.w.Write(p); err != nil {
		return 0, err
	}
	return n, nil
}
