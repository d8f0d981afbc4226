package instancetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/disk/partition"
	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/guest"
)

func (h Harness) files(t *testing.T, i instance.Instance) {
	content := bytes.Repeat([]byte("0123456789abcdef\n"), 1+int(h.Bulk/64/17))
	name := "/root/new folder/'quoted'/file"
	if err := i.Put(t.Context(), name, 0o640, bytes.NewReader(content)); err != nil {
		t.Fatalf("Put: %v", err)
	}
	var back bytes.Buffer
	if err := i.Get(t.Context(), name, &back); err != nil {
		t.Fatalf("Get: %v", err)
	}
	if !bytes.Equal(content, back.Bytes()) {
		t.Errorf("%d bytes were put and %d others came back", len(content), back.Len())
	}
	if got := output(t, i, `stat -c '%a %U' "/root/new folder/'quoted'/file"`); got != "640 root" {
		t.Errorf("mode and owner: %s", got)
	}
	// A file that is there is replaced, and an empty one is a file too.
	if err := i.Put(t.Context(), name, 0o600, strings.NewReader("")); err != nil {
		t.Errorf("Put over a file: %v", err)
	}
	back.Reset()
	if err := i.Get(t.Context(), name, &back); err != nil || back.Len() != 0 {
		t.Errorf("Get of an empty file: %d bytes, %v", back.Len(), err)
	}
	if err := i.Get(t.Context(), "/proc/uptime", &back); err != nil || back.Len() == 0 {
		t.Errorf("Get of a file without a size: %d bytes, %v", back.Len(), err)
	}
	broken := errors.New("no more room for logs")
	err := i.Get(t.Context(), i.Toe(), writerFunc(func([]byte) (int, error) { return 0, broken }))
	if !errors.Is(err, broken) {
		t.Errorf("Get to a broken writer: %v, want its error", err)
	}
}

// full is a guest whose file system is full: a small one that every guest has.
func (h Harness) full(t *testing.T, i instance.Instance) {
	mustRun(t, i, "test $(stat -f -c %T /run/lock) = tmpfs && test $(df -Pk /run/lock | awk 'END { print $2 }') -le 8192 && mkdir /run/lock/small")
	defer mustRun(t, i, "rmdir /run/lock/small")
	err := i.Put(t.Context(), "/run/lock/small/file", 0o600, io.LimitReader(zeros{}, 16<<20))
	if !errors.Is(err, syscall.ENOSPC) || !contains(err.Error(), "no space left on device") {
		t.Errorf("Put into a full file system: %v, want ENOSPC by name", err)
	}
	mustRun(t, i, "test -z \"$(ls -A /run/lock/small)\"")
}

// shell is a second client with a terminal.
func (h Harness) shell(dir string) func(*testing.T, instance.Instance) {
	return func(t *testing.T, _ instance.Instance) {
		stdin, keys, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer stdin.Close()
		screen, stdout, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer screen.Close()
		seen := make(chan string, 1)
		go func() {
			b, _ := io.ReadAll(screen)
			seen <- string(b)
		}()
		go func() {
			fmt.Fprint(keys, "stty size; test -t 0 && echo a terminal; echo $((6*7)); exit 5\n")
		}()
		exit, err := guest.Shell(t.Context(), dir, nil, stdin, stdout)
		keys.Close()
		stdout.Close()
		got := <-seen
		if err != nil || exit != 5 {
			t.Errorf("Shell: %d, %v", exit, err)
		}
		for _, want := range []string{"24 80", "\na terminal", "\n42"} {
			if !contains(got, want) {
				t.Errorf("the screen lacks %q:\n%s", want, got)
			}
		}
	}
}

func (h Harness) reboot(t *testing.T, i instance.Instance) {
	boot := output(t, i, "cat /proc/sys/kernel/random/boot_id")
	mustRun(t, i, "echo here >"+i.Scratch()+"/survives; echo there >/root/survives; touch /run/does-not")
	lost := make(chan error, 1)
	go func() {
		_, err := i.Exec(t.Context(), instance.Command{Argv: []string{"sleep", "9999"}})
		lost <- err
	}()
	for running(t, i, "sleep 9999") == "0" {
		time.Sleep(10 * time.Millisecond)
	}
	if err := i.Reboot(t.Context()); err != nil {
		t.Fatalf("Reboot: %v", err)
	}
	// A command that the reboot ended has either a status or was lost.
	if err := <-lost; err != nil && !isLost(err) {
		t.Errorf("Exec across a reboot: %v, want a LostError", err)
	}
	if again := output(t, i, "cat /proc/sys/kernel/random/boot_id"); again == boot || again == "" {
		t.Errorf("boot id before %q, after %q", boot, again)
	}
	mustRun(t, i, "grep -q here "+i.Scratch()+"/survives && grep -q there /root/survives && test ! -e /run/does-not && test -x "+i.Toe())
}

// afterStop looks at the volume of a stopped instance.
func (h Harness) afterStop(t *testing.T, spec instance.Spec, before [32]byte) {
	if h.Overlay {
		if Digest(t, spec.Volume) != before {
			t.Error("the volume was written although it was to be an overlay's base")
		}
		return
	}
	if out := onVolume(t, spec.Volume, "cat /root/kept"); out != "kept" {
		t.Errorf("what the guest wrote reads %q from the volume", out)
	}
	for _, trace := range []string{"/run/goldsmith", "/etc/systemd/system/" + guest.UnitName, "/etc/systemd/system/run-goldsmith.mount"} {
		if out := onVolume(t, spec.Volume, "stat "+trace); contains(out, "Inode:") {
			t.Errorf("the image has %s in it", trace)
		}
	}
	check := exec.Command("e2fsck", "-f", "-n", filesystem(t, spec.Volume))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("e2fsck: %v\n%s", err, out)
	}
}

// filesystem names the root file system in a disk the way e2fsprogs do.
func filesystem(t testing.TB, volume string) string {
	t.Helper()
	f, err := os.Open(volume)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	table, err := partition.Read(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	root, err := table.Root()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s?offset=%d", volume, root.Offset)
}

// onVolume runs a command of debugfs on a volume that nobody uses.
func onVolume(t testing.TB, volume, command string) string {
	t.Helper()
	out, err := exec.Command("debugfs", "-R", command, filesystem(t, volume)).Output()
	if err != nil {
		t.Fatalf("debugfs %s: %v", command, err)
	}
	return strings.TrimSpace(string(out))
}
