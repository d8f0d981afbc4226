package engine

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

func withoutVM(cfg *Config) { cfg.Tester = brokenKind{cfg.Tester.(paperKind)} }

// awaitKinds waits until a worker has told what it can do.
func (w *world) awaitKinds(e *Engine) (known Worker) {
	w.t.Helper()
	for range 3000 {
		var all []Worker
		if err := e.Store.Read(context.Background(), func(tx *store.Tx) (err error) { all, _, err = Workers(tx); return err }); err != nil {
			w.t.Fatal(err)
		}
		for _, known := range all {
			if known.ID == e.id && len(known.Kinds) > 0 {
				return known
			}
		}
		time.Sleep(time.Millisecond)
	}
	w.t.Fatal("the worker does not tell what it can do")
	return known
}

func (w *world) why(e *Engine) (why string) {
	w.t.Helper()
	if err := e.Store.Read(context.Background(), func(tx *store.Tx) (err error) { why, err = e.Standing(tx, testARN); return err }); err != nil {
		w.t.Fatal(err)
	}
	return why
}

func TestWorkersTellWhatTheyCan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e, stop := w.start()
	defer stop()
	got := w.awaitKinds(e)
	if got.Builds != 2 || got.Architecture != host() || got.DiskFree <= 0 || got.MemoryFree <= 0 || got.Started.IsZero() || got.Seen.IsZero() {
		t.Errorf("the worker tells %+v", got)
	}
	if diff := cmp.Diff([]Ability{{Kind: "sandbox", Usable: true}, {Kind: "vm", Usable: true}}, got.Kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
}

// An image whose test needs a machine goes to the worker that has one.
func TestAnotherWorkerCan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address := postgres.Database(t)
	cannot := w.process(address, "cannot", brief, withoutVM)
	w.enqueueOn(cannot)
	can := w.process(address, "can", brief)
	w.engine = can
	w.waitEnd()
	if last := w.last(); last != Available {
		t.Errorf("the image is %s (%s)", last, w.reason)
	}
}

// An image that no worker can build says so, waits for one that can, and is built
// when it comes.
func TestNoWorkerCan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address := postgres.Database(t)
	cannot := w.process(address, "cannot", brief, withoutVM)
	w.awaitKinds(cannot)
	w.enqueueOn(cannot)
	var why string
	w.wait("a reason", func() bool {
		why = w.why(cannot)
		return why != ""
	})
	for _, part := range []string{"No worker can build the image", "architecture:x86_64, sandbox, vm", "lacks vm (install it)", "It fails if none has come by"} {
		if !strings.Contains(why, part) {
			t.Errorf("the image waits because %q, which does not say %q", why, part)
		}
	}
	if len(w.launched) > 0 || w.last() != Pending {
		t.Errorf("launched %v, the image is %s", w.launched, w.last())
	}
	w.engine = w.process(address, "can", brief)
	w.waitEnd()
	if last := w.last(); last != Available {
		t.Errorf("the image is %s (%s)", last, w.reason)
	}
}

// An image for which no worker comes fails and says why.
func TestNoWorkerComes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.process(postgres.Database(t), "cannot", brief, withoutVM)
	w.engine = e
	w.awaitKinds(e)
	w.enqueueOn(e)
	w.wait("a reason", func() bool { return w.why(e) != "" })
	e.endUnfit(t.Context())
	if w.last() != Pending {
		t.Fatalf("the image is %s at once", w.last())
	}
	err := e.Store.Write(t.Context(), func(tx *store.Tx) error {
		q, _, err := tx.Queued(testARN)
		if err != nil {
			return err
		}
		q.Since = q.Since.Add(-2 * unfitFor)
		return tx.SetQueued(q)
	})
	if err != nil {
		t.Fatal(err)
	}
	e.endUnfit(t.Context())
	if w.last() != Failed || !strings.Contains(w.reason, "lacks vm (install it)") {
		t.Errorf("the image is %s: %s", w.last(), w.reason)
	}
	if why := w.why(e); why != "" {
		t.Errorf("an image that ended waits because %q", why)
	}
}

func TestLacks(t *testing.T) {
	t.Parallel()
	full := Abilities{Architecture: "x86_64", Kinds: []Ability{{Kind: "sandbox", Usable: true}, {Kind: "vm"}}}
	for _, test := range []struct {
		a     Abilities
		needs string
		want  string
	}{
		{full, "architecture:x86_64 sandbox", ""},
		{full, "architecture:arm64 sandbox vm", "architecture:arm64 vm"},
		{full, "sandbox a-kind-of-later", "a-kind-of-later"},
		{Abilities{}, "architecture:arm64 sandbox vm", ""},
	} {
		if got := strings.Join(test.a.lacks(strings.Fields(test.needs)), " "); got != test.want {
			t.Errorf("%+v lacks %q of %q, want %q", test.a, got, test.needs, test.want)
		}
	}
}
