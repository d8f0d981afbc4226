package engine

import (
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/instance"
)

// here is an instance whose guest is this machine; its scratch folder is of the
// test.
type here struct {
	instance.Instance
	scratch string
}

func (h here) Scratch() string { return h.scratch }
func (h here) Toe() string     { return filepath.Join(h.scratch, "toe") }
func (h here) Put(_ context.Context, name string, mode fs.FileMode, content io.Reader) error {
	data, err := io.ReadAll(content)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(name), 0o700)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(name, data, mode)
}
func (h here) Exec(ctx context.Context, cmd instance.Command) (int, error) {
	c := exec.CommandContext(ctx, cmd.Argv[0], cmd.Argv[1:]...)
	c.Env, c.Dir, c.Stdout, c.Stderr = append([]string{"PATH=/usr/bin:/bin"}, cmd.Env...), cmd.Dir, cmd.Stdout, cmd.Stderr
	err := c.Run()
	return c.ProcessState.ExitCode(), err
}

// TestTheShellStandsWhereTheStepFailed: with its environment to the letter and
// nothing of the host's, in its folder; and the retry gives the executor what it
// needs. What a shell could misread is in every value.
func TestTheShellStandsWhereTheStepFailed(t *testing.T) {
	t.Parallel()
	const odd = `it's $HOME "and" \back; rm -rf /nowhere` + "\n`second line`"
	dir := filepath.Join(t.TempDir(), "work $(touch pwned) 'folder'")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	h := here{scratch: filepath.Join(t.TempDir(), "scratch")}
	logs := filepath.Join(h.scratch, "step", "it's logs")
	if err := os.MkdirAll(filepath.Join(logs, "TOE_1"), 0o700); err != nil {
		t.Fatal(err)
	}
	m := &machine{Instance: h, failed: &setting{step: "Odd $(id)", env: []string{"WORKING_DIRECTORY=/tmp", "ODD=" + odd, "HOME=/home/of"}, dir: dir, again: &again{
		config: executorConfig{ExecutionID: "step-1", StateDirectory: "/state", LogDirectory: logs, Phases: "build", Documents: []executorDocument{{Path: "/d.yaml"}}}, from: "1:build.Odd", file: "/d.yaml",
	}}}
	argv, err := m.prepareShell(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	shell := exec.Command(argv[0], argv[1:]...)
	shell.Stdin, shell.Env = strings.NewReader(`printf '%s|' "$ODD" "$HOME" "$PWD" "$WORKING_DIRECTORY" "$LEAK"`), []string{"LEAK=of the host", "PATH=/usr/bin:/bin"}
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if diff := cmp.Diff(strings.Join([]string{odd, "/home/of", dir, "/tmp", "", ""}, "|"), string(out)); diff != "" {
		t.Errorf("the shell (-want +got):\n%s", diff)
	}
	if err := os.WriteFile(h.Toe(), []byte("#!/bin/sh\nprintf '%s\\n' \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ given, from string }{{"", "1:build.Odd"}, {"validate.Later", "1:validate.Later"}} {
		retry := exec.Command(filepath.Join(h.scratch, failedFolder, "retry"), tc.given)
		out, err := retry.CombinedOutput()
		want := []string{"run", "--config", filepath.Join(h.scratch, failedFolder, "config.json"), "--from", tc.from, "--outputs-from", filepath.Join(logs, "TOE_1"), "--reboot-mode", "exit", ""}
		if diff := cmp.Diff(strings.Join(want, "\n"), string(out)); diff != "" || err != nil {
			t.Errorf("%v, the executor's arguments (-want +got):\n%s", err, diff)
		}
	}
	config, err := os.ReadFile(filepath.Join(h.scratch, failedFolder, "config.json"))
	if err != nil || strings.Contains(string(config), "step-1") || strings.Contains(string(config), "/state") {
		t.Errorf("%v: the retry would go on with the state of the failed run: %s", err, config)
	}
	if argv, err := (&machine{Instance: h}).prepareShell(t.Context()); err != nil || argv != nil {
		t.Errorf("without a failed program: %q, %v", argv, err)
	}
}
