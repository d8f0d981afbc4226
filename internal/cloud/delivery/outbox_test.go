package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/riverqueue/river"

	"github.com/goldsmith-build/goldsmith/internal/cloud/delivery"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// jobs are the queue: what was inserted.
type jobs []string

func (j *jobs) Insert(_ context.Context, _ *store.Tx, job river.JobArgs, _ *river.InsertOpts) error {
	*j = append(*j, job.(delivery.Job).Target)
	return nil
}

// posts writes rows as they are to the URL in their target.
type posts struct{ policy delivery.Policy }

func (p posts) Write(ctx context.Context, d store.Delivery) (*http.Request, delivery.Policy, error) {
	if string(d.Body) == "gone" {
		return nil, p.policy, delivery.ErrGone
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimPrefix(d.Target, "post:"), strings.NewReader(string(d.Body)))
	return r, p.policy, err
}

type fixture struct {
	*testing.T
	outbox *delivery.Outbox
	store  *store.Store
	jobs   *jobs
	now    atomic.Pointer[time.Time]
}

func open(t *testing.T, policy delivery.Policy) *fixture {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "rows.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	f := &fixture{T: t, store: s, jobs: &jobs{}}
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	f.now.Store(&at)
	f.outbox = delivery.New(delivery.Config{Store: s, Client: delivery.NewClient(nil), Now: func() time.Time { return *f.now.Load() }})
	f.outbox.Handle("post", posts{policy})
	f.outbox.Attach(f.jobs)
	return f
}

func (f *fixture) later(d time.Duration) {
	at := f.now.Load().Add(d)
	f.now.Store(&at)
}

func (f *fixture) add(target, lane, body string) {
	f.Helper()
	if err := f.store.Write(f.Context(), func(tx *store.Tx) error { return f.outbox.Add(f.Context(), tx, target, lane, []byte(body)) }); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) run(target string) (wait time.Duration, more bool) {
	f.Helper()
	wait, more, err := f.outbox.Run(f.Context(), target)
	if err != nil {
		f.Fatal(err)
	}
	return wait, more
}

func (f *fixture) dead() (all []store.Delivery) {
	f.Helper()
	if err := f.store.Read(f.Context(), func(tx *store.Tx) (err error) {
		all, err = tx.DeadDeliveries(0, 100)
		return err
	}); err != nil {
		f.Fatal(err)
	}
	return all
}

// receiver answers with the status that reply gives, and keeps what it took.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	taken []string
	reply func(body string) int
}

func receive(t *testing.T, reply func(body string) int) *receiver {
	r := &receiver{reply: reply}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		status := r.reply(string(body))
		if status/100 == 2 {
			r.mu.Lock()
			r.taken = append(r.taken, string(body))
			r.mu.Unlock()
		}
		w.Header().Set("Location", "http://169.254.169.254/")
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) lane(prefix string) (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, body := range r.taken {
		if strings.HasPrefix(body, prefix) {
			all = append(all, body)
		}
	}
	return all
}

func TestLanesKeepTheirOrderAndDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	f := open(t, delivery.DefaultPolicy)
	var broken atomic.Bool
	broken.Store(true)
	r := receive(t, func(body string) int {
		if broken.Load() && body == "a1" {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	target := "post:" + r.URL
	for i := 1; i <= 20; i++ {
		f.add(target, "a", fmt.Sprint("a", i))
		f.add(target, "b", fmt.Sprint("b", i))
	}
	if want := (jobs{target}); !slices.Equal(*f.jobs, want) {
		t.Fatalf("jobs %v, want one", *f.jobs)
	}
	wait, more := f.run(target)
	if !more || wait != 20*time.Second {
		t.Errorf("after a failure: wait %v, more %v; want 20s", wait, more)
	}
	if got := r.lane("a"); got != nil {
		t.Errorf("lane a got %v before its first", got)
	}
	if got := r.lane("b"); len(got) != 20 {
		t.Errorf("lane b got %d of 20", len(got))
	}
	broken.Store(false)
	f.later(20 * time.Second)
	if _, more := f.run(target); more {
		t.Error("more is there after all were taken")
	}
	for _, lane := range []string{"a", "b"} {
		var want []string
		for i := 1; i <= 20; i++ {
			want = append(want, fmt.Sprint(lane, i))
		}
		if diff := cmp.Diff(want, r.lane(lane)); diff != "" {
			t.Errorf("lane %s (-want +got):\n%s", lane, diff)
		}
	}
	f.add(target, "a", "a21")
	if len(*f.jobs) != 2 {
		t.Errorf("%d jobs, want another after the first was done", len(*f.jobs))
	}
}

func TestWhatIsNotTakenBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	f := open(t, delivery.DefaultPolicy)
	r := receive(t, func(body string) int {
		switch body {
		case "bad":
			return http.StatusBadRequest
		case "down":
			return http.StatusBadGateway
		case "moved":
			return http.StatusFound
		case "busy":
			return http.StatusTooManyRequests
		}
		return http.StatusNoContent
	})
	target := "post:" + r.URL
	for _, body := range []string{"bad", "down", "moved", "busy", "gone", "good"} {
		f.add(target, "", body)
	}
	f.add("nobody:x", "", "lost")
	attempts := 0
	for more := true; more; attempts++ {
		_, more = f.run(target)
		f.later(20 * time.Second)
	}
	if attempts != 4 {
		t.Errorf("%d attempts, want the first and 3 more", attempts)
	}
	got := map[string]string{}
	for _, d := range f.dead() {
		got[string(d.Body)] = fmt.Sprint(d.Attempts, " ", d.Error)
	}
	want := map[string]string{
		"bad": "1 the receiver answered 400 Bad Request", "down": "4 the receiver answered 502 Bad Gateway", "moved": "4 the receiver answered 302 Found",
		"busy": "4 the receiver answered 429 Too Many Requests",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"good"}, r.taken); diff != "" {
		t.Error(diff)
	}
}

