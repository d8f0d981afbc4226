package cloud

import (
	"context"
	"errors"
)

// FinishCopy does the job of a pending AMI once.
func (w *World) FinishCopy(t interface{ Context() context.Context }, id string) error {
	err := w.finishCopy(t.Context(), id)
	if err != nil && lasting(err) {
		err = errors.Join(err, w.failCopy(t.Context(), id, err))
	}
	return err
}
