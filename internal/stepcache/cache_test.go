package stepcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/objects"
	"github.com/goldsmith-build/goldsmith/toe/action"
)

func key(n int) string { return fmt.Sprintf("%064x", n) }

// state is one whose chain has the keys, each with its number in bytes.
func state(keys ...int) State {
	s := State{Version: version, Snapshot: fmt.Sprintf("disk-%v", keys), Image: "arn:image", Made: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
	for _, k := range keys {
		s.Chain = append(s.Chain, Link{Key: key(k), Component: fmt.Sprintf("arn:c%d", k), Bytes: int64(k), Fetched: []action.Fetch{{Action: "WebDownload", Source: "https://files.example", SHA256: "aa"}}})
	}
	return s
}

// open gives a cache in a folder; put keeps a state that was used n minutes ago.
func open(t *testing.T, limit int64) (c *Cache, dir string, put func(minutes int, s State)) {
	t.Helper()
	dir = t.TempDir()
	store, err := objects.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	c = New(store, limit)
	return c, dir, func(minutes int, s State) {
		t.Helper()
		if err := c.Put(t.Context(), s, []byte("log")); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-time.Duration(minutes) * time.Minute)
		if err := os.Chtimes(filepath.Join(dir, "steps", s.Key()), at, at); err != nil {
			t.Fatal(err)
		}
	}
}

