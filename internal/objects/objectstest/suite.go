package objectstest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/objects"
)

// Suite holds a store to the contract of objects.Store. open gives an empty
// store for each test.
func Suite(t *testing.T, open func(t *testing.T) objects.Store) {
	tests := map[string]func(*testing.T, objects.Store){
		"PutThenGet":           putThenGet,
		"Empty":                empty,
		"Missing":              missing,
		"Replace":              replace,
		"ReaderKeepsOldObject": readerKeepsOldObject,
		"FailedPut":            failedPut,
		"Delete":               deleting,
		"List":                 list,
		"ListStops":            listStops,
		"BadKeys":              badKeys,
		"EndedContext":         endedContext,
		"ConcurrentPuts":       concurrentPuts,
		"PutBesideDelete":      putBesideDelete,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func put(t *testing.T, s objects.Store, key, content string) {
	t.Helper()
	if err := s.Put(t.Context(), key, strings.NewReader(content)); err != nil {
		t.Fatalf("Put(%s): %v", key, err)
	}
}

func get(t *testing.T, s objects.Store, key string) string {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("Get(%s): %v", key, err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("reading %s: %v", key, err)
	}
	return string(data)
}

func keys(t *testing.T, s objects.Store, prefix string) []string {
	t.Helper()
	found := []string{}
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("List(%s): %v", prefix, err)
		}
		found = append(found, info.Key)
	}
	return found
}

func putThenGet(t *testing.T, s objects.Store) {
	content := make([]byte, 3<<20)
	rand.Read(content)
	before := time.Now().Add(-time.Minute)
	put(t, s, "a/b/c.bin", string(content))
	if got := get(t, s, "a/b/c.bin"); got != string(content) {
		t.Errorf("Get gave %d other bytes", len(got))
	}
	info, err := s.Stat(t.Context(), "a/b/c.bin")
	if err != nil {
		t.Fatal(err)
	}
	if info.Key != "a/b/c.bin" || info.Size != 3<<20 || info.Modified.Before(before) || info.Modified.After(time.Now().Add(time.Minute)) {
		t.Errorf("Stat = %+v", info)
	}
}

func empty(t *testing.T, s objects.Store) {
	put(t, s, "nothing", "")
	if got := get(t, s, "nothing"); got != "" {
		t.Errorf("Get = %q, want nothing", got)
	}
	if info, err := s.Stat(t.Context(), "nothing"); err != nil || info.Size != 0 {
		t.Errorf("Stat = %+v, %v", info, err)
	}
}

func missing(t *testing.T, s objects.Store) {
	put(t, s, "a/b", "x")
	for _, key := range []string{"c", "a", "a/b/c", "a/c"} {
		if _, err := s.Get(t.Context(), key); !errors.Is(err, objects.ErrNotFound) {
			t.Errorf("Get(%s) = %v, want ErrNotFound", key, err)
		}
		if _, err := s.Stat(t.Context(), key); !errors.Is(err, objects.ErrNotFound) {
			t.Errorf("Stat(%s) = %v, want ErrNotFound", key, err)
		}
	}
}

func replace(t *testing.T, s objects.Store) {
	put(t, s, "k", "the first, longer text")
	put(t, s, "k", "second")
	if got := get(t, s, "k"); got != "second" {
		t.Errorf("Get = %q", got)
	}
}

func readerKeepsOldObject(t *testing.T, s objects.Store) {
	old := strings.Repeat("old", 100_000)
	put(t, s, "k", old)
	r, err := s.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	first := make([]byte, 1000)
	if _, err := io.ReadFull(r, first); err != nil {
		t.Fatal(err)
	}
	put(t, s, "k", "new")
	if err := s.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(r)
	if err != nil || string(first)+string(rest) != old {
		t.Errorf("the reader gave %d bytes, %v; want the %d it began with", 1000+len(rest), err, len(old))
	}
}

var errBody = errors.New("the body broke off")

func failedPut(t *testing.T, s objects.Store) {
	put(t, s, "k", "old")
	for _, key := range []string{"k", "folder/new"} {
		body := io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20)), broken{})
		if err := s.Put(t.Context(), key, body); !errors.Is(err, errBody) {
			t.Errorf("Put(%s) = %v, want the body's error", key, err)
		}
	}
	if got := get(t, s, "k"); got != "old" {
		t.Errorf("the failed Put left %d bytes", len(got))
	}
	if diff := cmp.Diff([]string{"k"}, keys(t, s, "")); diff != "" {
		t.Errorf("objects after failed Puts (-want +got):\n%s", diff)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBody }

