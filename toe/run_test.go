//go:build unix

package toe_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/toe"
)

// bench is a run's surroundings: its own folders, and what it reported.
type bench struct {
	t       *testing.T
	dir     string
	options toe.Options
	events  []toe.Event
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{t: t, dir: dir}
	b.options = toe.Options{
		LogDirectory: filepath.Join(dir, "logs"), StateDirectory: filepath.Join(dir, "state"), Dir: dir,
		Events: func(e toe.Event) { b.events = append(b.events, e) },
	}
	return b
}

// run runs documents given as text.
func (b *bench) run(documents ...string) *toe.Result {
	b.t.Helper()
	r, err := b.try(documents...)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *bench) try(documents ...string) (*toe.Result, error) {
	b.options.Documents = nil
	for i, d := range documents {
		b.options.Documents = append(b.options.Documents, toe.Source{Path: fmt.Sprintf("doc%d.yaml", i), Data: []byte(d)})
	}
	return toe.Run(context.Background(), b.options)
}

func (b *bench) read(name string) string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

func (b *bench) exists(name string) bool {
	_, err := os.Stat(filepath.Join(b.dir, name))
	return err == nil
}

func (b *bench) log(r *toe.Result, name string) string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.Summary.LogURL, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

// steps wraps lines of steps into a document with one phase.
func steps(lines ...string) string {
	return "schemaVersion: 1.0\nphases:\n  - name: build\n    steps:\n      - " + strings.Join(lines, "\n      - ") + "\n"
}

// sh is a step that runs a script. The script must not hold a single quote.
func sh(name, script string, more ...string) string {
	return fmt.Sprintf("{name: %s, action: ExecuteBash, inputs: {commands: ['%s']}%s}", name, script, strings.Join(append([]string{""}, more...), ", "))
}

func stepStatuses(r *toe.Result) map[string]string {
	m := map[string]string{}
	for _, d := range r.Detail.Documents {
		for _, ph := range d.Phases {
			for _, s := range ph.Steps {
				m[s.Name] = s.Status
			}
		}
	}
	return m
}

func TestRunOnFailure(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		onFailure             string
		run, document, failed string
		executed, ignored     int
		later                 bool // whether what comes later runs
	}{
		{toe.Abort, "failed", "failed", "failed", 1, 0, false},
		{toe.Continue, "failed", "failed", "failed", 3, 0, true},
		{toe.Ignore, "success", "successWithIgnoredFailure", "ignoredFailure", 3, 1, true},
	} {
		t.Run(tc.onFailure, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			r := b.run(steps(sh("Bad", "echo why >&2; exit 3", "onFailure: "+tc.onFailure), sh("Next", "touch next")), steps(sh("Other", "touch other")))
			if r.Summary.Status != tc.run || r.Detail.Documents[0].Status != tc.document || stepStatuses(r)["Bad"] != tc.failed {
				t.Errorf("run %s, document %s, step %s", r.Summary.Status, r.Detail.Documents[0].Status, stepStatuses(r)["Bad"])
			}
			if r.Summary.ExecutedStepCount != tc.executed || r.Summary.IgnoredFailedStepCount != tc.ignored {
				t.Errorf("summary %+v", r.Summary)
			}
			if b.exists("next") != tc.later || b.exists("other") != tc.later {
				t.Errorf("next step ran: %v, next document ran: %v", b.exists("next"), b.exists("other"))
			}
			wantCode := 0
			if tc.run == "failed" {
				wantCode = 1
				want := &toe.Failure{Document: "doc0.yaml", Phase: "build", Step: "Bad", Action: "ExecuteBash", ErrorMessage: "exit status 3", Stderr: "why"}
				if diff := cmp.Diff(want, r.Failure); diff != "" {
					t.Error(diff)
				}
				if r.Summary.FailureMessage != "Document doc0.yaml failed!" {
					t.Errorf("failure message %q", r.Summary.FailureMessage)
				}
			} else if r.Failure != nil {
				t.Errorf("a success has the failure %+v", r.Failure)
			}
			if r.ExitCode() != wantCode {
				t.Errorf("exit code %d, want %d", r.ExitCode(), wantCode)
			}
			if b.exists("state/toe-state.jsonl") {
				t.Error("the state was not removed")
			}
		})
	}
}

