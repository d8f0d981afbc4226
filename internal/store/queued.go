package store

import (
	"fmt"
	"time"
)

// Standing is where an image is on its way to a worker.
type Standing int64

// The standings of queued images.
const (
	Waits  Standing = iota // for a place
	Placed                 // it has one: its job is in the job queue, or a worker has it
	Aside                  // it waits for a person's answer and takes no place
	Unfit                  // it waits for a worker that can build it
)

// Queued is an image that is to be built. Its row is there until the image ends.
type Queued struct {
	ID       int64 // the order in which they came
	ImageARN string
	Account  string
	Standing Standing
	Needs    string    // what its build takes, separated by spaces; "": not known yet
	Job      int64     // its job in the job queue; 0: none yet
	Since    time.Time // when it came; of one that is Unfit, when that was found
}

const queuedColumns = `id, image_arn, account, state, needs, job, since`

var (
	insertQueued = define(`INSERT INTO queued_image (image_arn, account, state, needs, job, since) VALUES (?, ?, 0, '', 0, ?) ON CONFLICT (image_arn) DO NOTHING`)
	selectQueued = define(`SELECT ` + queuedColumns + ` FROM queued_image WHERE image_arn = ?`)
	updateQueued = define(`UPDATE queued_image SET state = ?, needs = ?, job = ?, since = ? WHERE image_arn = ?`)
	deleteQueued = define(`DELETE FROM queued_image WHERE image_arn = ?`)
	takeTurn     = define(`INSERT INTO queue_turn (account, turn) VALUES (?, (SELECT COALESCE(MAX(turn), 0) + 1 FROM queue_turn))
		ON CONFLICT (account) DO UPDATE SET turn = excluded.turn`)

	// The accounts that wait are found by stepping from one to the next in the
	// index, so that a pick costs as much with a hundred thousand images as with
	// one for each account.
	nextQueued = define(`WITH RECURSIVE line (account) AS (
			SELECT (SELECT MIN(account) FROM queued_image WHERE state = 0)
			UNION ALL
			SELECT (SELECT MIN(q.account) FROM queued_image q WHERE q.state = 0 AND q.account > line.account) FROM line WHERE line.account IS NOT NULL
		)
		SELECT ` + queuedColumns + ` FROM queued_image WHERE id = (
			SELECT (SELECT MIN(q.id) FROM queued_image q WHERE q.state = 0 AND q.account = line.account)
			FROM line
			LEFT JOIN (SELECT account, COUNT(*) AS n FROM queued_image WHERE state = 1 GROUP BY account) placed ON placed.account = line.account
			LEFT JOIN queue_turn ON queue_turn.account = line.account
			WHERE line.account IS NOT NULL AND COALESCE(placed.n, 0) < ?
				AND (SELECT COUNT(*) FROM queued_image WHERE state = 1) < (SELECT COALESCE(SUM(builds), 0) FROM worker)
			ORDER BY COALESCE(placed.n, 0), COALESCE(queue_turn.turn, 0), line.account
			LIMIT 1
		)`)

	countQueue = define(`SELECT (SELECT COUNT(*) FROM queued_image WHERE state = 1), (SELECT COALESCE(SUM(builds), 0) FROM worker), (SELECT COUNT(*) FROM worker),
		(SELECT COUNT(*) FROM queued_image WHERE state = 1 AND account = ?), (SELECT COUNT(*) FROM queued_image WHERE state = 0 AND account = ? AND id < ?)`)
	selectStanding  = define(`SELECT ` + queuedColumns + ` FROM queued_image WHERE state = ? ORDER BY account, id LIMIT ? + 0`)
	selectCancelled = define(`SELECT ` + queuedColumns + ` FROM queued_image WHERE state IN (0, 3) AND EXISTS (SELECT 1 FROM image_cancel WHERE image_cancel.image_arn = queued_image.image_arn)
		ORDER BY id LIMIT ? + 0`)
)

func scanQueued(r row) (q Queued, err error) {
	var standing, since int64
	err = r.Scan(&q.ID, &q.ImageARN, &q.Account, &standing, &q.Needs, &q.Job, &since)
	q.Standing, q.Since = Standing(standing), fromMillis(since)
	return q, err
}

// PutQueued adds an image to the end of its account's line. One that is in it
// keeps its place.
func (tx *Tx) PutQueued(imageARN, account string, now time.Time) error {
	if err := tx.later(insertQueued, imageARN, account, millis(now)); err != nil {
		return failed("queueing "+imageARN, err)
	}
	return nil
}

// Queued gives the row of an image; ok is false if it is not to be built.
func (tx *Tx) Queued(imageARN string) (q Queued, ok bool, err error) {
	return one(tx, "looking for "+imageARN+" in the queue", selectQueued, scanQueued, imageARN)
}

// Place gives the image whose turn it is a place, with a job that insert adds to
// the transaction; ok is false if none waits, or all places are taken. There are
// as many places as the workers build images at once. The account with the fewest
// images that have a place comes first; among those the one whose last turn is
// the longest ago. Within an account the oldest comes first. No account gets more
// than most.
func (tx *Tx) Place(most int64, insert func(imageARN string) (job int64, err error)) (q Queued, ok bool, err error) {
	q, ok, err = one(tx, "looking for the next image to build", nextQueued, scanQueued, most)
	if err != nil || !ok {
		return q, false, err
	}
	if err := tx.later(takeTurn, q.Account); err != nil {
		return q, false, failed("noting the turn of "+q.Account, err)
	}
	q.Standing = Placed
	if q.Job, err = insert(q.ImageARN); err != nil {
		return q, false, fmt.Errorf("queueing %s: %w", q.ImageARN, err)
	}
	return q, true, tx.SetQueued(q)
}

// SetQueued records an image's standing, needs, job and time. One that is not in the queue
// is no error.
func (tx *Tx) SetQueued(q Queued) error {
	if err := tx.later(updateQueued, int64(q.Standing), q.Needs, q.Job, millis(q.Since), q.ImageARN); err != nil {
		return failed("recording the standing of "+q.ImageARN, err)
	}
	return nil
}

// DeleteQueued takes an image out of the queue. One that is not in it is no error.
func (tx *Tx) DeleteQueued(imageARN string) error {
	if err := tx.later(deleteQueued, imageARN); err != nil {
		return failed("taking "+imageARN+" out of the queue", err)
	}
	return nil
}

// QueueState is how full the queue is around one of its images.
type QueueState struct {
	Placed  int64 // images that have a place
	Places  int64 // how many there are
	Workers int64
	Own     int64 // of Placed: images of the same account
	Ahead   int64 // images of the same account that wait and came earlier
}

// QueueState gives the state of the queue around an image.
func (tx *Tx) QueueState(q Queued) (QueueState, error) {
	scan := func(r row) (s QueueState, err error) {
		return s, r.Scan(&s.Placed, &s.Places, &s.Workers, &s.Own, &s.Ahead)
	}
	s, _, err := one(tx, "reading the queue", countQueue, scan, q.Account, q.Account, q.ID)
	return s, err
}

// QueuedAs gives images of a standing, at most limit of them, by account and age.
func (tx *Tx) QueuedAs(standing Standing, limit int) ([]Queued, error) {
	return many(tx, fmt.Sprintf("reading the queue (standing %d)", standing), selectStanding, scanQueued, int64(standing), limit)
}

// QueuedCancelled gives images that have no place and whose cancellation was
// requested, at most limit of them.
func (tx *Tx) QueuedCancelled(limit int) ([]Queued, error) {
	return many(tx, "looking for cancelled images in the queue", selectCancelled, scanQueued, limit)
}
