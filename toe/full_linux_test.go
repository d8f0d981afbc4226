package toe_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of 256 KiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("needs to mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestLogFull: a run whose logs cannot be written says so and is no success.
func TestLogFull(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.LogDirectory = smallDisk(t)
	r := b.run(steps(sh("Chatty", "yes | head -c 1M"), sh("Next", "touch next")))
	if r.Summary.Status != "failed" || !strings.Contains(r.Failure.ErrorMessage, "console.log: no space left on device") || !b.exists("next") {
		t.Errorf("summary %+v, failure %+v", r.Summary, r.Failure)
	}
}

// TestStateFull: what is needed to go on after a restart is on disk, or there
// is no restart.
func TestStateFull(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.StateDirectory = smallDisk(t)
	r := b.run(steps(sh("Chatty", "yes | head -c 1M"), "{name: Restart, action: Reboot}"))
	if r.ExitCode() != 1 || r.Failure == nil || !strings.Contains(r.Failure.ErrorMessage, "no space left on device") {
		t.Errorf("summary %+v, failure %+v", r.Summary, r.Failure)
	}
}

// TestStepFull: a step that fills the disk fails with the reason.
func TestStepFull(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	b := newBench(t)
	big := filepath.Join(b.dir, "big")
	if err := os.WriteFile(big, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	r := b.run(steps("{name: Copy, action: CopyFile, onFailure: Continue, inputs: [{source: big, destination: "+disk+"/}]}",
		"{name: Dump, action: ExecuteBash, inputs: {commands: ['cat big > "+disk+"/x']}}"))
	first, second := r.Detail.Documents[0].Phases[0].Steps[0], r.Detail.Documents[0].Phases[0].Steps[1]
	if !strings.Contains(first.FailureMessage, "no space left on device") || !strings.Contains(second.Stderr, "No space left on device") {
		t.Errorf("messages %q and %q", first.FailureMessage, second.Stderr)
	}
	if _, err := os.Stat(filepath.Join(disk, "big")); err == nil {
		t.Error("half a copy was left")
	}
}
