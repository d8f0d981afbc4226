package schedule

import "time"

// next looks for the first match after now, day by day from the local date.
func (c *cron) next(now time.Time, location *time.Location) (time.Time, bool) {
	local := now.In(location)
	year, month, day := local.Date()
	// Going back a day costs nothing and is right where a zone jumps over
	// midnight.
	date := time.Date(year, month, day-1, 12, 0, 0, 0, time.UTC)
	if year < firstYear {
		date = time.Date(firstYear, 1, 1, 12, 0, 0, 0, time.UTC)
	}
	for date.Year() <= lastYear {
		switch {
		case !c.years.has(date.Year() - firstYear):
			date = time.Date(date.Year()+1, 1, 1, 12, 0, 0, 0, time.UTC)
			continue
		case !c.months.has(int(date.Month())):
			date = time.Date(date.Year(), date.Month()+1, 1, 12, 0, 0, 0, time.UTC)
			continue
		case c.days.match(date):
			if t, ok := c.onDay(date, now, location); ok {
				return t, true
			}
		}
		date = date.AddDate(0, 0, 1)
	}
	return time.Time{}, false
}

// onDay looks for the first match after now on a date.
func (c *cron) onDay(date, now time.Time, location *time.Location) (time.Time, bool) {
	year, month, day := date.Date()
	for hour := range 24 {
		if !c.hours.has(hour) {
			continue
		}
		for minute := range 60 {
			if !c.minutes.has(minute) {
				continue
			}
			if t, exists := instant(year, month, day, hour, minute, location); exists && t.After(now) {
				return t, true
			}
		}
	}
	return time.Time{}, false
}

// instant gives the moment of a local time: the first, if there are two. A time
// that the clocks jump over does not exist.
func instant(year int, month time.Month, day, hour, minute int, location *time.Location) (first time.Time, exists bool) {
	// The moment is the local time less an offset that holds at it. Clocks are
	// put back by anything from 30 minutes (Lord Howe) to 3 hours (Casey), and
	// over a whole day where a zone changes its side of the date line.
	local := time.Date(year, month, day, hour, minute, 0, 0, time.UTC)
	last := 1 << 30
	for _, around := range []time.Duration{-25 * time.Hour, 0, 25 * time.Hour} {
		_, offset := local.Add(around).In(location).Zone()
		if offset == last {
			continue
		}
		last = offset
		t := local.Add(-time.Duration(offset) * time.Second).In(location)
		if _, there := t.Zone(); there == offset && (!exists || t.Before(first)) {
			first, exists = t, true
		}
	}
	return first, exists
}

// match reports whether a date is one of the days.
func (d *days) match(date time.Time) bool {
	day := date.Day()
	length := date.AddDate(0, 1, -day).Day()
	if d.byWeekday {
		weekday := int(date.Weekday()) + 1
		return d.weekdays.has(weekday) || d.nth[weekday].has((day+6)/7) || d.lastOf.has(weekday) && day+7 > length
	}
	if d.ofMonth.has(day) || d.last && day == length {
		return true
	}
	for n := 1; n <= length; n++ {
		if d.nearest.has(n) && nearestWeekday(date.AddDate(0, 0, n-day), length) == day {
			return true
		}
	}
	return false
}

// nearestWeekday gives the day of Monday to Friday that is nearest to a date,
// in the same month of length days.
func nearestWeekday(date time.Time, length int) int {
	day := date.Day()
	switch date.Weekday() {
	case time.Saturday:
		if day == 1 {
			return 3
		}
		return day - 1
	case time.Sunday:
		if day == length {
			return day - 2
		}
		return day + 1
	}
	return day
}