func deleting(t *testing.T, s objects.Store) {
	put(t, s, "a/b", "x")
	put(t, s, "a/c", "y")
	for range 2 {
		if err := s.Delete(t.Context(), "a/b"); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"a", "z/z", "a/c/d"} { // not objects: nothing happens
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("Delete(%s): %v", key, err)
		}
	}
	if diff := cmp.Diff([]string{"a/c"}, keys(t, s, "")); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func list(t *testing.T, s objects.Store) {
	// In byte order "-" and "." come before "/", and capitals before small.
	all := []string{"B", "a-b/x", "a.b", "a/b/c", "a/b/d", "a/bc", "ab", "b"}
	for i := range all {
		put(t, s, all[(i*5)%len(all)], "x")
	}
	tests := map[string][]string{
		"": all, "a": {"a-b/x", "a.b", "a/b/c", "a/b/d", "a/bc", "ab"}, "a/": {"a/b/c", "a/b/d", "a/bc"},
		"a/b": {"a/b/c", "a/b/d", "a/bc"}, "a/b/": {"a/b/c", "a/b/d"}, "a/b/c": {"a/b/c"}, "a/b/c/": {}, "c": {}, "../": {}, "/": {}, "..": {},
	}
	for prefix, want := range tests {
		if diff := cmp.Diff(want, keys(t, s, prefix)); diff != "" {
			t.Errorf("List(%q) (-want +got):\n%s", prefix, diff)
		}
	}
}

func listStops(t *testing.T, s objects.Store) {
	for i := range 20 {
		put(t, s, fmt.Sprintf("%02d/x", i), "x")
	}
	n := 0
	for range s.List(t.Context(), "") {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("the walk went on to %d", n)
	}
}

func badKeys(t *testing.T, s objects.Store) {
	bad := []string{"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".a", "a/.b", "a\x00b", "a b", "a\\b", "ä",
		"a\nb", strings.Repeat("a/", 600) + "a", strings.Repeat("a", 300)}
	for _, key := range bad {
		if err := s.Put(t.Context(), key, strings.NewReader("x")); !errors.Is(err, objects.ErrBadKey) {
			t.Errorf("Put(%q) = %v, want ErrBadKey", key, err)
		}
		if _, err := s.Get(t.Context(), key); !errors.Is(err, objects.ErrBadKey) {
			t.Errorf("Get(%q) = %v, want ErrBadKey", key, err)
		}
		if _, err := s.Stat(t.Context(), key); !errors.Is(err, objects.ErrBadKey) {
			t.Errorf("Stat(%q) = %v, want ErrBadKey", key, err)
		}
		if err := s.Delete(t.Context(), key); !errors.Is(err, objects.ErrBadKey) {
			t.Errorf("Delete(%q) = %v, want ErrBadKey", key, err)
		}
	}
	if got := keys(t, s, ""); len(got) != 0 {
		t.Errorf("objects were made: %v", got)
	}
}

func endedContext(t *testing.T, s objects.Store) {
	put(t, s, "k", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ctx, "new", strings.NewReader("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("Put = %v", err)
	}
	if err := s.Delete(ctx, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("Delete = %v", err)
	}
	if _, err := s.Get(ctx, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("Get = %v", err)
	}
	if _, err := s.Stat(ctx, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("Stat = %v", err)
	}
	var listed error
	for _, err := range s.List(ctx, "") {
		listed = err
	}
	if !errors.Is(listed, context.Canceled) {
		t.Errorf("List = %v", listed)
	}
	if diff := cmp.Diff([]string{"k"}, keys(t, s, "")); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func concurrentPuts(t *testing.T, s objects.Store) {
	var group sync.WaitGroup
	bodies := make([][]byte, 8)
	for i := range bodies {
		bodies[i] = bytes.Repeat([]byte{byte('a' + i)}, 100_000)
		group.Go(func() {
			for range 5 {
				if err := s.Put(t.Context(), "same/key", bytes.NewReader(bodies[i])); err != nil {
					t.Errorf("Put: %v", err)
				}
			}
		})
	}
	group.Wait()
	got := get(t, s, "same/key")
	if got != strings.Repeat(got[:1], 100_000) {
		t.Errorf("two Puts were mixed")
	}
}

func putBesideDelete(t *testing.T, s objects.Store) {
	var group sync.WaitGroup
	for i := range 8 {
		key := fmt.Sprintf("folder/%d/k", i%2)
		group.Go(func() {
			for range 30 {
				if err := s.Put(t.Context(), key, strings.NewReader("x")); err != nil {
					t.Errorf("Put: %v", err)
				}
				if err := s.Delete(t.Context(), key); err != nil {
					t.Errorf("Delete: %v", err)
				}
			}
		})
	}
	group.Wait()
	if got := keys(t, s, ""); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}
