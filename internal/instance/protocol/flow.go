package protocol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrWindow is a peer that sent more than it was granted.
var ErrWindow = errors.New("the peer sent more than its window")

// Allowance is a sender's side of a stream's window: how many bytes it may
// still send.
type Allowance struct {
	mu    sync.Mutex
	left  int
	grown chan struct{} // closed when left grows
}

// NewAllowance returns the allowance of a fresh stream.
func NewAllowance() *Allowance {
	return &Allowance{left: Window, grown: make(chan struct{})}
}

// Grant adds n bytes that the peer consumed. Granting more than the window is
// an error: the peer is faulty.
func (a *Allowance) Grant(n int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n <= 0 || n > Window-a.left {
		return fmt.Errorf("credit of %d bytes with %d outstanding: %w", n, Window-a.left, ErrWindow)
	}
	a.left += n
	close(a.grown)
	a.grown = make(chan struct{})
	return nil
}

// Take waits until something may be sent and takes at most n bytes of it.
func (a *Allowance) Take(ctx context.Context, n int) (int, error) {
	for {
		a.mu.Lock()
		if a.left > 0 {
			n = min(n, a.left)
			a.left -= n
			a.mu.Unlock()
			return n, nil
		}
		grown := a.grown
		a.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// Send copies r to send in chunks as the allowance permits, until the end of r,
// an error of either, or the end of ctx. A Read of r that blocks is not
// interrupted.
func (a *Allowance) Send(ctx context.Context, r io.Reader, send func([]byte) error) error {
	buf := make([]byte, MaxChunk)
	for {
		n, err := r.Read(buf)
		for part := buf[:n]; len(part) > 0; {
			k, err := a.Take(ctx, len(part))
			if err != nil {
				return err
			}
			if err := send(part[:k]); err != nil {
				return err
			}
			part = part[k:]
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Queue is a receiver's side of a stream's window: bytes that came in and wait
// for their consumer. It never holds more than Window bytes.
type Queue struct {
	mu     sync.Mutex
	cond   sync.Cond
	chunks [][]byte
	held   int // received and not consumed
	ended  bool
	broken error
}

// NewQueue returns an empty Queue.
func NewQueue() *Queue {
	q := &Queue{}
	q.cond.L = &q.mu
	return q
}

// Add takes a chunk and never blocks. It fails with ErrWindow when the peer
// overran the window, and for data after the end.
func (q *Queue) Add(chunk []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		return errors.New("data after the end of its stream")
	}
	if q.held+len(chunk) > Window {
		return ErrWindow
	}
	if q.broken == nil && len(chunk) > 0 {
		q.held += len(chunk)
		q.chunks = append(q.chunks, chunk)
		q.cond.Signal()
	}
	return nil
}

// End marks the end of the stream.
func (q *Queue) End() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.cond.Broadcast()
}

// Break makes Drain return err at once and later chunks vanish.
func (q *Queue) Break(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.broken == nil {
		q.broken = err
	}
	q.chunks, q.held = nil, 0
	q.cond.Broadcast()
}

// Drain writes the chunks to w as they come, calling consumed with the size of
// each after it was written, until the end of the stream (nil), Break, or an
// error of w.
func (q *Queue) Drain(w io.Writer, consumed func(int) error) error {
	for {
		chunk, err := q.next()
		if chunk == nil {
			return err
		}
		if _, err := w.Write(chunk); err != nil {
			return err
		}
		q.mu.Lock()
		q.held = max(0, q.held-len(chunk))
		q.mu.Unlock()
		if err := consumed(len(chunk)); err != nil {
			return err
		}
	}
}

func (q *Queue) next() ([]byte, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.chunks) == 0 && !q.ended && q.broken == nil {
		q.cond.Wait()
	}
	if q.broken != nil || len(q.chunks) == 0 {
		return nil, q.broken
	}
	chunk := q.chunks[0]
	q.chunks = q.chunks[1:]
	return chunk, nil
}
