//go:build unix

package toe_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/toe"
)

// again runs the same documents until the run has ended, and says how many
// restarts there were.
func (b *bench) again(documents ...string) (*toe.Result, int) {
	b.t.Helper()
	for restarts := 0; ; restarts++ {
		r := b.run(documents...)
		if r.ExitCode() != toe.ExitReboot {
			return r, restarts
		}
		if r.Summary.Status != toe.StatusRebooting || !b.exists("state/toe-state.jsonl") {
			b.t.Fatalf("summary %+v", r.Summary)
		}
	}
}

func TestRebootResume(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	document := steps(
		sh("Once", "echo once >> log; echo kept"),
		sh("Bad", "exit 1", "onFailure: Ignore"),
		sh("Twice", "echo twice >> log; test $(grep -c twice log) -eq 2 || exit 194", "if: {not: {fileExists: log2}}", "maxAttempts: 1"),
		"{name: Restart, action: Reboot}",
		sh("Last", "echo {{ build.Once.outputs.stdout }} >> log"),
	)
	r, restarts := b.again(document, steps(sh("Other", "echo other >> log")))
	if r.Summary.Status != "success" || restarts != 2 {
		t.Fatalf("status %s after %d restarts: %+v", r.Summary.Status, restarts, r.Failure)
	}
	if diff := cmp.Diff("once\ntwice\ntwice\nkept\nother\n", b.read("log")); diff != "" {
		t.Error(diff)
	}
	if r.Summary.ExecutedStepCount != 6 || r.Summary.IgnoredFailedStepCount != 1 {
		t.Errorf("summary %+v", r.Summary)
	}
	if got := r.Detail.Documents[0].Status; got != "successWithIgnoredFailure" {
		t.Errorf("document status %s", got)
	}
	folders, err := os.ReadDir(filepath.Join(b.dir, "logs"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("log folders %v, %v", folders, err)
	}
	console := b.log(r, "console.log")
	for _, want := range []string{"Getting reboot signal", "Rebooting the system now", "Executor: System has rebooted successfully", "TOE has completed execution successfully"} {
		if !strings.Contains(console, want) {
			t.Errorf("console.log lacks %q", want)
		}
	}
	if b.exists("state/toe-state.jsonl") {
		t.Error("the state was not removed")
	}
}

// TestRebootInLoop: a loop goes on with the iteration that asked for the
// restart, and keeps the outputs from before.
func TestRebootInLoop(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r, restarts := b.again(steps(
		sh("Loop", "echo {{ loop.value }} >> log; test {{ loop.value }} != 2 || test $(grep -c 2 log) -eq 2 || exit 194; echo out{{ loop.value }}", "loop: {for: {start: 1, end: 3, updateBy: 1}}"),
		"{name: Restart, action: Reboot, loop: {forEach: [a, b]}}",
		"{name: Write, action: CreateFile, inputs: [{path: out, content: '{{ build.Loop.outputs.stdout }}'}]}",
	))
	if r.Summary.Status != "success" || restarts != 3 {
		t.Fatalf("status %s after %d restarts: %+v", r.Summary.Status, restarts, r.Failure)
	}
	if b.read("log") != "1\n2\n2\n3\n" || b.read("out") != "out1\nout2\nout3" {
		t.Errorf("log %q, out %q", b.read("log"), b.read("out"))
	}
}

func TestRebootForbidden(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.RebootMode = toe.RebootForbid
	r := b.run(steps(sh("Again", "exit 194", "onFailure: Continue"), "{name: Restart, action: Reboot}"))
	if r.ExitCode() != 1 || r.Summary.FailedStepCount != 2 || r.Failure.ErrorMessage != "the step asks for a reboot, and reboots are forbidden here" {
		t.Errorf("summary %+v, failure %+v", r.Summary, r.Failure)
	}
}

// TestRebootCap: a step that always asks for a restart does not do so for ever.
func TestRebootCap(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	document := steps(sh("Again", "exit 194"))
	restarts := 0
	for {
		r, err := b.try(document)
		if err != nil {
			if !strings.Contains(err.Error(), "was interrupted 16 times; it is given up") {
				t.Error(err)
			}
			break
		}
		if restarts++; r.ExitCode() != toe.ExitReboot || restarts > 20 {
			t.Fatalf("after %d restarts: %+v", restarts, r.Summary)
		}
	}
	if restarts != toe.MaxReboots+1 {
		t.Errorf("%d restarts, want %d", restarts, toe.MaxReboots+1)
	}
}

func TestStateMismatch(t *testing.T) {
	t.Parallel()
	first := steps("{name: Restart, action: Reboot}")
	for name, change := range map[string]func(*bench) string{
		"document":     func(*bench) string { return first + "# changed\n" },
		"phases":       func(b *bench) string { b.options.Phases = []string{"build"}; return first },
		"execution id": func(b *bench) string { b.options.ExecutionID = "another"; return first },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.run(first)
			_, err := b.try(change(b))
			var mismatch *toe.StateMismatchError
			if !errors.As(err, &mismatch) || !strings.Contains(err.Error(), "remove the file "+filepath.Join(b.dir, "state", "toe-state.jsonl")) {
				t.Errorf("got %v", err)
			}
			if !b.exists("state/toe-state.jsonl") {
				t.Error("the state of the other run was removed")
			}
		})
	}
}

