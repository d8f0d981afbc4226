package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/store/storetest"
)

// crowd is the service to an engine with many images; each has no workflow but
// the tests', so that it goes through all of its states at once.
type crowd struct {
	t     *testing.T
	store *store.Store

	mu        sync.Mutex
	states    map[string]Status
	cancelled map[string]bool
	begun     []string // in the order of their plans
	work      map[string]int
	most      map[string]int           // images at work at once, by account
	hold      map[string]chan struct{} // what the plan of an image waits for
	ended     chan string
}

func newCrowd(t *testing.T, s *store.Store) *crowd {
	return &crowd{t: t, store: s, states: map[string]Status{}, cancelled: map[string]bool{}, work: map[string]int{}, most: map[string]int{}, hold: map[string]chan struct{}{}, ended: make(chan string, 1000)}
}

// onEach runs a test on both databases.
func onEach(t *testing.T, test func(*testing.T, *store.Store)) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "goldsmith.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		test(t, s)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		test(t, postgres.Open(t))
	})
}

// postgres has the databases of the package's tests.
var postgres storetest.Shared

func TestMain(m *testing.M) {
	code := m.Run()
	if err := postgres.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "ending the tests' database server:", err)
		code = 1
	}
	os.Exit(code)
}

// engine starts an engine, which ends with the test.
func (c *crowd) engine(change ...func(*Config)) *Engine {
	c.t.Helper()
	w := &world{t: c.t, dir: c.t.TempDir(), alive: map[string]string{}}
	cfg := Config{
		Store: c.store, Cloud: cloud.New(c.store, nil), Disks: paperDisks{}, Builder: paperKind{w, "sandbox"}, Tester: paperKind{w, "vm"}, Resolver: c, Recorder: c,
		Dir: w.dir, Node: w.dir, Builds: 1, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Reserve: 1,
	}
	for _, f := range change {
		f(&cfg)
	}
	e, err := New(context.Background(), cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := e.Start(context.Background()); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := e.Stop(ctx); err != nil {
			c.t.Errorf("stopping: %v", err)
		}
	})
	return e
}

// add enqueues images of an account.
func (c *crowd) add(e *Engine, account string, n int) (arns []string) {
	c.t.Helper()
	c.mu.Lock()
	for range n {
		arn := fmt.Sprintf("arn:aws:imagebuilder:us-east-1:%s:image/demo/1.0.0/%d", account, len(c.states)+1)
		arns = append(arns, arn)
		c.states[arn] = Pending
	}
	c.mu.Unlock()
	err := c.store.Write(context.Background(), func(tx *store.Tx) error {
		var errs []error
		for _, arn := range arns {
			errs = append(errs, e.Enqueue(context.Background(), tx, arn))
		}
		return errors.Join(errs...)
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return arns
}

// await waits for n images to end and gives them in the order of their ends.
func (c *crowd) await(n int) (arns []string) {
	c.t.Helper()
	for range n {
		select {
		case arn := <-c.ended:
			arns = append(arns, arn)
		case <-time.After(time.Minute):
			c.t.Fatalf("%d images have ended, want %d", len(arns), n)
		}
	}
	return arns
}

// standing is why an image waits.
func (c *crowd) standing(e *Engine, arn string) (why string) {
	c.t.Helper()
	if err := c.store.Read(context.Background(), func(tx *store.Tx) (err error) { why, err = e.Standing(tx, arn); return err }); err != nil {
		c.t.Fatal(err)
	}
	return why
}

func (c *crowd) Plan(ctx context.Context, arn string) (*Plan, error) {
	account := accountOf(arn)
	c.mu.Lock()
	hold := c.hold[arn]
	c.begun = append(c.begun, arn)
	c.work[account]++
	c.most[account] = max(c.most[account], c.work[account])
	c.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	time.Sleep(5 * time.Millisecond) // so that they overlap where they may
	c.mu.Lock()
	defer c.mu.Unlock()
	c.work[account]--
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, fault.New("InvalidRequestException", "that is all") // ends the image as FAILED
}

func (c *crowd) Status(_ context.Context, arn string) (Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.states[arn], nil
}

func (c *crowd) CancelRequested(_ context.Context, arn string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cancelled[arn], nil
}

func (c *crowd) Transition(_ context.Context, _ *store.Tx, arn string, to Status, _ string, _ *Failure) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.states[arn].Terminal() {
		return fmt.Errorf("%s ended before", arn)
	}
	c.states[arn] = to
	c.ended <- arn
	return nil
}

func (*crowd) Outputs(context.Context, *store.Tx, string, []OutputAMI) error { return nil }
func (*crowd) Waiting(context.Context, *store.Tx, WaitingStep) error         { return nil }
func (*crowd) Metadata(context.Context, *store.Tx, string, string, []Package) error {
	return nil
}

func TestManyImagesDoNotStarveOne(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store.Store) {
		c := newCrowd(t, s)
		held := make(chan struct{})
		c.hold["arn:aws:imagebuilder:us-east-1:111111111111:image/demo/1.0.0/1"] = held
		e := c.engine()
		many := c.add(e, "111111111111", 60)
		few := append(c.add(e, "222222222222", 2), c.add(e, "333333333333", 1)...)
		if why := c.standing(e, many[2]); !strings.Contains(why, "1 of 1 places") || !strings.Contains(why, "1 came earlier") {
			t.Errorf("the third image waits because %q", why)
		}
		close(held)
		c.await(63)
		order := []string{many[0], few[0], few[2], many[1], few[1], many[2]}
		if got := c.begun[:6]; !slices.Equal(got, order) {
			t.Errorf("the images began in the order %v, want %v", got, order)
		}
		if !slices.Equal(c.begun[6:], many[3:]) {
			t.Errorf("the rest of one account began in the order %v", c.begun[6:])
		}
	})
}

