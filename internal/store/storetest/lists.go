package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

func list(t *testing.T, s *store.Store, q store.Query) (page []store.Resource) {
	t.Helper()
	q.Kind, q.Account, q.Region = "component", account, region
	read(t, s, func(tx *store.Tx) (err error) {
		page, err = tx.List(q)
		return err
	})
	return page
}

func listScopes(t *testing.T, s *store.Store) {
	a1, a2, a3 := component("a", 1, 0, 0, 1), component("a", 1, 0, 0, 2), component("a", 1, 0, 10, 1)
	b := component("b", 1, 0, 9, 1)
	b2 := component("b-2", 1, 0, 0, 1)
	foreign := component("a", 5, 0, 0, 1)
	foreign.Account, foreign.ARN = "999999999999", "arn:foreign"
	insert(t, s, a3, b2, foreign, a1, b, a2)

	same(t, "builds", arns(list(t, s, store.Query{Limit: 10})), arns([]store.Resource{a1, a2, a3, b, b2}))
	same(t, "versions", arns(list(t, s, store.Query{Scope: store.Versions, Limit: 10})), arns([]store.Resource{a2, a3, b, b2}))
	same(t, "names", arns(list(t, s, store.Query{Scope: store.Names, Limit: 10})), arns([]store.Resource{a3, b, b2}))
	same(t, "builds of b", arns(list(t, s, store.Query{Name: "b", Limit: 10})), arns([]store.Resource{b}))
	same(t, "name a", arns(list(t, s, store.Query{Name: "a", Scope: store.Names, Limit: 10})), arns([]store.Resource{a3}))
	same(t, "name c", arns(list(t, s, store.Query{Name: "c", Scope: store.Names, Limit: 10})), []string(nil))
	same(t, "name a, after it", arns(list(t, s, store.Query{Name: "a", Scope: store.Names, After: a3.Cursor(), Limit: 10})), []string(nil))
	same(t, "versions of a", arns(list(t, s, store.Query{Name: "a", Scope: store.Versions, Limit: 10})), arns([]store.Resource{a2, a3}))

	// The flags follow deletions.
	write(t, s, func(tx *store.Tx) error { return tx.Delete(a3.ARN) })
	write(t, s, func(tx *store.Tx) error { return tx.Delete(a2.ARN) })
	same(t, "versions after deletion", arns(list(t, s, store.Query{Scope: store.Versions, Limit: 10})), arns([]store.Resource{a1, b, b2}))
	same(t, "names after deletion", arns(list(t, s, store.Query{Scope: store.Names, Limit: 10})), arns([]store.Resource{a1, b, b2}))
	// An older version that comes later is not the newest.
	insert(t, s, component("a", 0, 9, 0, 1))
	same(t, "names after an older one", arns(list(t, s, store.Query{Scope: store.Names, Limit: 10})), arns([]store.Resource{a1, b, b2}))
}

func listPages(t *testing.T, s *store.Store) {
	var want []string
	for i := range 23 {
		r := component(fmt.Sprintf("n%02d", i/4), 1, int64(i%4), 0, 1)
		want = append(want, r.ARN)
		insert(t, s, r)
	}
	for _, scope := range []store.Scope{store.Builds, store.Versions} {
		var got []string
		var at store.Cursor
		for {
			page := list(t, s, store.Query{Scope: scope, After: at, Limit: 5})
			if len(page) == 0 {
				break
			}
			got = append(got, arns(page)...)
			at = page[len(page)-1].Cursor()
			// The place holds when the resource it is after goes away.
			write(t, s, func(tx *store.Tx) error { return tx.Delete(page[len(page)-1].ARN) })
			insert(t, s, page[len(page)-1])
		}
		same(t, fmt.Sprintf("all pages of scope %d", scope), got, want)
	}
	for i, r := range list(t, s, store.Query{Limit: 3}) {
		if r.Content != nil {
			t.Errorf("row %d of a list has its content", i)
		}
	}
}

