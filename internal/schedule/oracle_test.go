package schedule_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/schedule"
)

// moment is a minute of a clock on the wall.
type moment struct {
	minute, hour, day, month, weekday, year int // weekday: 1 is Sunday
	length                                  int // of the month
}

func momentOf(local time.Time) moment {
	year, month, day := local.Date()
	return moment{local.Minute(), local.Hour(), day, int(month), int(local.Weekday()) + 1, year, time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()}
}

// expression is a cron expression together with what it means, which the oracle
// knows from its making: it reads none.
type expression struct {
	text  string
	means func(moment) bool
}

// item is one of the things that stand in a field, between commas.
type item struct {
	text string
	has  func(n int, at moment) bool
}

// maker makes expressions by chance.
type maker struct{ *rand.Rand }

// between gives a number from low to high.
func (m maker) between(low, high int) int { return low + m.IntN(high-low+1) }

// numeric makes an item of a field of numbers.
func (m maker) numeric(low, high int, wraps, steps bool, name func(int) string) item {
	size := high - low + 1
	a, b := m.between(low, high), m.between(low, high)
	if a > b && !wraps {
		a, b = b, a
	}
	inside := func(n int) bool {
		if a <= b {
			return n >= a && n <= b
		}
		return n >= a || n <= b
	}
	k := m.between(1, size)
	switch m.IntN(6) {
	case 0:
		return item{"*", func(int, moment) bool { return true }}
	case 1:
		return item{name(a) + "-" + name(b), func(n int, _ moment) bool { return inside(n) }}
	case 2:
		if steps {
			return item{fmt.Sprintf("*/%d", k), func(n int, _ moment) bool { return (n-low)%k == 0 }}
		}
	case 3:
		if steps {
			return item{fmt.Sprintf("%s/%d", name(a), k), func(n int, _ moment) bool { return n >= a && (n-a)%k == 0 }}
		}
	case 4:
		if steps {
			return item{fmt.Sprintf("%s-%s/%d", name(a), name(b), k), func(n int, _ moment) bool { return inside(n) && (n-a+size)%size%k == 0 }}
		}
	}
	return item{name(a), func(n int, _ moment) bool { return n == a }}
}

// field makes a field of one to three items.
func (m maker) field(one func() item) item {
	var texts []string
	var all []item
	for range m.between(1, 3) {
		i := one()
		texts, all = append(texts, i.text), append(all, i)
	}
	return item{strings.Join(texts, ","), func(n int, at moment) bool {
		return slices.ContainsFunc(all, func(i item) bool { return i.has(n, at) })
	}}
}

func (m maker) dayOfMonth() item {
	n := m.between(1, 31)
	switch m.IntN(5) {
	case 0:
		return item{"L", func(day int, at moment) bool { return day == at.length }}
	case 1:
		return item{fmt.Sprintf("%dW", n), func(day int, at moment) bool { return day == nearest(n, at) }}
	}
	return m.numeric(1, 31, false, true, strconv.Itoa)
}

// nearest is the day of Monday to Friday that is nearest to the day n of a
// month, 0 if the month has no such day.
func nearest(n int, at moment) int {
	if n > at.length {
		return 0
	}
	for _, off := range []int{0, -1, 1, -2, 2} {
		day := n + off
		weekday := time.Date(at.year, time.Month(at.month), day, 0, 0, 0, 0, time.UTC).Weekday()
		if day >= 1 && day <= at.length && weekday != time.Saturday && weekday != time.Sunday {
			return day
		}
	}
	return 0
}

var weekdays = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}

func (m maker) dayOfWeek() item {
	name := func(n int) string {
		if m.IntN(2) == 0 {
			return weekdays[n-1]
		}
		return strconv.Itoa(n)
	}
	n, nth := m.between(1, 7), m.between(1, 5)
	switch m.IntN(5) {
	case 0:
		return item{"L", func(weekday int, _ moment) bool { return weekday == 7 }}
	case 1:
		return item{name(n) + "L", func(weekday int, at moment) bool { return weekday == n && at.day+7 > at.length }}
	case 2:
		return item{fmt.Sprintf("%s#%d", name(n), nth), func(weekday int, at moment) bool {
			before := 0 // days of the same weekday, this one included
			for day := at.day; day >= 1; day -= 7 {
				before++
			}
			return weekday == n && before == nth
		}}
	}
	return m.numeric(1, 7, true, false, name)
}

