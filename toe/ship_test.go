//go:build unix

package toe_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/toe"
)

// memorySink keeps what it is sent.
type memorySink struct {
	open, send error // what to fail with
	mu         sync.Mutex
	lines      []toe.LogLine
}

func (s *memorySink) Open(context.Context) error { return s.open }

func (s *memorySink) Send(_ context.Context, lines []toe.LogLine) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.send == nil {
		s.lines = append(s.lines, lines...)
	}
	return s.send
}

func TestLogSink(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sink := &memorySink{}
	b.options.LogSink, b.options.Cloud = sink, &memoryCloud{}
	r := b.run(steps(sh("One", "for i in 1 2 3; do echo line $i; done"),
		"{name: Write, action: CreateFile, inputs: [{path: out, content: '{{ aws:ssm:/secret }}'}]}", sh("Print", "cat out"), sh("Last", "echo last")))
	if r.Summary.Status != "success" {
		t.Fatalf("%+v", r.Summary)
	}
	var sent, logged []string
	for i, l := range sink.lines {
		sent = append(sent, l.Text)
		if i > 0 && l.Time.Before(sink.lines[i-1].Time) {
			t.Errorf("line %d is older than the one before", i)
		}
	}
	for line := range strings.Lines(b.log(r, "console.log")) {
		_, text, _ := strings.Cut(line, " Info ")
		logged = append(logged, strings.TrimSuffix(text, "\n"))
	}
	if strings.Join(sent, "\n") != strings.Join(logged, "\n") {
		t.Errorf("sent\n%s\n\nlogged\n%s", strings.Join(sent, "\n"), strings.Join(logged, "\n"))
	}
	if strings.Contains(strings.Join(sent, "\n"), `hu"sh`) {
		t.Error("a secret was sent")
	}
}

// TestLogSinkFails: a run whose log cannot be sent is no success, unless that is
// allowed, and nothing runs if it cannot even begin.
func TestLogSinkFails(t *testing.T) {
	t.Parallel()
	denied := errors.New("access denied")
	for _, tc := range []struct {
		open, send error
		ignore     bool
		want       string // in the error, or in the failure
		ran        bool
	}{
		{denied, nil, false, "sending the log: access denied", false},
		{denied, nil, true, "", true},
		{nil, denied, false, "sending the log: access denied (", true},
		{nil, denied, true, "", true},
	} {
		t.Run(fmt.Sprintf("%v %v %v", tc.open, tc.send, tc.ignore), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.options.LogSink, b.options.IgnoreLogSink = &memorySink{open: tc.open, send: tc.send}, tc.ignore
			r, err := b.try(steps(sh("Touch", "touch ran")))
			got := ""
			if err != nil {
				got = err.Error()
			} else if r.Failure != nil {
				got = r.Failure.ErrorMessage
			}
			if b.exists("ran") != tc.ran || (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q; ran %v", got, tc.want, b.exists("ran"))
			}
		})
	}
}

// slowSink takes its time for the first delivery.
type slowSink struct {
	memorySink
	first   sync.Once
	begun   chan struct{}
	release chan struct{}
}

func (s *slowSink) Send(ctx context.Context, lines []toe.LogLine) error {
	s.first.Do(func() {
		close(s.begun)
		<-s.release
	})
	return s.memorySink.Send(ctx, lines)
}

// TestLogSinkSlow: steps do not wait for a slow sink, what waits is bounded,
// and a run that was stopped still delivers what it has.
func TestLogSinkSlow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sink := &slowSink{begun: make(chan struct{}), release: make(chan struct{})}
	b.options.LogSink = sink
	stepDone := make(chan struct{})
	b.options.Events = func(e toe.Event) {
		if e.Event == toe.EventStepFinished && e.Step == "Chatty" {
			close(stepDone)
		}
	}
	result := make(chan *toe.Result, 1)
	go func() {
		result <- b.run(steps(sh("Wait", "sleep 0.1"), sh("Chatty", "yes 0123456789012345678901234567890123456789 | head -c 12M")))
	}()
	<-sink.begun
	select {
	case <-stepDone:
	case <-time.After(time.Minute):
		t.Error("the step waits for the sink")
	}
	close(sink.release)
	r := <-result
	if r.Failure == nil || !strings.Contains(r.Failure.ErrorMessage, "it came faster than it could be sent") {
		t.Errorf("failure %+v", r.Failure)
	}
	if last := sink.lines[len(sink.lines)-1]; len(sink.lines) < 1000 || last.Text == "" {
		t.Errorf("%d lines were sent", len(sink.lines))
	}
}
