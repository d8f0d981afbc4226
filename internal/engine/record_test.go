package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/toe"
)

// failing is an executor whose component fails.
func failing(_ context.Context, _ string, _ int, stdout io.Writer) (int, error) {
	fails(stdout, toe.Failure{ComponentArn: "arn:build", Phase: "build", Step: "S", Action: "ExecuteBash", ErrorMessage: "exit status 3"})
	return 1, nil
}

// TestOnlyTheRecordingIsRepeated lets the recording of an end fail: whatever the
// reason, the build is not done again, and the failure keeps its own words.
func TestOnlyTheRecordingIsRepeated(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		execute func(context.Context, string, int, io.Writer) (int, error)
		refused Status
		err     error
		end     Status
		reason  string
	}{
		"a failure, the disk full":         {failing, Failed, store.ErrNoSpace, Failed, "exit status 3"},
		"a failure, the database away":     {failing, Failed, store.ErrUnavailable, Failed, "exit status 3"},
		"a failure, the server dies in it": {failing, Failed, errors.New("died"), Failed, "exit status 3"},
		"a success, the database away":     {nil, Available, store.ErrUnavailable, Available, ""},
		"a state, the disk full":           {nil, Testing, store.ErrNoSpace, Available, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tc.execute != nil {
				w.execute = tc.execute
			}
			w.refuseState = map[Status][]error{tc.refused: {fmt.Errorf("writing: %w", tc.err), fmt.Errorf("writing: %w", tc.err)}}
			e, stop := w.start()
			defer stop()
			w.enqueue(e)
			w.waitEnd()
			if got := w.states[len(w.states)-1]; got != tc.end || !strings.Contains(w.reason, tc.reason) {
				t.Errorf("the image is %s because of %q, want %s because of %q", got, w.reason, tc.end, tc.reason)
			}
			want := []string{"sandbox"}
			if tc.end == Available {
				want = append(want, "vm")
			}
			if diff := cmp.Diff(want, w.launched); diff != "" {
				t.Errorf("launched instances (-want +got):\n%s", diff)
			}
			if len(w.refuseState[tc.refused]) != 0 {
				t.Error("the recording was not refused as often as it should have been")
			}
			w.clean()
		})
	}
}

// TestAnOutageDoesNotKeepTheServer stops a server whose database is away.
func TestAnOutageDoesNotKeepTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	away := make([]error, 1000)
	for i := range away {
		away[i] = store.ErrUnavailable
	}
	w.refuseState = map[Status][]error{Testing: away}
	e, stop := w.start()
	w.enqueue(e)
	w.wait("an outage", func() bool { return len(w.refuseState[Testing]) < len(away) })
	start := time.Now()
	stop()
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("stopping took %s", took)
	}
	w.mu.Lock()
	w.refuseState = nil
	w.mu.Unlock()
	_, stop = w.start()
	defer stop()
	w.waitEnd()
	if got := w.states[len(w.states)-1]; got != Available {
		t.Errorf("the image is %s: %s", got, w.reason)
	}
	w.clean()
}