func (m maker) expression(year int) expression {
	plain := strconv.Itoa
	month := func(n int) string {
		if m.IntN(2) == 0 {
			return strings.ToUpper(time.Month(n).String()[:3])
		}
		return plain(n)
	}
	minute := m.field(func() item { return m.numeric(0, 59, true, true, plain) })
	hour := m.field(func() item { return m.numeric(0, 23, true, true, plain) })
	months := m.field(func() item { return m.numeric(1, 12, true, true, month) })
	if m.IntN(2) == 0 {
		months = item{"*", func(int, moment) bool { return true }}
	}
	years := item{"*", func(int, moment) bool { return true }}
	if m.IntN(4) == 0 {
		years = item{fmt.Sprintf("%d-%d", year, year+m.IntN(3)), nil}
		first, last, _ := strings.Cut(years.text, "-")
		years.has = func(n int, _ moment) bool { return plain(n) >= first && plain(n) <= last } // of four digits
	}
	var days func(moment) bool
	ofMonth, ofWeek := "?", "?"
	if m.IntN(2) == 0 {
		f := m.field(m.dayOfMonth)
		ofMonth, days = f.text, func(at moment) bool { return f.has(at.day, at) }
	} else {
		f := m.field(m.dayOfWeek)
		ofWeek, days = f.text, func(at moment) bool { return f.has(at.weekday, at) }
	}
	return expression{
		text: fmt.Sprintf("cron(%s %s %s %s %s %s)", minute.text, hour.text, ofMonth, months.text, ofWeek, years.text),
		means: func(at moment) bool {
			return minute.has(at.minute, at) && hour.has(at.hour, at) && months.has(at.month, at) && years.has(at.year, at) && days(at)
		},
	}
}

// zones are those with something to them: daylight saving in both hemispheres,
// offsets of half and quarter hours, daylight saving of 30 minutes and of two
// hours, at midnight, suspended for Ramadan; days that were left out; offsets
// that a decree moved by up to three hours.
var zones = []string{
	"UTC", "Europe/Berlin", "Europe/London", "Europe/Dublin", "America/New_York", "America/Los_Angeles", "America/St_Johns", "America/Sao_Paulo", "America/Santiago",
	"America/Havana", "America/Caracas", "America/Asuncion", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tehran", "Asia/Pyongyang", "Asia/Beirut", "Asia/Gaza", "Asia/Amman",
	"Africa/Casablanca", "Africa/Cairo", "Australia/Lord_Howe", "Australia/Sydney", "Australia/Eucla", "Antarctica/Casey", "Antarctica/Troll", "Antarctica/Davis",
	"Pacific/Apia", "Pacific/Kwajalein", "Pacific/Kiritimati", "Pacific/Chatham", "Pacific/Fakaofo", "Europe/Moscow", "Europe/Volgograd", "Asia/Vladivostok", "America/Scoresbysund",
}

// transitions gives the days at or before whose beginning a zone's clocks were
// changed, from 1970 to 2040.
func transitions(zone *time.Location) (all []time.Time) {
	_, before := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC).In(zone).Zone()
	for day := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2040; day = day.AddDate(0, 0, 1) {
		if _, offset := day.In(zone).Zone(); offset != before {
			all, before = append(all, day), offset
		}
	}
	return all
}

// windows is how many stretches of time are walked through, minute by minute;
// GOLDSMITH_WINDOWS of the environment goes before it.
func windows(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("GOLDSMITH_WINDOWS"))
	if err != nil {
		return 40
	}
	t.Logf("%d windows", n)
	return n
}

