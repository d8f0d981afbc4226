package fault

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/imagebuilder/types"

	"github.com/goldsmith-build/goldsmith/internal/faultpoint"
)

var (
	full    = flag.Bool("full", false, "inject every fault instead of a few")
	every   = flag.Int("every", 1, "in a full run, take every so many places")
	results = flag.String("results", "", "keep what was found in this file; a report joins those that are named as arguments")
	note    = flag.String("note", "", "a paragraph for the report: what is particular to the run")
	report  = flag.String("report", "", "write the figures into this file (docs/faults.md)")
)

// ends are the states that an image may come to.
var (
	available = []types.ImageStatus{types.ImageStatusAvailable}
	failed    = []types.ImageStatus{types.ImageStatusFailed}
	cancelled = []types.ImageStatus{types.ImageStatusCancelled}
	either    = []types.ImageStatus{types.ImageStatusAvailable, types.ImageStatusFailed}
)

func TestMain(m *testing.M) {
	flag.Parse()
	status := m.Run()
	err := figures.join(flag.Args())
	if err == nil {
		err = figures.write(*report)
	}
	if err != nil {
		println("writing the report:", err.Error())
		status = 1
	}
	os.Exit(status)
}

// some gives all places in a full run, and else n of them, spread over the list.
func some(places []string, n int) []string {
	if *full {
		n = (len(places) + *every - 1) / *every
	}
	if len(places) <= n {
		return places
	}
	var few []string
	for i := range n {
		few = append(few, places[(2*i+1)*len(places)/(2*n)])
	}
	return few
}

// placesOf builds an image without a fault and gives the places it came through.
func (s *site) placesOf(pipeline string, allowed []types.ImageStatus) []string {
	s.t.Helper()
	s.points.trace(s.t)
	image := s.build(pipeline)
	e := s.wait(image)
	for _, wrong := range s.right(image, e, allowed...) {
		s.t.Fatalf("without a fault: %s: %s", image, wrong)
	}
	places := s.points.trace(s.t)
	if len(places) < 10 {
		s.t.Fatalf("a build came through %d places only: %q", len(places), places)
	}
	s.t.Logf("the places of %s:\n%s", pipeline, strings.Join(places, "\n"))
	return places
}

// inject builds an image, holds the process that works on it at a place, does harm,
// and looks at what has become of the image and the machine. harm is called while
// the process stands still and sees to it that a server runs afterwards.
func (s *site) inject(kind, pipeline, place string, allowed []types.ImageStatus, harm func(image string, pid int)) {
	s.t.Helper()
	s.points.hold(s.t, place)
	image := s.build(pipeline)
	pid, ok := s.points.held(s.t, s.ended(image))
	if !ok {
		e, _ := s.state(image)
		s.t.Errorf("%s, %s: no process came to the place; the image is %s\n%s", kind, place, e, s.server.log.tail())
		_ = s.cancel(image)
		_ = os.Remove(filepath.Join(string(s.points), faultpoint.HoldFile))
		return
	}
	start := time.Now()
	harm(image, pid)
	s.points.release()
	e := s.wait(image)
	if s.exact != "" {
		place, s.exact = s.exact, ""
	}
	wrong := append(s.right(image, e, allowed...), s.dirty()...)
	for _, what := range wrong {
		s.t.Errorf("%s, %s: %s: %s", kind, place, image, what)
	}
	figures.add(fault{kind, place, string(e.state), e.at.Sub(start), len(wrong) > 0})
}

// kills is a harm: the process ends by SIGKILL where it stands, and another is
// started.
func (s *site) kills(_ string, _ int) {
	s.server.kill()
	s.points.release()
	s.server.start()
}

// TestKilledServers kills the server at the places of builds that come through,
// fail, and fail their tests.
func TestKilledServers(t *testing.T) {
	t.Parallel()
	s := newSite(t, setting{})
	for _, tc := range []struct {
		pipeline string
		end      []types.ImageStatus
		few      int
	}{{"good", available, 5}, {"bad", failed, 2}, {"untested", failed, 0}} {
		if tc.few == 0 && !*full {
			continue
		}
		for _, place := range some(s.placesOf(tc.pipeline, tc.end), tc.few) {
			end := tc.end
			s.inject("server killed, "+tc.pipeline, tc.pipeline, place, end, s.kills)
		}
	}
	s.finish()
}

// TestKilledInTheMiddle kills the server some time after a step's work has begun.
func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	if !*full {
		t.Skip("a part of make fault")
	}
	s := newSite(t, setting{})
	working := slices.DeleteFunc(s.placesOf("good", available), func(place string) bool { return !strings.HasSuffix(place, "at work") })
	for _, place := range some(working, 0) {
		for _, after := range []time.Duration{5 * time.Millisecond, 60 * time.Millisecond, 250 * time.Millisecond} {
			s.inject("server killed, "+after.String()+" later", "good", place, available, func(string, int) {
				s.points.release()
				time.Sleep(after)
				s.server.kill()
				s.server.start()
			})
		}
	}
	s.finish()
}

// TestStoppedServers sends SIGTERM at the places of a build: the server ends with
// status 0, and the next one goes on.
func TestStoppedServers(t *testing.T) {
	t.Parallel()
	s := newSite(t, setting{})
	for _, place := range some(s.placesOf("good", available), 2) {
		s.inject("SIGTERM", "good", place, available, func(string, int) {
			s.server.stop(func() {
				time.Sleep(20 * time.Millisecond) // the signal has come by then
				s.points.release()
			})
			s.server.start()
		})
	}
	s.finish()
}

// inComponent tells the process of the component that sleeps.
func inComponent(c child) bool { return c.role() == "sleep" }

// TestKilledInstances kills each of the processes that make up an instance.
func TestKilledInstances(t *testing.T) {
	t.Parallel()
	s := newSite(t, setting{})
	s.placesOf("good", available)
	for _, place := range []string{"in BUILD ApplyBuildComponents at work", "in TEST ApplyTestComponents at work"} {
		var roles []string
		for tried := map[string]bool{}; ; {
			role := ""
			s.inject("a process of the instance killed", "good", place, either, func(string, int) {
				s.points.release()
				all := s.server.descendants()
				for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline) && !slices.ContainsFunc(all, inComponent); all = s.server.descendants() {
					time.Sleep(5 * time.Millisecond)
				}
				for _, c := range all {
					if r := c.role(); !tried[r] && role == "" {
						tried[r], role = true, r
						_ = syscall.Kill(c.pid, syscall.SIGKILL)
					}
				}
				s.exact = place + ": " + role
			})
			if role == "" {
				break
			}
			roles = append(roles, role)
			if !*full && len(roles) == 2 {
				break
			}
		}
		t.Logf("%s: killed %q", place, roles)
		if *full && !slices.Contains(roles, "the executor") {
			t.Errorf("the executor was not among what was killed: %q", roles)
		}
		if !*full {
			break
		}
	}
	s.finish()
}