// crash runs a document in a process of its own that is killed by a step.
func crash(t *testing.T, b *bench, document string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(b.dir, "doc0.yaml")
	if err := os.WriteFile(path, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestCrashHelper$")
	cmd.Env = append(os.Environ(), "TOE_TEST_CRASH="+b.dir)
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Fatalf("the process was not killed: %s", out)
	}
}

// TestCrashHelper is the process that crash kills.
func TestCrashHelper(t *testing.T) {
	dir := os.Getenv("TOE_TEST_CRASH")
	if dir == "" {
		t.Skip("only for TestResumeAfterCrash")
	}
	b := &bench{t: t, dir: dir, options: toe.Options{LogDirectory: filepath.Join(dir, "logs"), StateDirectory: filepath.Join(dir, "state"), Dir: dir, ExecutionID: "crashing"}}
	data, err := os.ReadFile(filepath.Join(dir, "doc0.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	b.run(string(data))
}

// TestResumeAfterCrash: the run of a process that was killed goes on with the
// step that was interrupted, if it is asked for by its execution id.
func TestResumeAfterCrash(t *testing.T) {
	t.Parallel()
	document := steps(sh("First", "echo first >> log; echo kept"), sh("Crash", "echo crash >> log; test $(grep -c crash log) -gt 1 || kill -9 $PPID"), sh("Last", "echo {{ build.First.outputs.stdout }} >> log"))
	t.Run("by id", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		crash(t, b, document)
		b.options.ExecutionID = "crashing"
		r := b.run(document)
		if r.Summary.Status != "success" || b.read("log") != "first\ncrash\ncrash\nkept\n" || r.Summary.ExecutionID != "crashing" {
			t.Errorf("summary %+v, log %q", r.Summary, b.read("log"))
		}
	})
	t.Run("without id", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		crash(t, b, document)
		if r := b.run(document); r.Summary.Status != "success" || b.read("log") != "first\ncrash\nfirst\ncrash\nkept\n" {
			t.Errorf("summary %+v, log %q", r.Summary, b.read("log"))
		}
	})
	t.Run("torn line", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		crash(t, b, document)
		state := filepath.Join(b.dir, "state", "toe-state.jsonl")
		f, err := os.OpenFile(state, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(f, `{"kind":"step","docu`)
		f.Close()
		b.options.ExecutionID = "crashing"
		if r := b.run(document); r.Summary.Status != "success" || b.read("log") != "first\ncrash\ncrash\nkept\n" {
			t.Errorf("summary %+v, log %q", r.Summary, b.read("log"))
		}
	})
	t.Run("torn line, then a restart", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		document := steps(sh("First", "echo first >> log"), sh("Crash", "echo crash >> log; test $(grep -c crash log) -gt 1 || kill -9 $PPID"), "{name: Restart, action: Reboot}", sh("Last", "echo last >> log"))
		crash(t, b, document)
		f, err := os.OpenFile(filepath.Join(b.dir, "state", "toe-state.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(f, `{"kind":"step","docu`)
		f.Close()
		b.options.ExecutionID = "crashing"
		if r, restarts := b.again(document); r.Summary.Status != "success" || restarts != 1 || b.read("log") != "first\ncrash\ncrash\nlast\n" {
			t.Errorf("summary %+v, %d restarts, log %q", r.Summary, restarts, b.read("log"))
		}
	})
}

func TestStateInUse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	inner := newBench(t)
	inner.options.StateDirectory = b.options.StateDirectory
	checked := false
	b.options.Events = func(e toe.Event) {
		if e.Event == toe.EventStepStarted {
			_, err := inner.try(steps(sh("Other", "true")))
			if err == nil || !strings.Contains(err.Error(), "is in use by another run") {
				t.Errorf("second run: %v", err)
			}
			checked = true
		}
	}
	if r := b.run(steps(sh("Step", "true"))); r.Summary.Status != "success" || !checked {
		t.Errorf("first run: %+v", r.Summary)
	}
}

// TestStateHostile: a state file is no way to run or remove anything.
func TestStateHostile(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"garbage":   "\x00\xff not json\n",
		"empty":     "",
		"array":     "[1,2]\n",
		"no header": `{"kind":"step","phase":"build","step":"Step"}` + "\n",
		"wrong":     `{"kind":"run","version":1,"digest":"x"}` + "\n",
	} {
		b := newBench(t)
		if err := os.MkdirAll(filepath.Join(b.dir, "state"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(b.dir, "state", "toe-state.jsonl"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := b.try(steps(sh("Step", "touch ran")))
		if err != nil || r.Summary.Status != "success" || !b.exists("ran") {
			t.Errorf("%s: %v, %+v", name, err, r)
		}
	}
}

// TestRebootInputs: what a step was given and gave before a restart that it
// does not run again after can still be referred to.
func TestRebootInputs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r, restarts := b.again(steps(
		"{name: Restart, action: Reboot, inputs: {delaySeconds: 1}}",
		"{name: Write, action: CreateFile, inputs: [{path: out, content: 'waited {{ build.Restart.inputs.delaySeconds }}'}]}",
	))
	if r.Summary.Status != "success" || restarts != 1 || b.read("out") != "waited 1" {
		t.Errorf("status %s after %d restarts, out %q", r.Summary.Status, restarts, b.read("out"))
	}
	if got := r.Detail.Documents[0].Phases[0].Steps[0].Inputs; got != `[{"delaySeconds":"1"}]` {
		t.Errorf("inputs %s", got)
	}
}
