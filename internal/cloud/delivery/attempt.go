package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// attemptTime is how long a receiver has to answer (SNS Developer Guide, "HTTP/S
// subscribers": 15 seconds).
const attemptTime = 15 * time.Second

// result is what came of a row.
type result struct {
	delivery store.Delivery
	outcome  outcome
}

type outcome int

const (
	undone    outcome = iota // the server stops: nothing is recorded
	delivered                // the row goes
	again                    // the row has its next time
	dead                     // the row is kept as a dead letter
)

func (r result) record(tx *store.Tx) error {
	switch r.outcome {
	case delivered:
		return tx.DeleteDelivery(r.delivery.ID)
	case again:
		return tx.RetryDelivery(r.delivery)
	case dead:
		return tx.KillDelivery(r.delivery)
	}
	return nil
}

// senderTime is how long a Sender has: some of them make several requests, and
// try each of them again.
const senderTime = shift

// try makes one attempt.
func (o *Outbox) try(ctx context.Context, d store.Delivery) result {
	w, s := o.writers[scheme(d.Target)], o.senders[scheme(d.Target)]
	limit := attemptTime
	if s != nil {
		limit = senderTime
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer context.AfterFunc(o.stopped, cancel)()
	policy := DefaultPolicy
	status, err := 0, error(nil)
	switch {
	case s != nil:
		if policy, err = s.Send(ctx, d); err == nil {
			status = http.StatusOK
		}
	case w != nil:
		status, policy, err = o.send(ctx, w, d)
	default:
		err = fmt.Errorf("nobody knows the receiver %s", d.Target)
	}
	switch {
	case o.stopped.Err() != nil:
		return result{d, undone}
	case errors.Is(err, ErrGone):
		return result{d, delivered}
	case err == nil && status/100 == 2:
		return result{d, delivered}
	case err == nil:
		err = fmt.Errorf("the receiver answered %d %s", status, http.StatusText(status))
	}
	d.Attempts++
	d.Error = err.Error()
	wait, more := policy.After(d.Attempts)
	if permanent(status) || !more || errors.Is(err, ErrRefused) {
		o.Log.Warn("a message is given up", "to", d.Target, "attempts", d.Attempts, "err", err)
		return result{d, dead}
	}
	d.Due = o.Now().Add(wait)
	o.Log.Info("a message was not taken", "to", d.Target, "attempts", d.Attempts, "again in", wait, "err", err)
	return result{d, again}
}

// permanent tells answers that another attempt does not change: those of the
// 400s but for "too many requests" (SNS Developer Guide, "Message delivery
// retries").
func permanent(status int) bool {
	return status/100 == 4 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout
}

func (o *Outbox) send(ctx context.Context, w Writer, d store.Delivery) (status int, p Policy, err error) {
	request, p, err := w.Write(ctx, d)
	if err != nil {
		return 0, DefaultPolicy, err
	}
	answer, err := o.Client.Do(request)
	if err != nil {
		return 0, p, err
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer)) //nolint:errcheck // the status has said it
	return answer.StatusCode, p, nil
}
