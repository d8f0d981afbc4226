package export

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// sideBySide is how many tasks of clients are worked on at once.
const sideBySide = 2

// Config is what Exports are made of.
type Config struct {
	Store    *store.Store
	World    *cloud.World
	Exporter *Exporter
	Node     string // names the data folder among those that share the database
	Log      *slog.Logger
}

// Exports works on the tasks that clients ask for, and shows all tasks to them.
// It is safe for concurrent use.
type Exports struct {
	Config
	ctx   context.Context
	stop  context.CancelFunc
	all   sync.WaitGroup
	slots chan struct{}

	mu      sync.Mutex
	running map[string]context.CancelFunc // by ID
}

// New returns Exports that work on nothing yet.
func New(c Config) *Exports {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	x := &Exports{Config: c, slots: make(chan struct{}, sideBySide), running: map[string]context.CancelFunc{}}
	x.ctx, x.stop = context.WithCancel(context.Background())
	return x
}

// Resume takes up what an earlier process with the same data folder did not
// finish.
func (x *Exports) Resume(ctx context.Context) error {
	var left []Task
	err := x.Store.Read(ctx, func(tx *store.Tx) (err error) {
		left, err = children(tx, familyAt(x.Node))
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the exports that were not finished: %w", err)
	}
	for _, t := range left {
		x.begin(t)
	}
	return nil
}

// Stop interrupts the tasks at a point from which Resume goes on.
func (x *Exports) Stop() {
	x.mu.Lock()
	x.stop()
	x.mu.Unlock()
	x.all.Wait()
}

// begin works on a task in the background.
func (x *Exports) begin(t Task) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ctx.Err() != nil || x.running[t.ID] != nil {
		return // it is under way, or the next process's
	}
	ctx, cancel := context.WithCancel(x.ctx)
	x.running[t.ID] = cancel
	x.all.Go(func() {
		defer func() {
			x.mu.Lock()
			delete(x.running, t.ID)
			x.mu.Unlock()
			cancel()
		}()
		select {
		case x.slots <- struct{}{}:
			defer func() { <-x.slots }()
		case <-ctx.Done():
			if x.ctx.Err() != nil {
				return
			}
		}
		x.work(ctx, t)
	})
}

// work brings a task to its end, unless the server stops. A task that fails, or
// is cancelled, leaves nothing in its bucket.
func (x *Exports) work(ctx context.Context, t Task) {
	if t.Status == Active {
		err := x.run(ctx, &t)
		if x.ctx.Err() != nil {
			return
		}
		if err == nil {
			return
		}
		t.Status, t.Message = Deleting, err.Error()
		if errors.Is(err, context.Canceled) {
			t.Message = "Export task canceled"
		}
		x.Log.Warn("an export ended", "task", t.ID, "why", t.Message)
		if err := x.put(t); err != nil {
			x.Log.Error("recording the end of an export", "task", t.ID, "err", err)
			return // Resume finds it active
		}
	}
	// A service that is away is asked again by the next start.
	ctx, cancel := context.WithTimeout(x.ctx, time.Minute)
	defer cancel()
	if err := x.Exporter.Buckets.Abandon(ctx, t.Bucket, t.Key()); err != nil {
		x.Log.Warn("removing what an export left", "task", t.ID, "err", err)
		return
	}
	t.Status = Deleted
	if err := x.put(t); err != nil {
		x.Log.Error("recording the end of an export", "task", t.ID, "err", err)
	}
}

// run does the work of a task and records its success.
func (x *Exports) run(ctx context.Context, t *Task) error {
	var snapshot string
	err := x.Store.Read(ctx, func(tx *store.Tx) error {
		ami, ok, err := x.World.AMI(tx, t.AMI)
		if err != nil {
			return err
		}
		root, has := ami.Root()
		if !ok || !has || root.Manifest == "" {
			return fmt.Errorf("the image %s does not exist any more", t.AMI)
		}
		snapshot = root.Manifest
		return nil
	})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	last := time.Now()
	done, err := x.Exporter.Run(ctx, *t, snapshot, func(percent int) {
		if !mu.TryLock() {
			return
		}
		defer mu.Unlock()
		if time.Since(last) < 5*time.Second {
			return
		}
		now := *t
		last, now.Progress, now.Message = time.Now(), percent, "exporting"
		if err := x.put(now); err != nil {
			x.Log.Debug("recording the progress of an export", "task", t.ID, "err", err)
		}
	})
	if err != nil {
		return err
	}
	t.Status, t.Message, t.Progress, t.Bytes = Completed, "", 100, done.Bytes
	return x.put(*t)
}

func (x *Exports) put(t Task) error {
	return x.Store.Write(context.WithoutCancel(x.ctx), func(tx *store.Tx) error { return Put(tx, t) })
}

// cancel ends a task of a client that is under way here.
func (x *Exports) cancel(id string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	end := x.running[id]
	if end != nil {
		end()
	}
	return end != nil
}
