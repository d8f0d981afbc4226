package fault

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/faultpoint"
)

// clock moves the clock of the processes of a site.
func (p points) clock(t testing.TB, by time.Duration) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(string(p), faultpoint.ClockFile+".new"), []byte(by.String()), 0o600))
	must(t, os.Rename(filepath.Join(string(p), faultpoint.ClockFile+".new"), filepath.Join(string(p), faultpoint.ClockFile)))
}

// TestClockJumps moves the clock a day forward and an hour back at the places of a
// build.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	s := newSite(t, setting{})
	now := time.Duration(0)
	for i, place := range some(s.placesOf("good", available), 2) {
		jump, kind := 24*time.Hour, "clock a day forward"
		if i%2 == 0 {
			jump, kind = -time.Hour, "clock an hour back"
		}
		now += jump
		s.inject(kind, "good", place, available, func(string, int) { s.points.clock(t, now) })
	}
	s.finish()
}
