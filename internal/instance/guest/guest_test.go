package guest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/agent"
	"github.com/goldsmith-build/goldsmith/internal/instance/guest"
	"github.com/goldsmith-build/goldsmith/internal/instance/lifeline"
	"github.com/goldsmith-build/goldsmith/internal/instance/protocol"
)

const id = "i-0123456789abcdef0"

func newChannel(t *testing.T, wait time.Duration) *guest.Channel {
	t.Helper()
	c := guest.NewChannel(id, wait, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { c.Close(errors.New("the test ended")) })
	return c
}

// pair gives two connected sockets.
func pair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	files := [2]*os.File{}
	var err error
	if files[0], files[1], err = lifeline.Pair(); err != nil {
		t.Fatal(err)
	}
	conns := [2]net.Conn{}
	for i, f := range files {
		conns[i], err = net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conns[i].Close() })
	}
	return conns[0], conns[1]
}

// withAgent is a channel with a true agent of this process at its other end.
func withAgent(t *testing.T) *guest.Channel {
	t.Helper()
	ours, theirs := pair(t)
	c := newChannel(t, 5*time.Second)
	go func() { _ = c.Serve(ours) }()
	go func() { _ = agent.Serve(t.Context(), theirs) }()
	return c
}

// hostile is the guest's end of a channel in the hands of a test.
type hostile struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Scanner
}

func newHostile(t *testing.T, c *guest.Channel) *hostile {
	t.Helper()
	ours, theirs := pair(t)
	go func() { _ = c.Serve(ours) }()
	h := &hostile{t: t, conn: theirs, in: bufio.NewScanner(theirs)}
	h.in.Buffer(nil, 1<<20)
	return h
}

func (h *hostile) say(format string, args ...any) {
	h.t.Helper()
	if _, err := fmt.Fprintf(h.conn, format+"\n", args...); err != nil {
		h.t.Logf("saying %.40q: %v", format, err)
	}
}

// hello greets and waits for the answer.
func (h *hostile) hello(boot string) {
	h.t.Helper()
	h.say(`{"type":"hello","version":%d,"start":"s-%s","boot":"%s","hostname":"evil\u001b[31m"}`, protocol.Version, boot, boot)
	if f := h.hear(); f.Type != protocol.Hello || f.Start != "s-"+boot {
		h.t.Fatalf("the host answered %+v", f)
	}
}

func (h *hostile) hear() protocol.Frame {
	h.t.Helper()
	if !h.in.Scan() {
		h.t.Fatalf("the host said nothing more: %v", h.in.Err())
	}
	var f protocol.Frame
	if err := json.Unmarshal(h.in.Bytes(), &f); err != nil {
		h.t.Fatalf("the host said %q: %v", h.in.Text(), err)
	}
	return f
}

// begin lets the host run a command and gives its outcome's channel.
func begin(t *testing.T, c *guest.Channel, cmd instance.Command) <-chan error {
	t.Helper()
	cmd.Argv = []string{"true"}
	done := make(chan error, 1)
	go func() {
		_, err := c.Exec(t.Context(), cmd)
		done <- err
	}()
	return done
}

func isLost(err error) bool {
	var lost *instance.LostError
	return errors.As(err, &lost) && lost.ID == id
}

