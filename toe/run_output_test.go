//go:build unix

package toe_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/toe"
)

func TestRunEvents(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.Documents = []toe.Source{{Path: "d.yaml", ComponentArn: "arn:aws:imagebuilder:us-east-1:123456789012:component/nginx/1.0.0/1", Data: []byte("name: nginx\n" + steps(
		sh("Good", "printf \"one\\ntwo\""), sh("Skip", "x", "if: {fileExists: /no}"), sh("Bad", "echo oops >&2; exit 7")))}}
	if _, err := toe.Run(context.Background(), b.options); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range b.events {
		if e.Time.IsZero() || e.Event != toe.EventResult && (e.ComponentArn == "" || e.Document != "nginx") {
			t.Errorf("incomplete event %+v", e)
		}
		line := fmt.Sprintf("%s %s.%s %s %s%q", e.Event, e.Phase, e.Step, e.Status, e.Stream, e.Text)
		if e.ExitCode != nil {
			line += fmt.Sprintf(" exit %d", *e.ExitCode)
		}
		if e.Error != "" {
			line += " error " + e.Error
		}
		if e.StderrTail != "" {
			line += " tail " + e.StderrTail
		}
		got = append(got, line)
	}
	// The two pieces of the first step's output may come as one.
	text := strings.ReplaceAll(strings.Join(got, "\n"), "output build.Good  stdout\"one\\n\"\noutput build.Good  stdout\"two\"", `output build.Good  stdout"one\ntwo"`)
	want := `documentStarted .  ""
phaseStarted build.  ""
stepStarted build.Good  ""
attempt build.Good  ""
output build.Good  stdout"one\ntwo"
stepFinished build.Good success "" exit 0
stepStarted build.Skip  ""
stepFinished build.Skip skipped ""
stepStarted build.Bad  ""
attempt build.Bad  ""
output build.Bad  stderr"oops\n"
stepFinished build.Bad failed "" exit 7 error exit status 7 tail oops
phaseFinished build. failed "" error Step Bad failed: exit status 7
documentFinished . failed "" error Document arn:aws:imagebuilder:us-east-1:123456789012:component/nginx/1.0.0/1 failed!
result . failed "" error Document arn:aws:imagebuilder:us-east-1:123456789012:component/nginx/1.0.0/1 failed!`
	if diff := cmp.Diff(want, text); diff != "" {
		t.Error(diff)
	}
	last := b.events[len(b.events)-1]
	if last.Result == nil || last.Result.ExecutedStepCount != 2 || last.Failure == nil || last.Failure.Step != "Bad" || last.Failure.ComponentArn == "" {
		t.Errorf("last event %+v", last)
	}
}

// TestRunEndlessOutput: neither memory nor disk grows with what a step prints,
// and no event is larger than promised.
func TestRunEndlessOutput(t *testing.T) {
	if testing.Short() {
		t.Skip("prints 1 GiB")
	}
	b := newBench(t)
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	peak, longest, count := uint64(0), 0, 0
	b.options.Events = func(e toe.Event) {
		longest = max(longest, len(e.Text))
		if count++; count%500 == 0 {
			runtime.ReadMemStats(&during)
			peak = max(peak, during.HeapInuse)
		}
	}
	r := b.run(steps(sh("Endless", "head -c 512M /dev/zero; head -c 512M /dev/zero >&2; yes | head -c 1M; exit 5")))
	if grown := int64(peak) - int64(before.HeapInuse); grown > 64<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	if longest > toe.MaxEventText {
		t.Errorf("an event had %d bytes of text", longest)
	}
	info, err := os.Stat(filepath.Join(r.Summary.LogURL, "console.log"))
	if err != nil {
		t.Fatal(err)
	}
	if most := int64(2*toe.MaxLoggedOutput + 4<<20); info.Size() > most {
		t.Errorf("console.log has %d MiB", info.Size()>>20)
	}
	if r.Failure == nil || r.Failure.ErrorMessage != "exit status 5" || len(r.Failure.Stderr) > toe.MaxFailureStderr {
		t.Errorf("failure %+v", r.Failure)
	}
	if !strings.Contains(b.tailOf(r), "more bytes were printed and are not logged") {
		t.Error("the log does not say that output was dropped")
	}
}

func (b *bench) tailOf(r *toe.Result) string {
	f, err := os.Open(filepath.Join(r.Summary.LogURL, "console.log"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	info, _ := f.Stat()
	buf := make([]byte, min(info.Size(), 1<<20))
	if _, err := f.ReadAt(buf, info.Size()-int64(len(buf))); err != nil {
		b.t.Fatal(err)
	}
	return string(buf)
}

func TestRunDisableLogging(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.run(steps(
		sh("Secret", "echo hush; echo hush >&2; exit 1", "disableLogging: true", "onFailure: Continue"),
		sh("Use", "test {{ build.Secret.outputs.stdout }} = hu\"\"sh", "disableLogging: true"),
	))
	if s := stepStatuses(r); s["Secret"] != "failed" || s["Use"] != "success" {
		t.Fatal(s)
	}
	for _, name := range []string{"console.log", "detailedoutput.json", "chaining.json", "application.log"} {
		if strings.Contains(b.log(r, name), "hush\n") || name != "console.log" && strings.Contains(b.log(r, name), "hush") {
			t.Errorf("%s tells the secret", name)
		}
	}
	events, err := json.Marshal(b.events)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(events), "hush") {
		t.Error("the events tell the secret")
	}
}
