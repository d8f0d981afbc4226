package toe

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// LogSink takes console.log somewhere else while it is being written. Package
// awscloud has the one for CloudWatch Logs.
type LogSink interface {
	// Open makes sure that lines can be sent, before anything runs.
	Open(ctx context.Context) error

	// Send delivers lines in their order. It is called from one goroutine at a
	// time and may be slow; when ctx ends, it gives up.
	Send(ctx context.Context, lines []LogLine) error
}

// LogLine is a line of console.log: its time, and its text without it.
type LogLine struct {
	Time time.Time
	Text string
}

// Limits on sending the log. Steps never wait for it: what does not fit is
// dropped, and the run says so when it ends.
const (
	maxShipQueue = 8 << 20 // bytes of lines that wait
	shipPause    = time.Second
	shipTime     = 30 * time.Second // for one delivery, and for the last one
)

// shipper sends lines in the background.
type shipper struct {
	sink LogSink

	mu      sync.Mutex
	queue   []LogLine
	bytes   int
	dropped int
	err     error // the first failure to send

	wake    chan struct{}
	closing chan struct{}
	done    chan struct{}
}

// openShipper opens the sink and starts to send.
func openShipper(ctx context.Context, sink LogSink) (*shipper, error) {
	openCtx, cancel := context.WithTimeout(ctx, shipTime)
	defer cancel()
	if err := sink.Open(openCtx); err != nil {
		return nil, fmt.Errorf("sending the log: %w", err)
	}
	s := &shipper{sink: sink, wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	return s, nil
}

// add queues a line.
func (s *shipper) add(at time.Time, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes+len(text) > maxShipQueue {
		s.dropped++
		return
	}
	s.queue = append(s.queue, LogLine{at, text})
	s.bytes += len(text)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *shipper) take() []LogLine {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := s.queue
	s.queue, s.bytes = nil, 0
	return lines
}

// run sends what has gathered, once a second at most.
func (s *shipper) run() {
	defer close(s.done)
	for {
		select {
		case <-s.closing:
			return
		case <-s.wake:
		}
		s.send()
		select {
		case <-s.closing:
			return
		case <-time.After(shipPause):
		}
	}
}

// send delivers what waits. The end of the run does not cut a delivery short:
// the last lines of a run that was stopped matter most.
func (s *shipper) send() {
	lines := s.take()
	if len(lines) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), shipTime)
	defer cancel()
	err := s.sink.Send(ctx, lines)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.dropped += len(lines)
		if s.err == nil {
			s.err = err
		}
	}
}

// close sends what is left and gives the first failure. A delivery that hangs
// is given up.
func (s *shipper) close() error {
	close(s.closing)
	<-s.done
	s.send()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return fmt.Errorf("sending the log: %w (%d lines are missing)", s.err, s.dropped)
	case s.dropped > 0:
		return fmt.Errorf("sending the log: it came faster than it could be sent; %d lines are missing", s.dropped)
	}
	return nil
}

// openSink begins to send the log, where that is asked for.
func (x *executor) openSink(ctx context.Context) error {
	if x.o.LogSink == nil {
		return nil
	}
	ship, err := openShipper(ctx, x.o.LogSink)
	if err != nil && x.o.IgnoreLogSink {
		x.o.Log.Warn("the log is not sent", "error", err)
		return nil
	}
	x.logs.ship = ship
	return err
}

// closeSink sends the rest of the log. What went wrong fails the run as a log
// does that cannot be written.
func (x *executor) closeSink() {
	ship := x.logs.detach()
	if ship == nil {
		return
	}
	err := ship.close()
	switch {
	case err == nil:
	case x.o.IgnoreLogSink:
		x.o.Log.Warn("the log was not sent whole", "error", err)
	default:
		x.logs.fail(err)
	}
}
