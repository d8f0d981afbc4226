// Package storetest holds the suite that every database behind package store
// passes: what it promises about rows, lists, conflicts and transactions.
package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Opener opens an empty store, which the test closes.
type Opener func(t *testing.T) *store.Store

// Suite runs all the tests, each on a store of its own.
func Suite(t *testing.T, open Opener) {
	for name, test := range map[string]func(*testing.T, *store.Store){
		"ResourceRoundTrip":    resourceRoundTrip,
		"ResourceConflicts":    resourceConflicts,
		"Match":                match,
		"MatchStatus":          matchStatus,
		"NextBuild":            nextBuild,
		"Counts":               counts,
		"ListScopes":           listScopes,
		"ListPages":            listPages,
		"ListPattern":          listPattern,
		"Children":             children,
		"Due":                  due,
		"References":           references,
		"Tokens":               tokens,
		"Executions":           executions,
		"ImageRecords":         imageRecords,
		"Instances":            instances,
		"Deliveries":           deliveries,
		"Workers":              workers,
		"Queue":                queue,
		"QueueIsFair":          queueIsFair,
		"AMIs":                 amis,
		"Snapshots":            snapshots,
		"WriteIsAllOrNothing":  writeIsAllOrNothing,
		"ReadIsOneMoment":      readIsOneMoment,
		"FailuresAreAlone":     failuresAreAlone,
		"WritersTakeTurns":     writersTakeTurns,
		"ReadersCannotWrite":   readersCannotWrite,
		"HostileNamesAreNames": hostileNames,
		"LastWords":            lastWords,
		"Swallowed":            swallowed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			test(t, s)
		})
	}
}

const (
	account = "123456789012"
	region  = "us-east-1"
)

var then = time.Date(2026, 11, 21, 10, 0, 0, 123e6, time.UTC)

func component(name string, major, minor, patch, build int64) store.Resource {
	return store.Resource{
		Key:     store.Key{Kind: "component", Account: account, Region: region, Name: name},
		Version: store.Version{Major: major, Minor: minor, Patch: patch, Build: build},
		ARN:     fmt.Sprintf("arn:aws:imagebuilder:%s:%s:component/%s/%d.%d.%d/%d", region, account, name, major, minor, patch, build),
		Created: then,
		Doc:     []byte(fmt.Sprintf(`{"name":%q}`, name)),
	}
}

func write(t *testing.T, s *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.Write(t.Context(), fn); err != nil {
		t.Fatalf("Write: %v", err)
	}
}

func read(t *testing.T, s *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.Read(t.Context(), fn); err != nil {
		t.Fatalf("Read: %v", err)
	}
}

func insert(t *testing.T, s *store.Store, rs ...store.Resource) {
	t.Helper()
	write(t, s, func(tx *store.Tx) error {
		for _, r := range rs {
			if err := tx.Insert(r); err != nil {
				return err
			}
		}
		return nil
	})
}

func arns(rs []store.Resource) []string {
	var all []string
	for _, r := range rs {
		all = append(all, r.ARN)
	}
	return all
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(store.Resource{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func resourceRoundTrip(t *testing.T, s *store.Store) {
	r := component("nginx", 1, 2, 3, 4)
	r.Status, r.Parent, r.Digest = "ACTIVE", "arn:parent", "abc"
	r.Updated, r.Due, r.Content = then.Add(time.Hour), then.Add(2*time.Hour), []byte("content \x00 \xff")
	insert(t, s, r)
	get := func() store.Resource {
		var got store.Resource
		read(t, s, func(tx *store.Tx) (err error) {
			var ok bool
			if got, ok, err = tx.Resource(r.ARN); !ok {
				t.Errorf("Resource(%s): not there", r.ARN)
			}
			return err
		})
		return got
	}
	same(t, "inserted", get(), r)

	changed := r
	changed.Status, changed.Parent, changed.Digest = "DEPRECATED", "", "def"
	changed.Updated, changed.Due, changed.Doc = then.Add(3*time.Hour), time.Time{}, []byte(`{"changed":true}`)
	write(t, s, func(tx *store.Tx) error { return tx.Update(changed) })
	same(t, "updated", get(), changed)

	write(t, s, func(tx *store.Tx) error { return tx.Delete(r.ARN) })
	read(t, s, func(tx *store.Tx) error {
		_, ok, err := tx.Resource(r.ARN)
		if ok {
			t.Error("a deleted resource is still there")
		}
		return err
	})
}

func resourceConflicts(t *testing.T, s *store.Store) {
	r := component("nginx", 1, 0, 0, 1)
	insert(t, s, r)
	sameARN, sameVersion := component("other", 1, 0, 0, 1), r
	sameARN.ARN = r.ARN
	sameVersion.ARN = "arn:another"
	for name, x := range map[string]store.Resource{"ARN": sameARN, "version": sameVersion} {
		if err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.Insert(x) }); !errors.Is(err, store.ErrExists) {
			t.Errorf("inserting the same %s twice: %v, want ErrExists", name, err)
		}
	}
	missing := component("missing", 1, 0, 0, 1)
	if err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.Update(missing) }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("updating what is not there: %v, want ErrNotFound", err)
	}
	if err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.Delete(missing.ARN) }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleting what is not there: %v, want ErrNotFound", err)
	}
	// The same name and version in another account and in another region.
	elsewhere, foreign := r, r
	elsewhere.Region, elsewhere.ARN = "eu-west-1", "arn:elsewhere"
	foreign.Account, foreign.ARN = "999999999999", "arn:foreign"
	insert(t, s, elsewhere, foreign)
}

