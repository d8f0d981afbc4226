package fastlaunch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func open(t *testing.T) *Store {
	t.Helper()
	return &Store{Dir: t.TempDir(), Volume: func(_ context.Context, snapshot, file string) error {
		return os.WriteFile(file, []byte(snapshot), 0o600)
	}}
}

func TestCopies(t *testing.T) {
	t.Parallel()
	s := open(t)
	const one, two = "sha256:aa", "sha256:bb"
	for _, wanted := range []int{2, 2, 100} { // again, and bounded
		if err := s.Prepare(t.Context(), one, wanted); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Prepare(t.Context(), two, 1); err != nil {
		t.Fatal(err)
	}
	if got := s.Count(one); got != Most {
		t.Errorf("%d copies, want %d", got, Most)
	}
	// Each of many who take at once gets one of its own, and no one else's.
	var all sync.WaitGroup
	var mu sync.Mutex
	taken := 0
	for i := range 2 * Most {
		all.Go(func() {
			to := filepath.Join(s.Dir, "taken-"+string(rune('a'+i)))
			ok, err := s.Take(one, to)
			if err != nil {
				t.Error(err)
			}
			if !ok {
				return
			}
			if b, err := os.ReadFile(to); err != nil || string(b) != one {
				t.Errorf("%q, %v", b, err)
			}
			mu.Lock()
			taken++
			mu.Unlock()
		})
	}
	all.Wait()
	if taken != Most {
		t.Errorf("%d were taken of %d", taken, Most)
	}
	if err := s.Prepare(t.Context(), one, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Keep([]string{two}); err != nil {
		t.Fatal(err)
	}
	if s.Count(one) != 0 || s.Count(two) != 1 {
		t.Errorf("%d and %d copies are left", s.Count(one), s.Count(two))
	}
	if err := s.Forget(two); err != nil || s.Count(two) != 0 {
		t.Errorf("%d copies, %v", s.Count(two), err)
	}
}

func TestCopiesThatFail(t *testing.T) {
	t.Parallel()
	s := open(t)
	broken := errors.New("the blocks are gone")
	s.Volume = func(_ context.Context, _, file string) error {
		return errors.Join(os.WriteFile(file, []byte("half"), 0o600), broken)
	}
	if err := s.Prepare(t.Context(), "sha256:aa", 1); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if entries, _ := os.ReadDir(filepath.Join(s.Dir, "sha256-aa")); len(entries) != 0 || s.Count("sha256:aa") != 0 {
		t.Errorf("half a copy is left: %v", entries)
	}
	s = open(t)
	s.Spare = 1 << 60
	if err := s.Prepare(t.Context(), "sha256:aa", 1); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("on a full disk: %v", err)
	}
	for _, name := range []string{"", "..", "../../etc", "a/b", ".hidden"} {
		if err := s.Prepare(t.Context(), name, 1); err == nil {
			t.Errorf("%q was taken for a snapshot", name)
		}
		if err := s.Forget(name); err == nil {
			t.Errorf("%q was forgotten", name)
		}
	}
}
