package shape_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

func TestTimes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0": "0", "1767225600": "1767225600", "1767225600.123": "1767225600.123", "1767225600.1": "1767225600.1", "-1.5": "-1.5",
		"1.7672256e9": "1767225600", "1767225600.12349": "1767225600.123", "253402300799": "253402300799", "-62135596800": "-62135596800",
	} {
		var got shape.Time
		if err := json.Unmarshal([]byte(in), &got); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if text, err := json.Marshal(got); err != nil || string(text) != want {
			t.Errorf("%s became %s (%v), want %s", in, text, err, want)
		}
		if again, err := shape.FromISO8601(got.ISO8601()); err != nil || !again.Equal(got.Time) {
			t.Errorf("%s: %s became %v (%v)", in, got.ISO8601(), again, err)
		}
	}
	for _, bad := range []string{`"2026-01-01T00:00:00Z"`, `true`, `{}`, `253402300800`, `-62135596801`, `1e300`, `-1e300`} {
		if err := json.Unmarshal([]byte(bad), new(shape.Time)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	for _, bad := range []string{"", "now", "2026-01-01", "1767225600"} {
		if v, err := shape.FromISO8601(bad); err == nil {
			t.Errorf("%s became %v", bad, v)
		}
	}
	paris := time.FixedZone("", 3600)
	if got := shape.At(time.Date(2026, 1, 1, 1, 0, 0, 999_999, paris)).ISO8601(); got != "2026-01-01T00:00:00.000Z" {
		t.Errorf("At gave %s", got)
	}
}

// Absent, null and zero times are three things for a member.
func TestAbsentTimes(t *testing.T) {
	t.Parallel()
	type s struct {
		When *shape.Time `json:"when,omitzero"`
	}
	for in, want := range map[string]string{`{}`: `{}`, `{"when":null}`: `{}`, `{"when":0}`: `{"when":0}`} {
		var v s
		if err := json.Unmarshal([]byte(in), &v); err != nil {
			t.Fatal(err)
		}
		if out, err := json.Marshal(v); err != nil || string(out) != want {
			t.Errorf("%s became %s (%v), want %s", in, out, err, want)
		}
	}
}

func FuzzTime(f *testing.F) {
	for _, s := range []string{"0", "-0", "1e3", "1767225600.001", "NaN", "Inf", "0x1p4", "1_0", "253402300799.9999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, number string) {
		v, err := shape.FromEpoch(number)
		if err != nil {
			return
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("%s: %v", number, err)
		}
		again, err := shape.FromEpoch(string(text))
		if err != nil || !again.Equal(v.Time) {
			t.Fatalf("%s became %s and then %v (%v)", number, text, again, err)
		}
	})
}

// Patterns that are not given to the automaton mean the same without it.
func TestShortcutsAreNoShortcuts(t *testing.T) {
	t.Parallel()
	for _, source := range []string{`[^\x00]+`, `[^\x00]*`} {
		short, long := &shape.Pattern{Source: source}, &shape.Pattern{Source: source + " ", Expr: source}
		for _, s := range []string{"", "a", "a\nb", "\x00", "a\x00", "\x00a", "a\x00b", "é\U0001f600", "\xff"} {
			if got, want := short.Match(s), long.Match(s); got != want {
				t.Errorf("%s on %q: %v, want %v", source, s, got, want)
			}
		}
	}
}

// A client can make values and map keys as long as it likes; messages stay
// short, and valid text.
func TestMessagesStayShort(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 100_000)
	text := shape.Text{Max: 10}
	err := shape.Check(func(c *shape.Checker) {
		c.Enter("tags")
		c.Text(long, long, &text)
	})
	var v *shape.Violation
	if !errors.As(err, &v) {
		t.Fatalf("no violation: %v", err)
	}
	for _, s := range []string{v.Path, v.Value, v.Error()} {
		if len(s) > 600 || !utf8.ValidString(s) {
			t.Errorf("%d bytes, valid %v: %.80q…", len(s), utf8.ValidString(s), s)
		}
	}
}

func TestTheFirstViolationCounts(t *testing.T) {
	t.Parallel()
	err := shape.Check(func(c *shape.Checker) {
		c.Need("a", true)
		c.Item("list", 2)
		c.Need("b", false)
		c.Leave()
		c.Need("c", false)
	})
	if got := fmt.Sprint(err); got != "list[2].b breaks the constraint required " {
		t.Errorf("got %q", got)
	}
	if err := shape.Check(func(*shape.Checker) {}); err != nil {
		t.Errorf("nothing checked, but %v", err)
	}
}
