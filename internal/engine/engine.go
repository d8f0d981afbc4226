package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"github.com/goldsmith-build/goldsmith/internal/bucket"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/cloud/export"
	"github.com/goldsmith-build/goldsmith/internal/cloud/function"
	"github.com/goldsmith-build/goldsmith/internal/cloud/parameter"
	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/stepcache"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Config is what an Engine works with.
type Config struct {
	Store   *store.Store
	Cloud   *cloud.World
	Params  *parameter.Store // gets the IDs of new AMIs; nil: an image that asks for it fails
	Disks   Disks
	Builder instance.Kind // runs the build workflow's instances: the sandbox
	Tester  instance.Kind // runs the test workflow's instances: the vm
	// TestOnCopies says that the Tester writes its volume, as a sandbox does: it
	// gets a copy of the AMI's disk.
	TestOnCopies bool

	Resolver Resolver
	Recorder Recorder
	Parents  func(context.Context) ([]string, error) // snapshots of the parent images, which are never collected; nil: none

	Steps *stepcache.Cache // the states after components; nil: none are kept

	Dir       string           // the data folder: instances/ and logs/ are below it
	Toe       string           // the executor binary that is put into instances
	Builds    int              // how many images are worked on at once; 0: 2
	Reserve   int64            // bytes of disk that a launch must leave free; 0: 1 GiB
	Node      string           // names the data folder among those that share the database
	Lease     time.Duration    // how long a worker may be silent before others take its images; 0: 30 s
	Functions *function.Set    // what stands for Lambda functions and state machines; nil: nothing
	Buckets   bucket.Buckets   // where the logs of an infrastructure configuration with a bucket go; nil: nowhere
	Exports   *export.Exporter // writes disks into buckets; nil: an image that asks for it fails
	Roles     Roles            // of instance profiles; nil: instances have none
	Log       *slog.Logger
	Observer  Observer // nil: nobody watches
	Now       func() time.Time

	// AccountBuilds is how many images of an account are worked on at once, by all
	// workers together; 0: as many as there is room for.
	AccountBuilds int

	// The queue takes the jobs of other rooms too: Register adds their workers,
	// Queues says how many jobs of each of their queues are worked on at once.
	Register func(*river.Workers)
	Queues   map[string]int
}

// Observer is told of what metrics count.
type Observer interface {
	// Stage is called when an image leaves a state, with the time it was in it.
	Stage(status Status, took time.Duration)
	// Ended is called when an image reaches AVAILABLE, FAILED or CANCELLED.
	Ended(status Status)
}

// Engine works on images. Start it once; it is safe for concurrent use.
type Engine struct {
	Config
	queue jobs
	id    string // of this worker, new with every process

	mu        sync.Mutex
	running   map[string]context.CancelCauseFunc // by image ARN
	waiting   map[string][]chan struct{}         // by image ARN: steps that wait for an answer
	kept      map[string]*machine                // by instance id: kept for a person after a failure
	found     []Ability                          // what the kinds of instances can do here; nil: nobody has looked
	lastBuilt time.Time                          // of the newest AMI
	closing   bool
	isLost    bool
	lost      chan struct{} // closed when the lease is lost
	janitor   chan struct{} // closed to end the janitor
	swept     sync.WaitGroup
}

// Why a run's context ended, besides time limits.
var (
	errCancelled = errors.New("the image creation was cancelled")
	errShutdown  = errors.New("the server is stopping")
)