// TestNextAgainstTheOracle walks through stretches of time minute by minute,
// looks at each what the clock on the wall says, and compares the minutes that an
// expression means with those that Next gives. A time that the clock shows twice
// counts once.
func TestNextAgainstTheOracle(t *testing.T) {
	t.Parallel()
	const length, perWindow = 20 * 24 * 60, 25 // minutes; expressions
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	m := maker{rand.New(rand.NewPCG(seed, 0))}
	for range windows(t) {
		loc := zone(t, zones[m.IntN(len(zones))])
		begin := time.Date(m.between(1973, 2037), time.Month(m.between(1, 12)), m.between(1, 28), m.IntN(24), 0, 0, 0, time.UTC)
		if changes := transitions(loc); len(changes) > 0 && m.IntN(5) > 0 {
			begin = changes[m.IntN(len(changes))].Add(-time.Duration(m.IntN(length)) * time.Minute).Truncate(time.Hour)
		}
		if _, offset := begin.In(loc).Zone(); offset%60 != 0 || begin.Year() < 1973 {
			continue // Liberia until 1972
		}
		walk := make([]moment, length)
		once := make([]bool, length) // the clock has not shown it before
		highest := time.Time{}       // that the clock has shown
		for i := -6 * 60; i < length; i++ {
			local := begin.Add(time.Duration(i) * time.Minute).In(loc)
			_, offset := local.Zone()
			face := local.Add(time.Duration(offset) * time.Second).UTC()
			if i >= 0 {
				walk[i], once[i] = momentOf(local), face.After(highest)
			}
			if face.After(highest) {
				highest = face
			}
		}
		for range perWindow {
			compare(t, m.expression(begin.In(loc).Year()), loc, begin, walk, once)
		}
	}
}

func compare(t *testing.T, e expression, loc *time.Location, begin time.Time, walk []moment, once []bool) {
	t.Helper()
	s, err := schedule.Parse(e.text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", e.text, err)
	}
	end := begin.Add(time.Duration(len(walk)) * time.Minute)
	now := begin.Add(-time.Second)
	const most = 200 // of one that means every minute, this is enough
	for i, n := 0, 0; i < len(walk) && n < most; i++ {
		if !once[i] || !e.means(walk[i]) {
			continue
		}
		n++
		want := begin.Add(time.Duration(i) * time.Minute)
		got, ok := s.Next(begin, now, loc)
		if !ok || !got.Equal(want) {
			t.Fatalf("%s in %s: after %s comes %s (%t), want %s", e.text, loc, now.In(loc), got.In(loc), ok, want.In(loc))
		}
		if now = got; n == most {
			return
		}
	}
	if got, ok := s.Next(begin, now, loc); ok && got.Before(end) {
		t.Fatalf("%s in %s: after %s comes %s, want nothing before %s", e.text, loc, now.In(loc), got.In(loc), end.In(loc))
	}
}

// TestRatesAgainstTheOracle adds the period to the anchor until it is past now.
func TestRatesAgainstTheOracle(t *testing.T) {
	t.Parallel()
	m := maker{rand.New(rand.NewPCG(1, 2))}
	for range 300 {
		n, unit := m.between(2, 400), []string{"minutes", "hours", "days"}[m.IntN(3)]
		s, err := schedule.Parse(fmt.Sprintf("rate(%d %s)", n, unit))
		if err != nil {
			t.Fatal(err)
		}
		period := time.Duration(n) * map[string]time.Duration{"minutes": time.Minute, "hours": time.Hour, "days": 24 * time.Hour}[unit]
		anchor := time.Date(m.between(1970, 2040), time.Month(m.between(1, 12)), m.between(1, 28), m.IntN(24), m.IntN(60), m.IntN(60), 0, time.UTC)
		now := anchor.Add(time.Duration(m.Int64N(int64(50*period))) - 2*period)
		want := anchor.Add(period)
		for !want.After(now) {
			want = want.Add(period)
		}
		if got, ok := s.Next(anchor, now, zone(t, zones[m.IntN(len(zones))])); !ok || !got.Equal(want) {
			t.Errorf("%s from %s: after %s comes %s, want %s", s, anchor, now, got, want)
		}
	}
}
