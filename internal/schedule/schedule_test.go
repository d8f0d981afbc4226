package schedule_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/schedule"
)

const layout = "2006-01-02 15:04 MST"

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// upcoming gives the next n times after a local time.
func upcoming(t *testing.T, expression, after, location string, n int) []string {
	t.Helper()
	s, err := schedule.Parse(expression)
	if err != nil {
		t.Fatalf("Parse(%q): %v", expression, err)
	}
	loc := zone(t, location)
	at, err := time.ParseInLocation("2006-01-02 15:04", after, loc)
	if err != nil {
		t.Fatal(err)
	}
	anchor := at
	var all []string
	for range n {
		next, ok := s.Next(anchor, at, loc)
		if !ok {
			return append(all, "never")
		}
		if !next.After(at) {
			t.Fatalf("%s: the next time after %s is %s", expression, at, next)
		}
		all = append(all, next.In(loc).Format(layout))
		at = next
	}
	return all
}

func TestNext(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		expression, after, zone string
		want                    []string
	}{
		{"cron(0 10 * * ? *)", "2026-01-01 10:00", "UTC", []string{"2026-01-02 10:00 UTC", "2026-01-03 10:00 UTC"}},
		{"0 10 * * ? *", "2026-01-01 09:59", "UTC", []string{"2026-01-01 10:00 UTC"}},
		{"cron(15 12 * * ? *)", "2026-01-01 00:00", "UTC", []string{"2026-01-01 12:15 UTC"}},
		{"cron(0 18 ? * MON-FRI *)", "2026-01-02 19:00", "UTC", []string{"2026-01-05 18:00 UTC", "2026-01-06 18:00 UTC"}},
		{"cron(0 8 1 * ? *)", "2026-01-01 08:00", "UTC", []string{"2026-02-01 08:00 UTC", "2026-03-01 08:00 UTC"}},
		{"cron(0/10 * ? * mon-fri *)", "2026-01-02 23:45", "UTC", []string{"2026-01-02 23:50 UTC", "2026-01-05 00:00 UTC"}},
		{"cron(0/5 8-17 ? * MON-FRI *)", "2026-01-02 17:55", "UTC", []string{"2026-01-05 08:00 UTC", "2026-01-05 08:05 UTC"}},
		{"cron(0 0 * * SUN *)", "2026-01-01 00:00", "UTC", []string{"2026-01-04 00:00 UTC"}},
		{"cron(0 0 * * 1 *)", "2026-01-01 00:00", "UTC", []string{"2026-01-04 00:00 UTC"}},
		{"cron(0 9 ? * 2#1 *)", "2026-01-01 00:00", "UTC", []string{"2026-01-05 09:00 UTC", "2026-02-02 09:00 UTC"}},
		{"cron(0 9 ? * fri#5 *)", "2026-01-01 00:00", "UTC", []string{"2026-01-30 09:00 UTC", "2026-05-29 09:00 UTC"}},
		{"cron(0 9 ? * 6L *)", "2026-01-01 00:00", "UTC", []string{"2026-01-30 09:00 UTC", "2026-02-27 09:00 UTC"}},
		{"cron(0 9 ? * L *)", "2026-01-01 00:00", "UTC", []string{"2026-01-03 09:00 UTC"}},
		{"cron(0 9 L * ? *)", "2026-02-01 00:00", "UTC", []string{"2026-02-28 09:00 UTC", "2026-03-31 09:00 UTC"}},
		{"cron(0 9 29 2 ? *)", "2026-01-01 00:00", "UTC", []string{"2028-02-29 09:00 UTC", "2032-02-29 09:00 UTC"}},
		{"cron(0 9 1W * ? *)", "2026-07-15 00:00", "UTC", []string{"2026-08-03 09:00 UTC", "2026-09-01 09:00 UTC"}}, // August 1st is a Saturday
		{"cron(0 9 31W 5 ? *)", "2026-01-01 00:00", "UTC", []string{"2026-05-29 09:00 UTC"}},                        // May 31st is a Sunday
		{"cron(0 9 15W 8 ? 2026)", "2026-01-01 00:00", "UTC", []string{"2026-08-14 09:00 UTC", "never"}},
		{"cron(0 22-2 ? * * *)", "2026-01-01 00:30", "UTC", []string{"2026-01-01 01:00 UTC", "2026-01-01 02:00 UTC", "2026-01-01 22:00 UTC"}},
		{"cron(0 0 ? * FRI-MON *)", "2026-01-06 00:00", "UTC", []string{"2026-01-09 00:00 UTC", "2026-01-10 00:00 UTC", "2026-01-11 00:00 UTC", "2026-01-12 00:00 UTC", "2026-01-16 00:00 UTC"}},
		{"cron(30 6 1,15 jan,Jul ? 2026-2027)", "2026-07-15 06:30", "UTC", []string{"2027-01-01 06:30 UTC", "2027-01-15 06:30 UTC", "2027-07-01 06:30 UTC", "2027-07-15 06:30 UTC", "never"}},
		{"cron(0 0 1 1 ? 2199)", "2026-01-01 00:00", "UTC", []string{"2199-01-01 00:00 UTC", "never"}},
		{"cron(0 0 30 2 ? *)", "2026-01-01 00:00", "UTC", []string{"never"}},
		{"cron(0 0 1 1 ? 1970/100)", "2026-01-01 00:00", "UTC", []string{"2070-01-01 00:00 UTC", "2170-01-01 00:00 UTC", "never"}},

		// Daylight saving: a time that is left out is skipped, one that comes
		// twice counts once.
		{"cron(30 2 * * ? *)", "2026-03-07 12:00", "America/New_York", []string{"2026-03-09 02:30 EDT"}},
		{"cron(30 2 * * ? *)", "2026-03-28 12:00", "Europe/Berlin", []string{"2026-03-30 02:30 CEST"}},
		{"cron(30 1 * * ? *)", "2026-11-01 00:00", "America/New_York", []string{"2026-11-01 01:30 EDT", "2026-11-02 01:30 EST"}},
		{"cron(30 2 * * ? *)", "2026-10-25 00:00", "Europe/Berlin", []string{"2026-10-25 02:30 CEST", "2026-10-26 02:30 CET"}},
		{"cron(45 1 * * ? *)", "2026-04-05 00:00", "Australia/Lord_Howe", []string{"2026-04-05 01:45 +11", "2026-04-06 01:45 +1030"}},
		{"cron(30 0 * * ? *)", "2026-09-05 12:00", "America/Santiago", []string{"2026-09-07 00:30 -03"}},                          // midnight itself is left out
		{"cron(0 12 * * ? *)", "2011-12-29 13:00", "Pacific/Apia", []string{"2011-12-31 12:00 +14"}},                              // a whole day is left out
		{"cron(30 21 * * ? *)", "2022-03-12 12:00", "Antarctica/Casey", []string{"2022-03-12 21:30 +11", "2022-03-13 21:30 +08"}}, // three hours come twice
		{"cron(0 9 * * ? *)", "2026-03-07 12:00", "America/New_York", []string{"2026-03-08 09:00 EDT"}},

		{"rate(1 minute)", "2026-01-01 00:00", "UTC", []string{"2026-01-01 00:01 UTC", "2026-01-01 00:02 UTC"}},
		{"rate(5 hours)", "2026-01-01 00:00", "UTC", []string{"2026-01-01 05:00 UTC", "2026-01-01 10:00 UTC"}},
		{"rate(1 day)", "2026-01-01 00:00", "UTC", []string{"2026-01-02 00:00 UTC"}},
	} {
		got := upcoming(t, test.expression, test.after, test.zone, len(test.want))
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s after %s %s (-want +got):\n%s", test.expression, test.after, test.zone, diff)
		}
	}
}

