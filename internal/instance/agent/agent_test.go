package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/instance/protocol"
)

// host is the host's end of a session in the hands of a test.
type host struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Scanner
	end  chan error
}

func newHost(t *testing.T) *host {
	t.Helper()
	ours, theirs := net.Pipe()
	h := &host{t: t, conn: ours, in: bufio.NewScanner(ours), end: make(chan error, 1)}
	h.in.Buffer(nil, 1<<20)
	go func() { h.end <- Serve(t.Context(), theirs) }()
	t.Cleanup(func() { ours.Close() })
	return h
}

func (h *host) hear() protocol.Frame {
	h.t.Helper()
	for h.in.Scan() {
		if h.in.Text() == "" {
			continue
		}
		var f protocol.Frame
		if err := json.Unmarshal(h.in.Bytes(), &f); err != nil {
			h.t.Fatalf("the agent said %q: %v", h.in.Text(), err)
		}
		return f
	}
	h.t.Fatalf("the agent said nothing more: %v", h.in.Err())
	return protocol.Frame{}
}

func (h *host) say(format string, args ...any) {
	h.t.Helper()
	if _, err := fmt.Fprintf(h.conn, format+"\n", args...); err != nil {
		h.t.Fatalf("saying %.60q: %v", format, err)
	}
}

func (h *host) hello() {
	h.t.Helper()
	f := h.hear()
	if f.Type != protocol.Hello || f.Version != protocol.Version || f.Start == "" {
		h.t.Fatalf("the agent's hello: %+v", f)
	}
	h.say(`{"type":"hello","version":%d,"start":"%s"}`, protocol.Version, f.Start)
}

func TestWhatWasMeantForAPredecessorIsIgnored(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	f := h.hear()
	marker := filepath.Join(t.TempDir(), "executed")
	h.say(`ta":"AA=="}`)
	h.say(`{"type":"exec","id":1,"argv":["touch","%s"]}`, marker)
	h.say(`{"type":"hello","version":1,"start":"of another session"}`)
	h.say(`{"type":"exec","id":2,"argv":["touch","%s"]}`, marker)
	h.say(`{"type":"hello","version":%d,"start":"%s"}`, protocol.Version, f.Start)
	h.say(`{"type":"ping","id":3}`)
	if f := h.hear(); f.Type != protocol.Done || f.ID != 3 {
		t.Errorf("the agent said %+v", f)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("a command for a predecessor was run")
	}
}

