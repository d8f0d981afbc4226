package shape

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Time is a timestamp member. In JSON it is a number, seconds since the epoch
// with at most three decimals; the XML protocols write it as ISO 8601.
type Time struct{ time.Time }

// The years 1 to 9999, which ISO 8601's four digits can say, in epoch seconds.
const (
	firstSecond = -62135596800
	lastSecond  = 253402300799
)

// At returns t as a member's value, in UTC and cut to milliseconds, which is
// what survives the wire.
func At(t time.Time) *Time {
	return &Time{t.UTC().Truncate(time.Millisecond)}
}

// FromEpoch reads the text of a JSON number as seconds since the epoch.
func FromEpoch(number string) (Time, error) {
	seconds, err := strconv.ParseFloat(number, 64)
	if err != nil || !(seconds >= firstSecond && seconds <= lastSecond) {
		return Time{}, fmt.Errorf("%.40q is not a timestamp in epoch seconds", number)
	}
	return Time{time.UnixMilli(int64(math.Round(seconds * 1000))).UTC()}, nil
}

// FromISO8601 reads a date as the query protocols send it.
func FromISO8601(text string) (Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return Time{}, fmt.Errorf("%.40q is not an ISO 8601 timestamp", text)
	}
	return *At(t), nil
}

// ISO8601 writes the timestamp with milliseconds, such as
// "2026-01-02T03:04:05.678Z".
func (t Time) ISO8601() string {
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// MarshalJSON writes epoch seconds.
func (t Time) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(t.UnixMilli())/1000, 'f', -1, 64), nil
}

// UnmarshalJSON reads epoch seconds.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	v, err := FromEpoch(string(b))
	if err != nil {
		return err
	}
	*t = v
	return nil
}
