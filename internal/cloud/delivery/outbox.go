package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/riverqueue/river"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Queue is the queue that the outbox's jobs are in.
type Queue interface {
	// Insert adds a job to a transaction.
	Insert(ctx context.Context, tx *store.Tx, job river.JobArgs, opts *river.InsertOpts) error
}

// QueueName is the queue of deliveries, apart from that of images, so that
// neither waits for the other.
const QueueName = "deliveries"

// Writer turns rows into requests. There is one for each sort of receiver.
type Writer interface {
	// Write makes the request of a row, and gives the policy of its receiver.
	// ErrGone says that the receiver is no longer there: the row is dropped.
	Write(ctx context.Context, d store.Delivery) (*http.Request, Policy, error)
}

// Sender delivers rows by other means than one HTTP request.
type Sender interface {
	// Send delivers a row and gives the policy of its receiver. ErrGone drops the
	// row; ErrRefused, wrapped, makes it a dead letter at once.
	Send(ctx context.Context, d store.Delivery) (Policy, error)
}

// ErrRefused says that a receiver will never take a row.
var ErrRefused = errors.New("the receiver refuses it")

// ErrGone says that a receiver is no longer there.
var ErrGone = errors.New("the receiver is gone")

// Config is what an Outbox works with.
type Config struct {
	Store  *store.Store
	Client *http.Client // see NewClient
	Log    *slog.Logger
	Now    func() time.Time // nil: time.Now
}

// Outbox has the messages that wait to be delivered. It is safe for concurrent
// use.
type Outbox struct {
	Config
	queue   Queue
	writers map[string]Writer
	senders map[string]Sender
	stop    context.CancelFunc
	stopped context.Context

	mu   sync.Mutex
	busy map[string]bool // targets that a job of this process works on
}

const (
	shift     = time.Minute      // a job makes way for others after this
	batch     = 128              // rows that a job takes at once
	atOnce    = 8                // requests to one receiver at once, each of a lane of its own
	maxSnooze = 20 * time.Second // a new row waits no longer than this for a job that waits to try an old one again
	maxAnswer = 64 << 10         // bytes of an answer that are read
)

// New returns an Outbox without a queue and without writers: see Attach and
// Handle.
func New(c Config) *Outbox {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	o := &Outbox{Config: c, writers: map[string]Writer{}, senders: map[string]Sender{}, busy: map[string]bool{}}
	o.stopped, o.stop = context.WithCancel(context.Background())
	return o
}

// Handle makes w the writer of targets that begin with a scheme and a colon.
// Call it before the first row is added.
func (o *Outbox) Handle(scheme string, w Writer) { o.writers[scheme] = w }

// HandleBy makes s the sender of targets that begin with a scheme and a colon.
// Call it before the first row is added.
func (o *Outbox) HandleBy(scheme string, s Sender) { o.senders[scheme] = s }

// Attach gives the outbox its queue. Call it before the first row is added.
func (o *Outbox) Attach(q Queue) { o.queue = q }

// Stop ends what is under way; what was not recorded as delivered is delivered
// again when the server starts the next time.
func (o *Outbox) Stop() { o.stop() }

// Add adds a message to a transaction. The target is "SCHEME:…" of a writer;
// those with the same lane reach it in the order in which they were added, those
// without one whenever they can.
func (o *Outbox) Add(ctx context.Context, tx *store.Tx, target, lane string, body []byte) error {
	// What was never tried is due at any time, also when the clock is put back.
	first, err := tx.AddDelivery(store.Delivery{Target: target, Lane: lane, Created: o.Now(), Body: body})
	if err != nil || !first {
		return err // there is a job for those that wait already
	}
	return o.enqueue(ctx, tx, target)
}

// Resume makes a job for every target that has rows: those of a server that died
// are marked as running still. It is for the only server of a database; among
// several, the queue frees the jobs of dead ones.
func (o *Outbox) Resume(ctx context.Context) error {
	return o.Store.Write(ctx, func(tx *store.Tx) error {
		targets, err := tx.DeliveryTargets()
		if err != nil {
			return err
		}
		for _, target := range targets {
			if err := o.enqueue(ctx, tx, target); err != nil {
				return err
			}
		}
		return nil
	})
}

func (o *Outbox) enqueue(ctx context.Context, tx *store.Tx, target string) error {
	if err := o.queue.Insert(ctx, tx, Job{Target: target}, &river.InsertOpts{Queue: QueueName, MaxAttempts: 1000}); err != nil {
		return fmt.Errorf("queueing the deliveries to %s: %w", target, err)
	}
	return nil
}

