package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/protocol"
)

// reaping is how long a cancelled command may take to be confirmed dead.
const reaping = 5 * time.Second

// Exec is instance.Instance's Exec. It does not wait for a Read of cmd.Stdin
// that blocks.
func (c *Channel) Exec(ctx context.Context, cmd instance.Command) (int, error) {
	s, err := c.ready(ctx)
	if err != nil {
		return 0, err
	}
	f := protocol.Frame{
		Type: protocol.Exec, Argv: cmd.Argv, Env: cmd.Env, Dir: cmd.Dir, Stdin: cmd.Stdin != nil,
	}
	op, err := s.open(f, []string{protocol.StreamStdout, protocol.StreamStderr}, []string{protocol.StreamStdin})
	if err != nil {
		return 0, c.openError(s, err)
	}
	defer s.forget(op)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if cmd.Stdin != nil {
		go op.pump(ctx, cancel, protocol.StreamStdin, cmd.Stdin)
	}
	stdout, stderr := cmd.Stdout, cmd.Stderr
	if stdout != nil && same(stdout, stderr) {
		stdout = &lockedWriter{w: stdout}
		stderr = stdout
	}
	drained := op.drainAll(cancel, map[string]io.Writer{
		protocol.StreamStdout: stdout, protocol.StreamStderr: stderr,
	})
	last, err := c.await(ctx, op, drained)
	if err != nil {
		return 0, err
	}
	if last.Type != protocol.Exit {
		return 0, fmt.Errorf("guest: a command closed with a %q frame", last.Type)
	}
	return last.Status, nil
}

// Put is instance.Instance's Put.
func (c *Channel) Put(ctx context.Context, name string, mode fs.FileMode, content io.Reader) error {
	s, err := c.ready(ctx)
	if err != nil {
		return err
	}
	f := protocol.Frame{Type: protocol.Put, Path: name, Mode: uint32(mode.Perm())}
	op, err := s.open(f, nil, []string{protocol.StreamFile})
	if err != nil {
		return c.openError(s, err)
	}
	defer s.forget(op)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go op.pump(ctx, cancel, protocol.StreamFile, content)
	_, err = c.await(ctx, op, closed)
	return err
}

// Get is instance.Instance's Get. After an error part of the file may have
// been written to to.
func (c *Channel) Get(ctx context.Context, name string, to io.Writer) error {
	s, err := c.ready(ctx)
	if err != nil {
		return err
	}
	op, err := s.open(protocol.Frame{Type: protocol.Get, Path: name}, []string{protocol.StreamFile}, nil)
	if err != nil {
		return c.openError(s, err)
	}
	defer s.forget(op)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	_, err = c.await(ctx, op, op.drainAll(cancel, map[string]io.Writer{protocol.StreamFile: to}))
	return err
}

// Ping asks the agent whether it is there.
func (c *Channel) Ping(ctx context.Context) error {
	return c.simple(ctx, protocol.Frame{Type: protocol.Ping})
}

// Power asks the guest to power off or to reboot and returns when it has
// begun to.
func (c *Channel) Power(ctx context.Context, action string) error {
	return c.simple(ctx, protocol.Frame{Type: protocol.Power, Action: action})
}

// Reboot is instance.Instance's Reboot.
func (c *Channel) Reboot(ctx context.Context) error {
	boot, err := c.Boot(ctx, "")
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, c.wait)
	defer cancel()
	for first := true; ; first = false {
		try, done := context.WithTimeout(waiting, rebootAgain)
		var lost *instance.LostError
		powerErr := c.Power(try, protocol.PowerReboot)
		if first && powerErr != nil && try.Err() == nil && !errors.As(powerErr, &lost) {
			done()
			return fmt.Errorf("asking the guest to reboot: %w", powerErr)
		}
		_, err = c.Boot(try, boot)
		again := err != nil && try.Err() != nil && waiting.Err() == nil
		done()
		switch {
		case again:
		case err != nil && ctx.Err() == nil && waiting.Err() != nil:
			return &instance.LostError{ID: c.id, Cause: fmt.Errorf("it did not come back within %s of a reboot", c.wait)}
		default:
			return err
		}
	}
}

// rebootAgain is when a guest that has not come back is asked once more: a
// service manager that is still starting up may drop the request.
const rebootAgain = 30 * time.Second

