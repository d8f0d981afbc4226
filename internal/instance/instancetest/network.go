package instancetest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/instance"
)

// host answers as the metadata of the suite's instances.
type host struct{}

// ServeHTTP says what it was asked.
func (host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "metadata of %s, token %q", r.URL.Path, r.Header.Get("X-aws-ec2-metadata-token"))
}

// guarded skips a test where guests are not kept from the host.
func (h Harness) guarded(t *testing.T) {
	t.Helper()
	if r := h.Kind.Probe(t.Context()); !r.Guarded {
		t.Skipf("guests of the kind %s are not kept from the host here: %s", h.Kind.Name(), r.Remedy)
	}
}

// metadata asks 169.254.169.254 as clients do.
func (h Harness) metadata(t *testing.T, i instance.Instance) {
	h.guarded(t)
	const script = `exec 3<>/dev/tcp/169.254.169.254/80
		printf 'GET /latest/meta-data/instance-id HTTP/1.0\r\nX-aws-ec2-metadata-token: abc\r\n\r\n' >&3
		timeout 60 cat <&3 | tail -n 1`
	var out strings.Builder
	exit, err := i.Exec(t.Context(), instance.Command{Argv: []string{"bash", "-c", script}, Stdout: &out, Stderr: &out})
	if want := `metadata of /latest/meta-data/instance-id, token "abc"`; err != nil || exit != 0 || out.String() != want {
		t.Errorf("metadata: %d, %v, %q, want %q", exit, err, out.String(), want)
	}
}

// host tries to reach what listens on this machine, by every address that leads
// there, and link-local services of this machine's own network.
func (h Harness) host(t *testing.T, i instance.Instance) {
	h.guarded(t)
	addresses := []string{"127.0.0.1", "10.0.2.2", "0.0.0.0", "169.254.170.2"}
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range own {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			addresses = append(addresses, n.IP.String())
		}
	}
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var mine atomic.Bool
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if !mine.Load() {
				t.Errorf("a guest reached the host as %s at %s", conn.RemoteAddr(), conn.LocalAddr())
			}
			conn.Close()
		}
	}()
	heard, err := net.ListenPacket("udp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer heard.Close()
	port, udp := l.Addr().(*net.TCPAddr).Port, heard.LocalAddr().(*net.UDPAddr).Port
	for _, address := range addresses {
		script := fmt.Sprintf("timeout 10 bash -c 'exec 3<>/dev/tcp/%s/%d' && echo connected; timeout 5 bash -c 'echo hello >/dev/udp/%s/%d'; true", address, port, address, udp)
		if out := output(t, i, script); strings.Contains(out, "connected") {
			// The guest's own addresses have no such listener.
			t.Errorf("the guest connected to %s:%d", address, port)
		}
	}
	heard.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	if n, from, err := heard.ReadFrom(make([]byte, 64)); err == nil {
		t.Errorf("the host heard %d bytes from %s", n, from)
	}
	// The listeners work: what is refused is refused by rule.
	mine.Store(true)
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatalf("the host itself cannot connect: %v", err)
	}
	_, _ = io.ReadAll(conn)
	conn.Close()
}

// limits looks at what the guest has of processors and memory.
func (h Harness) limits(spec instance.Spec) func(*testing.T, instance.Instance) {
	return func(t *testing.T, i instance.Instance) {
		// A disk is as large as its volume, whatever the host has.
		if got := output(t, i, "df -Pk / | tail -n 1 | awk '{print ($2 < 64*1024*1024)}'"); got != "1" {
			t.Errorf("the guest's disk is no volume: %s", output(t, i, "df -Pk /"))
		}
		// A bomb of memory ends its own process, and nothing else.
		var out strings.Builder
		exit, err := i.Exec(t.Context(), instance.Command{Argv: []string{"perl", "-e", `$x = "x" x (6 << 30); print "got it"`}, Stdout: &out, Stderr: &out})
		if err != nil || exit == 0 || strings.Contains(out.String(), "got it") {
			t.Errorf("6 GiB of memory: %d, %v, %s", exit, err, out.String())
		}
		mustRun(t, i, "true")
	}
}
