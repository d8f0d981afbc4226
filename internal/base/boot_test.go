package base

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/disk/rootfs"
)

// testCache is where the bootstrapped disk is kept between test runs.
func testCache(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("GOLDSMITH_TEST_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("no folder for the cached parent: %v", err)
	}
	return filepath.Join(dir, "goldsmith-test")
}

// builtParent gives the parent, from the cache where it is there.
func builtParent(t *testing.T) (*Store, Parent) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("bootstrapping needs root")
	}
	if missing := MissingTools(); len(missing) > 0 {
		t.Skipf("packages are missing: %v", missing)
	}
	s := openStore(t)
	p, err := s.Build(t.Context(), "debian-12-x86", BuildOptions{Cache: testCache(t), Progress: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

func TestBuild(t *testing.T) {
	t.Parallel()
	s, p := builtParent(t)
	if p.Name != "debian-12-x86" || p.OSVersion != "Debian 12" || p.Architecture != "x86_64" || p.Size != 2<<30 || p.RootUUID == "" {
		t.Errorf("record %+v", p)
	}
	if !slices.ContainsFunc(p.Packages, func(p Package) bool { return p.Name == "openssh-server" && p.Version != "" }) {
		t.Errorf("openssh-server is not among the %d packages", len(p.Packages))
	}
	raw, release, err := s.disks.Disk(t.Context(), p.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	t.Run("file system", func(t *testing.T) {
		if out, err := exec.Command("e2fsck", "-f", "-n", fmt.Sprintf("%s?offset=%d", raw, p.RootOffset)).CombinedOutput(); err != nil {
			t.Errorf("e2fsck: %v\n%s", err, out)
		}
	})
	t.Run("no identities", func(t *testing.T) { noIdentities(t, raw) })
	t.Run("import finds out the same", func(t *testing.T) {
		again := Parent{}
		if err := describe(t.Context(), raw, &again); err != nil {
			t.Fatal(err)
		}
		if again.OSVersion != p.OSVersion || again.Architecture != p.Architecture || again.RootOffset != p.RootOffset ||
			!slices.Equal(again.BootModes, p.BootModes) || len(again.Packages) != len(p.Packages) {
			t.Errorf("%s %s %d %v, %d packages; recorded are %s %s %d %v, %d packages", again.OSVersion, again.Architecture, again.RootOffset,
				again.BootModes, len(again.Packages), p.OSVersion, p.Architecture, p.RootOffset, p.BootModes, len(p.Packages))
		}
	})
	t.Run("kernel", func(t *testing.T) {
		vmlinuz, initrd, err := s.Kernel(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		head, err := os.ReadFile(vmlinuz)
		if err != nil || len(head) < 1<<20 || string(head[0x202:0x206]) != "HdrS" {
			t.Errorf("%d bytes are no Linux kernel, %v", len(head), err)
		}
		if st, err := os.Stat(initrd); err != nil || st.Size() < 1<<20 {
			t.Errorf("the initial RAM disk: %v", err)
		}
	})
	again, err := s.Build(t.Context(), "debian-12-x86", BuildOptions{Cache: testCache(t)})
	if err != nil || again.Build != p.Build || again.Snapshot != p.Snapshot {
		t.Errorf("building again from the cache gave build %d, %v", again.Build, err)
	}
}

// noIdentities checks that two machines of this disk would not be twins.
func noIdentities(t *testing.T, raw string) {
	root, err := rootfs.Open(raw)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	names, err := root.ReadDir(t.Context(), "/etc/ssh")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "ssh_host_") {
			t.Errorf("/etc/ssh/%s is in the parent", name)
		}
	}
	if id, err := root.ReadFile(t.Context(), "/etc/machine-id", 100); err != nil || len(id) != 0 {
		t.Errorf("/etc/machine-id holds %q, %v", id, err)
	}
	if lists, err := root.ReadDir(t.Context(), "/var/lib/apt/lists"); err != nil || len(lists) < 3 {
		t.Errorf("the package lists are not there: %v, %v", lists, err)
	}
}

func TestBuildReplacesADamagedCache(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("bootstraps a parent, which takes most of a minute")
	}
	if os.Getenv("GOLDSMITH_TEST_BOOTSTRAP") == "" {
		t.Skip("bootstraps a second parent; set GOLDSMITH_TEST_BOOTSTRAP=1 to run it")
	}
	builtParent(t)
	cache := t.TempDir()
	for _, name := range []string{"debian-12-x86.raw", "debian-12-x86.json"} {
		if err := exec.Command("cp", "--sparse=always", filepath.Join(testCache(t), name), cache).Run(); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.OpenFile(filepath.Join(cache, "debian-12-x86.raw"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("scribble"), 100<<20); err != nil {
		t.Fatal(err)
	}
	f.Close()
	var lines []string
	p, err := openStore(t).Build(t.Context(), "debian-12-x86", BuildOptions{Cache: cache, Progress: func(l string) { lines = append(lines, l) }})
	if err != nil || p.Snapshot == "" || !strings.Contains(strings.Join(lines, "\n"), "damaged") {
		t.Errorf("%v\n%s", err, strings.Join(lines, "\n"))
	}
}

// The disk boots by both kinds of firmware to a login on the serial port, with
// the network up and sshd answering, the second time from a larger volume.
func TestParentBoots(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("boots two emulated machines")
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("qemu-system-x86_64 is not installed (Debian package qemu-system-x86)")
	}
	s, p := builtParent(t)
	for _, firmware := range []string{"bios", "uefi"} {
		t.Run(firmware, func(t *testing.T) {
			dir, size := t.TempDir(), int64(0)
			var args []string
			if firmware == "uefi" {
				args, size = ovmf(t, dir), 3<<30
			}
			volume := filepath.Join(dir, "volume.raw")
			if _, err := s.disks.Volume(t.Context(), p.Snapshot, volume, size); err != nil {
				t.Fatal(err)
			}
			boot(t, dir, volume, args...)
		})
	}
}

func ovmf(t *testing.T, dir string) []string {
	t.Helper()
	const code, vars = "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"
	data, err := os.ReadFile(vars)
	if err != nil {
		t.Skipf("no UEFI firmware (Debian package ovmf): %v", err)
	}
	own := filepath.Join(dir, "vars.fd")
	if err := os.WriteFile(own, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"-drive", "if=pflash,format=raw,readonly=on,file=" + code, "-drive", "if=pflash,format=raw,file=" + own}
}

// boot starts the volume in an emulated machine and waits until it is up.
func boot(t *testing.T, dir, volume string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	console := filepath.Join(dir, "console.log")
	port := freePort(t)
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", append([]string{"-M", "q35", "-m", "1024", "-smp", "2",
		"-accel", "tcg,thread=multi,tb-size=512", "-nodefaults", "-no-user-config", "-display", "none",
		"-serial", "file:" + console, "-drive", "if=virtio,format=raw,file=" + volume,
		"-netdev", fmt.Sprintf("user,id=net,hostfwd=tcp:127.0.0.1:%d-:22", port), "-device", "virtio-net-pci,netdev=net",
		"-device", "virtio-rng-pci"}, args...)...)
	runtime.LockOSThread() // the machine dies with the thread that started it
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	start := time.Now()
	until(ctx, t, "a login prompt", console, func() bool {
		text, err := os.ReadFile(console)
		return err == nil && bytes.Contains(text, []byte("debian login:"))
	})
	t.Logf("login prompt after %.1f s", time.Since(start).Seconds())
	until(ctx, t, "sshd's greeting", console, func() bool { return greets(port) })
	t.Logf("sshd answers after %.1f s", time.Since(start).Seconds())
}

