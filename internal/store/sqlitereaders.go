package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	modernc "modernc.org/sqlite"
)

// readers are the connections that only read, each used by one goroutine at a
// time.
type readers struct {
	dsn   string
	slots chan *direct // nil: a connection that is not made yet

	mu     sync.Mutex
	closed bool
}

func newReaders(dsn string, size int) *readers {
	r := &readers{dsn: dsn, slots: make(chan *direct, size)}
	for range size {
		r.slots <- nil
	}
	return r
}

// take gives a connection, which give or drop gets back. ctx ends the wait.
func (r *readers) take(ctx context.Context) (*direct, error) {
	select {
	case d := <-r.slots:
		return r.open(d)
	default:
	}
	select {
	case d := <-r.slots:
		return r.open(d)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// opener is the driver that database/sql would use.
var opener = &modernc.Driver{}

// open makes a connection in place of none.
func (r *readers) open(d *direct) (*direct, error) {
	r.mu.Lock()
	closed := r.closed
	r.mu.Unlock()
	if closed {
		r.give(d)
		return nil, ErrClosed
	}
	if d != nil {
		return d, nil
	}
	conn, err := opener.Open(r.dsn)
	if err != nil {
		r.slots <- nil
		return nil, err
	}
	return newDirect(conn), nil
}

// give takes a connection back.
func (r *readers) give(d *direct) {
	r.mu.Lock()
	closed := r.closed
	r.mu.Unlock()
	if closed && d != nil {
		r.drop(d)
		return
	}
	r.slots <- d
}

// drop closes a connection that is not fit for use, or not wanted any more.
func (r *readers) drop(d *direct) {
	_ = d.finish()
	_ = d.conn.Close()
	r.slots <- nil
}

// closeTime is how long close waits for those that still read.
const closeTime = 5 * time.Second

// close closes the connections as they come back: the last one to go takes the
// log with it. A reader that does not end is left behind.
func (r *readers) close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	var errs []error
	back := 0
	for late := time.After(closeTime); back < cap(r.slots); back++ {
		select {
		case d := <-r.slots:
			if d != nil {
				errs = append(errs, d.finish(), d.conn.Close())
			}
			continue
		case <-late:
			errs = append(errs, fmt.Errorf("%d readers have not ended", cap(r.slots)-back))
		}
		break
	}
	for range back {
		r.slots <- nil // who comes late is told that all is closed
	}
	return errors.Join(errs...)
}
