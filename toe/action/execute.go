package action

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// exitReboot is the status by which a program asks for a restart of the
// machine: 194, and 3010 on Windows.
var exitReboot = map[bool]int{true: 3010, false: 194}[runtime.GOOS == "windows"]

// runExecuteBash writes all commands into one script, so that variables and
// functions live from one to the next, and runs it by bash. The script is not
// executed itself: /tmp may be mounted noexec.
func runExecuteBash(ctx context.Context, h *Host, in Inputs) (Result, error) {
	bash, err := findBash(h.Env)
	if err != nil {
		return Result{}, err
	}
	dir, err := os.MkdirTemp(h.TempDir, "step-")
	if err != nil {
		return Result{}, fmt.Errorf("making a folder for the script: %w", err)
	}
	script := filepath.Join(dir, "input.sh")
	defer removeScript(script, dir)
	h.logf("ExecuteBash: Created temporary directory: %s", dir)
	text := strings.Join(in.Entries[0].Strings("commands"), "\n") + "\n"
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		return Result{}, fmt.Errorf("writing the script: %w", err)
	}
	return runProgram(ctx, h, bash, script)
}

// removeScript takes the short way where the step left nothing else.
func removeScript(script, dir string) {
	if syscall.Unlink(script) == nil && syscall.Rmdir(dir) == nil {
		return
	}
	_ = os.RemoveAll(dir)
}

func runExecuteBinary(ctx context.Context, h *Host, in Inputs) (Result, error) {
	e := in.Entries[0]
	program, err := lookPath(h, e.String("path"))
	if err != nil {
		return Result{}, err
	}
	return runProgram(ctx, h, program, e.Strings("arguments")...)
}

// runProgram runs a program to its end and turns its exit status into the
// module's result.
func runProgram(ctx context.Context, h *Host, program string, args ...string) (Result, error) {
	r, err := execute(ctx, h, &process{path: program, args: args, host: h})
	var exit *ExitError
	if errors.As(err, &exit) && exit.Code == exitReboot && exit.Signal == "" {
		r.Reboot, err = RebootAgain, nil
	}
	return r, err
}

// execute runs a program to its end; what its exit status means is the
// caller's to say.
func execute(ctx context.Context, h *Host, p *process) (Result, error) {
	err := p.run(ctx)
	r := p.result()
	if h.Flush != nil {
		h.Flush()
	}
	var exit *ExitError
	if errors.As(err, &exit) {
		r.ExitCode = &exit.Code
		h.logf("CmdExecution: ExitCode %d", exit.Code)
	} else if err == nil {
		r.ExitCode = new(int)
		h.logf("CmdExecution: ExitCode 0")
	}
	return r, err
}

// findBash prefers the usual place, and else takes bash from PATH.
func findBash(env []string) (string, error) {
	const usual = "/bin/bash"
	if isExecutable(usual) {
		return usual, nil
	}
	if path := searchPath(env, "bash"); path != "" {
		return path, nil
	}
	return "", errors.New("bash was found neither at /bin/bash nor on PATH")
}

// lookPath finds a program: by its path, relative to the working folder, or by
// name on PATH.
func lookPath(h *Host, name string) (string, error) {
	if strings.ContainsAny(name, `/\`) && (runtime.GOOS == "windows" || strings.Contains(name, "/")) {
		path := h.Path(name)
		if info, err := os.Stat(path); err != nil {
			return "", err
		} else if info.IsDir() {
			return "", fmt.Errorf("%s is a folder, not a program", path)
		}
		return path, nil
	}
	if runtime.GOOS == "windows" {
		return exec.LookPath(name)
	}
	if path := searchPath(h.Env, name); path != "" {
		return path, nil
	}
	return "", fmt.Errorf("%q was not found on PATH", name)
}

// searchPath looks a name up in the PATH of env, the last one given.
func searchPath(env []string, name string) string {
	var list string
	for _, v := range env {
		if rest, ok := strings.CutPrefix(v, "PATH="); ok {
			list = rest
		}
	}
	for _, dir := range filepath.SplitList(list) {
		if path := filepath.Join(dir, name); filepath.IsAbs(path) && isExecutable(path) {
			return path
		}
	}
	return ""
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