func TestAccountBuilds(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store.Store) {
		c := newCrowd(t, s)
		held := make(chan struct{})
		first := "arn:aws:imagebuilder:us-east-1:111111111111:image/demo/1.0.0/1"
		c.hold[first] = held
		e := c.engine(func(cfg *Config) { cfg.Builds, cfg.AccountBuilds = 6, 2 })
		all := c.add(e, "111111111111", 20)
		c.add(e, "222222222222", 20)
		c.await(39)
		if why := c.standing(e, first); why != "" {
			t.Errorf("an image that is at work waits because %q", why)
		}
		close(held)
		c.await(1)
		if c.most["111111111111"] > 2 || c.most["222222222222"] > 2 || len(c.begun) != 40 {
			t.Errorf("%v images of an account were at work at once, want 2 at most; %d begun", c.most, len(c.begun))
		}
		if why := c.standing(e, all[19]); why != "" {
			t.Errorf("an image that ended waits because %q", why)
		}
	})
}

// Who is cancelled while waiting ends without a worker, which are all busy.
func TestCancelledWhileWaiting(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store.Store) {
		c := newCrowd(t, s)
		held := make(chan struct{})
		c.hold["arn:aws:imagebuilder:us-east-1:111111111111:image/demo/1.0.0/1"] = held
		e := c.engine()
		arns := c.add(e, "111111111111", 3)
		c.mu.Lock()
		c.cancelled[arns[1]] = true
		c.mu.Unlock()
		e.Interrupt(arns[1])
		if got := c.await(1); got[0] != arns[1] || c.states[arns[1]] != Cancelled {
			t.Fatalf("%v ended, %v", got, c.states)
		}
		// A request whose process died before it looked.
		c.mu.Lock()
		c.cancelled[arns[2]] = true
		c.mu.Unlock()
		if err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.RequestCancel(arns[2], time.Now()) }); err != nil {
			t.Fatal(err)
		}
		e.endCancelled(t.Context())
		if got := c.await(1); got[0] != arns[2] || c.states[arns[2]] != Cancelled {
			t.Fatalf("%v ended, %v", got, c.states)
		}
		close(held)
		c.await(1)
		if len(c.begun) != 1 {
			t.Errorf("%v were begun, want the first only", c.begun)
		}
	})
}

// TestLostJobs has images whose jobs are gone, and a job of an earlier life of an
// image: each image is built once.
func TestLostJobs(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *store.Store) {
		c := newCrowd(t, s)
		stopped := c.engine()
		if err := stopped.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		// Three images get their places from a worker that dies at once.
		err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.PutWorker(store.Worker{ID: "dead", Node: "dead", Builds: 3}) })
		if err != nil {
			t.Fatal(err)
		}
		arns := c.add(stopped, "111111111111", 3)
		err = s.Write(t.Context(), func(tx *store.Tx) error {
			_, err := stopped.queue.insert(t.Context(), tx, jobArgs{arns[0]})
			return errors.Join(err, tx.DeleteWorker("dead"), stopped.queue.exec(t.Context(), tx, `DELETE FROM river_job WHERE args ->> 'imageArn' LIKE '%/3'`))
		})
		if err != nil {
			t.Fatal(err)
		}
		c.engine(func(cfg *Config) { cfg.Builds = 4 })
		c.await(3)
		got := slices.Clone(c.begun)
		slices.Sort(got)
		if !slices.Equal(got, arns) {
			t.Errorf("begun were %v, want each of %v once", got, arns)
		}
	})
}
