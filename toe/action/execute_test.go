//go:build unix

package action

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestExecuteBash(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		commands []string
		stdout   string
		exit     int
		err      string
		reboot   Reboot
	}{
		{name: "one script", commands: []string{"x=1; cd /", "f() { echo \"$x $PWD\"; }", "f"}, stdout: "1 /"},
		{name: "last status counts", commands: []string{"false", "true"}},
		{name: "no pipefail", commands: []string{"false | true"}},
		{name: "status", commands: []string{"exit 42"}, exit: 42, err: "exit status 42"},
		{name: "signal", commands: []string{"kill -9 $$"}, exit: 137, err: "signal: killed"},
		{name: "reboot", commands: []string{"echo a; exit 194"}, stdout: "a", exit: 194, reboot: RebootAgain},
		{name: "bash", commands: []string{`a=(1 2); [[ ${#a[@]} == 2 ]] && echo "${a[1]}" &> /dev/stdout`}, stdout: "2"},
		{name: "syntax", commands: []string{"if"}, exit: 2, err: "exit status 2"},
		{name: "heredoc", commands: []string{"cat <<EOF\na\nEOF", "echo b"}, stdout: "a\nb"},
		{name: "line ends", commands: []string{`printf ' \n a \r\n\n'`}, stdout: " \n a "},
		{name: "script name", commands: []string{`basename "$0"`}, stdout: "input.sh"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			r, err := do(t, h, "ExecuteBash", fields{"commands": tc.commands})
			if got := errorText(err); got != tc.err {
				t.Errorf("error %q, want %q", got, tc.err)
			}
			if r.Outputs[0]["stdout"] != tc.stdout || *r.ExitCode != tc.exit || r.Reboot != tc.reboot {
				t.Errorf("stdout %q, exit %d, reboot %v", r.Outputs[0]["stdout"], *r.ExitCode, r.Reboot)
			}
			if left, err := os.ReadDir(h.TempDir); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestExecuteStreams(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	var out, errs bytes.Buffer
	h.Stdout, h.Stderr = &out, &errs
	r, err := do(t, h, "ExecuteBash", fields{"commands": []string{"echo to out; echo to err >&2; printf 'bad \\377' >&2"}})
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != "to out\n" || errs.String() != "to err\nbad \xff" || r.StderrTail != "to err\nbad \ufffd" {
		t.Errorf("stdout %q, stderr %q, tail %q", out.String(), errs.String(), r.StderrTail)
	}
}

// TestExecuteLimits: what is kept of output is bounded, the start of standard
// output and the end of standard error.
func TestExecuteLimits(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	r, err := do(t, h, "ExecuteBash", fields{"commands": []string{"echo begin; head -c 3000000 /dev/zero | tr '\\0' x; (head -c 3000000 /dev/zero | tr '\\0' y; echo end) >&2"}})
	if err != nil {
		t.Fatal(err)
	}
	out := r.Outputs[0]["stdout"]
	if len(out) != MaxOutput || !strings.HasPrefix(out, "begin\nx") || !r.Truncated {
		t.Errorf("stdout has %d bytes, truncated %v", len(out), r.Truncated)
	}
	if len(r.StderrTail) > StderrTail || !strings.HasSuffix(r.StderrTail, "yend") {
		t.Errorf("stderr has %d bytes", len(r.StderrTail))
	}
}

func TestExecuteBinary(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	write(t, filepath.Join(h.Dir, "show"), "#!/bin/sh\nprintf '<%s>' \"$@\"\n", 0o755)
	write(t, filepath.Join(h.Dir, "plain"), "x", 0o644)
	evil := []string{"a b", "$(touch pwned)", "; touch pwned", "`touch pwned`", "--", "-n", "*", "'", "\n", ""}
	for _, path := range []string{"./show", filepath.Join(h.Dir, "show")} {
		r, err := do(t, h, "ExecuteBinary", fields{"path": path, "arguments": evil})
		if err != nil {
			t.Fatal(err)
		}
		if want := "<" + strings.Join(evil, "><") + ">"; r.Outputs[0]["stdout"] != want {
			t.Errorf("arguments %q", r.Outputs[0]["stdout"])
		}
	}
	if _, err := os.Stat(filepath.Join(h.Dir, "pwned")); err == nil {
		t.Error("an argument was run")
	}
	if r, err := do(t, h, "ExecuteBinary", fields{"path": "echo", "arguments": []string{"found"}}); err != nil || r.Outputs[0]["stdout"] != "found" {
		t.Errorf("on PATH: %v, %v", r, err)
	}
	for path, want := range map[string]string{
		"no-such-program": `"no-such-program" was not found on PATH`,
		"show":            `"show" was not found on PATH`, // the working folder is not on it
		"./missing":       "no such file",
		"./plain":         "permission denied",
		"/":               "is a folder, not a program",
	} {
		_, err := do(t, h, "ExecuteBinary", fields{"path": path})
		wantError(t, err, want)
	}
	r, err := do(t, h, "ExecuteBinary", fields{"path": "sh", "arguments": []string{"-c", "exit 7"}})
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != 7 || *r.ExitCode != 7 {
		t.Errorf("got %v", err)
	}
}

func TestExecuteStopped(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	m := Lookup("ExecuteBash")
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	in := Inputs{Entries: []Entry{NewEntry(m, fields{"commands": []string{"echo before; trap 'echo asked; exit 0' TERM; while :; do sleep 0.01; done"}})}}
	r, err := m.Run(ctx, h, in)
	// A program that ends well when asked to had not finished its work.
	if r.Outputs[0]["stdout"] != "before\nasked" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stdout %q, error %v", r.Outputs[0]["stdout"], err)
	}
	if _, err := m.Run(ctx, h, in); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a program was started after the end: %v", err)
	}
}

func TestBinaryExists(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for name, want := range map[string]bool{
		"sh": true, "cd": true, "if": true, "/bin/sh": true, "no-such-program": false, "": false, "-t": false,
		"$(touch pwned)": false, "sh; touch pwned": false, "/etc/passwd": false,
	} {
		if got := BinaryExists(context.Background(), h, name); got != want {
			t.Errorf("%q exists: %v, want %v", name, got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(h.Dir, "pwned")); err == nil {
		t.Error("a name was run")
	}
}

func TestAssert(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for want, condition := range map[string]func() (bool, error){
		"":                       func() (bool, error) { return true, nil },
		"the assertion is false": func() (bool, error) { return false, nil },
		"boom":                   func() (bool, error) { return false, boom },
	} {
		_, err := Lookup("Assert").Run(context.Background(), newHost(t), Inputs{Condition: condition})
		if errorText(err) != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestReboot(t *testing.T) {
	t.Parallel()
	r, err := do(t, newHost(t), "Reboot", fields{"delaySeconds": int64(3)})
	if err != nil || r.Reboot != RebootNext || r.Delay != 3*time.Second {
		t.Errorf("got %+v, %v", r, err)
	}
	if r, err := do(t, newHost(t), "Reboot"); err != nil || r.Reboot != RebootNext || r.Delay != 0 {
		t.Errorf("got %+v, %v", r, err)
	}
}