func (c *Cache) has(t *testing.T, n int) bool {
	t.Helper()
	_, ok, err := c.Get(t.Context(), key(n))
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestWhatIsPutIsThere(t *testing.T) {
	t.Parallel()
	c, _, _ := open(t, 100)
	want := state(1, 2)
	if err := c.Put(t.Context(), want, []byte(strings.Repeat("x", MaxLog)+"the end")); err != nil {
		t.Fatal(err)
	}
	got, ok, err := c.Get(t.Context(), key(2))
	if diff := cmp.Diff(want, got); diff != "" || !ok || err != nil {
		t.Errorf("%v, %v (-want +got):\n%s", ok, err, diff)
	}
	if log, err := c.Log(t.Context(), key(2)); err != nil || len(log) != MaxLog || !strings.HasSuffix(string(log), "xthe end") {
		t.Errorf("a log of %d bytes, %v", len(log), err)
	}
	if log, err := c.Log(t.Context(), key(3)); err != nil || len(log) != 0 {
		t.Errorf("the log of nothing: %q, %v", log, err)
	}
	if all, err := c.Snapshots(t.Context()); err != nil || len(all) != 1 || all[0] != want.Snapshot {
		t.Errorf("snapshots %v, %v", all, err)
	}
	if err := c.Drop(t.Context(), key(2)); err != nil || c.has(t, 2) {
		t.Errorf("dropped: %v", err)
	}
	if c.has(t, 1) {
		t.Error("a link is a state")
	}
	for _, bad := range []string{"", "../" + key(1), strings.ToUpper(key(0xabc)), key(1) + "0"} {
		if _, ok, err := c.Get(t.Context(), bad); ok || err != nil {
			t.Errorf("the key %q: %v, %v", bad, ok, err)
		}
	}
	wrong := state(1)
	wrong.Chain[0].Bytes = -1
	if err := c.Put(t.Context(), wrong, nil); err == nil {
		t.Error("a state of less than nothing was kept")
	}
	off := New(c.objects, 0)
	if off.Enabled() || off.has(t, 1) || (*Cache)(nil).Enabled() {
		t.Error("a cache without room finds something")
	}
}

func TestTrimForgetsWhatWasUsedLeastRecently(t *testing.T) {
	t.Parallel()
	c, dir, put := open(t, 40)
	put(50, state(10))
	put(40, state(10, 5))
	put(30, state(10, 5, 3)) // these three hold 18 bytes, whose parts count once
	put(20, state(20))       // 38
	put(60, state(1))        // fits, and is older than what does not
	put(55, state(4))
	trimmed, err := c.Trim(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Trimmed{States: 2, Kept: 4, Bytes: 38}, trimmed); diff != "" {
		t.Errorf("trimmed (-want +got):\n%s", diff)
	}
	for n, want := range map[int]bool{10: true, 5: true, 3: true, 20: true, 1: false, 4: false} {
		if c.has(t, n) != want {
			t.Errorf("the state %d is there: %v", n, !want)
		}
	}
	// A state holds its whole chain, also when those before it are gone.
	put(5, state(30))
	if err := c.Used(t.Context(), state(10)); err != nil {
		t.Fatal(err)
	}
	if trimmed, err = c.Trim(t.Context()); err != nil || trimmed.Bytes != 40 {
		t.Errorf("trimmed %+v, %v", trimmed, err)
	}
	if !c.has(t, 10) || !c.has(t, 30) || c.has(t, 20) || c.has(t, 5) || c.has(t, 3) {
		t.Error("not those that were used last stayed")
	}
	if logs, _ := os.ReadDir(filepath.Join(dir, "steplogs")); len(logs) != 2 {
		t.Errorf("%d logs are left", len(logs))
	}
	// What a process that died left.
	for name, content := range map[string]string{"steps/" + key(7): `{"version":1,"snapshot":"x`, "steps/" + key(8): `{}`, "steps/readme": "?", "steplogs/" + key(9): "old"} {
		if err := c.objects.Put(t.Context(), name, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	if c.has(t, 7) || c.has(t, 8) {
		t.Error("half an entry was read")
	}
	if all, err := c.Snapshots(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("snapshots %v, %v", all, err)
	}
	c.now = func() time.Time { return time.Now().Add(2 * logGrace) }
	if trimmed, err = c.Trim(t.Context()); err != nil || trimmed.States != 3 || trimmed.Kept != 2 {
		t.Errorf("trimmed %+v, %v", trimmed, err)
	}
	if logs, _ := os.ReadDir(filepath.Join(dir, "steplogs")); len(logs) != 2 {
		t.Errorf("%d logs are left", len(logs))
	}
}

// plain hides what only some stores can.
type plain struct{ objects.Store }

// failing is a store that does not answer.
type failing struct{ objects.Store }

var errDown = errors.New("the store is down")

func (failing) Get(context.Context, string) (io.ReadCloser, error) { return nil, errDown }
func (failing) Put(context.Context, string, io.Reader) error       { return errDown }

func TestStoresThatCanLess(t *testing.T) {
	t.Parallel()
	c, _, put := open(t, 40)
	put(90, state(1))
	put(10, state(40))
	slow := New(plain{c.objects}, 40)
	if err := slow.Used(t.Context(), state(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Trim(t.Context()); err != nil || !c.has(t, 1) || c.has(t, 40) {
		t.Errorf("a use was not noted: %v", err)
	}
	down := New(failing{c.objects}, 40)
	if _, _, err := down.Get(t.Context(), key(1)); !errors.Is(err, errDown) {
		t.Errorf("Get: %v", err)
	}
	if err := down.Put(t.Context(), state(2), nil); !errors.Is(err, errDown) {
		t.Errorf("Put: %v", err)
	}
	if _, err := down.Snapshots(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("a store that does not answer needs no snapshots: %v", err)
	}
	if _, err := down.Trim(t.Context()); !errors.Is(err, errDown) || !c.has(t, 1) {
		t.Errorf("Trim: %v", err)
	}
}

// TestBesideEachOther: two builds and a collection at once see whole entries or
// none.
func TestBesideEachOther(t *testing.T) {
	t.Parallel()
	c, _, _ := open(t, 3)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 100 {
				s := state(1, 2+(worker+i)%4)
				if err := c.Put(t.Context(), s, []byte("log")); err != nil {
					t.Error(err)
				}
				got, ok, err := c.Get(t.Context(), s.Key())
				if err != nil || ok && got.Snapshot != s.Snapshot {
					t.Errorf("%v, %v, %v", got, ok, err)
				}
				if i%10 == 0 {
					if _, err := c.Trim(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	if trimmed, err := c.Trim(t.Context()); err != nil || trimmed.Bytes > 3 {
		t.Errorf("%+v, %v", trimmed, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version":1,"snapshot":"s","chain":[{"key":"` + key(1) + `","bytes":3}]}`))
	f.Add([]byte(`{"version":1,"chain":[]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decode(key(1), data)
		if err == nil && (s.Key() != key(1) || s.Snapshot == "" || s.Version != version) {
			t.Errorf("%q was taken as %+v", data, s)
		}
	})
}