func until(ctx context.Context, t *testing.T, what, console string, done func() bool) {
	t.Helper()
	for !done() {
		select {
		case <-ctx.Done():
			text, _ := os.ReadFile(console)
			t.Fatalf("no %s: %v; the console ends with:\n%s", what, ctx.Err(), text[max(0, len(text)-3000):])
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func greets(port int) bool {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	greeting := make([]byte, 8)
	_, err = io.ReadFull(c, greeting)
	return err == nil && string(greeting) == "SSH-2.0-"
}

// A bootstrap that is given up leaves no process, mount or folder.
func TestBuildStopsWithItsContext(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("bootstrapping needs root")
	}
	if missing := MissingTools(); len(missing) > 0 {
		t.Skipf("packages are missing: %v", missing)
	}
	s := openStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.Build(ctx, "debian-12-x86", BuildOptions{Progress: func(line string) {
		if strings.HasPrefix(line, "extracting") {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Build: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, ".work", "make-*")); len(left) != 0 {
		t.Errorf("left %v", left)
	}
	mounts, err := filepath.Glob("/proc/[0-9]*/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range mounts {
		if text, err := os.ReadFile(name); err == nil && bytes.Contains(text, []byte(s.dir)) {
			t.Errorf("%s still has a mount in the work folder", name)
		}
	}
	roots, _ := filepath.Glob("/proc/[0-9]*/root")
	for _, name := range roots {
		if target, err := os.Readlink(name); err == nil && strings.HasPrefix(target, s.dir) {
			t.Errorf("%s is still at work in the tree", name)
		}
	}
}