func (c *Channel) simple(ctx context.Context, f protocol.Frame) error {
	s, err := c.ready(ctx)
	if err != nil {
		return err
	}
	op, err := s.open(f, nil, nil)
	if err != nil {
		return c.openError(s, err)
	}
	defer s.forget(op)
	_, err = c.await(ctx, op, closed)
	return err
}

// openError tells a request that cannot be sent from a session that is gone.
func (c *Channel) openError(s *session, err error) error {
	if errors.Is(err, protocol.ErrTooLong) {
		return fmt.Errorf("the command line and environment are %w", err)
	}
	return c.lost(err)
}

// closed is the end of nothing.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// await waits for the end of an operation and of its streams. If ctx ends
// first, it cancels the operation and gives it a moment to be gone.
func (c *Channel) await(ctx context.Context, op *operation, drained <-chan struct{}) (protocol.Frame, error) {
	last, err := c.last(ctx, op)
	if err != nil {
		// The writers are the caller's again when this returns, unless one of
		// them hangs.
		timer := time.NewTimer(time.Second)
		defer timer.Stop()
		select {
		case <-drained:
		case <-timer.C:
		}
		return last, err
	}
	select {
	case <-drained:
	case <-ctx.Done():
	}
	return last, context.Cause(ctx)
}

// last waits for the frame that closes the operation.
func (c *Channel) last(ctx context.Context, op *operation) (protocol.Frame, error) {
	var f protocol.Frame
	select {
	case f = <-op.closing:
	case <-op.session.done:
		select {
		case f = <-op.closing: // both came at once
		default:
			return f, c.lost(op.session.err)
		}
	case <-ctx.Done():
		op.cancel()
		return f, context.Cause(ctx)
	}
	if f.Type == protocol.Error {
		return f, refused(f)
	}
	return f, nil
}

// cancel kills what the operation runs and waits until the guest confirms
// that, though not for ever.
func (op *operation) cancel() {
	for _, q := range op.in {
		q.Break(context.Canceled)
	}
	if op.send(protocol.Frame{Type: protocol.Cancel}) != nil {
		return
	}
	timer := time.NewTimer(reaping)
	defer timer.Stop()
	select {
	case <-op.closing:
	case <-op.session.done:
	case <-timer.C:
	}
}

// pump sends r to a stream of the guest, and ends the operation if r fails.
func (op *operation) pump(ctx context.Context, cancel context.CancelCauseFunc, stream string, r io.Reader) {
	source := &sourceReader{r: r}
	err := op.out[stream].Send(ctx, source, op.sender(stream))
	if source.err != nil {
		cancel(fmt.Errorf("reading what to send to the guest: %w", source.err))
		return
	}
	if err == nil {
		_ = op.send(protocol.Frame{Type: protocol.End, Stream: stream}) // a broken session ends by itself
	}
}

// sourceReader remembers the error of its reader.
type sourceReader struct {
	r   io.Reader
	err error
}

func (s *sourceReader) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// drainAll copies the operation's streams to their writers, nil for none, and
// closes the channel it returns when all are at their end. A writer that fails
// ends the operation.
func (op *operation) drainAll(cancel context.CancelCauseFunc, to map[string]io.Writer) <-chan struct{} {
	var copies sync.WaitGroup
	for stream, w := range to {
		if w == nil {
			w = io.Discard
		}
		sink := &sinkWriter{w: w}
		copies.Go(func() {
			_ = op.in[stream].Drain(sink, op.consumed(stream)) // the session's error is await's to tell
			if sink.err != nil {
				cancel(fmt.Errorf("keeping the guest's %s: %w", stream, sink.err))
			}
		})
	}
	done := make(chan struct{})
	go func() {
		copies.Wait()
		close(done)
	}()
	return done
}

// sinkWriter remembers the error of its writer.
type sinkWriter struct {
	w   io.Writer
	err error
}

func (s *sinkWriter) Write(b []byte) (int, error) {
	n, err := s.w.Write(b)
	if err != nil {
		s.err = err
	}
	return n, err
}

// same tells whether two writers are one; writers of types that cannot be
// compared are not.
func same(a, b io.Writer) bool {
	defer func() { _ = recover() }() // the comparison panics for those, and same stays false
	return a == b
}

// lockedWriter lets both outputs of a command go to one writer.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
