package engine

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/store/storetest"
)

// process is a worker with a data folder and a connection to the database of its
// own, as another machine has them.
func (w *world) process(address, node string, lease time.Duration, change ...func(*Config)) *Engine {
	w.t.Helper()
	s, err := store.OpenPostgres(context.Background(), address)
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := Config{
		Store: s, Cloud: cloud.New(s, nil), Disks: paperDisks{}, Builder: paperKind{w, "sandbox"}, Tester: paperKind{w, "vm"}, Resolver: w, Recorder: w,
		Dir: filepath.Join(w.dir, node), Node: node, Lease: lease, Log: slog.New(slog.DiscardHandler), Reserve: 1, Builds: 1,
	}
	for _, f := range change {
		f(&cfg)
	}
	e, err := New(context.Background(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(w.dir, node), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := e.Start(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := e.Stop(ctx); err != nil {
			w.t.Errorf("stopping %s: %v", node, err)
		}
		select {
		case <-e.lost: // its queue is never let go
		default:
			s.Close()
		}
	})
	return e
}

const (
	brief   = 600 * time.Millisecond
	forever = time.Hour // too long for this worker to say that it is alive
)

func TestWorkersOfSeveralMachines(t *testing.T) {
	t.Parallel()
	server := storetest.StartPostgres(t, "fsync=off")
	for name, test := range map[string]func(*testing.T, string){
		"TheDeadAreReplaced":  deadAreReplaced,
		"WhoStopsHandsOver":   whoStopsHandsOver,
		"CancelledElsewhere":  cancelledElsewhere,
		"WhoHungDoesNotJudge": whoHungDoesNotJudge,
		"OnlyTheOwnIsSwept":   onlyTheOwnIsSwept,
		"TheGoneAreForgotten": theGoneAreForgotten,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, server.Database(t))
		})
	}
}

