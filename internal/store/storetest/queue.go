package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// place gives the next image a place and says which it is; "" if none.
func place(t *testing.T, s *store.Store, most int64) (arn string) {
	t.Helper()
	write(t, s, func(tx *store.Tx) error {
		q, ok, err := tx.Place(most, func(string) (int64, error) { return 7, nil })
		if arn = ""; ok {
			arn = q.ImageARN
		}
		return err
	})
	return arn
}

func queue(t *testing.T, s *store.Store) {
	put := func(account string, arns ...string) {
		t.Helper()
		write(t, s, func(tx *store.Tx) error {
			var errs []error
			for _, arn := range arns {
				errs = append(errs, tx.PutQueued(arn, account, then))
			}
			return errors.Join(errs...)
		})
	}
	of := func(arn string) (q store.Queued, ok bool) {
		t.Helper()
		read(t, s, func(tx *store.Tx) (err error) { q, ok, err = tx.Queued(arn); return err })
		return q, ok
	}
	put("a", "a1", "a2", "a1")
	put("b", "b1")
	same(t, "without workers", place(t, s, math.MaxInt64), "")
	write(t, s, func(tx *store.Tx) error { return tx.PutWorker(store.Worker{ID: "w", Builds: 2}) })
	same(t, "the first", place(t, s, math.MaxInt64), "a1")
	q, _ := of("a2")
	var state store.QueueState
	read(t, s, func(tx *store.Tx) (err error) { state, err = tx.QueueState(q); return err })
	same(t, "state", state, store.QueueState{Placed: 1, Places: 2, Workers: 1, Own: 1})
	same(t, "the other account", place(t, s, math.MaxInt64), "b1")
	same(t, "all places are taken", place(t, s, math.MaxInt64), "")

	q, _ = of("b1")
	same(t, "row", q, store.Queued{ID: q.ID, ImageARN: "b1", Account: "b", Standing: store.Placed, Job: 7, Since: then})
	q.Standing, q.Needs = store.Aside, "vm"
	write(t, s, func(tx *store.Tx) error { return tx.SetQueued(q) })
	again, _ := of("b1")
	same(t, "row put aside", again, q)
	same(t, "who reached its limit waits", place(t, s, 1), "")
	same(t, "without a limit", place(t, s, 2), "a2")

	put("c", "c1", "c2")
	write(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.RequestCancel("c1", then), tx.RequestCancel("a1", then), tx.RequestCancel("c2", then), tx.DeleteQueued("c2"), tx.DeleteQueued("c2"))
	})
	read(t, s, func(tx *store.Tx) error {
		found, err := tx.QueuedCancelled(10)
		same(t, "cancelled ones that wait", len(found), 1)
		return err
	})
	if _, ok := of("c2"); ok {
		t.Error("c2 is still in the queue")
	}
}

// model is the queue as one would write it down.
type model struct {
	rows   []store.Queued // by age
	turns  map[string]int
	clock  int
	places int
}

func (m *model) count(account string, standing store.Standing) (n int) {
	for _, q := range m.rows {
		if q.Standing == standing && (account == "" || q.Account == account) {
			n++
		}
	}
	return n
}

// place picks by the rules: the account with the fewest placed images, then the
// one whose turn was the longest ago, then the first by name; its oldest image.
func (m *model) place(most int) string {
	if m.count("", store.Placed) >= m.places {
		return ""
	}
	best := -1
	less := func(a, b store.Queued) int {
		return cmp.Or(cmp.Compare(m.count(a.Account, store.Placed), m.count(b.Account, store.Placed)), cmp.Compare(m.turns[a.Account], m.turns[b.Account]), cmp.Compare(a.Account, b.Account))
	}
	for i, q := range m.rows {
		if q.Standing != store.Waits || m.count(q.Account, store.Placed) >= most {
			continue
		}
		if best < 0 || less(q, m.rows[best]) < 0 {
			best = i
		}
	}
	if best < 0 {
		return ""
	}
	m.clock++
	m.rows[best].Standing, m.turns[m.rows[best].Account] = store.Placed, m.clock
	return m.rows[best].ImageARN
}

// queueIsFair holds the queue to the model through random arrivals, ends, waits
// and changes of the number of workers.
func queueIsFair(t *testing.T, s *store.Store) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	m := &model{turns: map[string]int{}}
	const most = 3
	for i := range 400 {
		switch rng.IntN(10) {
		case 0, 1, 2: // an account asks for much, the others for little
			account := fmt.Sprint("account-", min(rng.IntN(8), rng.IntN(8)))
			arn := fmt.Sprint(account, "/", i)
			m.rows = append(m.rows, store.Queued{ImageARN: arn, Account: account})
			write(t, s, func(tx *store.Tx) error { return tx.PutQueued(arn, account, then) })
		case 3, 4:
			if len(m.rows) == 0 {
				continue
			}
			gone := rng.IntN(len(m.rows))
			arn := m.rows[gone].ImageARN
			m.rows = slices.Delete(m.rows, gone, gone+1)
			write(t, s, func(tx *store.Tx) error { return tx.DeleteQueued(arn) })
		case 5:
			if len(m.rows) == 0 {
				continue
			}
			q := &m.rows[rng.IntN(len(m.rows))]
			q.Standing = store.Standing(rng.IntN(4))
			write(t, s, func(tx *store.Tx) error { return tx.SetQueued(*q) })
		case 6:
			m.places = rng.IntN(9)
			write(t, s, func(tx *store.Tx) error {
				return errors.Join(tx.PutWorker(store.Worker{ID: "a", Builds: int64(m.places / 2)}), tx.PutWorker(store.Worker{ID: "b", Builds: int64(m.places - m.places/2)}))
			})
		default:
			want := m.place(most)
			if got := place(t, s, most); got != want {
				t.Fatalf("after %d changes the next image is %q, want %q of %+v (turns %v)", i, got, want, m.rows, m.turns)
			}
		}
	}
}
