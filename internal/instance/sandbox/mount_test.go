package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/instance/instancetest"
)

// TestVolumeMountedElsewhere launches a sandbox while another mount namespace
// still has the volume mounted, as happens when any program makes a namespace
// in the moment when an administrator looks into a volume. The launch waits:
// with both mounts at once the file system was ruined.
func TestVolumeMountedElsewhere(t *testing.T) {
	t.Parallel()
	h := instancetest.Harness{Kind: usable(t, false)}
	spec := h.Spec(t)
	elsewhere := exec.Command("sh", "-c", `mount --make-rprivate /; echo; read line; for n in 1 2 3 4 5 6 7 8; do echo $n >"$1/written-$n"; done; sleep 1`, "sh", "")
	elsewhere.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	in, err := elsewhere.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := elsewhere.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	onMounted(t, spec.Volume, func(root string) {
		elsewhere.Args[len(elsewhere.Args)-1] = root
		if err := elsewhere.Start(); err != nil {
			t.Skipf("no mount namespace: %v", err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Errorf("the other namespace: %v", err)
		}
	})
	if t.Failed() {
		return
	}
	in.Close()
	i := h.Launch(t, spec)
	if out, exit := shell(t, i, "ls /written-8 && echo >/written-too"); exit != 0 {
		t.Errorf("what was written before is not there: %s", out)
	}
	if err := i.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if err := elsewhere.Wait(); err != nil {
		t.Errorf("the other namespace: %v", err)
	}
	onMounted(t, spec.Volume, func(root string) {
		for _, name := range []string{"written-1", "written-8", "written-too"} {
			if _, err := os.Stat(root + "/" + name); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestHostname reads names from what components make of /etc/hostname.
func TestHostname(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"debian\n": "debian", "# a comment\n\n web-1.example.com \nother\n": "web-1.example.com", "": "", "localhost\n": "",
		"--bind=/\n": "", "a b\n": "", "a\x00b": "", "a:b": "", strings.Repeat("a", 65): "", strings.Repeat("\n", 2000) + "late": "", "a": "a", "a-": "",
	} {
		root := t.TempDir()
		if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "etc", "hostname"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := hostname(root); got != want {
			t.Errorf("%.20q: %q, want %q", content, got, want)
		}
	}
	for name, make := range map[string]func(string) error{
		"a pipe":                 func(file string) error { return syscall.Mkfifo(file, 0o600) },
		"a folder":               func(file string) error { return os.Mkdir(file, 0o755) },
		"a link out of the root": func(file string) error { return os.Symlink("/proc/sys/kernel/hostname", file) },
		"nothing":                func(string) error { return nil },
	} {
		root := t.TempDir()
		if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := make(filepath.Join(root, "etc", "hostname")); err != nil {
			t.Fatal(err)
		}
		if got := hostname(root); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}
