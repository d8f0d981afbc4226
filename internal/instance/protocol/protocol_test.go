package protocol_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/instance/protocol"
)

func TestFramesSurviveTheLine(t *testing.T) {
	t.Parallel()
	all := make([]byte, protocol.MaxChunk)
	for i := range all {
		all[i] = byte(i)
	}
	frames := []protocol.Frame{
		{Type: protocol.Hello, Version: protocol.Version, Start: "s", Boot: "b", Hostname: "h"},
		{Type: protocol.Exec, ID: 1, Argv: []string{"sh", "-c", "a\nb\x00\"<>&\u2028"}, Env: []string{"A=B"}, Dir: "/", Stdin: true},
		{Type: protocol.Exec, ID: 2, Argv: []string{"sh"}, Terminal: &protocol.Terminal{Name: "xterm", Rows: 1, Columns: 2}},
		{Type: protocol.Data, ID: 1, Stream: protocol.StreamStdout, Data: all},
		{Type: protocol.Data, ID: 18446744073709551615, Stream: protocol.StreamFile, Data: []byte{0}},
		{Type: protocol.Credit, ID: 1, Stream: protocol.StreamStdout, Bytes: 4096},
		{Type: protocol.Exit, ID: 1, Status: 255},
		{Type: protocol.Error, ID: 2, Code: protocol.CodeNoSpace, Message: "full"},
	}
	var line bytes.Buffer
	w := protocol.NewWriter(&line)
	for _, f := range frames {
		if err := w.Write(f); err != nil {
			t.Fatalf("Write %s: %v", f.Type, err)
		}
	}
	if n := bytes.Count(line.Bytes(), []byte{'\n'}); n != len(frames) {
		t.Fatalf("%d frames took %d lines", len(frames), n)
	}
	r := protocol.NewReader(&line)
	for _, want := range frames {
		got, err := r.Read()
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-sent +read):\n%s", want.Type, diff)
		}
	}
	if _, err := r.Read(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last frame: %v, want EOF", err)
	}
}

func TestReaderRefusesAndGoesOn(t *testing.T) {
	t.Parallel()
	const good = `{"type":"hello","version":1}`
	for name, bad := range map[string]string{
		"half a line":           `{"type":"da`,
		"no JSON":               "Kernel panic",
		"no object":             `[1,2]`,
		"no type":               `{"id":1}`,
		"a wrong type":          `{"type":5}`,
		"an id below zero":      `{"type":"data","id":-1}`,
		"an id beyond 64 bits":  `{"type":"data","id":18446744073709551616}`,
		"no base64":             `{"type":"data","data":"%%%"}`,
		"too much data":         `{"type":"data","data":"` + strings.Repeat("AAAA", protocol.MaxChunk/3+1) + `"}`,
		"credit of nothing":     `{"type":"credit","id":1,"stream":"stdout"}`,
		"credit below zero":     `{"type":"credit","id":1,"stream":"stdout","bytes":-5}`,
		"credit without end":    `{"type":"credit","id":1,"stream":"stdout","bytes":1000000000}`,
		"a status of 256":       `{"type":"exit","id":1,"status":256}`,
		"a status below zero":   `{"type":"exit","id":1,"status":-1}`,
		"a line of a megabyte":  `{"type":"` + strings.Repeat("x", 1<<20) + `"}`,
		"one byte too many":     strings.Repeat("x", protocol.MaxLine+1),
		"deep nesting":          strings.Repeat("[", protocol.MaxLine-1),
		"two objects in a line": good + good,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := protocol.NewReader(strings.NewReader("\n  \n" + bad + "\n" + good + "\n"))
			_, err := r.Read()
			var malformed *protocol.MalformedError
			if !errors.As(err, &malformed) {
				t.Fatalf("Read: %v, want a MalformedError", err)
			}
			if len(err.Error()) > 1024 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			if f, err := r.Read(); err != nil || f.Type != protocol.Hello {
				t.Errorf("the line behind it: %+v, %v", f, err)
			}
		})
	}
}

func TestReaderEndsWithinALine(t *testing.T) {
	t.Parallel()
	r := protocol.NewReader(strings.NewReader(`{"type":"hello"`))
	if _, err := r.Read(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Read: %v, want ErrUnexpectedEOF", err)
	}
}