func listPattern(t *testing.T, s *store.Store) {
	a := []store.Resource{component("a", 0, 0, 0, 1), component("a", 1, 0, 0, 1), component("a", 1, 0, 0, 2), component("a", 1, 1, 0, 1), component("a", 2, 0, 0, 1)}
	insert(t, s, a...)
	x := int64(store.Any)
	for _, test := range []struct {
		pattern store.Version
		want    []store.Resource
	}{
		{store.Version{Major: 1, Minor: 0, Patch: 0, Build: x}, a[1:3]},
		{store.Version{Major: 1, Minor: x, Patch: x, Build: x}, a[1:4]},
		{store.Version{Major: x, Minor: x, Patch: x, Build: x}, a},
		{store.Version{Major: 7, Minor: 0, Patch: 0, Build: x}, nil},
	} {
		var got []store.Resource
		q := store.Query{Name: "a", Pattern: &test.pattern, Limit: 1}
		for page := list(t, s, q); len(page) > 0; page = list(t, s, q) {
			got = append(got, page...)
			q.After = page[len(page)-1].Cursor()
		}
		same(t, fmt.Sprintf("builds of %v", test.pattern), arns(got), arns(test.want))
	}
}

func children(t *testing.T, s *store.Store) {
	var want []string
	for i := range 5 {
		r := component("z", 1, 0, 0, int64(5-i))
		r.Parent = "arn:pipeline"
		want = append(want, r.ARN)
		insert(t, s, r)
	}
	insert(t, s, component("orphan", 1, 0, 0, 1))
	var got []string
	var at store.Cursor
	for {
		var page []store.Resource
		read(t, s, func(tx *store.Tx) (err error) {
			page, err = tx.Children("arn:pipeline", at, 2)
			return err
		})
		if len(page) == 0 {
			break
		}
		got = append(got, arns(page)...)
		at = page[len(page)-1].Cursor()
	}
	same(t, "children in the order they were made", got, want)
	read(t, s, func(tx *store.Tx) error {
		last, ok, err := tx.LastChild("arn:pipeline")
		same(t, "last child", last.ARN, want[len(want)-1])
		_, none, err2 := tx.LastChild("")
		same(t, "found", []bool{ok, none}, []bool{true, false})
		return errors.Join(err, err2)
	})
	read(t, s, func(tx *store.Tx) error {
		none, err := tx.Children("", store.Cursor{}, 10)
		same(t, "children of nothing", arns(none), []string(nil))
		return err
	})
}

func due(t *testing.T, s *store.Store) {
	for i, at := range []time.Time{then.Add(time.Minute), then, {}, then.Add(time.Hour)} {
		r := component(fmt.Sprint("p", i), 1, 0, 0, 1)
		r.Due = at
		insert(t, s, r)
	}
	read(t, s, func(tx *store.Tx) error {
		got, err := tx.DueBy("component", then.Add(time.Minute), 10)
		same(t, "due", arns(got), []string{component("p1", 1, 0, 0, 1).ARN, component("p0", 1, 0, 0, 1).ARN})
		return err
	})
}

func references(t *testing.T, s *store.Store) {
	used, user := component("used", 1, 0, 0, 1), component("user", 1, 0, 0, 1)
	insert(t, s, used, user)
	target := store.Target{Key: used.Key, Pattern: store.Version{Major: 1, Minor: store.Any, Patch: store.Any, Build: store.Any}}
	write(t, s, func(tx *store.Tx) error { return tx.SetReferences(user.ARN, target, target) })
	want := func(want []store.Reference) {
		t.Helper()
		read(t, s, func(tx *store.Tx) error {
			got, err := tx.References(used.Key, 10)
			same(t, "references", got, want)
			return err
		})
	}
	want([]store.Reference{{Source: user.ARN, Target: target}})
	write(t, s, func(tx *store.Tx) error { return tx.SetReferences(user.ARN) })
	want(nil)
	write(t, s, func(tx *store.Tx) error { return tx.SetReferences(user.ARN, target) })
	write(t, s, func(tx *store.Tx) error { return tx.Delete(user.ARN) })
	want(nil)
	if err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.SetReferences("arn:nobody", target) }); err == nil {
		t.Error("a resource that is not there may refer to others")
	}
}
