package cloud

import (
	"time"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Disabled is EC2's state of an AMI that cannot be launched. It is not listed
// unless it is asked for, and nobody but its owner has a right to it.
const Disabled = "disabled"

// Deprecated reports whether an AMI is out of date at a time: it can still be
// launched, but lists of others than its owner leave it out.
func (a *AMI) Deprecated(at time.Time) bool {
	return !a.DeprecationTime.IsZero() && !at.Before(a.DeprecationTime)
}

// listed reports whether a list shows an AMI to an account (EC2 API Reference,
// DescribeImages): deprecated ones to their owner, disabled ones to no one,
// unless they are asked for.
func (q imageQuery) listed(a AMI) bool {
	if a.State == Disabled && !q.disabled {
		return false
	}
	return q.deprecated || a.Account == q.account || !a.Deprecated(q.now)
}

// Deprecate gives an AMI the time from which it is out of date; zero takes it
// back.
func (w *World) Deprecate(tx *store.Tx, id string, from time.Time) error {
	_, err := w.Modify(tx, id, func(a *AMI) { a.DeprecationTime = from.UTC().Truncate(time.Millisecond) })
	return err
}

// Disable makes an AMI private and keeps it from being launched. Whom it was
// shared with loses it, also when it is enabled again.
func (w *World) Disable(tx *store.Tx, id string) error {
	_, err := w.Modify(tx, id, func(a *AMI) { a.State, a.Permissions = Disabled, Permissions{} })
	return err
}

// Enable takes Disable back.
func (w *World) Enable(tx *store.Tx, id string) error {
	_, err := w.Modify(tx, id, func(a *AMI) {
		if a.State == Disabled {
			a.State = "available"
		}
	})
	return err
}

// Remove deletes an AMI and leaves its snapshots, as EC2's DeregisterImage does.
// A fault InvalidAMIID.NotFound if it is not there.
func (w *World) Remove(tx *store.Tx, id string) error {
	a, ok, err := w.AMI(tx, id)
	if err == nil && !ok {
		err = notFound(id)
	}
	if err != nil {
		return err
	}
	if err := tx.DeleteAMI(id); err != nil {
		return err
	}
	return w.follow(tx, a.Provider, a.Account, a.Region, id)
}

// RemoveSnapshot deletes a snapshot; one that is gone does not matter. Its
// blocks go when nothing is made of them any more.
func (w *World) RemoveSnapshot(tx *store.Tx, id string) error {
	s, ok, err := w.Snapshot(tx, id)
	if err != nil || !ok {
		return err
	}
	if err := tx.DeleteSnapshot(id); err != nil {
		return err
	}
	return w.follow(tx, s.Provider, s.Account, s.Region, id)
}
