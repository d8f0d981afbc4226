package imagebuilder

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

const (
	pageSize = 25 // the most, and what is given when nothing is asked

	// scanned is how many rows one request looks through at most when filters
	// leave few of them; a page may then be short and have a token all the same.
	scanned = 1000
)

// place is where a list goes on, bound to the request that began it.
type place struct {
	Query string       `json:"q"`
	After store.Cursor `json:"a"`
}

// begin reads maxResults and nextToken. what says which list this is: a token of
// another list, other filters, or another caller is refused.
func (r request) begin(maxResults *int32, nextToken *string, what ...any) (limit int, at place, err error) {
	encoded, err := json.Marshal([]any{r.operation, r.Account, r.Region, what})
	if err != nil {
		return 0, place{}, fmt.Errorf("encoding the request: %w", err)
	}
	sum := sha256.Sum256(encoded)
	at.Query = hex.EncodeToString(sum[:12])
	limit = int(or(maxResults, pageSize))
	if limit < 1 || limit > pageSize {
		return 0, place{}, invalid("maxResults", "It must be between 1 and %d.", pageSize)
	}
	if nextToken == nil {
		return limit, at, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(*nextToken)
	var got place
	if err != nil || json.Unmarshal(raw, &got) != nil || got.Query != at.Query {
		return 0, place{}, fault.New(api.CodeInvalidPaginationToken, "You have provided an invalid pagination token in your request.")
	}
	return limit, got, nil
}

// token continues after a row.
func (p place) token(after store.Cursor) *string {
	p.After = after
	data, err := json.Marshal(p)
	if err != nil {
		panic("imagebuilder: a place is plain data and always marshals: " + err.Error())
	}
	return ptr(base64.RawURLEncoding.EncodeToString(data))
}

// entry is a row of a list with its document.
type entry[T any] struct {
	row   store.Resource
	shape *T
}

// filters are the names that a list may be filtered by, with the values that a
// resource has.
type filters[T any] map[string]func(*T) []string

// test checks a request's filters and gives what a resource has to pass: every
// filter, by having one of its values exactly.
func (known filters[T]) test(asked []api.Filter) (func(*T) bool, error) {
	for i, f := range asked {
		if _, ok := known[text(f.Name)]; !ok {
			names := slices.Sorted(maps.Keys(known))
			return nil, invalid(fmt.Sprintf("filters[%d].name", i), "'%s' is not one of the filters of this operation: %s.", fault.Clip(text(f.Name)), strings.Join(names, ", "))
		}
	}
	return func(t *T) bool {
		for _, f := range asked {
			have := known[text(f.Name)](t)
			if !slices.ContainsFunc(f.Values, func(v string) bool { return slices.Contains(have, v) }) {
				return false
			}
		}
		return true
	}, nil
}

// filteredName is the normalised name if a filter leaves only one, so that the
// list need not look at others.
func filteredName(asked []api.Filter) string {
	for _, f := range asked {
		if text(f.Name) == "name" && len(f.Values) == 1 {
			return normalise(f.Values[0])
		}
	}
	return ""
}

// collect reads rows with fetch from a place on until the page is full, keeping
// those that pass. next is the token of the following page, nil at the end.
func collect[T any](at place, limit int, keep func(*T) bool, fetch func(after store.Cursor, limit int) ([]store.Resource, error)) (page []entry[T], next *string, err error) {
	after := at.After
	for looked := 0; looked < scanned; {
		size := max(limit+1, min(10*limit, 200)*min(looked, 1))
		rows, err := fetch(after, size)
		if err != nil {
			return nil, nil, err
		}
		for _, row := range rows {
			shape, err := decode[T](row)
			if err != nil {
				return nil, nil, err
			}
			if keep(shape) {
				if len(page) == limit {
					return page, at.token(after), nil
				}
				page = append(page, entry[T]{row, shape})
			}
			after = row.Cursor()
		}
		if len(rows) < size {
			return page, nil, nil
		}
		looked += len(rows)
	}
	return page, at.token(after), nil
}

// list reads a page of the caller's resources of a kind.
func list[T any](ctx context.Context, s *Service, q store.Query, at place, limit int, keep func(*T) bool) (page []entry[T], next *string, err error) {
	err = s.read(ctx, func(tx *store.Tx) error {
		page, next, err = collect(at, limit, keep, func(after store.Cursor, n int) ([]store.Resource, error) {
			q.After, q.Limit = after, n
			return tx.List(q)
		})
		return err
	})
	return page, next, err
}

// given reads a page of resources that are not rows: the managed ones, in the
// order of their cursors.
func given[T any](all []entry[T], at place, limit int, keep func(*T) bool) (page []entry[T], next *string) {
	for _, e := range all {
		if compareCursors(e.row.Cursor(), at.After) <= 0 || !keep(e.shape) {
			continue
		}
		if len(page) == limit {
			return page, at.token(page[limit-1].row.Cursor())
		}
		page = append(page, e)
	}
	return page, nil
}

func compareCursors(a, b store.Cursor) int {
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	return compareVersions(a.Version, b.Version)
}

// scope is what a list holds: every version, or with byName one row per name.
func scope(byName *bool) store.Scope {
	if or(byName, false) {
		return store.Names
	}
	return store.Versions
}

// newestOnly keeps the last of every name of a sorted list.
func newestOnly[T any](all []entry[T], byName *bool) []entry[T] {
	if !or(byName, false) {
		return all
	}
	var names []entry[T]
	for i, e := range all {
		if i+1 == len(all) || all[i+1].row.Name != e.row.Name {
			names = append(names, e)
		}
	}
	return names
}

// listedARN is the ARN that a list of versions shows: of the version, or of the
// name.
func listedARN(row store.Resource, byName *bool) *string {
	a := newARN(row.Key, versionForm, row.Version)
	if or(byName, false) {
		a.version = store.Version{Major: store.Any, Minor: store.Any, Patch: store.Any}
	}
	return ptr(a.String())
}