func match(t *testing.T, s *store.Store) {
	insert(t, s, component("n", 2, 2, 4, 1), component("n", 1, 7, 8, 1), component("n", 1, 6, 8, 1), component("n", 1, 6, 8, 2), component("nn", 9, 9, 9, 9))
	x := int64(store.Any)
	for _, test := range []struct {
		pattern, want store.Version
		ok            bool
	}{
		{store.Version{Major: x, Minor: x, Patch: x, Build: x}, store.Version{Major: 2, Minor: 2, Patch: 4, Build: 1}, true},
		{store.Version{Major: 1, Minor: x, Patch: x, Build: x}, store.Version{Major: 1, Minor: 7, Patch: 8, Build: 1}, true},
		{store.Version{Major: 1, Minor: 6, Patch: x, Build: x}, store.Version{Major: 1, Minor: 6, Patch: 8, Build: 2}, true},
		{store.Version{Major: 1, Minor: 6, Patch: 8, Build: x}, store.Version{Major: 1, Minor: 6, Patch: 8, Build: 2}, true},
		{store.Version{Major: 1, Minor: 6, Patch: 8, Build: 1}, store.Version{Major: 1, Minor: 6, Patch: 8, Build: 1}, true},
		{store.Version{Major: 3, Minor: x, Patch: x, Build: x}, store.Version{}, false},
	} {
		read(t, s, func(tx *store.Tx) error {
			got, ok, err := tx.Match(component("n", 0, 0, 0, 0).Key, test.pattern)
			if ok != test.ok || got.Version != test.want {
				t.Errorf("Match(%v) = %v, %v; want %v, %v", test.pattern, got.Version, ok, test.want, test.ok)
			}
			if ok && !got.Version.Matches(test.pattern) {
				t.Errorf("%v does not match %v", got.Version, test.pattern)
			}
			return err
		})
	}
}

func matchStatus(t *testing.T, s *store.Store) {
	good, failed, old := component("n", 1, 0, 0, 2), component("n", 1, 0, 0, 3), component("n", 0, 9, 0, 1)
	good.Status, failed.Status, old.Status = "AVAILABLE", "FAILED", "AVAILABLE"
	insert(t, s, old, good, failed)
	x := int64(store.Any)
	for pattern, want := range map[store.Version]string{{Major: x, Minor: x, Patch: x, Build: x}: good.ARN, {Major: 0, Minor: x, Patch: x, Build: x}: old.ARN, failed.Version: ""} {
		read(t, s, func(tx *store.Tx) error {
			got, ok, err := tx.MatchStatus(good.Key, pattern, "AVAILABLE")
			if got.ARN != want || ok != (want != "") {
				t.Errorf("MatchStatus(%v) = %q, %v; want %q", pattern, got.ARN, ok, want)
			}
			return err
		})
	}
}

func nextBuild(t *testing.T, s *store.Store) {
	next := func(want int64, patch int64) {
		t.Helper()
		write(t, s, func(tx *store.Tx) error {
			r := component("n", 1, 0, patch, 0)
			n, err := tx.NextBuild(r.Key, r.Version)
			if n != want {
				t.Errorf("NextBuild = %d, want %d", n, want)
			}
			return errors.Join(err, tx.Insert(component("n", 1, 0, patch, n)))
		})
	}
	next(1, 0)
	next(2, 0)
	next(1, 1)
	write(t, s, func(tx *store.Tx) error { return tx.Delete(component("n", 1, 0, 0, 2).ARN) })
	next(3, 0)
}

func counts(t *testing.T, s *store.Store) {
	want := func(n int64) {
		t.Helper()
		read(t, s, func(tx *store.Tx) error {
			got, err := tx.Count("component", account, region)
			if got != n {
				t.Errorf("Count = %d, want %d", got, n)
			}
			return err
		})
	}
	want(0)
	insert(t, s, component("a", 1, 0, 0, 1), component("a", 1, 0, 0, 2), component("a", 1, 0, 1, 1), component("b", 1, 0, 0, 1))
	want(3)
	write(t, s, func(tx *store.Tx) error { return tx.Delete(component("a", 1, 0, 0, 2).ARN) })
	want(3)
	write(t, s, func(tx *store.Tx) error { return tx.Delete(component("a", 1, 0, 0, 1).ARN) })
	want(2)

	for i, status := range []string{"PENDING", "BUILDING", "AVAILABLE"} {
		r := component("image", 1, 0, 0, int64(i+1))
		r.Kind, r.Status, r.ARN = "image", status, fmt.Sprint("arn:image/", i)
		insert(t, s, r)
	}
	read(t, s, func(tx *store.Tx) error {
		n, err := tx.CountImages(account, region, "PENDING", "BUILDING")
		if n != 2 {
			t.Errorf("CountImages = %d, want 2", n)
		}
		return err
	})
}
