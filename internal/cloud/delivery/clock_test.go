package delivery_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud/delivery"
)

// TestAClockThatIsPutBackHoldsNothingUp adds a message, puts the clock back by an
// hour, and has it delivered at once.
func TestAClockThatIsPutBackHoldsNothingUp(t *testing.T) {
	t.Parallel()
	f := open(t, delivery.DefaultPolicy)
	r := receive(t, func(string) int { return http.StatusOK })
	target := "post:" + r.URL
	f.add(target, "a", "a1")
	f.later(-time.Hour)
	f.add(target, "a", "a2")
	if wait, more := f.run(target); more {
		t.Errorf("messages wait for %s", wait)
	}
	if got := r.lane("a"); len(got) != 2 || got[0] != "a1" || got[1] != "a2" {
		t.Errorf("the receiver got %v, want both in their order", got)
	}
}