func TestReaderHoldsNoEndlessLine(t *testing.T) {
	t.Parallel()
	// Swallowed, not kept: the heap is looked at when all of it went by.
	const length = 256 << 20
	heap := uint64(0)
	end := readerFunc(func([]byte) (int, error) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		heap = m.HeapInuse
		return 0, io.EOF
	})
	r := protocol.NewReader(io.MultiReader(io.LimitReader(xs{}, length), strings.NewReader("\n"), end))
	var malformed *protocol.MalformedError
	if _, err := r.Read(); !errors.As(err, &malformed) {
		t.Errorf("Read: %v, want a MalformedError", err)
	}
	if _, err := r.Read(); !errors.Is(err, io.EOF) {
		t.Errorf("Read: %v, want EOF", err)
	}
	if heap > length/4 {
		t.Errorf("the heap grew to %d MiB", heap>>20)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

type xs struct{}

func (xs) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

func TestWriterRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	var line bytes.Buffer
	w := protocol.NewWriter(&line)
	long := protocol.Frame{Type: protocol.Exec, ID: 1, Argv: []string{strings.Repeat("x", protocol.MaxLine)}}
	if err := w.Write(long); !errors.Is(err, protocol.ErrTooLong) {
		t.Errorf("Write: %v, want ErrTooLong", err)
	}
	if err := w.Write(protocol.Frame{Type: protocol.Data, Data: make([]byte, protocol.MaxChunk+1)}); !errors.Is(err, protocol.ErrTooLong) {
		t.Errorf("Write: %v, want ErrTooLong", err)
	}
	if line.Len() != 0 {
		t.Errorf("%d bytes of it were written", line.Len())
	}
	if err := w.Write(protocol.Frame{Type: protocol.Ping, ID: 1}); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

func TestAllowance(t *testing.T) {
	t.Parallel()
	a := protocol.NewAllowance()
	if err := a.Grant(1); !errors.Is(err, protocol.ErrWindow) {
		t.Errorf("Grant beyond the window: %v, want ErrWindow", err)
	}
	for _, n := range []int{0, -1} {
		if err := a.Grant(n); err == nil {
			t.Errorf("Grant(%d) was accepted", n)
		}
	}
	if n, err := a.Take(t.Context(), 2*protocol.Window); err != nil || n != protocol.Window {
		t.Errorf("Take = %d, %v; want the whole window", n, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if n, err := a.Take(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Take of an empty window = %d, %v", n, err)
	}
	var taken sync.WaitGroup
	taken.Go(func() {
		if n, err := a.Take(t.Context(), 10); err != nil || n != 5 {
			t.Errorf("Take = %d, %v; want the 5 that were granted", n, err)
		}
	})
	if err := a.Grant(5); err != nil {
		t.Errorf("Grant: %v", err)
	}
	taken.Wait()
}

func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	q := protocol.NewQueue()
	for n := 0; n < protocol.Window; n += protocol.MaxChunk {
		if err := q.Add(make([]byte, protocol.MaxChunk)); err != nil {
			t.Fatalf("Add at %d: %v", n, err)
		}
	}
	if err := q.Add([]byte{1}); !errors.Is(err, protocol.ErrWindow) {
		t.Errorf("Add beyond the window: %v, want ErrWindow", err)
	}
	q.End()
	if err := q.Add([]byte{1}); err == nil {
		t.Error("Add after End was accepted")
	}
	var out bytes.Buffer
	credit := 0
	if err := q.Drain(&out, func(n int) error { credit += n; return nil }); err != nil {
		t.Errorf("Drain: %v", err)
	}
	if out.Len() != protocol.Window || credit != protocol.Window {
		t.Errorf("Drain wrote %d bytes and credited %d, want %d", out.Len(), credit, protocol.Window)
	}
}

func TestQueueBreaks(t *testing.T) {
	t.Parallel()
	q := protocol.NewQueue()
	reason := errors.New("gone")
	done := make(chan error, 1)
	go func() { done <- q.Drain(io.Discard, func(int) error { return nil }) }()
	q.Break(reason)
	if err := <-done; !errors.Is(err, reason) {
		t.Errorf("Drain: %v, want %v", err, reason)
	}
	for range 100 { // nobody drains, and nothing piles up
		if err := q.Add(make([]byte, protocol.MaxChunk)); err != nil {
			t.Fatalf("Add after Break: %v", err)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("\n{\"type\":\"hello\",\"version\":1,\"start\":\"a\"}\n"))
	f.Add([]byte(`{"type":"data","id":1,"stream":"stdout","data":"AAEC"}` + "\nnonsense\n" + `{"type":"exit","id":1}` + "\n"))
	f.Add([]byte(`{"type":"exec","argv":["\ud800"],"terminal":{"rows":65535,"columns":0}}` + "\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := protocol.NewReader(bytes.NewReader(in))
		for reads := 0; ; reads++ {
			frame, err := r.Read()
			var malformed *protocol.MalformedError
			switch {
			case errors.As(err, &malformed):
			case err != nil:
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("Read: %v", err)
				}
				return
			default:
				// What was read can be written, and reads the same again.
				var line bytes.Buffer
				if err := protocol.NewWriter(&line).Write(frame); err != nil {
					if errors.Is(err, protocol.ErrTooLong) {
						continue // escapes took more room
					}
					t.Fatalf("Write of %+v: %v", frame, err)
				}
				again, err := protocol.NewReader(&line).Read()
				if err != nil {
					t.Fatalf("Read of what was written of %+v: %v", frame, err)
				}
				if frame.Type != protocol.Data && !cmp.Equal(frame, again, equateEmpty) {
					t.Fatalf("read %+v, then %+v", frame, again)
				}
			}
			if reads > len(in) {
				t.Fatal("more reads than bytes")
			}
		}
	})
}

// equateEmpty takes an empty list for none: JSON's "omitempty" does too.
var equateEmpty = cmp.FilterValues(func(a, b []string) bool { return len(a) == 0 && len(b) == 0 }, cmp.Comparer(func(a, b []string) bool { return true }))