// New returns an Engine whose queue tables exist.
func New(ctx context.Context, cfg Config) (*Engine, error) {
	if cfg.Builds == 0 {
		cfg.Builds = 2
	}
	if cfg.Reserve == 0 {
		cfg.Reserve = 1 << 30
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Lease == 0 {
		cfg.Lease = defaultLease
	}
	if cfg.Observer == nil {
		cfg.Observer = nobody{}
	}
	e := &Engine{
		Config:  cfg,
		id:      uuid.NewString(),
		lost:    make(chan struct{}),
		running: map[string]context.CancelCauseFunc{},
		waiting: map[string][]chan struct{}{},
		kept:    map[string]*machine{},
		janitor: make(chan struct{}),
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{engine: e})
	river.AddWorker(workers, &remover{engine: e})
	river.AddWorker(workers, &abandoner{engine: e})
	if cfg.Register != nil {
		cfg.Register(workers)
	}
	queues := map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: cfg.Builds}}
	for name, n := range cfg.Queues {
		queues[name] = river.QueueConfig{MaxWorkers: n}
	}
	var err error
	e.queue, err = openQueue(ctx, cfg.Store, &river.Config{
		ID:                e.id,
		FetchCooldown:     20 * time.Millisecond,
		FetchPollInterval: 100 * time.Millisecond,
		JobTimeout:        -1, // steps have their own time limits

		// For the jobs of other rooms: images, without a limit, are left alone.
		RescueStuckJobsAfter: 5 * time.Minute,
		Logger:               slog.New(levelAtLeast{cfg.Log.Handler(), slog.LevelWarn}),
		Queues:               queues,
		Workers:              workers,
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Marks is what marks the cached components of plans.
func (e *Engine) Marks() *Steps {
	return &Steps{States: e.Steps, Kind: e.Builder.Name(), Executor: e.Toe}
}

// Start clears away what a dead server left, takes up its interrupted images,
// and works until Stop.
func (e *Engine) Start(ctx context.Context) error {
	if err := e.register(ctx); err != nil {
		return fmt.Errorf("registering this worker: %w", err)
	}
	if err := e.sweep(ctx); err != nil {
		return err
	}
	if err := e.rescue(ctx); err != nil {
		return err
	}
	if err := e.queue.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("starting the queue: %w", err)
	}
	e.swept.Go(e.clean)
	e.swept.Go(e.keepLease)
	e.swept.Go(e.look)
	return nil
}

// Stop takes no more work and interrupts the images that are under way at a
// point from which the next Start goes on; then it ends the kept instances
// (their volumes stay). It returns when all of that is done or ctx ends.
func (e *Engine) Stop(ctx context.Context) error {
	e.mu.Lock()
	if e.closing {
		e.mu.Unlock()
		return nil
	}
	e.closing = true
	for _, cancel := range e.running {
		cancel(errShutdown)
	}
	e.mu.Unlock()
	close(e.janitor)
	e.swept.Wait()
	var err error
	select {
	case <-e.lost: // what the queue would settle now is not ours
	default:
		err = errors.Join(e.queue.Stop(ctx), e.resign(ctx))
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	for id, m := range e.kept {
		if stopErr := m.Stop(ctx); stopErr != nil {
			e.Log.Warn("stopping a kept instance", "instance", id, "err", stopErr)
		}
		if endErr := m.end(); endErr != nil {
			e.Log.Error("ending a kept instance", "instance", id, "err", endErr)
		}
		note, noteErr := readKept(m.dir)
		if noteErr == nil {
			note.Enter, note.Shell, note.PID = nil, nil, 0
			noteErr = note.write()
		}
		if noteErr != nil {
			e.Log.Warn("noting that a kept instance stopped", "instance", id, "err", noteErr)
		}
		delete(e.kept, id)
	}
	return err
}

// Insert adds a job of another room to a transaction.
func (e *Engine) Insert(ctx context.Context, tx *store.Tx, job river.JobArgs, opts *river.InsertOpts) error {
	return e.queue.add(ctx, tx, job, opts)
}

// Interrupt implements Queue.
func (e *Engine) Interrupt(imageARN string) {
	e.mu.Lock()
	cancel := e.running[imageARN]
	for _, wake := range e.waiting[imageARN] {
		select {
		case wake <- struct{}{}:
		default: // it is awake
		}
	}
	e.mu.Unlock()
	if cancel == nil {
		e.unpark(imageARN)
		return
	}
	if yes, err := e.Recorder.CancelRequested(context.Background(), imageARN); err == nil && yes {
		cancel(errCancelled)
	}
}

// unpark ends an image that was cancelled while it waited for a place, or calls
// the job of one back that was put aside. The queue notes a
// little late that it was, so that one has to look more than once. If that
// fails, the job comes back by itself.
func (e *Engine) unpark(imageARN string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing {
		return
	}
	e.swept.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), parkedFor)
		defer cancel()
		if waited, err := e.endWaiting(ctx, imageARN); waited || err != nil {
			if err != nil {
				e.Log.Warn("ending a cancelled image that waits", "image", imageARN, "err", err)
			}
			return
		}
		for range 30 {
			n, err := e.queue.recall(ctx, imageARN)
			if err != nil {
				e.Log.Warn("calling a waiting image back", "image", imageARN, "err", err)
			}
			if n > 0 || err != nil {
				return
			}
			select {
			case <-e.janitor:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
}

// listen gives a channel that gets something when Interrupt is called for an
// image, until done is called.
func (e *Engine) listen(imageARN string) (wake chan struct{}, done func()) {
	wake = make(chan struct{}, 1)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting[imageARN] = append(e.waiting[imageARN], wake)
	return wake, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.waiting[imageARN] = slices.DeleteFunc(e.waiting[imageARN], func(c chan struct{}) bool { return c == wake })
		if len(e.waiting[imageARN]) == 0 {
			delete(e.waiting, imageARN)
		}
	}
}

// begin notes that an image is being worked on; the function it returns ends that.
func (e *Engine) begin(ctx context.Context, imageARN string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	e.mu.Lock()
	e.running[imageARN] = cancel
	switch {
	case e.isLost:
		cancel(errLost)
	case e.closing:
		cancel(errShutdown)
	}
	e.mu.Unlock()
	return store.Leased(ctx, e.id), func() {
		e.mu.Lock()
		delete(e.running, imageARN)
		e.mu.Unlock()
		cancel(nil)
	}
}

// instanceDir is the folder of an instance: sockets, console log, volume.
func (e *Engine) instanceDir(id string) string { return filepath.Join(e.Dir, "instances", id) }

// nobody is the Observer of an engine that nobody watches.
type nobody struct{}

func (nobody) Stage(Status, time.Duration) {}
func (nobody) Ended(Status)                {}