// TestAStoppedServerDeliversLater cuts a request off that hangs: nothing is
// recorded, and the row is there for the next server.
func TestAStoppedServerDeliversLater(t *testing.T) {
	t.Parallel()
	f := open(t, delivery.DefaultPolicy)
	arrived := make(chan struct{})
	free := make(chan struct{})
	r := receive(t, func(string) int {
		close(arrived)
		<-free
		return http.StatusOK
	})
	t.Cleanup(func() { close(free) })
	target := "post:" + r.URL
	f.add(target, "", "x")
	done := make(chan error, 1)
	go func() {
		_, more, err := f.outbox.Run(context.Background(), target)
		if err == nil && !more {
			err = errors.New("the job ended")
		}
		done <- err
	}()
	<-arrived
	f.outbox.Stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	*f.jobs = nil
	if err := f.outbox.Resume(t.Context()); err != nil || !slices.Equal(*f.jobs, jobs{target}) {
		t.Errorf("jobs of the next server: %v, %v", *f.jobs, err)
	}
	if err := f.store.Read(t.Context(), func(tx *store.Tx) error {
		due, err := tx.DueDeliveries(target, *f.now.Load(), 10)
		if len(due) != 1 || due[0].Attempts != 0 {
			t.Errorf("rows %+v, want the one as it was", due)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestAddressesThatAreNotDialled(t *testing.T) {
	t.Parallel()
	r := receive(t, func(string) int { return http.StatusOK })
	post := func(c *http.Client, url string) error {
		answer, err := c.Post(url, "text/plain", strings.NewReader("x"))
		if err == nil {
			answer.Body.Close()
		}
		return err
	}
	const refused = "does not send messages to this address"
	everywhere := delivery.NewClient(nil)
	for _, url := range []string{"http://169.254.169.254/latest/meta-data/", "http://[fe80::1]/", "http://0.0.0.0:80/", "http://[::ffff:169.254.169.254]/", "http://224.0.0.1/", "http://[fd00:ec2::254]/"} {
		if err := post(everywhere, url); err == nil || !strings.Contains(err.Error(), refused) {
			t.Errorf("%s: %v, want a refusal", url, err)
		}
	}
	if err := post(everywhere, r.URL); err != nil {
		t.Errorf("this machine: %v", err)
	}
	if err := post(delivery.NewClient([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}), r.URL); err == nil || !strings.Contains(err.Error(), refused) {
		t.Errorf("outside of the allowed networks: %v", err)
	}
	if err := post(delivery.NewClient([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}), r.URL); err != nil {
		t.Errorf("inside of the allowed networks: %v", err)
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	p := delivery.Policy{MinDelayTarget: 10, MaxDelayTarget: 50, NumRetries: 9, NumNoDelayRetries: 1, NumMinDelayRetries: 1, NumMaxDelayRetries: 2, BackoffFunction: "linear"}
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	var waits []int
	for n := 1; ; n++ {
		wait, more := p.After(n)
		if !more {
			break
		}
		waits = append(waits, int(wait.Seconds()))
	}
	if diff := cmp.Diff([]int{0, 10, 10, 20, 30, 40, 50, 50, 50}, waits); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, curve := range []string{"arithmetic", "geometric", "exponential"} {
		p.BackoffFunction = curve
		before := time.Duration(0)
		for n := 2; n <= 9; n++ {
			wait, more := p.After(n)
			if !more || wait < before || wait < 10*time.Second || wait > 50*time.Second {
				t.Errorf("%s: attempt %d waits %v after %v", curve, n, wait, before)
			}
			before = wait
		}
	}
	for name, change := range map[string]func(*delivery.Policy){
		"maxDelayTarget":  func(p *delivery.Policy) { p.MaxDelayTarget = 3601 },
		"minDelayTarget":  func(p *delivery.Policy) { p.MinDelayTarget = 51 },
		"numRetries":      func(p *delivery.Policy) { p.NumRetries = 101 },
		"their sum":       func(p *delivery.Policy) { p.NumRetries = 3 },
		"backoffFunction": func(p *delivery.Policy) { p.BackoffFunction = "random" },
	} {
		bad := p
		change(&bad)
		if err := bad.Check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