func TestRunMaxAttempts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.run(steps(sh("Flaky", "echo x >> tries; test $(wc -l < tries) -eq 3", "maxAttempts: 5"), sh("Bad", "echo y >> bad; false", "maxAttempts: 2", "onFailure: Ignore")))
	if r.Summary.Status != "success" || b.read("tries") != "x\nx\nx\n" || b.read("bad") != "y\ny\n" {
		t.Errorf("status %s, tries %q, bad %q", r.Summary.Status, b.read("tries"), b.read("bad"))
	}
	if got := r.Detail.Documents[0].Phases[0].Steps[0].Attempts; got != 3 {
		t.Errorf("%d attempts are reported", got)
	}
}

// alive says whether a process runs, a zombie not counted.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil && runtime.GOOS != "linux"
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func pidIn(t *testing.T, text string) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// TestRunTimeout: a step that takes too long ends with everything that it
// started, also what left its process group and what ignores SIGTERM.
func TestRunTimeout(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux finds processes that left their group")
	}
	b := newBench(t)
	script := "trap \"\" TERM; sleep 1000 & echo $! > child; setsid sleep 1000 & echo $! > daemon; (trap \"\" TERM; while :; do sleep 1; done) & echo $! > stubborn; wait"
	r := b.run(steps(sh("Slow", script, "timeoutSeconds: 5", "maxAttempts: 1"), sh("Never", "touch never")))
	if r.Summary.Status != "timedOut" || r.ExitCode() != 1 || r.Summary.FailedStepCount != 1 || b.exists("never") {
		t.Errorf("summary %+v", r.Summary)
	}
	if r.Failure.ErrorMessage != "the step timed out after 5 seconds" || stepStatuses(r)["Slow"] != "timedOut" {
		t.Errorf("failure %+v, step %s", r.Failure, stepStatuses(r)["Slow"])
	}
	for _, name := range []string{"child", "daemon", "stubborn"} {
		if pid := pidIn(t, b.read(name)); alive(pid) {
			t.Errorf("the %s outlived the timeout", name)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// TestRunTimeoutEachAttempt: every attempt has the whole time.
func TestRunTimeoutEachAttempt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.run(steps(sh("Slow", "echo x >> tries; test $(wc -l < tries) -eq 2 || exec sleep 1000", "timeoutSeconds: 8", "maxAttempts: 2")))
	if r.Summary.Status != "success" || b.read("tries") != "x\nx\n" {
		t.Errorf("summary %+v, tries %q", r.Summary, b.read("tries"))
	}
}

// TestRunDaemon: a child that outlives its step, with the step's output still
// open, neither holds up the step nor dies of it.
func TestRunDaemon(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.run(steps(
		sh("Start", "(while :; do sleep 0.05; echo noise >&2; done) & echo $! > daemon; echo started"),
		sh("Later", "sleep 0.3; kill -0 $(cat daemon) && kill -9 $(cat daemon); echo {{ build.Start.outputs.stdout }} > out"),
	))
	if r.Summary.Status != "success" {
		_ = syscall.Kill(pidIn(t, b.read("daemon")), syscall.SIGKILL)
		t.Fatalf("summary %+v", r.Summary)
	}
	if b.read("out") != "started\n" {
		t.Errorf("the output was lost: %q", b.read("out"))
	}
}

func TestRunStopped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, cancel := context.WithCancel(context.Background())
	b.options.Documents = []toe.Source{{Path: "d", Data: []byte(steps(sh("Slow", "echo $$ > pid; exec sleep 1000", "onFailure: Ignore", "maxAttempts: 3"), sh("Never", "touch never")))}}
	b.options.Events = func(e toe.Event) {
		b.events = append(b.events, e)
		if e.Event == toe.EventAttempt {
			go func() {
				for text, _ := os.ReadFile(filepath.Join(b.dir, "pid")); len(text) == 0; text, _ = os.ReadFile(filepath.Join(b.dir, "pid")) {
					time.Sleep(5 * time.Millisecond)
				}
				cancel()
			}()
		}
	}
	r, err := toe.Run(ctx, b.options)
	if err != nil {
		t.Fatal(err)
	}
	if r.Summary.Status != "failed" || r.Failure == nil || b.exists("never") {
		t.Errorf("summary %+v, failure %+v", r.Summary, r.Failure)
	}
	if alive(pidIn(t, b.read("pid"))) {
		t.Error("the program outlived the run")
	}
}

