package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/goldsmith-build/goldsmith/internal/instance/protocol"
)

// server is one session with the host.
type server struct {
	ctx context.Context
	out *protocol.Writer

	mu  sync.Mutex
	ops map[uint64]operation
}

// operation is something the host asked for that is still going on. Its
// methods are called from the session's reader and do not block.
type operation interface {
	// start lets the operation run; it is called once, after the server knows
	// the operation.
	start()
	// frame takes a Data, End, Credit, Signal, Resize or Cancel frame. An
	// error ends the session: the host broke the protocol.
	frame(f protocol.Frame) error
	// abandon ends the operation because the session ended.
	abandon()
}

// Serve runs one session on conn, which it closes, until the stream breaks,
// the host breaks the protocol, or ctx ends. Whatever the host had started is
// killed when the session ends.
func Serve(ctx context.Context, conn io.ReadWriteCloser) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()

	s := &server{ctx: ctx, out: protocol.NewWriter(conn), ops: make(map[uint64]operation)}
	defer s.abandonAll()
	hello := protocol.Frame{
		Type: protocol.Hello, Version: protocol.Version,
		Start: rand.Text(), Boot: bootID(), Hostname: hostname(),
	}
	if err := s.out.Resync(); err != nil {
		return fmt.Errorf("greeting the host: %w", err)
	}
	if err := s.out.Write(hello); err != nil {
		return fmt.Errorf("greeting the host: %w", err)
	}
	in := protocol.NewReader(conn)
	if err := awaitHost(in, hello.Start); err != nil {
		return fmt.Errorf("waiting for the host's hello: %w", err)
	}
	for {
		f, err := in.Read()
		if err != nil {
			return fmt.Errorf("reading from the host: %w", err)
		}
		if err := s.dispatch(f); err != nil {
			return fmt.Errorf("%s frame of operation %d: %w", f.Type, f.ID, err)
		}
	}
}

// awaitHost skips what the host had sent to an earlier session until it
// answers this one.
func awaitHost(in *protocol.Reader, start string) error {
	for {
		f, err := in.Read()
		var malformed *protocol.MalformedError
		switch {
		case errors.As(err, &malformed):
			continue
		case err != nil:
			return err
		case f.Type != protocol.Hello || f.Start != start:
			continue
		case f.Version != protocol.Version:
			return fmt.Errorf("the host speaks version %d, this agent version %d", f.Version, protocol.Version)
		}
		return nil
	}
}

func (s *server) dispatch(f protocol.Frame) error {
	switch f.Type {
	case protocol.Exec, protocol.Put, protocol.Get, protocol.Power, protocol.Ping:
		return s.open(f)
	case protocol.Hello:
		return errors.New("a second hello")
	}
	s.mu.Lock()
	op := s.ops[f.ID]
	s.mu.Unlock()
	if op == nil {
		return nil // it ended while the frame was on its way
	}
	return op.frame(f)
}

// open starts an operation. What goes wrong in it is told to the host; only a
// broken protocol is an error.
func (s *server) open(f protocol.Frame) error {
	if f.ID == 0 {
		return errors.New("an operation without a number")
	}
	s.mu.Lock()
	_, taken := s.ops[f.ID]
	open := len(s.ops)
	s.mu.Unlock()
	switch {
	case taken:
		return errors.New("the number of the operation is taken")
	case open >= protocol.MaxOps:
		s.fail(f.ID, protocol.CodeBusy, fmt.Errorf("%d operations are open already", open))
		return nil
	}
	var op operation
	var err error
	switch f.Type {
	case protocol.Ping:
		s.close(f.ID, protocol.Frame{Type: protocol.Done})
		return nil
	case protocol.Power:
		if err := power(f.Action); err != nil {
			s.fail(f.ID, "", err)
		} else {
			s.close(f.ID, protocol.Frame{Type: protocol.Done})
		}
		return nil
	case protocol.Exec:
		op, err = s.exec(f)
	case protocol.Put:
		op, err = s.put(f)
	case protocol.Get:
		op, err = s.get(f)
	}
	if err != nil {
		s.fail(f.ID, "", err)
		return nil
	}
	s.mu.Lock()
	s.ops[f.ID] = op
	s.mu.Unlock()
	op.start()
	return nil
}

// close ends an operation with its last frame.
func (s *server) close(id uint64, last protocol.Frame) {
	s.mu.Lock()
	delete(s.ops, id)
	s.mu.Unlock()
	last.ID = id
	_ = s.out.Write(last) // a broken stream ends the session in its reader
}

// fail ends an operation with an error; code "" derives it from err.
func (s *server) fail(id uint64, code string, err error) {
	if code == "" {
		code = codeOf(err)
	}
	const most = 4 << 10
	s.close(id, protocol.Frame{Type: protocol.Error, Code: code, Message: truncate(err.Error(), most)})
}

func (s *server) abandonAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, op := range s.ops {
		op.abandon()
	}
}

func (s *server) send(id uint64, stream string) func([]byte) error {
	return func(b []byte) error {
		return s.out.Write(protocol.Frame{Type: protocol.Data, ID: id, Stream: stream, Data: b})
	}
}

func (s *server) credit(id uint64, stream string) func(int) error {
	return func(n int) error {
		return s.out.Write(protocol.Frame{Type: protocol.Credit, ID: id, Stream: stream, Bytes: n})
	}
}

func codeOf(err error) string {
	var refused refusedError
	switch {
	case errors.As(err, &refused):
		return protocol.CodeRefused
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return protocol.CodeNotFound
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return protocol.CodeNoSpace
	}
	return protocol.CodeFailed
}

// refusedError is a request that makes no sense.
type refusedError string

func (e refusedError) Error() string { return string(e) }

func truncate(s string, most int) string {
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}
