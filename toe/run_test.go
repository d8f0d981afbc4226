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
