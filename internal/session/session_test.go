package session_test

import (
	"encoding/base64"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/session"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func ticket() session.Ticket {
	return session.Ticket{
		Role: "arn:aws:iam::222222222222:role/deploy", Name: "run", Issued: noon, Expires: noon.Add(time.Hour), Policy: `{"Statement": []}`,
		PolicyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}, Tags: map[string]string{"team": "wéb"}, Transitive: []string{"team"}, Source: "alice",
	}
}

// rows opens a database; close closes it, as a process does that ends.
func rows(t testing.TB, file string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSessionsSurviveARestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rows.db")
	before := rows(t, file)
	c, err := session.New(before, nil).Seal(t.Context(), ticket(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	got, secret, ok, err := session.New(rows(t, file), nil).Open(t.Context(), c.AccessKeyID, c.Token)
	if err != nil || !ok || secret != c.Secret {
		t.Fatalf("after a restart: ok %v, error %v, same secret %v", ok, err, secret == c.Secret)
	}
	if diff := cmp.Diff(ticket(), got); diff != "" {
		t.Error(diff)
	}
	if len(c.AccessKeyID) != 20 || len(c.Secret) != 40 || !strings.HasPrefix(c.AccessKeyID, "ASIA") {
		t.Errorf("access key id %q, secret of %d characters", c.AccessKeyID, len(c.Secret))
	}
	if strings.Contains(c.Token, base64.StdEncoding.EncodeToString([]byte("deploy"))) || strings.Contains(c.Token, string(c.Secret)) {
		t.Error("the token can be read")
	}
}

// Another server's database has other keys; two servers on one database have
// the same.
func TestWhoCanOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shared := rows(t, filepath.Join(dir, "a.db"))
	one, two, other := session.New(shared, nil), session.New(shared, nil), session.New(rows(t, filepath.Join(dir, "b.db")), nil)
	var wait sync.WaitGroup
	made := make([]session.Credential, 8)
	for i := range made {
		wait.Go(func() {
			var err error
			if made[i], err = []*session.Sealer{one, two}[i%2].Seal(t.Context(), ticket(), 0); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if _, err := other.Seal(t.Context(), ticket(), 0); err != nil {
		t.Fatal(err)
	}
	for i, c := range made {
		for _, s := range []*session.Sealer{one, two} {
			if _, _, ok, err := s.Open(t.Context(), c.AccessKeyID, c.Token); !ok || err != nil {
				t.Errorf("token %d: %v, %v", i, ok, err)
			}
		}
		if _, _, ok, err := other.Open(t.Context(), c.AccessKeyID, c.Token); ok || err != nil {
			t.Errorf("token %d opened with another database's key: %v", i, err)
		}
	}
}

func TestTamperedTokensAreRefused(t *testing.T) {
	t.Parallel()
	s := session.New(rows(t, filepath.Join(t.TempDir(), "rows.db")), nil)
	c, err := s.Seal(t.Context(), ticket(), 0)
	if err != nil {
		t.Fatal(err)
	}
	another, err := s.Seal(t.Context(), ticket(), 0)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what, id, token string) {
		t.Helper()
		if _, _, ok, err := s.Open(t.Context(), id, token); ok || err != nil {
			t.Errorf("%s: ok %v, error %v", what, ok, err)
		}
	}
	raw, err := base64.URLEncoding.DecodeString(c.Token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for bit := range 8 {
			raw[i] ^= 1 << bit
			refused("a flipped bit", c.AccessKeyID, base64.URLEncoding.EncodeToString(raw))
			raw[i] ^= 1 << bit
		}
	}
	for n := range raw {
		refused("a part", c.AccessKeyID, base64.URLEncoding.EncodeToString(raw[:n]))
	}
	refused("another's token", c.AccessKeyID, another.Token)
	refused("another's key", another.AccessKeyID, c.Token)
	refused("nothing", c.AccessKeyID, "")
	refused("no base64", c.AccessKeyID, "*")
	refused("more", c.AccessKeyID, c.Token+"AAAA")
	refused("a line end", c.AccessKeyID, c.Token[:8]+"\n"+c.Token[8:])
	refused("a long-lived key", "AKIA"+c.AccessKeyID[4:], c.Token)
	refused("very much", c.AccessKeyID, strings.Repeat("A", 1<<20))
	if _, _, ok, err := s.Open(t.Context(), c.AccessKeyID, c.Token); !ok || err != nil {
		t.Errorf("the token itself: %v, %v", ok, err)
	}
}

// A new key takes over in time; what the old one sealed stays good until it
// ends, and then the old key goes.
func TestRotation(t *testing.T) {
	t.Parallel()
	now := noon
	rows := rows(t, filepath.Join(t.TempDir(), "rows.db"))
	clock := func() time.Time { return now }
	s := session.New(rows, clock)
	first, err := s.Seal(t.Context(), ticket(), 0)
	if err != nil {
		t.Fatal(err)
	}
	good := func(s *session.Sealer, c session.Credential) bool {
		t.Helper()
		_, _, ok, err := s.Open(t.Context(), c.AccessKeyID, c.Token)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	number := func(c session.Credential) string { return c.Token[:12] }
	now = now.Add(30*24*time.Hour - time.Minute)
	last, err := s.Seal(t.Context(), ticket(), 0)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Minute)
	second, err := s.Seal(t.Context(), ticket(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if number(last) != number(first) || number(second) == number(first) {
		t.Errorf("keys of the tokens: %s, %s, %s", number(first), number(last), number(second))
	}
	if fresh := session.New(rows, clock); !good(s, last) || !good(fresh, last) || !good(fresh, second) {
		t.Error("a token was not good after the rotation")
	}
	now = now.Add(31 * 24 * time.Hour)
	third, err := s.Seal(t.Context(), ticket(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if fresh := session.New(rows, clock); good(fresh, last) || !good(fresh, second) || !good(fresh, third) {
		t.Error("the first key is still there, or the second is not")
	}
}

// Tokens with made-up keys must not make the database work for each of them.
func TestUnknownKeysAreNotLookedForAgainAndAgain(t *testing.T) {
	t.Parallel()
	now := noon
	rows := rows(t, filepath.Join(t.TempDir(), "rows.db"))
	s := session.New(rows, func() time.Time { return now })
	made, err := session.New(rows, nil).Seal(t.Context(), ticket(), 0)
	if err != nil {
		t.Fatal(err)
	}
	unknown := base64.URLEncoding.EncodeToString(append([]byte{1, 0, 0, 0, 0, 0, 0, 0, 99}, make([]byte, 40)...))
	if _, _, ok, err := s.Open(t.Context(), made.AccessKeyID, unknown); ok || err != nil {
		t.Fatalf("%v, %v", ok, err)
	}
	if err := rows.Close(); err != nil { // whoever asks it now gets an error
		t.Fatal(err)
	}
	if _, _, ok, err := s.Open(t.Context(), made.AccessKeyID, unknown); ok || err != nil {
		t.Errorf("a second unknown key: %v, %v", ok, err)
	}
	if _, _, ok, err := s.Open(t.Context(), made.AccessKeyID, made.Token); !ok || err != nil {
		t.Errorf("a known key: %v, %v", ok, err)
	}
	now = now.Add(2 * time.Second)
	if _, _, _, err := s.Open(t.Context(), made.AccessKeyID, unknown); err == nil {
		t.Error("an unknown key was never looked for again")
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	s := session.New(rows(t, filepath.Join(t.TempDir(), "rows.db")), nil)
	for _, minimum := range []int{0, 100, 1000, 4096} {
		c, err := s.Seal(t.Context(), ticket(), minimum)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Token) < minimum {
			t.Errorf("a token of at least %d characters has %d", minimum, len(c.Token))
		}
		if _, _, ok, err := s.Open(t.Context(), c.AccessKeyID, c.Token); !ok || err != nil {
			t.Errorf("%d: %v, %v", minimum, ok, err)
		}
	}
	none, some, much := session.Ticket{Role: "r", Name: "n"}, ticket(), session.Ticket{Tags: map[string]string{}}
	for i := range 50 {
		much.Tags[strings.Repeat(string(rune('a'+i%26)), i+1)] = base64.StdEncoding.EncodeToString([]byte(noon.Add(time.Duration(i) * 123456789).String()))
	}
	for name, c := range map[string]struct {
		t        session.Ticket
		min, max int
	}{"none": {none, 0, 0}, "some": {some, 1, 10}, "much": {much, 11, 100}} {
		if got, err := c.t.PackedSize(); err != nil || got < c.min || got > c.max {
			t.Errorf("%s: %d %%, %v; want %d to %d", name, got, err, c.min, c.max)
		}
	}
}

// FuzzOpen reads anything as a token: nothing panics, nothing opens.
func FuzzOpen(f *testing.F) {
	s := session.New(rows(f, filepath.Join(f.TempDir(), "rows.db")), nil)
	c, err := s.Seal(f.Context(), ticket(), 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.AccessKeyID, c.Token[:40])
	f.Add("ASIA", base64.URLEncoding.EncodeToString(append([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1}, make([]byte, 60)...)))
	f.Fuzz(func(t *testing.T, id, token string) {
		_, _, ok, err := s.Open(t.Context(), id, token)
		if err != nil || ok {
			t.Errorf("%q %q: %v, %v", id, token, ok, err)
		}
	})
}
