package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// dial is a process of its own that joins a control group and then connects.
const dialVariable = "GOLDSMITH_TEST_EGRESS"

func TestMain(m *testing.M) {
	if what := os.Getenv(dialVariable); what != "" {
		parts := strings.Fields(what) // group network address
		if err := os.WriteFile(filepath.Join(parts[0], "cgroup.procs"), []byte("0"), 0); err != nil {
			fmt.Println(err)
			os.Exit(2)
		}
		conn, err := net.DialTimeout(parts[1], parts[2], 3*time.Second)
		if err == nil && parts[1] == "udp" {
			_, err = conn.Write([]byte("x"))
		}
		switch {
		case errors.Is(err, unix.EPERM):
			fmt.Print("refused by rule")
		case err != nil:
			fmt.Print("failed: ", err)
		default:
			fmt.Print("connected to ", conn.RemoteAddr())
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// group makes a control group version 2, or skips the test.
func group(t *testing.T) string {
	t.Helper()
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		if unix.Statfs(mount, &fs) != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
			continue
		}
		dir := filepath.Join(mount, fmt.Sprintf("goldsmith-egress-%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-")))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Skipf("no control group can be made: %v", err)
		}
		t.Cleanup(func() {
			if err := unix.Rmdir(dir); err != nil {
				t.Errorf("removing %s: %v", dir, err)
			}
		})
		return dir
	}
	t.Skip("this machine has no control groups version 2")
	return ""
}

func dial(t *testing.T, group, network, address string) string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), dialVariable+"="+group+" "+network+" "+address)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func listen(t *testing.T, address string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("no listener at %s: %v", address, err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func TestRules(t *testing.T) {
	t.Parallel()
	dir := group(t)
	open, closed, metadata := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	f, err := Attach([]string{dir}, Rules{
		Denied: never, Allowed: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.9:9"), open}, Redirect: metadata,
	})
	if err != nil {
		t.Skipf("this kernel takes no network rules: %v", err)
	}
	defer f.Close()
	for _, tc := range []struct{ network, address, want string }{
		{"tcp", open.String(), "connected to " + open.String()},
		{"tcp", closed.String(), "refused by rule"},
		{"udp", closed.String(), "refused by rule"},
		{"udp", "169.254.169.254:80", "refused by rule"}, // only TCP is metadata
		{"tcp", "169.254.169.254:81", "refused by rule"},
		{"tcp", "169.254.170.2:80", "refused by rule"},
		{"tcp", "169.254.169.254:80", "connected to " + metadata.String()},
		{"tcp", "0.0.0.0:" + fmt.Sprint(closed.Port()), "refused by rule"},
		{"tcp", "[::1]:" + fmt.Sprint(closed.Port()), "refused by rule"},
	} {
		if got := dial(t, dir, tc.network, tc.address); !strings.HasPrefix(got, tc.want) {
			t.Errorf("%s %s: %s, want %s", tc.network, tc.address, got, tc.want)
		}
	}
	// Without the rules the same is possible: the test can fail.
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := dial(t, dir, "tcp", closed.String()); !strings.HasPrefix(got, "connected") {
		t.Errorf("without rules: %s", got)
	}
}

// Rules of every shape are programs that the kernel takes.
func TestShapes(t *testing.T) {
	t.Parallel()
	dir := group(t)
	address := netip.MustParseAddrPort("127.0.0.1:80")
	for name, r := range map[string]Rules{
		"nothing": {}, "a redirection only": {Redirect: address}, "an exception only": {Allowed: []netip.AddrPort{address}},
		"everything denied": {Denied: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}, "both": {Redirect: address, Denied: never},
	} {
		f, err := Attach([]string{dir}, r)
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
			t.Skipf("this kernel takes no network rules: %v", err)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		f.Close()
	}
}

// Every address of this host is denied, its resolvers' DNS is not.
func TestForHost(t *testing.T) {
	t.Parallel()
	r, err := ForHost([]netip.AddrPort{netip.MustParseAddrPort("192.0.2.77:3128")})
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		addr := netip.MustParsePrefix(a.String()).Addr()
		denied := false
		for _, p := range r.Denied {
			denied = denied || p.Contains(addr)
		}
		if addr.Is4() && !denied {
			t.Errorf("%s is not denied by %v", addr, r.Denied)
		}
	}
	if r.Allowed[0].String() != "192.0.2.77:3128" {
		t.Errorf("allowed: %v", r.Allowed)
	}
}

func FuzzResolvers(f *testing.F) {
	f.Add("nameserver 127.0.0.53\nnameserver ::1\n; nameserver 1.1.1.1\nnameserver 192.0.2.1 # x\nnameserver\nnameserver 192.0.2.2\nnameserver 192.0.2.3")
	f.Fuzz(func(t *testing.T, text string) {
		all := resolvers(strings.NewReader(text))
		if len(all) > 3 {
			t.Errorf("%d resolvers", len(all))
		}
		for _, a := range all {
			if !a.Is4() {
				t.Errorf("%s is not IPv4", a)
			}
		}
	})
}

func TestResolvers(t *testing.T) {
	t.Parallel()
	got := resolvers(strings.NewReader("# x\nsearch a\nnameserver 127.0.0.53\nnameserver fe80::1%eth0\nnameserver 192.0.2.1\noptions edns0\nnameserver bad\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n"))
	want := []netip.Addr{netip.MustParseAddr("127.0.0.53"), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}
