package store

import "time"

// Delivery is a message on its way to a receiver.
type Delivery struct {
	ID       int64  // in the order in which they were added
	Target   string // the receiver
	Lane     string // those of a lane go one after the other; "": whenever they can
	Attempts int
	Due      time.Time // of the next attempt
	Created  time.Time
	Error    string // of the last attempt
	Body     []byte
}

const (
	deliveryColumns = `d.id, d.target, d.lane, d.attempts, d.due, d.created, d.error, d.body`

	// A delivery that waits for none before it in its lane.
	foremost = `d.target = ? AND d.dead = 0 AND (d.lane = '' OR NOT EXISTS (SELECT 1 FROM delivery AS e WHERE e.target = d.target AND e.lane = d.lane AND e.dead = 0 AND e.id < d.id))`
)

var (
	insertDelivery = define(`INSERT INTO delivery (target, lane, dead, attempts, due, created, error, body) VALUES (?, ?, 0, 0, ?, ?, '', ?)`)
	anyDelivery    = define(`SELECT COUNT(*) FROM (SELECT 1 FROM delivery WHERE target = ? AND dead = 0 LIMIT 1) AS waiting`)
	dueDeliveries  = define(`SELECT ` + deliveryColumns + ` FROM delivery AS d WHERE d.target = ? AND d.dead = 0 AND d.due <= ?
		AND (d.lane = '' OR NOT EXISTS (SELECT 1 FROM delivery AS e WHERE e.target = d.target AND e.lane = d.lane AND e.dead = 0 AND e.id < d.id AND e.due > ?)) ORDER BY d.id LIMIT ?`)
	soonestDelivery  = define(`SELECT d.due FROM delivery AS d WHERE ` + foremost + ` ORDER BY d.due LIMIT 1`)
	retryDelivery    = define(`UPDATE delivery SET attempts = ?, due = ?, error = ? WHERE id = ?`)
	killDelivery     = define(`UPDATE delivery SET attempts = ?, dead = 1, error = ? WHERE id = ?`)
	deleteDelivery   = define(`DELETE FROM delivery WHERE id = ?`)
	deleteDeliveries = define(`DELETE FROM delivery WHERE target = ?`)
	waitingTargets   = define(`SELECT DISTINCT target FROM delivery WHERE dead = 0 ORDER BY target`)
	deadDeliveries   = define(`SELECT ` + deliveryColumns + ` FROM delivery AS d WHERE d.dead = 1 AND d.id > ? ORDER BY d.id LIMIT ?`)
)

func scanDelivery(r row) (d Delivery, err error) {
	var due, created int64
	err = r.Scan(&d.ID, &d.Target, &d.Lane, &d.Attempts, &due, &created, &d.Error, &d.Body)
	d.Due, d.Created = fromMillis(due), fromMillis(created)
	return d, err
}

// AddDelivery adds a delivery, which gets its ID, and reports whether it is the
// only one that its target waits for.
func (tx *Tx) AddDelivery(d Delivery) (first bool, err error) {
	waiting, err := tx.Delivering(d.Target)
	if err != nil {
		return false, err
	}
	if _, err := tx.exec(insertDelivery, d.Target, d.Lane, millis(d.Due), millis(d.Created), d.Body); err != nil {
		return false, failed("adding a delivery to "+d.Target, err)
	}
	return !waiting, nil
}

// Delivering reports whether a target waits for any delivery.
func (tx *Tx) Delivering(target string) (bool, error) {
	n, _, err := one(tx, "looking for deliveries to "+target, anyDelivery, scanInt, target)
	return n > 0, err
}

// DeliveryTargets gives the targets that wait for any delivery.
func (tx *Tx) DeliveryTargets() ([]string, error) {
	return many(tx, "listing the targets of deliveries", waitingTargets, func(r row) (s string, err error) { return s, r.Scan(&s) })
}

// DueDeliveries gives the deliveries to a target whose time has come, and that
// of all before them in their lanes, in the order in which they were added. Those
// of a lane are to be tried one after the other, until one fails.
func (tx *Tx) DueDeliveries(target string, now time.Time, limit int) ([]Delivery, error) {
	return many(tx, "looking for deliveries to "+target, dueDeliveries, scanDelivery, target, millis(now), millis(now), limit)
}

// SoonestDelivery says when the next delivery to a target is due.
func (tx *Tx) SoonestDelivery(target string) (due time.Time, ok bool, err error) {
	ms, ok, err := one(tx, "looking for the next delivery to "+target, soonestDelivery, scanInt, target)
	return fromMillis(ms), ok, err
}

// RetryDelivery records a failed attempt and when the next one is due.
func (tx *Tx) RetryDelivery(d Delivery) error {
	if _, err := tx.exec(retryDelivery, d.Attempts, millis(d.Due), prose(d.Error), d.ID); err != nil {
		return failed("recording a delivery to "+d.Target, err)
	}
	return nil
}

// KillDelivery records a failed attempt and gives the delivery up. It is kept.
func (tx *Tx) KillDelivery(d Delivery) error {
	if _, err := tx.exec(killDelivery, d.Attempts, prose(d.Error), d.ID); err != nil {
		return failed("giving up a delivery to "+d.Target, err)
	}
	return nil
}

// DeleteDelivery removes a delivery; one that is not there is no error.
func (tx *Tx) DeleteDelivery(id int64) error {
	if _, err := tx.exec(deleteDelivery, id); err != nil {
		return failed("removing a delivery", err)
	}
	return nil
}

// DeleteDeliveries removes all deliveries to a target, also those given up.
func (tx *Tx) DeleteDeliveries(target string) error {
	if _, err := tx.exec(deleteDeliveries, target); err != nil {
		return failed("removing the deliveries to "+target, err)
	}
	return nil
}

// DeadDeliveries gives the deliveries that were given up, in the order of their
// IDs after one of them.
func (tx *Tx) DeadDeliveries(after int64, limit int) ([]Delivery, error) {
	return many(tx, "listing dead deliveries", deadDeliveries, scanDelivery, after, limit)
}
