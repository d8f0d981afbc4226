package engine

import (
	"context"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// abandonedAfter is how long a machine may be without a worker before the others
// strike its instances off the ledger. They ended with its worker; the entries
// are there so that whoever comes back to the data folder removes what is left,
// which it does without them, too.
const abandonedAfter = 24 * time.Hour

// forgetAbandoned strikes off the entries of machines that have had no worker for
// long. Kept instances stay for as long as somebody can name their image: their
// volumes may still be wanted.
func (e *Engine) forgetAbandoned(ctx context.Context) {
	if !e.shared() {
		return // every entry is of this data folder
	}
	var old []store.Instance
	err := e.Store.Read(ctx, func(tx *store.Tx) (err error) {
		old, err = e.abandoned(tx)
		return err
	})
	wanted := map[string]bool{}
	for _, row := range old {
		wanted[row.ID] = row.State == "kept" && e.wanted(ctx, row)
	}
	var struck []store.Instance
	if err == nil && len(old) > 0 {
		err = e.Store.Write(ctx, func(tx *store.Tx) error {
			struck = nil
			rows, err := e.abandoned(tx) // a worker may have come back meanwhile
			if err != nil {
				return err
			}
			for _, row := range rows {
				if keep, judged := wanted[row.ID]; keep || !judged {
					continue
				}
				if err := tx.DeleteInstance(row.ID); err != nil {
					return err
				}
				struck = append(struck, row)
			}
			return nil
		})
	}
	if err != nil && ctx.Err() == nil {
		e.Log.Error("looking for instances of machines that are gone", "err", err)
		return
	}
	for _, row := range struck {
		e.Log.Warn("an instance was struck off the ledger: its machine has had no worker for a day", "instance", row.ID, "node", row.Node, "dir", row.Dir, "image", row.ImageARN)
	}
}

// abandoned gives the entries of machines without a worker that are old enough.
func (e *Engine) abandoned(tx *store.Tx) ([]store.Instance, error) {
	workers, err := tx.Workers()
	if err != nil {
		return nil, err
	}
	lives := map[string]bool{e.Node: true}
	for _, w := range workers {
		lives[w.Node] = true
	}
	now, err := tx.Clock()
	if err != nil {
		return nil, err
	}
	rows, err := tx.Instances()
	var old []store.Instance
	for _, row := range rows {
		if !lives[row.Node] && now.Sub(row.Created) > abandonedAfter {
			old = append(old, row)
		}
	}
	return old, err
}
