package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/protocol"
)

// maxJunk is how many malformed lines in a row a guest may send before its
// connection is closed. One is normal: an agent that died within a line.
const maxJunk = 16

// Channel is the host's view of one instance's agent. It outlives the agent's
// sessions: a guest that reboots comes back with a new one.
type Channel struct {
	id   string
	wait time.Duration
	log  *slog.Logger

	mu      sync.Mutex
	current *session
	changed chan struct{} // closed whenever current or ended changes
	ended   error
	conns   map[io.Closer]struct{}
	readers sync.WaitGroup
}

// NewChannel returns the channel of the instance with that id. wait bounds how
// long operations wait for an agent that is away because the guest reboots.
func NewChannel(id string, wait time.Duration, log *slog.Logger) *Channel {
	return &Channel{
		id: id, wait: wait, log: log.With("instance", id),
		changed: make(chan struct{}), conns: make(map[io.Closer]struct{}),
	}
}

// Serve reads conn, which leads to the guest, until it breaks or the channel
// is closed; then it closes conn. The error says why it ended, io.EOF if the
// guest closed it.
func (c *Channel) Serve(conn io.ReadWriteCloser) error {
	c.mu.Lock()
	if c.ended != nil {
		c.mu.Unlock()
		conn.Close()
		return c.ended
	}
	c.conns[conn] = struct{}{}
	c.readers.Add(1)
	c.mu.Unlock()
	defer c.readers.Done()

	err := c.read(conn)
	conn.Close()
	c.drop(err)
	c.mu.Lock()
	delete(c.conns, conn)
	c.mu.Unlock()
	return err
}

func (c *Channel) read(conn io.ReadWriteCloser) error {
	in, out := protocol.NewReader(conn), protocol.NewWriter(&impatientWriter{conn})
	var s *session
	junk := 0
	for {
		f, err := in.Read()
		var malformed *protocol.MalformedError
		if err == nil && f.Type != protocol.Hello && s == nil {
			err = &protocol.MalformedError{Why: "not a hello, and no session is open", Line: string(f.Type)}
		}
		switch {
		case errors.As(err, &malformed):
			// An agent that died may have left half a line before its
			// successor's hello; anything else keeps being refused.
			c.drop(err)
			s = nil
			if junk++; junk > maxJunk {
				return fmt.Errorf("%d lines in a row were no frames: %w", junk, err)
			}
			c.log.Debug("line from the guest refused", "error", err)
			continue
		case err != nil:
			return err
		case f.Type == protocol.Hello:
			c.drop(errors.New("its agent started anew"))
			if s, err = newSession(f, out); err != nil {
				return err
			}
			c.adopt(s)
		default:
			if err := s.deliver(f); err != nil {
				c.drop(fmt.Errorf("its agent broke the protocol: %w", err))
				s = nil
			}
		}
		junk = 0
	}
}

// adopt makes s the session that operations use.
func (c *Channel) adopt(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		s.end(c.ended)
		return
	}
	c.current = s
	c.notify()
	c.log.Debug("guest agent answered", "boot", s.hello.Boot, "hostname", s.hello.Hostname)
}

// drop ends the current session because of err.
func (c *Channel) drop(err error) {
	c.mu.Lock()
	s := c.current
	c.current = nil
	if s != nil {
		c.notify()
	}
	c.mu.Unlock()
	if s != nil {
		s.end(err)
	}
}

func (c *Channel) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// Close ends the channel for good: operations that go on or come later fail
// with a *instance.LostError because of cause. Closing twice keeps the first
// cause.
func (c *Channel) Close(cause error) {
	c.mu.Lock()
	if c.ended == nil {
		c.ended = &instance.LostError{ID: c.id, Cause: cause}
		c.notify()
	}
	for conn := range c.conns {
		conn.Close()
	}
	c.mu.Unlock()
	c.drop(cause)
	c.readers.Wait()
}

// Boot waits until an agent of a boot other than the given one has answered,
// and gives its boot id; with "" any boot will do.
func (c *Channel) Boot(ctx context.Context, other string) (string, error) {
	s, err := c.session(ctx, other)
	if err != nil {
		return "", err
	}
	return s.hello.Boot, nil
}

// session waits for a session whose boot id is not other.
func (c *Channel) session(ctx context.Context, other string) (*session, error) {
	for {
		c.mu.Lock()
		s, changed, ended := c.current, c.changed, c.ended
		c.mu.Unlock()
		if ended != nil {
			return nil, ended
		}
		if s != nil && (other == "" || s.hello.Boot != other) {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ready gives the session for an operation. It waits for an agent that is away.
func (c *Channel) ready(ctx context.Context) (*session, error) {
	waiting, cancel := context.WithTimeout(ctx, c.wait)
	defer cancel()
	s, err := c.session(waiting, "")
	if err != nil && ctx.Err() == nil && waiting.Err() != nil {
		return nil, &instance.LostError{ID: c.id, Cause: fmt.Errorf("no guest agent answered within %s", c.wait)}
	}
	return s, err
}

// lost turns the end of a session into the error of its operations.
func (c *Channel) lost(err error) error {
	var lost *instance.LostError
	if errors.As(err, &lost) {
		return err
	}
	return &instance.LostError{ID: c.id, Cause: err}
}

// patience is how long a guest may leave what was sent to it unread.
const patience = 30 * time.Second

// impatientWriter gives up, and closes the stream, when the other end does not
// read: a guest that hangs must not hang the host.
type impatientWriter struct{ conn io.ReadWriteCloser }

func (w *impatientWriter) Write(b []byte) (int, error) {
	timer := time.AfterFunc(patience, func() { w.conn.Close() })
	n, err := w.conn.Write(b)
	if !timer.Stop() && err != nil {
		err = fmt.Errorf("the guest has not read for %s: %w", patience, err)
	}
	return n, err
}
