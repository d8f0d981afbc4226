package store

import "time"

// Instance is an entry of the ledger of instances: written before an instance
// is launched and deleted after nothing of it is left, so that whatever a crash
// leaves behind is known.
type Instance struct {
	ID       string // "i-…"
	Node     string // whose data folder it lies in
	Kind     string // "sandbox", "vm"
	Dir      string
	Volume   string
	ImageARN string
	State    string // "running", "kept"
	Created  time.Time
}

var (
	putInstance = define(`INSERT INTO instance (id, node, kind, dir, volume, image_arn, state, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET node = excluded.node, kind = excluded.kind, dir = excluded.dir, volume = excluded.volume, image_arn = excluded.image_arn, state = excluded.state, created = excluded.created`)
	selectInstances = define(`SELECT id, node, kind, dir, volume, image_arn, state, created FROM instance ORDER BY created, id`)
	deleteInstance  = define(`DELETE FROM instance WHERE id = ?`)
)

// PutInstance inserts an entry or replaces the one with its ID.
func (tx *Tx) PutInstance(i Instance) error {
	if _, err := tx.exec(putInstance, i.ID, i.Node, i.Kind, i.Dir, i.Volume, i.ImageARN, i.State, millis(i.Created)); err != nil {
		return failed("recording instance "+i.ID, err)
	}
	return nil
}

// Instances gives the whole ledger, the oldest first.
func (tx *Tx) Instances() ([]Instance, error) {
	scan := func(r row) (i Instance, err error) {
		var created int64
		err = r.Scan(&i.ID, &i.Node, &i.Kind, &i.Dir, &i.Volume, &i.ImageARN, &i.State, &created)
		i.Created = fromMillis(created)
		return i, err
	}
	return many(tx, "reading the ledger of instances", selectInstances, scan)
}

// DeleteInstance removes an entry; one that is not there is no error.
func (tx *Tx) DeleteInstance(id string) error {
	if _, err := tx.exec(deleteInstance, id); err != nil {
		return failed("deleting instance "+id, err)
	}
	return nil
}