// hold makes the first execution wait: begun is closed when it does.
func (w *world) hold() (begun, release chan struct{}) {
	begun, release = make(chan struct{}), make(chan struct{})
	w.execute = func(ctx context.Context, _ string, call int, _ io.Writer) (int, error) {
		if call == 1 {
			close(begun)
			select {
			case <-release:
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		return 0, nil
	}
	return begun, release
}

// deadAreReplaced has a worker that is silent in the middle of an image, is taken
// for dead, and comes back when another has finished it.
func deadAreReplaced(t *testing.T, address string) {
	w := newWorld(t)
	begun, release := w.hold()
	silent := w.process(address, "silent", forever)
	w.enqueueOn(silent)
	<-begun
	w.engine = w.process(address, "alive", brief)
	w.waitEnd()
	select {
	case <-silent.Lost():
		t.Fatal("the silent worker lost its lease before it tried to write")
	default:
	}
	close(release)
	select {
	case <-silent.Lost():
	case <-time.After(30 * time.Second):
		t.Fatal("the silent worker does not know that others have its image")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(slices.DeleteFunc(slices.Clone(w.states), func(s Status) bool { return !s.Terminal() })); n != 1 || w.states[len(w.states)-1] != Available {
		t.Errorf("states %v (%s), want one end, AVAILABLE", w.states, w.reason)
	}
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var state string
	for range 300 {
		if err := conn.QueryRow(t.Context(), "SELECT state FROM river_job WHERE kind = 'image'").Scan(&state); err != nil {
			t.Fatal(err)
		}
		if state == "completed" {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the image's job is %s, want completed", state)
}

// whoStopsHandsOver stops a worker in the middle of an image: nobody waits for
// its lease to end.
func whoStopsHandsOver(t *testing.T, address string) {
	w := newWorld(t)
	begun, _ := w.hold()
	first := w.process(address, "first", forever)
	w.enqueueOn(first)
	<-begun
	w.engine = w.process(address, "second", forever)
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.waitEnd()
	if last := w.states[len(w.states)-1]; last != Available {
		t.Errorf("the image is %s (%s)", last, w.reason)
	}
}

// cancelledElsewhere has a request to cancel that came to another process, which
// could not interrupt this one.
func cancelledElsewhere(t *testing.T, address string) {
	w := newWorld(t)
	begun, _ := w.hold()
	e := w.process(address, "builder", brief)
	w.engine = e
	w.enqueueOn(e)
	<-begun
	w.mu.Lock()
	w.cancel = true
	w.mu.Unlock()
	w.waitEnd()
	if last := w.states[len(w.states)-1]; last != Cancelled {
		t.Errorf("the image is %s (%s), want CANCELLED", last, w.reason)
	}
}

// onlyTheOwnIsSwept has two instances in the ledger that nobody runs, one of this
// worker's data folder and one of another's.
func onlyTheOwnIsSwept(t *testing.T, address string) {
	w := newWorld(t)
	s, err := store.OpenPostgres(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.Write(t.Context(), func(tx *store.Tx) error {
		var errs []error
		for _, node := range []string{"here", "there"} {
			dir := filepath.Join(w.dir, node, "instances", "i-"+node)
			errs = append(errs, os.MkdirAll(dir, 0o700), tx.PutInstance(store.Instance{ID: "i-" + node, Node: node, Kind: "sandbox", Dir: dir, ImageARN: testARN, State: "running"}))
		}
		return errors.Join(errs...)
	})
	if err != nil {
		t.Fatal(err)
	}
	w.process(address, "here", brief)
	var rows []store.Instance
	if err := s.Read(t.Context(), func(tx *store.Tx) (err error) { rows, err = tx.Instances(); return err }); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || rows[0].ID != "i-there" {
		t.Errorf("the ledger has %v, want the other machine's instance only", rows)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "there", "instances", "i-there")); err != nil {
		t.Errorf("the other machine's instance: %v", err)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "here", "instances", "i-here")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead instance here: %v, want it gone", err)
	}
}

// whoHungDoesNotJudge has a worker whose beat hung with the database for as long as
// the others were silent, and then succeeded.
func whoHungDoesNotJudge(t *testing.T, address string) {
	w := newWorld(t)
	e := w.process(address, "here", forever)
	silent := func() bool {
		known := false
		err := e.Store.Read(t.Context(), func(tx *store.Tx) error {
			all, err := tx.Workers()
			known = slices.ContainsFunc(all, func(w store.Worker) bool { return w.ID == "silent" })
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return known
	}
	err := e.Store.Write(t.Context(), func(tx *store.Tx) error {
		return tx.PutWorker(store.Worker{ID: "silent", Node: "there", Started: time.Now()})
	})
	if err != nil {
		t.Fatal(err)
	}
	// The same database, with the patience of a shorter lease: everybody was silent
	// for longer than that.
	hasty := &Engine{Config: e.Config, id: e.id, queue: e.queue}
	hasty.Lease = 200 * time.Millisecond
	time.Sleep(2 * hasty.Lease)
	p := pulse{engine: hasty, steady: time.Now().Add(-time.Hour), last: time.Now().Add(-2 * hasty.Lease)}
	if !p.renew(t.Context()) || !silent() {
		t.Fatal("a worker whose own beat was late buried another")
	}
	p.steady, p.last = time.Now().Add(-time.Hour), time.Now()
	if !p.renew(t.Context()) || silent() {
		t.Fatal("a worker that was heard all the time did not bury a silent one")
	}
}

// theGoneAreForgotten has entries of machines that are there, were there of late,
// and will not come back.
func theGoneAreForgotten(t *testing.T, address string) {
	w := newWorld(t)
	here := w.process(address, "here", forever)
	old := time.Now().Add(-2 * abandonedAfter)
	entries := []store.Instance{
		{ID: "i-here", Node: "here", State: "running", Created: old},
		{ID: "i-of-late", Node: "gone", State: "running", Created: time.Now()},
		{ID: "i-gone", Node: "gone", State: "running", Created: old},
		{ID: "i-kept", Node: "gone", State: "kept", Created: old},
		{ID: "i-busy", Node: "busy", State: "running", Created: old},
	}
	err := here.Store.Write(t.Context(), func(tx *store.Tx) error {
		errs := []error{tx.PutWorker(store.Worker{ID: "other", Node: "busy", Started: old})}
		for _, row := range entries {
			row.Kind, row.Dir, row.ImageARN = "sandbox", filepath.Join(w.dir, row.ID), testARN
			errs = append(errs, tx.PutInstance(row))
		}
		return errors.Join(errs...)
	})
	if err != nil {
		t.Fatal(err)
	}
	here.forgetAbandoned(t.Context())
	var left []string
	err = here.Store.Read(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Instances()
		for _, row := range rows {
			left = append(left, row.ID)
		}
		return err
	})
	slices.Sort(left)
	if want := []string{"i-busy", "i-here", "i-kept", "i-of-late"}; err != nil || !slices.Equal(left, want) {
		t.Errorf("the ledger has %v (%v), want %v", left, err, want)
	}
}

// enqueueOn adds the job of the image.
func (w *world) enqueueOn(e *Engine) {
	w.t.Helper()
	err := e.Store.Write(context.Background(), func(tx *store.Tx) error { return e.Enqueue(context.Background(), tx, testARN) })
	if err != nil {
		w.t.Fatal(err)
	}
}