func TestHostileAgentLosesItsSession(t *testing.T) {
	t.Parallel()
	chunk := strings.Repeat("A", 4*protocol.MaxChunk/3/4*4)
	for name, lines := range map[string][]string{
		"nonsense":                    {"\x00\x01\x02"},
		"an endless line":             {strings.Repeat("x", 2<<20)},
		"a stream that is none":       {`{"type":"data","id":1,"stream":"stdin","data":"AA=="}`},
		"more than the window":        {strings.Repeat(`{"type":"data","id":1,"stream":"stdout","data":"`+chunk+`"}`+"\n", protocol.Window/protocol.MaxChunk+2)},
		"data after the end":          {`{"type":"end","id":1,"stream":"stdout"}`, `{"type":"data","id":1,"stream":"stdout","data":"AA=="}`},
		"an operation never opened":   {`{"type":"exit","id":99}`},
		"operation zero":              {`{"type":"data","stream":"stdout","data":"AA=="}`},
		"credit nobody spent":         {`{"type":"credit","id":1,"stream":"stdin","bytes":1}`},
		"credit for no stream":        {`{"type":"credit","id":1,"stream":"stdout","bytes":1}`},
		"a host's frame":              {`{"type":"exec","id":1,"argv":["rm"]}`},
		"an unknown frame":            {`{"type":"` + strings.Repeat("z", 1000) + `","id":1}`},
		"an unknown frame's language": {`{"type":"DATA","id":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChannel(t, 200*time.Millisecond)
			h := newHostile(t, c)
			h.hello("one")
			release := make(chan struct{})
			t.Cleanup(func() { close(release) })
			stuck := writerFunc(func(b []byte) (int, error) { <-release; return len(b), nil })
			done := begin(t, c, instance.Command{Stdout: stuck})
			if f := h.hear(); f.Type != protocol.Exec {
				t.Fatalf("the host said %+v", f)
			}
			for _, line := range lines {
				h.say("%s", line)
			}
			if err := <-done; !isLost(err) {
				t.Errorf("Exec: %v, want a LostError", err)
			} else if len(err.Error()) > 1000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			// It may begin anew, as an agent that was restarted does.
			h.hello("two")
			if boot, err := c.Boot(t.Context(), ""); err != nil || boot != "two" {
				t.Errorf("after another hello: boot %q, %v", boot, err)
			}
		})
	}
}

func TestJunkWithoutEndClosesTheConnection(t *testing.T) {
	t.Parallel()
	c := newChannel(t, time.Second)
	ours, theirs := pair(t)
	served := make(chan error, 1)
	go func() { served <- c.Serve(ours) }()
	go func() {
		for {
			if _, err := io.WriteString(theirs, "junk\n"); err != nil {
				return
			}
		}
	}()
	if err := <-served; err == nil || errors.Is(err, io.EOF) {
		t.Errorf("Serve: %v, want that it gave up", err)
	}
}

func TestAgentThatDiesInALineComesBack(t *testing.T) {
	t.Parallel()
	c := newChannel(t, 5*time.Second)
	h := newHostile(t, c)
	h.hello("one")
	done := begin(t, c, instance.Command{})
	h.hear()
	// Half a frame, then what a new agent says first.
	if _, err := io.WriteString(h.conn, `{"type":"data","id":1,"stream":"stdout","da`+"\n"); err != nil {
		t.Fatal(err)
	}
	h.hello("two")
	if err := <-done; !isLost(err) {
		t.Errorf("Exec across the restart: %v, want a LostError", err)
	}
	done = begin(t, c, instance.Command{})
	if f := h.hear(); f.Type != protocol.Exec || f.ID != 1 {
		t.Errorf("in the new session the host said %+v", f)
	}
	h.say(`{"type":"exit","id":1,"status":0}`)
	if err := <-done; err != nil {
		t.Errorf("Exec in the new session: %v", err)
	}
}

func TestOtherVersionIsRefused(t *testing.T) {
	t.Parallel()
	c := newChannel(t, time.Second)
	ours, theirs := pair(t)
	served := make(chan error, 1)
	go func() { served <- c.Serve(ours) }()
	fmt.Fprintf(theirs, "{\"type\":\"hello\",\"version\":%d}\n", protocol.Version+1)
	if err := <-served; err == nil || !strings.Contains(err.Error(), "version") {
		t.Errorf("Serve: %v, want a word about versions", err)
	}
}

func TestLateFramesAreIgnored(t *testing.T) {
	t.Parallel()
	c := newChannel(t, 5*time.Second)
	h := newHostile(t, c)
	h.hello("one")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := c.Exec(ctx, instance.Command{Argv: []string{"true"}})
		done <- err
	}()
	h.hear()
	cancel()
	if f := h.hear(); f.Type != protocol.Cancel || f.ID != 1 {
		t.Errorf("the host said %+v, want a cancel", f)
	}
	h.say(`{"type":"data","id":1,"stream":"stdout","data":"AA=="}`)
	h.say(`{"type":"exit","id":1,"status":137}`)
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Exec: %v, want context.Canceled", err)
	}
	h.say(`{"type":"data","id":1,"stream":"stdout","data":"AA=="}`)
	next := begin(t, c, instance.Command{})
	if f := h.hear(); f.Type != protocol.Exec || f.ID != 2 {
		t.Errorf("the host said %+v, want the next command", f)
	}
	h.say(`{"type":"exit","id":2,"status":0}`)
	if err := <-next; err != nil {
		t.Errorf("Exec: %v", err)
	}
}