func TestRunParameters(t *testing.T) {
	t.Parallel()
	const text = `schemaVersion: 1.0
parameters:
  - Color: {type: string, default: blue, allowedValues: [blue, red]}
  - Size: {type: string}
constants:
  - Template: {type: string, value: '{{ Color }}'}
phases:
  - name: build
    steps:
      - {name: Write, action: CreateFile, inputs: [{path: out, content: '{{ Color }} {{Size}} {{ Template }} {{ .Foreign }}'}]}
`
	for _, tc := range []struct {
		name            string
		global, own     map[string]string
		empty           bool
		want, wantError string
	}{
		{name: "defaults", global: map[string]string{"Size": "1"}, want: "blue 1 {{ Color }} {{ .Foreign }}"},
		{name: "undeclared", global: map[string]string{"Size": "1", "Other": "x"}, want: "blue 1 {{ Color }} {{ .Foreign }}"},
		{name: "own wins", global: map[string]string{"Size": "1", "Color": "blue"}, own: map[string]string{"Color": "red"}, want: "red 1 {{ Color }} {{ .Foreign }}"},
		{name: "not searched again", global: map[string]string{"Size": "{{ Color }}"}, want: "blue {{ Color }} {{ Color }} {{ .Foreign }}"},
		{name: "empty", empty: true, want: "blue  {{ Color }} {{ .Foreign }}"},
		{name: "missing", wantError: "d:4: The parameter 'Size' has neither a value nor a default."},
		{name: "not allowed", global: map[string]string{"Size": "1", "Color": "pink"}, wantError: "d:3: The value of the parameter 'Color' is not among its allowedValues: blue, red."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.options.Parameters, b.options.EmptyParameters = tc.global, tc.empty
			b.options.Documents = []toe.Source{{Path: "d", Data: []byte(text), Parameters: tc.own}}
			r, err := toe.Run(context.Background(), b.options)
			if err != nil {
				t.Fatal(err)
			}
			if tc.wantError != "" {
				if r.Summary.Status != "failed" || r.Summary.FailureMessage != tc.wantError || b.exists("out") {
					t.Errorf("summary %+v, want %s", r.Summary, tc.wantError)
				}
				return
			}
			if got := b.read("out"); got != tc.want {
				t.Errorf("wrote %q, want %q", got, tc.want)
			}
		})
	}
}

func TestRunChaining(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.run(`schemaVersion: 1.0
phases:
  - name: build
    steps:
      - {name: Lines, action: ExecuteBash, inputs: {commands: ['printf " a\nb\r\n\n"', 'echo error >&2']}}
      - {name: Skipped, action: ExecuteBash, if: {fileExists: /no/such}, inputs: {commands: [exit 9]}}
      - {name: Failed, action: ExecuteBash, onFailure: Ignore, inputs: {commands: ['echo partly; exit 1']}}
      - {name: Two, action: CreateFile, inputs: [{path: one.txt}, {path: '{{ build.Failed.outputs.stdout }}.txt', content: two}]}
      - {name: Read, action: ReadFile, inputs: [{path: one.txt}, {path: '{{ build.Two.inputs[1].path }}'}]}
  - name: validate
    steps:
      - name: Write
        action: CreateFile
        inputs:
          - path: out
            content: '[{{build.Lines.outputs.stdout}}][{{build.Lines.outputs[0].stdout}}][{{build.Skipped.outputs.stdout}}][{{build.Read.outputs.content}}][{{build.Read.outputs[1].content}}][{{build.Two.inputs[1].overwrite}}][{{build.Lines.inputs.commands}}]'
`)
	if r.Summary.Status != "success" || r.Summary.SkippedStepCount != 1 || r.Summary.ExecutedStepCount != 5 {
		t.Fatalf("summary %+v, failure %+v", r.Summary, r.Failure)
	}
	want := "[ a\nb][ a\nb][][][two][true][printf \" a\\nb\\r\\n\\n\",echo error >&2]"
	if diff := cmp.Diff(want, b.read("out")); diff != "" {
		t.Error(diff)
	}
	var published struct {
		Documents []map[string]struct{ Outputs []map[string]string }
	}
	if err := json.Unmarshal([]byte(b.log(r, "chaining.json")), &published); err != nil {
		t.Fatal(err)
	}
	if got := published.Documents[0]["build.Lines"].Outputs[0]["stdout"]; got != " a\nb" {
		t.Errorf("chaining.json has %q", got)
	}
}

func TestRunUnselectedPhase(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.Phases = []string{"validate"}
	r := b.run("schemaVersion: 1.0\nphases:\n  - name: build\n    steps:\n      - " + sh("First", "touch first") +
		"\n  - name: validate\n    steps:\n      - " + sh("Second", "echo {{ build.First.outputs.stdout }}") + "\n")
	want := "the input 'commands': {{ build.First.outputs.stdout }}: the step First was not run: is the phase 'build' among those selected?"
	if r.Failure == nil || r.Failure.ErrorMessage != want || b.exists("first") {
		t.Errorf("failure %+v", r.Failure)
	}
}