// Job is the job of a target: as long as there are rows, there is one.
type Job struct {
	Target string `json:"target"`
}

// Kind names the job in the queue's table.
func (Job) Kind() string { return "delivery" }

// Register adds the worker of the outbox's jobs.
func (o *Outbox) Register(all *river.Workers) { river.AddWorker(all, &worker{outbox: o}) }

type worker struct {
	river.WorkerDefaults[Job]
	outbox *Outbox
}

// Timeout is well above what Run takes: a job that is older is one of a dead
// server, which the queue gives to another.
func (w *worker) Timeout(*river.Job[Job]) time.Duration { return 3 * shift }

// NextRetry is for failures of the database: soon.
func (w *worker) NextRetry(*river.Job[Job]) time.Time { return time.Now().Add(5 * time.Second) }

// Work delivers to the target; the job stays as long as rows wait. A database that
// is away is waited for here: the queue, which has to write down how a job ended,
// gives that up after some seconds, and would take up the job again minutes later.
func (w *worker) Work(ctx context.Context, job *river.Job[Job]) error {
	wait, more, err := w.outbox.Run(ctx, job.Args.Target)
	for start := time.Now(); away(err) && time.Since(start) < shift; wait, more, err = w.outbox.Run(ctx, job.Args.Target) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.outbox.stopped.Done():
			return err
		case <-time.After(time.Second):
		}
	}
	if err == nil && more {
		err = river.JobSnooze(wait)
	}
	return err
}

// away reports whether the database may come back from an error by itself.
func away(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNoSpace)
}

// Run delivers what is due to a target until nothing is left or all that is left
// has to wait: then more is true, and it is to be called again.
func (o *Outbox) Run(ctx context.Context, target string) (wait time.Duration, more bool, err error) {
	if !o.take(target) {
		return time.Second, true, nil // after a crash there may be two jobs
	}
	defer o.give(target)
	for start := time.Now(); ; {
		if o.stopped.Err() != nil || time.Since(start) > shift {
			return 0, true, nil
		}
		due, err := o.due(ctx, target)
		if err != nil {
			return 0, true, err
		}
		if len(due) == 0 {
			return o.wait(ctx, target)
		}
		left, err := o.deliver(ctx, target, due)
		if err != nil || !left {
			return 0, false, err
		}
	}
}

func (o *Outbox) take(target string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.busy[target] {
		return false
	}
	o.busy[target] = true
	return true
}

func (o *Outbox) give(target string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.busy, target)
}

func (o *Outbox) due(ctx context.Context, target string) (due []store.Delivery, err error) {
	err = o.Store.Read(ctx, func(tx *store.Tx) error {
		due, err = tx.DueDeliveries(target, o.Now(), batch)
		return err
	})
	return due, err
}

// wait says when the next row is due; there may be none.
func (o *Outbox) wait(ctx context.Context, target string) (wait time.Duration, more bool, err error) {
	err = o.Store.Read(ctx, func(tx *store.Tx) error {
		next, ok, err := tx.SoonestDelivery(target)
		wait, more = min(max(next.Sub(o.Now()), 0), maxSnooze), ok
		return err
	})
	return wait, more, err
}

// deliver tries rows, some lanes at once, and records what came of all of them
// in one transaction; left says whether more are there. The job that sees none
// left is done: who adds the next row makes the next job.
func (o *Outbox) deliver(ctx context.Context, target string, due []store.Delivery) (left bool, err error) {
	results := make([]result, len(due))
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	until := time.Now().Add(shift)
	for _, lane := range lanes(due) {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			for _, i := range lane {
				if time.Now().After(until) {
					return // what is left of the lane stays as it is
				}
				if results[i] = o.try(ctx, due[i]); results[i].outcome == again || results[i].outcome == undone {
					return // those behind it wait for it
				}
			}
		})
	}
	all.Wait()
	err = o.Store.Write(ctx, func(tx *store.Tx) error {
		for _, r := range results {
			if err := r.record(tx); err != nil {
				return err
			}
		}
		left, err = tx.Delivering(target)
		return err
	})
	return left, err
}

// lanes gives the places of rows that go one after the other; a row without a
// lane goes alone.
func lanes(due []store.Delivery) (all [][]int) {
	known := map[string]int{}
	for i, d := range due {
		at, ok := known[d.Lane]
		if !ok || d.Lane == "" {
			known[d.Lane] = len(all)
			all = append(all, []int{i})
			continue
		}
		all[at] = append(all[at], i)
	}
	return all
}

// scheme is the part of a target that says whose it is.
func scheme(target string) string {
	s, _, _ := strings.Cut(target, ":")
	return s
}