func TestErrorsAreTheGuestsAndPrintable(t *testing.T) {
	t.Parallel()
	c := newChannel(t, 5*time.Second)
	h := newHostile(t, c)
	h.hello("one")
	for i, test := range []struct {
		code string
		want error
	}{
		{protocol.CodeNotFound, fs.ErrNotExist}, {protocol.CodeNoSpace, syscall.ENOSPC}, {"invented", nil},
	} {
		done := make(chan error, 1)
		go func() { done <- c.Get(t.Context(), "/x", io.Discard) }()
		h.hear()
		h.say(`{"type":"error","id":%d,"code":"%s","message":"a\u001b[2J\u0000\u202e%s"}`, i+1, test.code, strings.Repeat("y", 100<<10))
		err := <-done
		if test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.code, err, test.want)
		}
		var refused *guest.RefusedError
		if !errors.As(err, &refused) || len(err.Error()) > 8<<10 || strings.ContainsAny(err.Error(), "\x1b\x00\u202e") {
			t.Errorf("%s: %.80q", test.code, err)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	c := newChannel(t, 20*time.Millisecond)
	if _, err := c.Exec(t.Context(), instance.Command{Argv: []string{"true"}}); !isLost(err) {
		t.Errorf("Exec without an agent: %v, want a LostError", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newChannel(t, time.Hour).Exec(ctx, instance.Command{Argv: []string{"true"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("Exec with an ended context: %v", err)
	}
}

func TestClosedChannel(t *testing.T) {
	t.Parallel()
	c := withAgent(t)
	done := make(chan error, 1)
	go func() {
		_, err := c.Exec(t.Context(), instance.Command{Argv: []string{"sleep", "60"}})
		done <- err
	}()
	if err := c.Ping(t.Context()); err != nil {
		t.Fatalf("Ping: %v", err)
	}
	first := errors.New("it crashed")
	c.Close(first)
	c.Close(errors.New("it was stopped"))
	if err := <-done; !isLost(err) || !errors.Is(err, first) {
		t.Errorf("Exec: %v, want it lost because %v", err, first)
	}
	if err := c.Ping(t.Context()); !isLost(err) || !errors.Is(err, first) {
		t.Errorf("Ping: %v, want it lost because %v", err, first)
	}
}

func TestTrueAgent(t *testing.T) {
	t.Parallel()
	c := withAgent(t)
	var out, errs bytes.Buffer
	exit, err := c.Exec(t.Context(), instance.Command{
		Argv: []string{"sh", "-c", "cat; echo err >&2; exit 3"}, Stdin: strings.NewReader("in"), Stdout: &out, Stderr: &errs,
	})
	if err != nil || exit != 3 || out.String() != "in" || errs.String() != "err\n" {
		t.Errorf("Exec: %d, %v, %q, %q", exit, err, out.String(), errs.String())
	}
	// One writer for both outputs, and writers that cannot be compared.
	out.Reset()
	both := instance.Command{Argv: []string{"sh", "-c", "for n in $(seq 500); do echo o; echo e >&2; done"}, Stdout: &out, Stderr: &out}
	if _, err := c.Exec(t.Context(), both); err != nil || out.Len() != 2000 {
		t.Errorf("Exec with one writer: %v, %d of 2000 bytes", err, out.Len())
	}
	discard := writerFunc(func(b []byte) (int, error) { return len(b), nil })
	if _, err := c.Exec(t.Context(), instance.Command{Argv: []string{"echo"}, Stdout: discard, Stderr: discard}); err != nil {
		t.Errorf("Exec with functions as writers: %v", err)
	}
	name := filepath.Join(t.TempDir(), "sub", "file")
	content := bytes.Repeat([]byte("some bytes "), 1<<17)
	if err := c.Put(t.Context(), name, 0o640, bytes.NewReader(content)); err != nil {
		t.Fatalf("Put: %v", err)
	}
	var back bytes.Buffer
	if err := c.Get(t.Context(), name, &back); err != nil || !bytes.Equal(content, back.Bytes()) {
		t.Errorf("Get: %v, %d of %d bytes", err, back.Len(), len(content))
	}
	if err := c.Power(t.Context(), "explode"); err == nil {
		t.Error("an unknown power action was taken")
	}
}

func TestShellThroughALongPath(t *testing.T) {
	t.Parallel()
	c := withAgent(t)
	dir := filepath.Join(t.TempDir(), strings.Repeat("long-", 40))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	control, err := guest.ServeControl(c, dir)
	if err != nil {
		t.Fatalf("ServeControl: %v", err)
	}
	defer control.Close()
	if info, err := os.Stat(filepath.Join(dir, "control.sock")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v; want mode 0600", info, err)
	}
	stdin, keys, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	defer stdin.Close()
	out, err := os.Create(filepath.Join(t.TempDir(), "screen"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	exit, err := guest.Shell(t.Context(), dir, []string{"sh", "-c", "tty && exit 9"}, stdin, out)
	screen, _ := os.ReadFile(out.Name())
	if err != nil || exit != 9 || !bytes.Contains(screen, []byte("/dev/pts/")) {
		t.Errorf("Shell: %d, %v, %q", exit, err, screen)
	}
	if _, err := guest.Shell(t.Context(), t.TempDir(), nil, stdin, out); err == nil {
		t.Error("a shell opened where no instance is")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// FuzzGuest sends the host whatever a guest could, while a command runs.
func FuzzGuest(f *testing.F) {
	f.Add([]byte(`{"type":"data","id":1,"stream":"stdout","data":"AA=="}` + "\n" + `{"type":"exit","id":1,"status":0}` + "\n"))
	f.Add([]byte(`{"type":"credit","id":1,"stream":"stdin","bytes":5}` + "\n" + `{"type":"hello","version":1,"start":"x"}` + "\n"))
	f.Add([]byte(`{"type":"end","id":1,"stream":"stderr"}` + "\n" + `{"type":"error","id":1,"code":"no-space"}` + "\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		c := guest.NewChannel(id, time.Second, slog.New(slog.DiscardHandler))
		ours, theirs := net.Pipe()
		served := make(chan struct{})
		go func() {
			_ = c.Serve(ours)
			close(served)
		}()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		fmt.Fprintf(theirs, "{\"type\":\"hello\",\"version\":%d,\"start\":\"s\",\"boot\":\"b\"}\n", protocol.Version)
		if _, err := c.Boot(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = c.Exec(t.Context(), instance.Command{Argv: []string{"x"}, Stdin: strings.NewReader("y"), Stdout: io.Discard})
		}()
		_, _ = theirs.Write(append(sent, '\n')) // the host may have hung up
		theirs.Close()
		<-served
		c.Close(errors.New("over"))
		<-done
	})
}
