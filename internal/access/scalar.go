package access

import (
	"cmp"
	"regexp"
	"strconv"
	"time"
)

var (
	decimal = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?$`)
	epoch   = regexp.MustCompile(`^[0-9]{1,12}$`)
)

func parseNumber(text string, _ bool) (value, bool) {
	if len(text) > 64 || !decimal.MatchString(text) {
		return value{}, false
	}
	n, err := strconv.ParseFloat(text, 64)
	return value{number: n}, err == nil
}

// compareNumber makes a comparison out of what its result may be; what is no
// number compares with nothing.
func compareNumber(accept func(int) bool) func(value, string) bool {
	return func(v value, have string) bool {
		h, ok := parseNumber(have, false)
		return ok && accept(cmp.Compare(h.number, v.number))
	}
}

// dateFormats are the forms of ISO 8601 that W3C's note on dates allows.
var dateFormats = []string{"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006"}

// parseDate reads a date, or seconds since 1970.
func parseDate(text string, _ bool) (value, bool) {
	for _, format := range dateFormats {
		if t, err := time.Parse(format, text); err == nil {
			return value{time: t}, true
		}
	}
	if !epoch.MatchString(text) {
		return value{}, false
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	return value{time: time.Unix(seconds, 0)}, err == nil
}

func compareDate(accept func(int) bool) func(value, string) bool {
	return func(v value, have string) bool {
		h, ok := parseDate(have, false)
		return ok && accept(h.time.Compare(v.time))
	}
}
