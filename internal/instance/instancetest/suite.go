package instancetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/guest"
)

// Harness is what the Suite needs to know of a kind.
type Harness struct {
	Kind instance.Kind

	// Overlay launches with Spec.Overlay, where the volume must not change.
	Overlay bool

	// Bulk is how many bytes the tests of streams move; emulation is slow.
	Bulk int64

	// Slow skips what would take another boot and is tested otherwise too.
	Slow bool

	// Broken makes of a good volume one that cannot be launched; why is a part
	// of the error that Launch must then give.
	Broken func(t *testing.T, volume string)
	Why    string
}

// NewID gives an instance id that no other test uses.
func NewID() string { return fmt.Sprintf("i-%017x", rand.Uint64()) }

// Spec gives the Spec of a fresh instance in folders of the test.
func (h Harness) Spec(t testing.TB) instance.Spec {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a folder: with \\ odd, characters")
	// Longer than a socket address, as a data folder may well make it.
	dir = filepath.Join(dir, "and-a-name-that-is-so-long-that-the-path-of-a-socket-in-it-does-not-fit-into-its-address-of-107-bytes")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return instance.Spec{ID: NewID(), Dir: dir, Volume: Volume(t), Overlay: h.Overlay, Toe: Toe(t)}
}

// Launch launches an instance that is killed at the end of the test.
func (h Harness) Launch(t testing.TB, spec instance.Spec) instance.Instance {
	t.Helper()
	i, err := h.Kind.Launch(t.Context(), spec)
	if err != nil {
		t.Fatalf("Launch: %v", err)
	}
	t.Cleanup(func() {
		if err := i.Kill(); err != nil {
			t.Errorf("Kill: %v", err)
		}
		NothingLeft(t, spec.ID, spec.Dir, filepath.Dir(spec.Volume))
	})
	return i
}

// Suite runs every test of the contract. One instance serves most of them,
// since some kinds take long to boot.
func Suite(t *testing.T, h Harness) {
	if r := h.Kind.Probe(t.Context()); !r.Usable {
		t.Skipf("this machine cannot run the kind %s: %s", h.Kind.Name(), r.Remedy)
	}
	t.Run("Refuses", h.refuses)
	t.Run("Broken", h.broken)
	t.Run("Cancelled", h.cancelled)
	t.Run("Killed", h.killed)
	t.Run("ServerKilled", h.serverKilled)
	t.Run("Life", h.life)
}

// life is the tests on one instance, from launch to stop.
func (h Harness) life(t *testing.T) {
	spec := h.Spec(t)
	before := Digest(t, spec.Volume)
	spec.Metadata = host{}
	i := h.Launch(t, spec)
	if got := i.ID(); got != spec.ID {
		t.Errorf("ID = %q, want %q", got, spec.ID)
	}
	if _, err := h.Kind.Launch(t.Context(), spec); err == nil {
		t.Error("a second instance was launched in the same folder")
	}
	if err := h.Kind.Sweep(t.Context(), spec.Dir); err != nil {
		t.Errorf("Sweep of a living instance: %v", err)
	}
	state, err := guest.AwaitUp(t.Context(), i, 5*time.Minute)
	if err != nil {
		t.Fatalf("AwaitUp: %v", err)
	}
	if state != "running" {
		t.Errorf("the guest is %s: %s", state, output(t, i, "systemctl --failed --plain --no-legend"))
	}
	if len(leftovers(spec.ID, []string{spec.Dir})) == 0 {
		t.Error("the search for leftovers sees nothing of a living instance")
	}
	// One after the other: they share the instance, and its parent waits.
	for _, test := range []struct {
		name string
		run  func(*testing.T, instance.Instance)
	}{
		{"Status", h.status}, {"Streams", h.streams}, {"Environment", h.environment}, {"Missing", h.missing},
		{"Bulk", h.bulk}, {"Slow", h.slow}, {"Ends", h.ends}, {"Outlive", h.outlive}, {"Writers", h.writers},
		{"Files", h.files}, {"Full", h.full}, {"Many", h.many}, {"Shell", h.shell(spec.Dir)}, {"Metadata", h.metadata},
		{"Host", h.host}, {"Limits", h.limits(spec)}, {"Reboot", h.reboot}, {"RebootAgain", h.reboot}, {"MetadataAfterReboot", h.metadata},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, i) })
	}
	mustRun(t, i, "echo kept >/root/kept && sync")
	if err := i.Stop(t.Context()); err != nil {
		t.Fatalf("Stop: %v", err)
	}
	if _, err := i.Exec(t.Context(), instance.Command{Argv: []string{"true"}}); !isLost(err) {
		t.Errorf("Exec after Stop: %v, want a LostError", err)
	}
	NothingLeft(t, spec.ID, spec.Dir, filepath.Dir(spec.Volume))
	if err := h.Kind.Sweep(t.Context(), spec.Dir); err != nil {
		t.Errorf("Sweep of a stopped instance: %v", err)
	}
	h.afterStop(t, spec, before)
	if b, err := os.ReadFile(i.Console()); err != nil || len(b) == 0 {
		t.Errorf("console log: %d bytes, %v", len(b), err)
	}
}

// refuses are specs that cannot be launched.
func (h Harness) refuses(t *testing.T) {
	for name, change := range map[string]func(*instance.Spec){
		"an id that is none":      func(s *instance.Spec) { s.ID = "../../etc" },
		"no such volume":          func(s *instance.Spec) { s.Volume += ".none" },
		"no such executor":        func(s *instance.Spec) { s.Toe += ".none" },
		"a volume without table":  func(s *instance.Spec) { s.Volume = s.Toe },
		"a forward to port 70000": func(s *instance.Spec) { s.Forwards = []instance.Forward{{Host: 1, Guest: 70000}} },
	} {
		t.Run(name, func(t *testing.T) {
			spec := h.Spec(t)
			change(&spec)
			i, err := h.Kind.Launch(t.Context(), spec)
			if err == nil {
				_ = i.Kill()
				t.Fatal("launched")
			}
			NothingLeft(t, spec.ID, spec.Dir)
		})
	}
}

// broken is a disk that does not boot: the reason is told, and early.
func (h Harness) broken(t *testing.T) {
	spec := h.Spec(t)
	h.Broken(t, spec.Volume)
	i, err := h.Kind.Launch(t.Context(), spec)
	if err == nil {
		_ = i.Kill()
		t.Fatal("a broken disk was launched")
	}
	if !contains(err.Error(), h.Why) {
		t.Errorf("Launch: %v\nwant a mention of %q", err, h.Why)
	}
	NothingLeft(t, spec.ID, spec.Dir, filepath.Dir(spec.Volume))
}

// cancelled is a launch whose caller gives up.
func (h Harness) cancelled(t *testing.T) {
	spec := h.Spec(t)
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if i, err := h.Kind.Launch(ctx, spec); err == nil {
		// Possible where a boot is as fast as that.
		if err := i.Kill(); err != nil {
			t.Errorf("Kill: %v", err)
		}
	}
	NothingLeft(t, spec.ID, spec.Dir, filepath.Dir(spec.Volume))
}