func TestRateKeepsItsPhase(t *testing.T) {
	t.Parallel()
	s, err := schedule.Parse("rate(7 days)")
	if err != nil {
		t.Fatal(err)
	}
	anchor := time.Date(2026, 1, 1, 3, 4, 5, 0, time.UTC)
	for now, want := range map[time.Time]time.Time{
		anchor.Add(-time.Hour):           anchor.AddDate(0, 0, 7),
		anchor:                           anchor.AddDate(0, 0, 7),
		anchor.AddDate(0, 0, 7):          anchor.AddDate(0, 0, 14),
		anchor.AddDate(0, 0, 7).Add(-1):  anchor.AddDate(0, 0, 7),
		anchor.AddDate(0, 0, 700).Add(1): anchor.AddDate(0, 0, 707),
	} {
		if got, ok := s.Next(anchor, now, time.UTC); !ok || !got.Equal(want) {
			t.Errorf("Next(%s) = %s, want %s", now, got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{
		"", "cron()", "cron(", "cron(* * * * *)", "cron(0 0 * * ? * *)", "cron(0 8 1 * ? **)", "cron( 0 10 * * ? *)", "cron(0  10 * * ? *)", "cron(0 10 * * ? * )", " cron(0 10 * * ? *)",
		"cron(60 0 * * ? *)", "cron(0 24 * * ? *)", "cron(0 0 0 * ? *)", "cron(0 0 32 * ? *)", "cron(0 0 ? 13 * *)", "cron(0 0 ? * 8 *)", "cron(0 0 ? * 0 *)", "cron(0 0 * * ? 1969)", "cron(0 0 * * ? 2200)",
		"cron(0 0 ? * ? *)", "cron(0 0 1 * MON *)", "cron(0 0 L * 2L *)", "cron(? 0 * * ? *)", "cron(0 0 * ? ? *)", "cron(0 0 * * ? ?)",
		"cron(0 0 ? * 2#6 *)", "cron(0 0 ? * 2#0 *)", "cron(0 0 ? * 2# *)", "cron(0 0 ? * #1 *)", "cron(0 0 ? * 2#11 *)", "cron(0 0 ? * MON/2 *)", "cron(0 0 W * ? *)", "cron(0 0 32W * ? *)", "cron(0 0 10-5 * ? *)", "cron(0 0 1-5W * ? *)",
		"cron(*/0 0 * * ? *)", "cron(*/61 0 * * ? *)", "cron(1/ 0 * * ? *)", "cron(/5 0 * * ? *)", "cron(1- 0 * * ? *)", "cron(-1 0 * * ? *)", "cron(1,,2 0 * * ? *)", "cron(+1 0 * * ? *)", "cron(00001 0 * * ? *)", "cron(1-2-3 0 * * ? *)", "cron(0 0 * * ? 2027-2026)",
		"cron(0 0 * FOO ? *)", "cron(0 0 ? * MONDAY *)", "CRON(0 10 * * ? *)", "cron(0\t10 * * ? *)",
		"rate()", "rate(0 days)", "rate(1 hours)", "rate(5 hour)", "rate(5 seconds)", "rate(-1 days)", "rate(1.5 days)", "rate(5  days)", "rate(5 days ", "rate(05 days)", "rate(999999999 days)", "rate(99999999999999999999 days)", "at(2026-01-01T00:00:00)",
	} {
		if s, err := schedule.Parse(expression); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", expression, s)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"cron(0 10 * * ? *)", "cron(0/15 8-17 ? * MON-FRI *)", "cron(0 9 31W 5,JUN ? 2026/2)", "cron(0 9 ? * fri#2 *)", "cron(0 9 ? * 6L *)", "rate(5 hours)", "rate(1 day)"} {
		f.Add(seed, int64(1_700_000_000))
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, expression string, unix int64) {
		s, err := schedule.Parse(expression)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("the error is %d bytes long", len(err.Error()))
			}
			return
		}
		if s.String() != expression {
			t.Errorf("String() = %q", s.String())
		}
		now := time.Unix(unix%(1<<33), 0)
		anchor := now.Add(-time.Hour)
		first, ok := s.Next(anchor, now, berlin)
		if !ok {
			return
		}
		if !first.After(now) {
			t.Fatalf("Next(%s) = %s", now, first)
		}
		// Nothing lies between: asking from anywhere before gives the same.
		between := now.Add(first.Sub(now) / 2)
		if again, ok := s.Next(anchor, between, berlin); !ok || !again.Equal(first) {
			t.Errorf("after %s comes %s, but after %s %s", now, first, between, again)
		}
		if first.Second() != 0 && !strings.HasPrefix(expression, "rate") {
			t.Errorf("a cron expression is due at %s", first)
		}
	})
}