func TestBrokenProtocolEndsTheSession(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{
		"nonsense":              {"hello?"},
		"a second hello":        {`{"type":"hello","version":1,"start":"x"}`},
		"operation zero":        {`{"type":"ping"}`},
		"a number taken":        {`{"type":"exec","id":1,"argv":["sleep","60"]}`, `{"type":"exec","id":1,"argv":["true"]}`},
		"stdin that is not":     {`{"type":"exec","id":1,"argv":["sleep","60"]}`, `{"type":"data","id":1,"stream":"stdin","data":"AA=="}`},
		"credit nobody spent":   {`{"type":"exec","id":1,"argv":["sleep","60"]}`, `{"type":"credit","id":1,"stream":"stdout","bytes":1}`},
		"a signal that is none": {`{"type":"exec","id":1,"argv":["sleep","60"]}`, `{"type":"signal","id":1,"signal":99}`},
		"a size without a tty":  {`{"type":"exec","id":1,"argv":["sleep","60"]}`, `{"type":"resize","id":1,"terminal":{"rows":1,"columns":1}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.hello()
			go func() { _, _ = io.Copy(io.Discard, h.conn) }()
			for _, line := range lines {
				h.say("%s", line)
			}
			select {
			case err := <-h.end:
				if err == nil || errors.Is(err, io.EOF) {
					t.Errorf("Serve: %v, want what was wrong", err)
				}
			case <-time.After(20 * time.Second):
				t.Error("the session goes on")
			}
		})
	}
}

func TestTooManyOperations(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.hello()
	for n := range protocol.MaxOps {
		h.say(`{"type":"exec","id":%d,"argv":["sleep","60"]}`, n+1)
	}
	h.say(`{"type":"exec","id":1000,"argv":["true"]}`)
	if f := h.hear(); f.Type != protocol.Error || f.Code != protocol.CodeBusy || f.ID != 1000 {
		t.Errorf("the agent said %+v, want that it is busy", f)
	}
	h.say(`{"type":"cancel","id":7}`)
	f := h.hear()
	for f.Type == protocol.End {
		f = h.hear()
	}
	if f.Type != protocol.Exit || f.ID != 7 || f.Status != 137 {
		t.Errorf("the agent said %+v, want the end of operation 7", f)
	}
	h.say(`{"type":"ping","id":1001}`)
	if f := h.hear(); f.Type != protocol.Done {
		t.Errorf("the agent said %+v", f)
	}
}

func TestNothingOutlivesTheSession(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.hello()
	file := filepath.Join(t.TempDir(), "pid")
	h.say(`{"type":"exec","id":1,"argv":["sh","-c","echo $$ >%s.new; mv %[1]s.new %[1]s; trap '' TERM HUP; while :; do sleep 1; done"]}`, file)
	var pid string
	for range 500 {
		if b, err := os.ReadFile(file); err == nil {
			pid = strings.TrimSpace(string(b))
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	h.conn.Close()
	<-h.end
	for range 500 {
		if _, err := os.Stat("/proc/" + pid + "/fd"); err != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %s outlived the session that started it", pid)
}

func TestRunWaitsForItsChannel(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, path, slog.New(slog.DiscardHandler)) }()
	time.Sleep(50 * time.Millisecond)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 3 { // every time that the host hangs up
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 16)
		if _, err := io.ReadFull(conn, b); err != nil || !strings.Contains(string(b), `{"type":"hello"`) {
			t.Errorf("the agent said %q, %v", b, err)
		}
		conn.Close()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestFindPort(t *testing.T) {
	t.Parallel()
	class := t.TempDir()
	for port, name := range map[string]string{"vport0p1": "org.qemu.guest_agent.0", "vport1p1": "goldsmith.agent", "vport2p1": ""} {
		if err := os.Mkdir(filepath.Join(class, port), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(class, port, "name"), []byte(name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := findPort(class, "goldsmith.agent"); err != nil || got != "/dev/vport1p1" {
		t.Errorf("findPort = %q, %v", got, err)
	}
	if _, err := findPort(class, "other"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("findPort of another: %v", err)
	}
	plain := filepath.Join(class, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openChannel(plain); err == nil {
		t.Error("a plain file was taken for a channel")
	}
}

// FuzzAgent sends an agent whatever a host could, but for what starts a
// program, writes a file or reboots the machine that fuzzes.
func FuzzAgent(f *testing.F) {
	f.Add([]byte(`{"type":"ping","id":1}` + "\n" + `{"type":"get","id":2,"path":"/proc/uptime"}` + "\n" + `{"type":"credit","id":2,"stream":"file","bytes":1}`))
	f.Add([]byte(`{"type":"cancel","id":1}` + "\n" + `{"type":"power","id":2,"action":"x"}` + "\n{"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		lower := strings.ToLower(string(sent))
		for _, word := range []string{"exec", "put", "power", `\u`} {
			if strings.Contains(lower, word) {
				t.Skip()
			}
		}
		ours, theirs := net.Pipe()
		end := make(chan struct{})
		go func() {
			_ = Serve(t.Context(), theirs)
			close(end)
		}()
		in := protocol.NewReader(ours)
		hello, err := in.Read()
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.Copy(io.Discard, ours) }()
		fmt.Fprintf(ours, "{\"type\":\"hello\",\"version\":%d,\"start\":%q}\n", protocol.Version, hello.Start)
		_, _ = ours.Write(append(sent, '\n')) // the agent may have hung up
		ours.Close()
		<-end
	})
}
