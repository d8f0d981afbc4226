package engine

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// jobs is the queue, whatever database it lies in.
type jobs interface {
	Start(context.Context) error
	Stop(context.Context) error

	// insert adds a job to a transaction and gives its number.
	insert(ctx context.Context, tx *store.Tx, job jobArgs) (int64, error)

	// add adds a job of another room to a transaction.
	add(ctx context.Context, tx *store.Tx, job river.JobArgs, opts *river.InsertOpts) error

	// removeLater adds a removal to a transaction, to be done at a time.
	removeLater(ctx context.Context, tx *store.Tx, job removal, at time.Time) error

	// recall makes the jobs of an image available that were put aside, and says
	// how many these were.
	recall(ctx context.Context, imageARN string) (int, error)

	// exec runs a statement on the queue's tables in a transaction.
	exec(ctx context.Context, tx *store.Tx, statement string, args ...any) error
}

// openQueue makes the queue's tables in the store's database, if need be, and
// the queue over them.
func openQueue(ctx context.Context, s *store.Store, cfg *river.Config) (jobs, error) {
	if pool := s.Pool(); pool != nil {
		return client(ctx, s, riverpgxv5.New(pool), cfg, (*store.Tx).PGX, func(ctx context.Context, tx pgx.Tx, statement string, args ...any) error {
			_, err := tx.Exec(ctx, statement, args...)
			return err
		})
	}
	return client(ctx, s, riversqlite.New(s.DB()), cfg, (*store.Tx).SQL, func(ctx context.Context, tx *sql.Tx, statement string, args ...any) error {
		_, err := tx.ExecContext(ctx, statement, args...)
		return err
	})
}

// queue is River over the transactions T of a driver.
type queue[T any] struct {
	*river.Client[T]
	inside func(*store.Tx) T
	run    func(ctx context.Context, tx T, statement string, args ...any) error
}

func client[T any](ctx context.Context, s *store.Store, driver riverdriver.Driver[T], cfg *river.Config, inside func(*store.Tx) T,
	run func(ctx context.Context, tx T, statement string, args ...any) error) (jobs, error) {
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: cfg.Logger})
	if err != nil {
		return nil, fmt.Errorf("preparing the queue's tables: %w", err)
	}
	err = s.Alone(ctx, func() error {
		_, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the queue's tables: %w", err)
	}
	c, err := river.NewClient(driver, cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the queue: %w", err)
	}
	return &queue[T]{c, inside, run}, nil
}

func (q *queue[T]) insert(ctx context.Context, tx *store.Tx, job jobArgs) (int64, error) {
	made, err := q.InsertTx(ctx, q.inside(tx), job, &river.InsertOpts{MaxAttempts: 25})
	if err != nil {
		return 0, err
	}
	return made.Job.ID, nil
}

func (q *queue[T]) add(ctx context.Context, tx *store.Tx, job river.JobArgs, opts *river.InsertOpts) error {
	_, err := q.InsertTx(ctx, q.inside(tx), job, opts)
	return err
}

func (q *queue[T]) removeLater(ctx context.Context, tx *store.Tx, job removal, at time.Time) error {
	_, err := q.InsertTx(ctx, q.inside(tx), job, &river.InsertOpts{ScheduledAt: at, MaxAttempts: 25})
	if err != nil {
		return fmt.Errorf("queueing the removal of %s: %w", job.AMI, err)
	}
	return nil
}

func (q *queue[T]) recall(ctx context.Context, imageARN string) (int, error) {
	aside := river.NewJobListParams().Kinds(jobArgs{}.Kind()).States(rivertype.JobStateScheduled).Where("args ->> 'imageArn' = @image", river.NamedArgs{"image": imageARN})
	found, err := q.JobList(ctx, aside)
	if err != nil {
		return 0, err
	}
	for _, job := range found.Jobs {
		if _, err := q.JobRetry(ctx, job.ID); err != nil {
			return 0, err
		}
	}
	return len(found.Jobs), nil
}

func (q *queue[T]) exec(ctx context.Context, tx *store.Tx, statement string, args ...any) error {
	return q.run(ctx, q.inside(tx), statement, args...)
}

// levelAtLeast is a handler that drops records below a level: the queue is
// talkative at Info.
type levelAtLeast struct {
	slog.Handler
	level slog.Level
}

// Enabled reports whether level is high enough for both handlers.
func (h levelAtLeast) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level && h.Handler.Enabled(ctx, level)
}

// WithAttrs keeps the level.
func (h levelAtLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return levelAtLeast{h.Handler.WithAttrs(attrs), h.level}
}

// WithGroup keeps the level.
func (h levelAtLeast) WithGroup(name string) slog.Handler {
	return levelAtLeast{h.Handler.WithGroup(name), h.level}
}
