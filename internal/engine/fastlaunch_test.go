package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// copies are ready copies on paper.
type copies struct {
	mu     sync.Mutex
	wanted []int
	broken error
}

func (c *copies) Prepare(_ context.Context, _ string, wanted int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = append(c.wanted, wanted)
	return c.broken
}

func (*copies) Forget(string) error { return nil }

func TestFastLaunchIsPartOfADistribution(t *testing.T) {
	t.Parallel()
	w, c := newWorld(t), &copies{}
	w.cloud.MakeReady(c)
	w.plan.Destinations[0].FastLaunch = []FastLaunch{{Enabled: true, Target: 3}}
	w.build()
	if w.last() != Available || len(c.wanted) != 1 || c.wanted[0] != 3 {
		t.Fatalf("states %v, copies %v: %s", w.states, c.wanted, w.reason)
	}
	var ami cloud.AMI
	err := w.store.Read(t.Context(), func(tx *store.Tx) (err error) {
		ami, _, err = w.cloud.AMI(tx, w.outputs[0].AMI)
		return err
	})
	if err != nil || ami.FastLaunch == nil || ami.FastLaunch.State != "enabled" || ami.FastLaunch.Target != 3 {
		t.Errorf("%v: %+v", err, ami.FastLaunch)
	}
}

func TestFastLaunchThatFailsIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cloud.MakeReady(&copies{broken: errors.New("no space left on device")})
	w.plan.Destinations[1].FastLaunch = []FastLaunch{{Enabled: true}}
	w.build()
	d := w.failure.Distribution
	if w.last() != Failed || d == nil || len(d.Regions) != 1 || d.Regions[0].Region != "eu-west-1" || d.Regions[0].Step != updateFastLaunch || !strings.Contains(d.Regions[0].ErrorMessage, "no space left") {
		t.Errorf("states %v: %+v", w.states, d)
	}
}
