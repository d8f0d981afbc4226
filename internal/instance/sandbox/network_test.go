package sandbox

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/instancetest"
)

// shell runs a script in a sandbox.
func shell(t *testing.T, i instance.Instance, script string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	exit, err := i.Exec(t.Context(), instance.Command{Argv: []string{"sh", "-c", script}, Stdout: &out, Stderr: &out})
	if err != nil {
		t.Fatalf("Exec %q: %v", script, err)
	}
	return strings.TrimSpace(out.String()), exit
}

// usable skips the test where the kind cannot run as the test needs it.
func usable(t *testing.T, network bool) *Kind {
	t.Helper()
	k := New(Options{})
	if r := k.Probe(t.Context()); !r.Usable {
		t.Skipf("this machine cannot run sandboxes: %s", r.Remedy)
	} else if network && k.found.slirp == "" {
		t.Skipf("this machine gives sandboxes no network of their own: %s", r.Remedy)
	}
	return k
}

// TestNetworkIsPrivate looks that two sandboxes do not share ports, and that
// neither reaches what listens on the host's loopback.
func TestNetworkIsPrivate(t *testing.T) {
	t.Parallel()
	h := instancetest.Harness{Kind: usable(t, true)}
	secret, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer secret.Close()
	go func() {
		for {
			conn, err := secret.Accept()
			if err != nil {
				return
			}
			t.Errorf("a sandbox reached the host's loopback from %s", conn.RemoteAddr())
			conn.Close()
		}
	}()
	port := secret.Addr().(*net.TCPAddr).Port
	listen := `exec perl -MIO::Socket::INET -e 'IO::Socket::INET->new(Listen => 1, LocalPort => 80, ReuseAddr => 1) or die $!; print "bound"; '`
	for range 2 {
		i := h.Launch(t, h.Spec(t))
		// Both are alive until the end of the test.
		if out, exit := shell(t, i, "sleep 600 & "+listen); exit != 0 || out != "bound" {
			t.Errorf("binding port 80: %d, %s", exit, out)
		}
		if _, exit := shell(t, i, "nohup "+strings.Replace(listen, `print "bound"; `, "sleep 600", 1)[5:]+" >/dev/null 2>&1 &"); exit != 0 {
			t.Error("port 80 could not be kept")
		}
		for _, host := range []string{"127.0.0.1", "10.0.2.2", "localhost"} {
			out, exit := shell(t, i, fmt.Sprintf(`timeout 5 bash -c 'exec 3<>/dev/tcp/%s/%d'`, host, port))
			if exit == 0 {
				t.Errorf("the guest connected to %s:%d: %s", host, port, out)
			}
		}
		if out, _ := shell(t, i, "ip -brief address show "+interfaceName); !strings.Contains(out, "10.0.2.") {
			t.Errorf("the guest's address: %s", out)
		}
		if out, _ := shell(t, i, "cat /etc/resolv.conf"); out != "nameserver "+nameserver {
			t.Errorf("the guest's resolv.conf: %s", out)
		}
	}
}

// TestResolvConfStaysTheImages looks that no form of the image's own file
// changes, although the guest sees ours.
func TestResolvConfStaysTheImages(t *testing.T) {
	t.Parallel()
	h := instancetest.Harness{Kind: usable(t, true)}
	for name, test := range map[string]struct{ make, want string }{
		"a file":                  {"echo nameserver 192.0.2.1 >/etc/resolv.conf", "nameserver 192.0.2.1"},
		"none":                    {"true", "none"},
		"a link into run":         {"ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf", "link ../run/systemd/resolve/stub-resolv.conf"},
		"a link that leads away":  {"ln -s ../../../../../../../../run/there /etc/resolv.conf", "link ../../../../../../../../run/there"},
		"a link into nothing":     {"ln -s /nowhere/at/all /etc/resolv.conf", "link /nowhere/at/all"},
		"a folder, of all things": {"mkdir /etc/resolv.conf", "folder"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := h.Spec(t)
			onMounted(t, spec.Volume, func(root string) {
				script := strings.ReplaceAll("rm -rf /etc/resolv.conf; "+test.make, "/etc/", root+"/etc/")
				if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v: %s", test.make, err, out)
				}
			})
			i := h.Launch(t, spec)
			if out, _ := shell(t, i, "cat /etc/resolv.conf"); !strings.Contains(out, nameserver) && strings.Contains(name, "run") {
				t.Errorf("the guest sees %q", out)
			}
			if err := i.Stop(t.Context()); err != nil {
				t.Fatalf("Stop: %v", err)
			}
			onMounted(t, spec.Volume, func(root string) {
				if got := describe(filepath.Join(root, "etc/resolv.conf")); got != test.want {
					t.Errorf("afterwards the image has %q, want %q", got, test.want)
				}
			})
		})
	}
}

func describe(name string) string {
	info, err := os.Lstat(name)
	if err != nil {
		return "none"
	}
	switch {
	case info.IsDir():
		return "folder"
	case info.Mode()&os.ModeSymlink != 0:
		target, _ := os.Readlink(name)
		return "link " + target
	}
	b, _ := os.ReadFile(name)
	return strings.TrimSpace(string(b))
}

// onMounted calls f with a volume mounted in this machine's namespace, since
// the tests look at it with ordinary programs.
func onMounted(t *testing.T, volume string, f func(root string)) {
	t.Helper()
	root, err := rootOf(volume)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	option := fmt.Sprintf("loop,offset=%d,sizelimit=%d", root.Offset, root.Size)
	if out, err := exec.Command("mount", "-o", option, volume, dir).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	defer func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	}()
	f(dir)
}
