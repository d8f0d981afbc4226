package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Enqueue implements Queue. The image joins the line of its account, and gets its
// job when its turn comes: at once if a worker has room.
func (e *Engine) Enqueue(ctx context.Context, tx *store.Tx, imageARN string) error {
	if err := tx.PutQueued(imageARN, accountOf(imageARN), e.Now()); err != nil {
		return err
	}
	return e.place(ctx, tx)
}

// accountOf is the account in an ARN.
func accountOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[4]
	}
	return ""
}

// place gives the free places to the images whose turn it is, each with its job,
// in one transaction with what made them free.
func (e *Engine) place(ctx context.Context, tx *store.Tx) error {
	most := int64(math.MaxInt64)
	if e.AccountBuilds > 0 {
		most = int64(e.AccountBuilds)
	}
	insert := func(imageARN string) (int64, error) { return e.queue.insert(ctx, tx, jobArgs{ImageARN: imageARN}) }
	for {
		if _, ok, err := tx.Place(most, insert); err != nil || !ok {
			return err
		}
	}
}

// leave takes an image that ended out of the queue, and gives its place to the
// next.
func (e *Engine) leave(ctx context.Context, tx *store.Tx, imageARN string) error {
	if err := tx.DeleteQueued(imageARN); err != nil {
		return err
	}
	return e.place(ctx, tx)
}

// left is leave in a transaction of its own.
func (e *Engine) left(ctx context.Context, imageARN string) error {
	return e.persist(ctx, "leaving the queue", func() error {
		return e.Store.Write(ctx, func(tx *store.Tx) error { return e.leave(ctx, tx, imageARN) })
	})
}

// row gives an image's row in the queue, zero if it has none.
func (e *Engine) row(ctx context.Context, imageARN string) (q store.Queued, err error) {
	err = e.read(ctx, func(tx *store.Tx) (err error) {
		q, _, err = tx.Queued(imageARN)
		return err
	})
	return q, err
}

// stand records where an image stands: Placed when it is worked on, Aside while
// it waits for a person and others can have its place.
func (e *Engine) stand(ctx context.Context, q store.Queued, standing store.Standing) error {
	if q.ID == 0 || q.Standing == standing {
		return nil
	}
	q.Standing = standing
	err := e.persist(ctx, "taking up or putting aside", func() error {
		return e.Store.Write(ctx, func(tx *store.Tx) error {
			if err := tx.SetQueued(q); err != nil {
				return err
			}
			return e.place(ctx, tx)
		})
	})
	if err != nil {
		return fmt.Errorf("recording that %s is taken up or put aside: %w", q.ImageARN, err)
	}
	return nil
}

// Standing implements Queue.
func (e *Engine) Standing(tx *store.Tx, imageARN string) (string, error) {
	q, ok, err := tx.Queued(imageARN)
	if err == nil && ok && q.Standing == store.Unfit {
		why, err := e.unfit(tx, q)
		return fmt.Sprintf("%s It fails if none has come by %s.", why, q.Since.Add(unfitFor).UTC().Format("15:04 UTC")), err
	}
	if err != nil || !ok || q.Standing != store.Waits {
		return "", err
	}
	s, err := tx.QueueState(q)
	if err != nil {
		return "", err
	}
	before := ""
	if s.Ahead > 0 {
		before = fmt.Sprintf(" Of the account's images, %d came earlier and wait, too.", s.Ahead)
	}
	switch {
	case s.Places == 0:
		return "The image waits for a worker: none is running.", nil
	case e.AccountBuilds > 0 && s.Own >= int64(e.AccountBuilds):
		return fmt.Sprintf("The image waits for its turn: its account has %d images at work, and may have %d.%s", s.Own, e.AccountBuilds, before), nil
	}
	return fmt.Sprintf("The image waits for its turn: %d of %d places of the workers are taken, %d of them by its account.%s", min(s.Placed, s.Places), s.Places, s.Own, before), nil
}

// errPlaced says that an image does not wait any more.
var errPlaced = errors.New("the image has got a place")

// endWaiting ends an image that was cancelled while it waited: it needs no worker
// for that. It reports whether the image waited.
func (e *Engine) endWaiting(ctx context.Context, imageARN string) (bool, error) {
	waits := func(tx *store.Tx) error {
		q, ok, err := tx.Queued(imageARN)
		if err == nil && (!ok || q.Standing != store.Waits && q.Standing != store.Unfit) {
			err = errPlaced
		}
		return err
	}
	if err := e.Store.Read(ctx, waits); err != nil {
		return false, passed(err, errPlaced)
	}
	asked, err := e.Recorder.CancelRequested(ctx, imageARN)
	if err != nil || !asked {
		return true, err
	}
	status, err := e.Recorder.Status(ctx, imageARN)
	if fault.Code(err) == "ResourceNotFoundException" || err == nil && status.Terminal() {
		return true, e.left(ctx, imageARN)
	}
	if err != nil {
		return true, err
	}
	return true, passed(e.newRun(imageARN, status).end(ctx, errCancelled, waits), errPlaced)
}

// passed is err unless it is one that is no failure.
func passed(err, fine error) error {
	if errors.Is(err, fine) {
		return nil
	}
	return err
}

// endCancelled ends what was cancelled while it waited and is still there, because
// the process that took the request died.
func (e *Engine) endCancelled(ctx context.Context) {
	var found []store.Queued
	err := e.Store.Read(ctx, func(tx *store.Tx) (err error) {
		found, err = tx.QueuedCancelled(100)
		return err
	})
	for _, q := range found {
		if err == nil {
			_, err = e.endWaiting(ctx, q.ImageARN)
		}
	}
	if err != nil && ctx.Err() == nil {
		e.Log.Warn("ending cancelled images that wait", "err", err)
	}
}
