package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/instance/instancetest"
)

// TestHostDiskFull has a volume on a host's file system that runs full while
// the guest writes: Stop must not call such a volume complete.
func TestHostDiskFull(t *testing.T) {
	t.Parallel()
	h := instancetest.Harness{Kind: usable(t, false)}
	spec := h.Spec(t)
	small := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=900m", "tmpfs", small).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	defer func() {
		if out, err := exec.Command("umount", small).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	}()
	volume := filepath.Join(small, "volume.raw")
	if out, err := exec.Command("cp", "--sparse=always", spec.Volume, volume).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	if err := os.Remove(spec.Volume); err != nil {
		t.Fatal(err)
	}
	spec.Volume = volume
	i := h.Launch(t, spec)
	// Buffered writes succeed at first; what counts is what Stop says.
	out, _ := shell(t, i, "head -c 700M /dev/urandom >/root/big; sync; ls -l /root/big")
	if err := i.Stop(t.Context()); err == nil {
		t.Errorf("Stop took a volume that lost writes for complete: %s", out)
	}
	if err := i.Kill(); err != nil {
		t.Errorf("Kill: %v", err)
	}
}
