package action

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// markVariable carries Host.Mark into the programs of a step.
const markVariable = "TOE_STEP_MARK"

// process runs one program: in a process group of its own, with no standard
// input, streaming what it prints. Its memory is bounded whatever it prints.
//
// When ctx ends, the group gets SIGTERM and, after the grace, SIGKILL. When the
// program ends by itself, children that it left running live on (a step may
// start a daemon) and do not hold up the step, even if they keep its standard
// output open: what they print from then on is read and dropped.
type process struct {
	path string
	args []string
	line string // the whole command line, for Windows programs with rules of their own; "" for the usual one
	host *Host

	stdout head
	stderr tail
}

func (p *process) run(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	outReader, outWriter, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	errReader, errWriter, err := os.Pipe()
	if err != nil {
		outReader.Close()
		outWriter.Close()
		return fmt.Errorf("making a pipe: %w", err)
	}
	cmd := exec.Command(p.path, p.args...) //nolint:gosec // running programs is what it is for
	cmd.Dir, cmd.Env = p.host.Dir, p.environment()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = null, outWriter, errWriter
	ownGroup(cmd, p.line)
	err = cmd.Start()
	outWriter.Close()
	errWriter.Close()
	if err != nil {
		outReader.Close()
		errReader.Close()
		return startError(err)
	}
	out := follow(outReader, &p.stdout, p.host.Stdout)
	errs := follow(errReader, &p.stderr, p.host.Stderr)
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		terminate(cmd.Process, p.host)
	})
	err = cmd.Wait()
	stopped := !stop()
	if stopped {
		<-ended
	}
	out.finish()
	errs.finish()
	if stopped { // also if it ended well once asked to: it had not finished
		return ctx.Err()
	}
	return exitError(err)
}

func (p *process) environment() []string {
	env := p.host.Env
	if p.host.Mark != "" {
		env = append(env[:len(env):len(env)], markVariable+"="+p.host.Mark)
	}
	return env
}

func (p *process) result() Result {
	r := Result{StderrTail: p.stderr.text(), Truncated: p.stdout.truncated}
	r.Outputs = []Output{{"stdout": p.stdout.text()}}
	return r
}

// startError strips the operation from the usual "fork/exec PATH: reason".
func startError(err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return fmt.Errorf("starting %s: %w", pathErr.Path, pathErr.Err)
	}
	return fmt.Errorf("starting the program: %w", err)
}

// follower reads a pipe until its end, or until the program has ended and
// everything it had printed was read.
type follower struct {
	pipe *os.File
	done chan struct{}
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// follow copies a pipe to both writers, which must not fail.
func follow(pipe *os.File, keep, log io.Writer) *follower {
	f := &follower{pipe: pipe, done: make(chan struct{})}
	go func() {
		buffer := buffers.Get().(*[]byte)
		defer buffers.Put(buffer)
		for {
			n, err := pipe.Read(*buffer)
			if n > 0 {
				_, _ = keep.Write((*buffer)[:n])
				_, _ = log.Write((*buffer)[:n])
			}
			if err == nil {
				continue
			}
			open := errors.Is(err, os.ErrDeadlineExceeded) && drain(pipe, *buffer, keep, log)
			close(f.done)
			if open {
				discard(pipe, *buffer)
			}
			pipe.Close()
			return
		}
	}()
	return f
}

// discard reads what left-over children still print, so that they neither
// block nor die of a closed pipe while this process lives.
func discard(pipe *os.File, buffer []byte) {
	if err := clearDeadline(pipe); err != nil {
		return
	}
	for {
		if _, err := pipe.Read(buffer); err != nil {
			return
		}
	}
}

// head keeps the first MaxOutput bytes written to it.
type head struct {
	b         []byte
	truncated bool
}

func (h *head) Write(p []byte) (int, error) {
	if room := MaxOutput - len(h.b); len(p) > room {
		h.b = append(h.b, p[:room]...)
		h.truncated = true
	} else {
		h.b = append(h.b, p...)
	}
	return len(p), nil
}

// text is what later steps see: the output without the line ends at its end.
func (h *head) text() string {
	return strings.TrimRight(string(h.b), "\r\n")
}

// tail keeps the last StderrTail bytes written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	if n >= StderrTail {
		t.b = append(t.b[:0], p[n-StderrTail:]...)
		return n, nil
	}
	t.b = append(t.b, p...)
	if len(t.b) > 2*StderrTail { // move rarely, so that many small writes stay cheap
		t.b = append(t.b[:0], t.b[len(t.b)-StderrTail:]...)
	}
	return n, nil
}

func (t *tail) text() string {
	b := t.b
	if len(b) > StderrTail {
		b = b[len(b)-StderrTail:]
	}
	return strings.TrimRight(strings.ToValidUTF8(string(b), "\ufffd"), "\r\n")
}
