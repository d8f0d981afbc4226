package cli_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/toe"
	"github.com/goldsmith-build/goldsmith/toe/cli"
)

func output(stream, text string) toe.Event {
	return toe.Event{Event: toe.EventOutput, Stream: stream, Text: text}
}

// show gives what a view shows of events; every event takes a second.
func show(terminal, colour bool, width int, events ...toe.Event) string {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	event, start, finish := cli.NewLive(&out, terminal, colour, width, func() time.Time { return now })
	start()
	for _, e := range events {
		event(e)
		now = now.Add(time.Second)
	}
	finish()
	return out.String()
}

var (
	started  = toe.Event{Event: toe.EventStepStarted, Phase: "build", Step: "Make", Action: "ExecuteBash", Number: 2, Of: 7}
	finished = toe.Event{Event: toe.EventStepFinished, Phase: "build", Step: "Make", Status: toe.StatusFailed, Error: "exit status 1"}
)

func TestLivePlain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		events []toe.Event
		want   string
	}{
		"lines of both streams":  {[]toe.Event{output("stdout", "a\nb"), output("stderr", "x\n"), output("stdout", "c\n")}, "  a\n  x\n  bc\n"},
		"what a bar overwrote":   {[]toe.Event{output("stdout", "10%\r50%\r100%\r\n")}, "  100%\n"},
		"control sequences":      {[]toe.Event{output("stdout", "\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b[2J\x1b[1;1H\x9b31m\x08\x00é\tx\x1b\n")}, "  red\ufffd31m\ufffd\ufffdé\tx\n"},
		"a line without an end":  {[]toe.Event{output("stdout", "end")}, "  end\n"},
		"a line that never ends": {[]toe.Event{output("stdout", strings.Repeat("x", toe.MaxEventText)), output("stdout", "y\n")}, "  " + strings.Repeat("x", toe.MaxEventText) + "\n  y\n"},
		"a second attempt":       {[]toe.Event{{Event: toe.EventAttempt, Attempt: 1}, {Event: toe.EventAttempt, Attempt: 2}}, "  attempt 2\n"},
	} {
		got := show(false, false, 80, append(append([]toe.Event{started}, tc.events...), finished)...)
		got = strings.TrimPrefix(got, "build 2/7 Make (ExecuteBash)\n")
		got, end, _ := strings.Cut(got, "build 2/7 Make: failed, ")
		if diff := cmp.Diff(tc.want, got); diff != "" || !strings.HasSuffix(end, ".0 s: exit status 1\n") {
			t.Errorf("%s: %s\nend %q", name, diff, end)
		}
	}
}

func TestLiveTerminal(t *testing.T) {
	t.Parallel()
	got := show(true, true, 80, started, output("stdout", "\x1b[31mred\x1b[0m\x1b[2J\n"), finished)
	want := "\x1b[1mbuild 2/7 Make\x1b[0m (ExecuteBash)\n" +
		"\x1b[1mbuild 2/7 Make  0:00\x1b[0m" +
		"\r\x1b[K  \x1b[31mred\x1b[0m\x1b[0m\n" +
		"\x1b[1mbuild 2/7 Make  0:01\x1b[0m" +
		"\r\x1b[Kbuild 2/7 Make: \x1b[31mfailed\x1b[0m, 2.0 s: exit status 1\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// NO_COLOR, and a terminal that is narrow.
	got = show(true, false, 10, started, output("stdout", "\x1b[31mred\x1b[0m\n"))
	want = "build 2/7 Make (ExecuteBash)\nbuild 2/7\r\x1b[K  red\nbuild 2/7\r\x1b[K"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestLiveNested: a step that runs a document is shown again when that ends.
func TestLiveNested(t *testing.T) {
	t.Parallel()
	outer := started
	outer.Step, outer.Action = "Outer", "ExecuteDocument"
	end := finished
	end.Status, end.Error = toe.StatusSuccess, ""
	got := show(false, false, 80, outer, toe.Event{Event: toe.EventDocumentStarted, Document: "child\x1b"}, started, end, end, end)
	want := "build 2/7 Outer (ExecuteDocument)\nDocument child\ufffd\nbuild 2/7 Make (ExecuteBash)\n" +
		"build 2/7 Make: success, 1.0 s\nbuild 2/7 Outer: success, 4.0 s\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
