package action

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
)

func runAssert(_ context.Context, h *Host, in Inputs) (Result, error) {
	ok, err := in.Condition()
	if err != nil {
		return Result{}, err
	}
	if !ok {
		return Result{}, errors.New("the assertion is false")
	}
	h.logf("Assert: the assertion is true")
	return Result{}, nil
}

// BinaryExists says whether a shell would find a command: a program, and with
// bash also a builtin or function. The name is handed over as an argument, so
// that nothing in it is run.
func BinaryExists(ctx context.Context, h *Host, name string) bool {
	if name == "" {
		return false
	}
	if runtime.GOOS == "windows" {
		return exec.CommandContext(ctx, "where.exe", "/Q", name).Run() == nil //nolint:gosec // an argument, not a command
	}
	bash, err := findBash(h.Env)
	if err != nil {
		_, err = lookPath(h, name)
		return err == nil
	}
	cmd := exec.CommandContext(ctx, bash, "-c", `type -- "$1"`, "toe", name) //nolint:gosec // an argument, not a command
	cmd.Dir, cmd.Env = h.Dir, h.Env
	return cmd.Run() == nil
}
