package vm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/instancetest"
)

// TestACrashingEmulatorIsStartedAgain gives QEMU's place to a program that
// counts its starts and aborts. The disk is not to blame, so it is tried again;
// but only a volume that is never written may be. It runs before the parallel
// tests, because the suite measures this process's memory.
func TestACrashingEmulatorIsStartedAgain(t *testing.T) {
	kind := New(Options{})
	if r := kind.Probe(t.Context()); !r.Usable {
		t.Skip(r.Remedy)
	}
	for name, test := range map[string]struct {
		overlay bool
		end     string
		starts  int
	}{
		"aborts":                 {true, "kill -ABRT $$", maxCrashes},
		"aborts, volume written": {false, "kill -ABRT $$", 1},
		"is killed":              {true, "kill -KILL $$", 1},
		"ends":                   {true, "exit 1", 1},
	} {
		t.Run(name, func(t *testing.T) {
			counts, err := os.MkdirTemp("", "goldsmith-crash-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(counts) })
			if err := os.Chmod(counts, 0o777); err != nil { // QEMU runs as nobody
				t.Fatal(err)
			}
			qemu := filepath.Join(counts, "qemu")
			if err := os.WriteFile(qemu, []byte("#!/bin/sh\necho started >> "+counts+"/starts\n"+test.end+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			broken := New(Options{})
			broken.Probe(t.Context())
			broken.found.qemu = qemu
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = broken.Launch(t.Context(), instance.Spec{ID: "i-0123456789abcdef0", Dir: dir, Volume: instancetest.Volume(t), Overlay: test.overlay, Toe: instancetest.Toe(t)})
			if err == nil || !strings.Contains(err.Error(), "QEMU: ") {
				t.Errorf("%v, want an error that says how QEMU ended", err)
			}
			text, _ := os.ReadFile(filepath.Join(counts, "starts"))
			if n := strings.Count(string(text), "started"); n != test.starts {
				t.Errorf("QEMU was started %d times, want %d (%v)", n, test.starts, err)
			}
			if _, err := os.Stat(filepath.Join(dir, "mine")); err != nil {
				t.Errorf("what was in the folder before is gone: %v", err)
			}
		})
	}
}
