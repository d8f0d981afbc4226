package schedule

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time zones are the same on machines that have no database of them

	"github.com/goldsmith-build/goldsmith/internal/fault"
)

// Schedule is an expression that was understood.
type Schedule struct {
	text   string
	period time.Duration // of a rate; 0 for a cron expression
	cron   cron
}

// String gives the expression as it was written.
func (s *Schedule) String() string { return s.text }

// Parse reads "cron(Minutes Hours DayOfMonth Month DayOfWeek Year)", the same
// without "cron(" and ")", or "rate(N unit)" (Image Builder User Guide, "Use
// cron expressions").
func Parse(expression string) (*Schedule, error) {
	s := &Schedule{text: expression}
	var err error
	switch inner, ok := unwrap(expression, "rate"); {
	case ok:
		s.period, err = parseRate(inner)
	default:
		if inner, ok = unwrap(expression, "cron"); !ok {
			inner = expression
		}
		s.cron, err = parseCron(inner)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func unwrap(expression, function string) (inner string, ok bool) {
	inner, ok = strings.CutPrefix(expression, function+"(")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(inner, ")")
}

var rate = regexp.MustCompile(`^([1-9][0-9]{0,8}) (minute|hour|day)(s?)$`)

// longest is the longest period of a rate that a Duration and a calendar can
// hold without surprises.
const longest = 100 * 365 * 24 * time.Hour

func parseRate(inner string) (time.Duration, error) {
	m := rate.FindStringSubmatch(inner)
	if m == nil {
		return 0, fmt.Errorf("a rate is a positive number and one of minute, minutes, hour, hours, day, days, such as rate(5 hours); it is not %q", fault.Clip(inner))
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the number of a rate: %w", err)
	}
	if (n == 1) != (m[3] == "") {
		return 0, fmt.Errorf("a rate of 1 has a singular unit, any other a plural one: %q", fault.Clip(inner))
	}
	unit := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[m[2]]
	if n > int64(longest/unit) {
		return 0, fmt.Errorf("a rate cannot be longer than 100 years: %q", fault.Clip(inner))
	}
	return time.Duration(n) * unit, nil
}

// Next gives the first time after now at which the schedule is due; ok is false
// if it never is again. A rate counts from anchor, the time it was set; a cron
// expression reads the clock of location.
//
// A local time that daylight saving leaves out is skipped, and one that it has
// twice counts once, the first time (EventBridge Scheduler User Guide, "Daylight
// saving time").
func (s *Schedule) Next(anchor, now time.Time, location *time.Location) (next time.Time, ok bool) {
	if s.period == 0 {
		return s.cron.next(now, location)
	}
	if now.Before(anchor) {
		return anchor.Add(s.period), true
	}
	passed := now.Sub(anchor) / s.period
	return anchor.Add((passed + 1) * s.period), true
}