func TestRunTruncatedOutput(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.run(steps(sh("Big", "head -c 1100000 /dev/zero | tr \"\\0\" x"), sh("Use", "echo {{ build.Big.outputs.stdout }}")))
	if r.Failure == nil || !strings.Contains(r.Failure.ErrorMessage, "the output of step Big is longer than 262144 bytes") {
		t.Errorf("failure %+v", r.Failure)
	}
}

func TestRunIf(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ condition, status, run string }{
		{"{folderExists: /}", "success", "success"},
		{"{fileExists: /no}", "skipped", "success"},
		{"{folderExists: /, then: Skip, else: Execute}", "skipped", "success"},
		{"{fileExists: /no, then: Skip, else: Execute}", "success", "success"},
		{"{folderExists: /, then: Abort}", "failed", "failed"},
		{"{not: {binaryExists: no-such-program, then: Execute, else: Skip}}", "success", "success"},
		{"{not: {binaryExists: cd, then: Execute, else: Skip}}", "skipped", "success"},
		{"{numberEquals: '{{ env:HOME }}', value: 1}", "failed", "failed"},
	} {
		b := newBench(t)
		r := b.run(steps(sh("Step", "true", "if: "+tc.condition)))
		if got := stepStatuses(r)["Step"]; got != tc.status || r.Summary.Status != tc.run {
			t.Errorf("%s: step %s, run %s; want %s and %s", tc.condition, got, r.Summary.Status, tc.status, tc.run)
		}
	}
}

func TestRunLoops(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ loop, ref, want string }{
		{"{for: {start: 1, end: 5, updateBy: 2}}", "{{ loop.index }}={{ loop.value }}", "0=1\n1=3\n2=5"},
		{"{for: {start: 1, end: -1, updateBy: -1}}", "{{ loop.value }}", "1\n0\n-1"},
		{"{name: words, forEach: [Hello, '{{ context:phase }}']}", "{{ words.index }}{{ words.value }}{{ loop.value }}", "0HelloHello\n1buildbuild"},
		{"{forEach: {list: 'a,,b'}}", "[{{ loop.value }}]", "[a]\n[]\n[b]"},
		{"{forEach: {list: 'a-b', delimiter: '-'}}", "{{ loop.value }}", "a\nb"},
		{"{forEach: {list: \"x\\ny\", delimiter: \"\\n\"}}", "{{ loop.value }}", "x\ny"},
	} {
		b := newBench(t)
		r := b.run(steps(sh("Loop", "echo \""+tc.ref+"\"", "loop: "+tc.loop), "{name: Write, action: CreateFile, inputs: [{path: out, content: '{{ build.Loop.outputs.stdout }}'}]}"))
		if r.Summary.Status != "success" {
			t.Errorf("%s: %+v", tc.loop, r.Failure)
			continue
		}
		if diff := cmp.Diff(tc.want, b.read("out")); diff != "" {
			t.Errorf("%s: %s", tc.loop, diff)
		}
	}
}

// TestRunLoopFailure: the first failing iteration ends the loop, an attempt
// begins with the first iteration again, and what succeeded stays as output.
func TestRunLoopFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.run(steps(
		sh("Loop", "echo {{ loop.value }} >> log; echo {{ loop.value }}; test {{ loop.value }} != 2", "loop: {for: {start: 1, end: 3, updateBy: 1}}", "maxAttempts: 2", "onFailure: Ignore"),
		sh("Use", "echo \"{{ build.Loop.outputs.stdout }}\" > out"),
	))
	if r.Summary.Status != "success" || b.read("log") != "1\n2\n1\n2\n" || b.read("out") != "1\n2\n" && b.read("out") != "1\n" {
		t.Errorf("status %s, log %q, out %q", r.Summary.Status, b.read("log"), b.read("out"))
	}
	step := r.Detail.Documents[0].Phases[0].Steps[0]
	if step.FailureMessage != "loop iteration 1 failed: exit status 1" || step.Loop.Iterations != 2 {
		t.Errorf("message %q, loop %+v", step.FailureMessage, step.Loop)
	}
}

