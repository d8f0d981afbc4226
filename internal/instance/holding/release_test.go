package holding

import (
	"os"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/instance/cgroup"
	"github.com/goldsmith-build/goldsmith/internal/instance/guest"
)

// TestALogThatTheDiskHasNoRoomForIsNotLeftBehind releases an instance whose console
// could not be written: its folder can be removed all the same.
func TestALogThatTheDiskHasNoRoomForIsNotLeftBehind(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	console, err := guest.OpenConsole("/dev/full")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := console.Write([]byte("a line\n")); err != nil {
		t.Fatal(err)
	}
	h := &Holding{Console: console, dir: t.TempDir(), groups: &cgroup.Groups{}}
	if err := h.Release(); err != nil {
		t.Errorf("releasing the instance: %v", err)
	}
}
