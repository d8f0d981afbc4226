package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

func deliveries(t *testing.T, s *store.Store) {
	add := func(target, lane, body string, due time.Time) (first bool) {
		write(t, s, func(tx *store.Tx) (err error) {
			first, err = tx.AddDelivery(store.Delivery{Target: target, Lane: lane, Due: due, Created: then, Body: []byte(body)})
			return err
		})
		return first
	}
	due := func(target string, now time.Time) (all []store.Delivery, bodies []string) {
		read(t, s, func(tx *store.Tx) (err error) {
			all, err = tx.DueDeliveries(target, now, 10)
			for _, d := range all {
				bodies = append(bodies, string(d.Body))
			}
			return err
		})
		return all, bodies
	}
	same(t, "the first", []bool{add("a", "x", "x1", then), add("a", "x", "x2", then), add("b", "x", "b1", then)}, []bool{true, false, true})
	add("a", "y", "y1", then)
	add("a", "", "free1", then)
	add("a", "", "free2", then)
	add("a", "z", "later", then.Add(time.Hour))
	all, bodies := due("a", then)
	same(t, "due, in the order of their lanes", bodies, []string{"x1", "x2", "y1", "free1", "free2"})
	x1 := all[0]
	same(t, "a delivery", x1, store.Delivery{ID: x1.ID, Target: "a", Lane: "x", Due: then, Created: then, Body: []byte("x1")})
	x1.Attempts, x1.Due, x1.Error = 1, then.Add(time.Minute), "HTTP 500"
	write(t, s, func(tx *store.Tx) error { return errors.Join(tx.RetryDelivery(x1), tx.DeleteDelivery(all[3].ID)) })
	_, bodies = due("a", then)
	same(t, "the lane of a failed one waits", bodies, []string{"y1", "free2"})
	read(t, s, func(tx *store.Tx) error {
		at, ok, err := tx.SoonestDelivery("a")
		same(t, "soonest", []any{at, ok}, []any{then, true})
		_, ok, err2 := tx.SoonestDelivery("none")
		some, err3 := tx.Delivering("a")
		none, err4 := tx.Delivering("none")
		same(t, "whether there are any", []bool{ok, some, none}, []bool{false, true, false})
		return errors.Join(err, err2, err3, err4)
	})
	x1.Attempts = 2
	write(t, s, func(tx *store.Tx) error { return tx.KillDelivery(x1) })
	_, bodies = due("a", then)
	same(t, "the lane of one given up goes on", bodies, []string{"x2", "y1", "free2"})
	read(t, s, func(tx *store.Tx) error {
		dead, err := tx.DeadDeliveries(0, 10)
		same(t, "given up", dead, []store.Delivery{x1})
		more, err2 := tx.DeadDeliveries(x1.ID, 10)
		same(t, "after it", len(more), 0)
		return errors.Join(err, err2)
	})
	read(t, s, func(tx *store.Tx) error {
		targets, err := tx.DeliveryTargets()
		same(t, "targets", targets, []string{"a", "b"})
		return err
	})
	write(t, s, func(tx *store.Tx) error { return tx.DeleteDeliveries("a") })
	read(t, s, func(tx *store.Tx) error {
		dead, err := tx.DeadDeliveries(0, 10)
		same(t, "dead after all were removed", len(dead), 0)
		any, err2 := tx.Delivering("a")
		other, err3 := tx.Delivering("b")
		same(t, "a and b", []bool{any, other}, []bool{false, true})
		return errors.Join(err, err2, err3)
	})
}
