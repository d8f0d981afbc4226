package vm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/instancetest"
)

// TestOverlayByUEFI boots by UEFI from an overlay, as a test of a new image
// does, reaches a service in the guest, and finds the disk untouched. The guest
// does not reach the host's loopback.
func TestOverlayByUEFI(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a boot takes long under emulation")
	}
	k := New(Options{})
	r := k.Probe(t.Context())
	switch {
	case !r.Usable:
		t.Skipf("this machine cannot run virtual machines: %s", r.Remedy)
	case k.found.uefi == nil:
		t.Skipf("this machine has no UEFI firmware: %s", r.Remedy)
	}
	h := instancetest.Harness{Kind: k, Overlay: true}
	spec := h.Spec(t)
	spec.Firmware = "uefi"
	spec.Forwards = []instance.Forward{{Host: freePort(t), Guest: 8080}}
	before := instancetest.Digest(t, spec.Volume)
	secret, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer secret.Close()
	reached := make(chan net.Conn, 1)
	go func() {
		if conn, err := secret.Accept(); err == nil {
			reached <- conn
		}
	}()

	i := h.Launch(t, spec)
	var out bytes.Buffer
	exit, err := i.Exec(t.Context(), instance.Command{Argv: []string{"sh", "-c", "test -d /sys/firmware/efi && hostname && echo changed >/root/changed"}, Stdout: &out, Stderr: &out})
	if err != nil || exit != 0 {
		t.Errorf("no UEFI in the guest: %d, %v, %s", exit, err, out.String())
	}
	if got := fetch(t, i, spec.Forwards[0]); got != "from the guest" {
		t.Errorf("through the forward came %q", got)
	}
	for _, host := range []string{gateway, "127.0.0.1"} {
		_, err := i.Exec(t.Context(), instance.Command{Argv: []string{
			"timeout", "5", "bash", "-c", fmt.Sprintf("exec 3<>/dev/tcp/%s/%d; echo hello >&3", host, secret.Addr().(*net.TCPAddr).Port),
		}})
		if err != nil {
			t.Errorf("Exec: %v", err)
		}
	}
	select {
	case conn := <-reached:
		conn.Close()
		if k.found.passt != "" {
			t.Error("the guest reached the host's loopback")
		}
	default:
	}
	if err := i.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if instancetest.Digest(t, spec.Volume) != before {
		t.Error("the disk was written although it was to be an overlay's base")
	}
	instancetest.NothingLeft(t, spec.ID, spec.Dir, filepath.Dir(spec.Volume))
}

// fetch starts a web server in the guest, in the one language that every
// Debian has, and asks it from the host.
func fetch(t *testing.T, i instance.Instance, f instance.Forward) string {
	t.Helper()
	server := fmt.Sprintf(`use IO::Socket::INET; my $s = IO::Socket::INET->new(Listen => 5, LocalPort => %d, ReuseAddr => 1) or die $!;
		while (my $c = $s->accept) { my $x = <$c>; print $c "HTTP/1.0 200 OK\r\n\r\nfrom the guest"; close $c }`, f.Guest)
	go func() {
		// It ends with the guest.
		_, _ = i.Exec(context.WithoutCancel(t.Context()), instance.Command{Argv: []string{"perl", "-e", server}})
	}()
	client := http.Client{Timeout: 10 * time.Second}
	var last error
	for range 60 {
		response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", f.Host))
		if err == nil {
			b, readErr := io.ReadAll(response.Body)
			response.Body.Close()
			if err = readErr; err == nil {
				return string(b)
			}
		}
		last = err
		time.Sleep(time.Second)
	}
	return last.Error()
}

// freePort gives a port of the loopback that nobody listens on just now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
