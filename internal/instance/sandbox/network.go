package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Addresses that slirp4netns gives: its own network, the same in every sandbox
// since each has a network namespace to itself.
const (
	interfaceName = "host0" // the name that guests expect in a container of systemd-nspawn
	nameserver    = "10.0.2.3"
	address       = "10.0.2.100" // the guest's
)

// newNetwork makes a network namespace with a user-mode way out, and gives its
// path. The namespace lives as long as this process.
//
// The way out translates addresses in a process without privileges on the
// host's network: the guest reaches what the host reaches, but not the host's
// loopback, and nothing reaches the guest.
func newNetwork(slirp string) (string, error) {
	ns, err := newNamespace()
	if err != nil {
		return "", fmt.Errorf("making a network namespace: %w", err)
	}
	path := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), ns.Fd())
	ready, done, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer ready.Close()
	cmd := exec.Command(slirp, "--configure", "--mtu=65520", "--disable-host-loopback",
		"--ready-fd=3", "--netns-type=path", path, interfaceName)
	output := &tailWriter{}
	cmd.Stdout, cmd.Stderr = output, output
	cmd.ExtraFiles = []*os.File{done}
	err = cmd.Start()
	done.Close()
	if err != nil {
		return "", fmt.Errorf("starting slirp4netns: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	_ = ready.SetReadDeadline(time.Now().Add(10 * time.Second)) // pipes of package os have deadlines
	if _, err := io.ReadFull(ready, make([]byte, 1)); err != nil {
		_ = cmd.Process.Kill()
		ended := <-exited
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			err = ended
		}
		return "", fmt.Errorf("slirp4netns: %v: %s", err, strings.TrimSpace(output.String()))
	}
	namespaces = append(namespaces, ns)
	return path, nil
}

// namespaces keeps the file descriptors that paths of newNetwork name.
var namespaces []*os.File

// newNamespace makes a network namespace. This thread comes back from it.
func newNamespace() (*os.File, error) {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer home.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, os.NewSyscallError("unshare", err)
	}
	ns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, os.NewSyscallError("setns", err)
	}
	runtime.UnlockOSThread()
	return ns, nil
}

// tailWriter keeps the last 2 KiB of what is written to it.
type tailWriter struct{ b []byte }

func (t *tailWriter) Write(b []byte) (int, error) {
	const most = 2 << 10
	t.b = append(t.b, b...)
	if len(t.b) > most {
		t.b = append(t.b[:0], t.b[len(t.b)-most:]...)
	}
	return len(b), nil
}

func (t *tailWriter) String() string { return string(t.b) }
