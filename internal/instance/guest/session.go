package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/goldsmith-build/goldsmith/internal/instance/protocol"
)

// session is one life of the guest's agent.
type session struct {
	hello protocol.Frame
	out   *protocol.Writer

	mu   sync.Mutex
	ops  map[uint64]*operation
	last uint64 // the number last given to an operation
	err  error  // why the session ended
	done chan struct{}
}

// operation is something that was asked of the guest.
type operation struct {
	id      uint64
	session *session
	in      map[string]*protocol.Queue     // streams from the guest
	out     map[string]*protocol.Allowance // streams to the guest
	closing chan protocol.Frame            // its Exit, Done or Error; holds one
}

// newSession answers a hello.
func newSession(hello protocol.Frame, out *protocol.Writer) (*session, error) {
	if hello.Version != protocol.Version {
		return nil, fmt.Errorf("the guest agent speaks version %d of the protocol, this host version %d", hello.Version, protocol.Version)
	}
	if len(hello.Start) > 128 || len(hello.Boot) > 128 || len(hello.Hostname) > 256 {
		return nil, errors.New("the guest agent's hello has overlong members")
	}
	hello.Boot, hello.Hostname = printable(hello.Boot), printable(hello.Hostname)
	err := out.Write(protocol.Frame{Type: protocol.Hello, Version: protocol.Version, Start: hello.Start})
	if err != nil {
		return nil, fmt.Errorf("answering the guest agent: %w", err)
	}
	return &session{hello: hello, out: out, ops: make(map[uint64]*operation), done: make(chan struct{})}, nil
}

// open sends the frame that opens an operation with the given streams.
func (s *session) open(f protocol.Frame, in, out []string) (*operation, error) {
	op := &operation{
		session: s, in: make(map[string]*protocol.Queue), out: make(map[string]*protocol.Allowance),
		closing: make(chan protocol.Frame, 1),
	}
	for _, name := range in {
		op.in[name] = protocol.NewQueue()
	}
	for _, name := range out {
		op.out[name] = protocol.NewAllowance()
	}
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return nil, s.err
	}
	s.last++
	op.id, f.ID = s.last, s.last
	s.ops[op.id] = op
	s.mu.Unlock()
	if err := s.out.Write(f); err != nil {
		s.forget(op)
		return nil, err
	}
	return op, nil
}

func (s *session) forget(op *operation) {
	s.mu.Lock()
	delete(s.ops, op.id)
	s.mu.Unlock()
}

// deliver hands a frame to its operation without ever blocking. An error means
// that the guest broke the protocol.
func (s *session) deliver(f protocol.Frame) error {
	s.mu.Lock()
	op, last := s.ops[f.ID], s.last
	closes := f.Type == protocol.Exit || f.Type == protocol.Done || f.Type == protocol.Error
	if closes {
		delete(s.ops, f.ID)
	}
	s.mu.Unlock()
	if f.ID == 0 || f.ID > last {
		return fmt.Errorf("%s frame of operation %d, which was never opened", f.Type, f.ID)
	}
	if op == nil {
		return nil // given up here while the frame was on its way
	}
	switch {
	case closes:
		for _, q := range op.in {
			q.End()
		}
		op.closing <- f // the only one: the operation is no longer in ops
		return nil
	case f.Type == protocol.Data, f.Type == protocol.End:
		q := op.in[f.Stream]
		if q == nil {
			return fmt.Errorf("%s frame of a stream %.20q that operation %d does not have", f.Type, f.Stream, f.ID)
		}
		if f.Type == protocol.End {
			q.End()
			return nil
		}
		return q.Add(f.Data)
	case f.Type == protocol.Credit:
		a := op.out[f.Stream]
		if a == nil {
			return fmt.Errorf("credit for a stream %.20q that operation %d does not have", f.Stream, f.ID)
		}
		return a.Grant(f.Bytes)
	}
	return fmt.Errorf("a %.20q frame is not the guest's to send", f.Type)
}

// end ends the session and with it all its operations.
func (s *session) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = err
	close(s.done)
	for _, op := range s.ops {
		for _, q := range op.in {
			q.Break(err)
		}
	}
	s.ops = make(map[uint64]*operation)
}

// send sends a frame of the operation.
func (op *operation) send(f protocol.Frame) error {
	f.ID = op.id
	return op.session.out.Write(f)
}

func (op *operation) sender(stream string) func([]byte) error {
	return func(b []byte) error {
		return op.send(protocol.Frame{Type: protocol.Data, Stream: stream, Data: b})
	}
}

func (op *operation) consumed(stream string) func(int) error {
	return func(n int) error {
		return op.send(protocol.Frame{Type: protocol.Credit, Stream: stream, Bytes: n})
	}
}

// RefusedError is an operation that the guest's agent could not do.
type RefusedError struct {
	Code    string // of package protocol
	Message string // the guest's words, made printable
}

// Error gives the guest's words.
func (e *RefusedError) Error() string { return "guest: " + e.Message }

// Unwrap maps the code to the error of the standard library that means the
// same.
func (e *RefusedError) Unwrap() error {
	switch e.Code {
	case protocol.CodeNotFound:
		return fs.ErrNotExist
	case protocol.CodeNoSpace:
		return syscall.ENOSPC
	}
	return nil
}

func refused(f protocol.Frame) error {
	const most = 4 << 10
	message := f.Message
	if len(message) > most {
		message = message[:most]
	}
	if f.Code == protocol.CodeNoSpace && !strings.Contains(message, "no space left on device") {
		message += ": no space left on device"
	}
	return &RefusedError{Code: f.Code, Message: printable(message)}
}

// printable replaces what could play tricks in a log or on a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || (r != ' ' && !unicode.IsGraphic(r)) {
			return '?'
		}
		return r
	}, s)
}
