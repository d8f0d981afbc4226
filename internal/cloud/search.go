package cloud

import (
	"slices"
	"strings"
)

// scanned is how many rows one request looks through at most when filters
// leave few of them; a page may then be short and have a token all the same.
const scanned = 5000

// resource is what a Describe operation lists.
type resource interface{ ident() string }

func (a AMI) ident() string      { return a.ID }
func (s Snapshot) ident() string { return s.ID }

func byID[T resource](a, b T) int { return strings.Compare(a.ident(), b.ident()) }

// search goes through the rows that fetch gives, by ID after a place, and the
// managed resources, merged, and keeps those that are wanted. more is the ID to
// go on after, "" at the end.
func search[T resource](fetch func(after string, limit int) ([]T, error), managed []T, wants func(T) bool, after string, limit int) (all []T, more string, err error) {
	for looked := 0; looked < scanned; {
		batch, err := fetch(after, limit+1)
		if err != nil {
			return nil, "", err
		}
		last := "~" // above every ID: the batch holds all that is left
		if len(batch) == limit+1 {
			last = batch[limit].ident()
		}
		for _, m := range managed {
			if m.ident() > after && m.ident() <= last {
				batch = append(batch, m)
			}
		}
		slices.SortFunc(batch, byID)
		for _, t := range batch {
			if wants(t) {
				if len(all) == limit {
					return all, after, nil
				}
				all = append(all, t)
			}
			after = t.ident()
		}
		if last == "~" {
			return all, "", nil
		}
		looked += len(batch)
	}
	return all, after, nil
}

// named finds resources by ID, rows by get or else among the managed ones, and
// keeps those that are wanted. gone are the IDs that were not found.
func named[T resource](ids map[string]bool, get func(id string) (T, bool, error), managed []T, wants func(T) bool) (all []T, gone []string, err error) {
	for id := range ids {
		t, ok, err := get(id)
		if err != nil {
			return nil, nil, err
		}
		if i := slices.IndexFunc(managed, func(m T) bool { return m.ident() == id }); !ok && i >= 0 {
			t, ok = managed[i], true
		}
		switch {
		case !ok:
			gone = append(gone, id)
		case wants(t):
			all = append(all, t)
		}
	}
	slices.SortFunc(all, byID)
	slices.Sort(gone)
	return all, gone, nil
}