func TestRunLoopTimeout(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.run(steps(sh("Loop", "sleep 1", "loop: {for: {start: 1, end: 1000, updateBy: 1}}", "timeoutSeconds: 2")))
	if r.Summary.Status != "timedOut" || r.Failure.ErrorMessage != "the loop timed out after 2 seconds" {
		t.Errorf("summary %+v, failure %+v", r.Summary, r.Failure)
	}
}

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

func TestRunEnvironment(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.Env = []string{"PATH=" + os.Getenv("PATH"), "A B(x)=weird"}
	r := b.run(steps(
		sh("Look", "cd /; x=1; pwd > "+b.dir+"/pwd1"),
		sh("Later", "pwd > pwd2; echo \"${x-unset} ${HOME+home} $WORKING_DIRECTORY {{ env:A B(x) }} [{{ env:NOPE }}] {{ context:step }}\" > env; cat > stdin; readlink /proc/self/fd/0 >> stdin"),
	))
	if r.Summary.Status != "success" {
		t.Fatal(r.Failure)
	}
	if b.read("pwd1") != "/\n" || b.read("pwd2") != b.dir+"\n" {
		t.Errorf("folders %q and %q", b.read("pwd1"), b.read("pwd2"))
	}
	if want := "unset home " + os.TempDir() + " weird [] Later\n"; b.read("env") != want {
		t.Errorf("environment %q, want %q", b.read("env"), want)
	}
	if runtime.GOOS == "linux" && b.read("stdin") != "/dev/null\n" {
		t.Errorf("standard input %q", b.read("stdin"))
	}
}

func TestRunUsageErrors(t *testing.T) {
	t.Parallel()
	good := []toe.Source{{Path: "d", Data: []byte(steps(sh("Step", "true")))}}
	for want, o := range map[string]toe.Options{
		"no document is given":     {},
		"documents[0] has no path": {Documents: []toe.Source{{}}},
		`the reboot mode "maybe" is not one of exit, standalone, forbid`:         {Documents: good, RebootMode: "maybe"},
		"reboot mode standalone needs a command to resume by":                    {Documents: good, RebootMode: toe.RebootStandalone},
		`the blocked action "Nope" does not exist`:                               {Documents: good, BlockedActions: []string{"Nope"}},
		`the execution id "a b" must have 1 to 200 letters, digits or - _ . : /`: {Documents: good, ExecutionID: "a b"},
	} {
		_, err := toe.Run(context.Background(), o)
		var usage *toe.UsageError
		if !errors.As(err, &usage) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestRunRefusesBadDocuments(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.BlockedActions = []string{"Reboot"}
	r := b.run(steps("{name: Step, action: Reboot}", "{name: Wrong, action: ExecutePowerShell, inputs: {commands: [x]}}"), "nonsense")
	want := "doc0.yaml:5:9: The action Reboot in step 'Step' is blocked."
	if r.Summary.Status != "failed" || r.Summary.FailureMessage != want || r.ExitCode() != 1 || len(r.Problems) != 3 {
		t.Errorf("summary %+v, problems:\n%v", r.Summary, r.Problems)
	}
	if len(b.events) != 1 || b.events[0].Event != toe.EventResult || b.events[0].Failure == nil {
		t.Errorf("events %+v", b.events)
	}
}

// TestRunPhases: phases run in the document's order, whatever the caller's.
func TestRunPhases(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.Phases = []string{"test", "build"}
	text := "schemaVersion: 1.0\nphases:\n"
	for _, name := range []string{"build", "validate", "test"} {
		text += "  - name: " + name + "\n    steps:\n      - " + sh("Step", "echo "+name+" >> order") + "\n"
	}
	if r := b.run(text); r.Summary.ExecutedStepCount != 2 || b.read("order") != "build\ntest\n" {
		t.Errorf("summary %+v, order %q", r.Summary, b.read("order"))
	}
	b.options.Phases = []string{"nope"}
	if r := b.run(text); r.Summary.Status != "success" || r.Summary.ExecutedStepCount != 0 {
		t.Errorf("no phase: %+v", r.Summary)
	}
}

// TestRunLongMessages: what a document holds cannot make an event's line long.
func TestRunLongMessages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	long := strings.Repeat("x", 500_000)
	b.run(steps("{name: Run, action: ExecuteBinary, inputs: {path: './" + long + "', arguments: ['{{ env:" + long + " }}']}}"))
	b.run("schemaVersion: " + long + "\n" + long + ": x\n")
	for _, e := range b.events {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if len(line) > 64<<10 {
			t.Errorf("the event %s has %d bytes", e.Event, len(line))
		}
	}
	if len(b.events) < 4 {
		t.Errorf("%d events", len(b.events))
	}
}
