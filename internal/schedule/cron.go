package schedule

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/fault"
)

const (
	firstYear = 1970
	lastYear  = 2199
)

// cron is a cron expression: what each field allows.
type cron struct {
	minutes, hours, months set // months from 1
	years                  set // from firstYear
	days                   days
}

// set holds small numbers, 0 to 255.
type set [4]uint64

func (s *set) add(n int)      { s[n>>6] |= 1 << (n & 63) }
func (s *set) has(n int) bool { return s[n>>6]&(1<<(n&63)) != 0 }

// days says which days of a month are meant. Exactly one of the two fields
// decides; the other says nothing.
type days struct {
	byWeekday bool

	ofMonth  set // days 1 to 31
	last     bool
	nearest  set // the weekday nearest to each of these days
	weekdays set // 1 (Sunday) to 7
	nth      [8]set
	lastOf   set // the last of these weekdays in the month
}

// field describes a field of the expression.
type field struct {
	name     string
	min, max int
	names    []string // of the values from min on
	wraps    bool     // ranges may go past the end, such as FRI-MON
	steps    bool
}

var (
	minuteField  = field{name: "minutes", min: 0, max: 59, wraps: true, steps: true}
	hourField    = field{name: "hours", min: 0, max: 23, wraps: true, steps: true}
	dayField     = field{name: "day of month", min: 1, max: 31, steps: true}
	monthField   = field{name: "month", min: 1, max: 12, wraps: true, steps: true, names: []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}}
	weekdayField = field{name: "day of week", min: 1, max: 7, wraps: true, names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}}
	yearField    = field{name: "year", min: firstYear, max: lastYear, steps: true}
)

func parseCron(text string) (c cron, err error) {
	parts := strings.Split(text, " ")
	if len(parts) != 6 {
		return cron{}, fmt.Errorf("a cron expression has six fields separated by single spaces: minutes, hours, day of month, month, day of week, year; %q has %d", fault.Clip(text), len(parts))
	}
	for i, f := range []struct {
		field field
		into  *set
		text  string
	}{{minuteField, &c.minutes, parts[0]}, {hourField, &c.hours, parts[1]}, {monthField, &c.months, parts[3]}, {yearField, &c.years, parts[5]}} {
		base := 0
		if i == 3 {
			base = firstYear
		}
		for _, item := range strings.Split(f.text, ",") {
			if err := f.field.parse(item, func(n int) { f.into.add(n - base) }); err != nil {
				return cron{}, err
			}
		}
	}
	c.days, err = parseDays(parts[2], parts[4])
	return c, err
}

// parseDays reads the two fields of days. One of them has to be "?"; "*" is
// taken for it beside a field that says something, because examples of the
// Image Builder User Guide write that.
func parseDays(ofMonth, ofWeek string) (d days, err error) {
	silent := func(s string) bool { return s == "?" || s == "*" }
	switch {
	case ofMonth == "?" && ofWeek == "?":
		return days{}, fmt.Errorf("day of month and day of week cannot both be '?'")
	case !silent(ofMonth) && !silent(ofWeek):
		return days{}, fmt.Errorf("day of month and day of week cannot both have values: one of them must be '?', not %q and %q", fault.Clip(ofMonth), fault.Clip(ofWeek))
	case silent(ofWeek):
		if ofMonth == "?" {
			ofMonth = "*"
		}
		for _, item := range strings.Split(ofMonth, ",") {
			if err := d.parseDay(item); err != nil {
				return days{}, err
			}
		}
	default:
		d.byWeekday = true
		for _, item := range strings.Split(ofWeek, ",") {
			if err := d.parseWeekday(item); err != nil {
				return days{}, err
			}
		}
	}
	return d, nil
}

func (d *days) parseDay(item string) error {
	if item == "L" || item == "l" {
		d.last = true
		return nil
	}
	if day, ok := cutLetter(item, 'W'); ok {
		n, err := dayField.value(day)
		if err != nil {
			return err
		}
		d.nearest.add(n)
		return nil
	}
	return dayField.parse(item, d.ofMonth.add)
}

func (d *days) parseWeekday(item string) error {
	if item == "L" || item == "l" {
		d.weekdays.add(7) // the last day of the week (EventBridge User Guide)
		return nil
	}
	if day, nth, ok := strings.Cut(item, "#"); ok {
		n, err := weekdayField.value(day)
		if err != nil {
			return err
		}
		which, err := strconv.Atoi(nth)
		if err != nil || len(nth) != 1 || which < 1 || which > 5 {
			return fmt.Errorf("in day of week, what follows '#' is 1 to 5, not %q", fault.Clip(nth))
		}
		d.nth[n].add(which)
		return nil
	}
	if day, ok := cutLetter(item, 'L'); ok {
		n, err := weekdayField.value(day)
		if err != nil {
			return err
		}
		d.lastOf.add(n)
		return nil
	}
	return weekdayField.parse(item, d.weekdays.add)
}

// cutLetter removes a letter that follows digits or, for L, a name.
func cutLetter(item string, letter byte) (rest string, ok bool) {
	if len(item) < 2 || item[len(item)-1]&^0x20 != letter {
		return item, false
	}
	return item[:len(item)-1], true
}

// parse reads one item of a field's list: "*", "5", "5-10", "*/15", "0/15",
// "5-20/5".
func (f field) parse(item string, add func(int)) error {
	span, stepText, stepped := strings.Cut(item, "/")
	step := 1
	if stepped {
		n, err := strconv.Atoi(stepText)
		if err != nil || !f.steps || !digits(stepText) || n < 1 || n > f.max-f.min+1 {
			return f.bad(item)
		}
		step = n
	}
	low, high := f.min, f.max
	if span != "*" {
		from, to, ranged := strings.Cut(span, "-")
		var err error
		if low, err = f.value(from); err != nil {
			return err
		}
		switch {
		case ranged:
			if high, err = f.value(to); err != nil {
				return err
			}
		case !stepped:
			high = low
		}
	}
	if high < low {
		if !f.wraps {
			return f.bad(item)
		}
		high += f.max - f.min + 1
	}
	for n := low; n <= high; n += step {
		add(f.min + (n-f.min)%(f.max-f.min+1))
	}
	return nil
}

// value reads a number or a name.
func (f field) value(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.min + i, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || !digits(text) || n < f.min || n > f.max {
		return 0, f.bad(text)
	}
	return n, nil
}

func digits(s string) bool {
	return len(s) <= 4 && s != "" && strings.Trim(s, "0123456789") == ""
}

func (f field) bad(text string) error {
	return fmt.Errorf("%q is not valid for the field %s, which takes %d to %d", fault.Clip(text), f.name, f.min, f.max)
}
