package function

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/fault"
)

// grace is how long a program that is to end has for that.
const grace = 3 * time.Second

// run runs the command of a function. It dies with the server: the kernel kills
// it when the thread that started it ends, which therefore does nothing else
// meanwhile.
func (f Function) run(ctx context.Context, c Call) ([]byte, error) {
	stdout, stderr := &bounded{most: maxOutput}, &bounded{most: 4 << 10}
	cmd := exec.CommandContext(ctx, f.Command[0], f.Command[1:]...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "GOLDSMITH_CALL_ID=" + c.ID}
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(c.Input), stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Run()
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left running in its group
		}
		done <- err
	}()
	err := <-done
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("it was ended: %w", context.Cause(ctx))
	case err == nil && stdout.cut:
		return nil, fmt.Errorf("it printed more than %d bytes", maxOutput)
	case err == nil:
		return stdout.buf.Bytes(), nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return nil, fmt.Errorf("starting it: %w", err)
	}
	if text := strings.TrimSpace(stderr.buf.String()); text != "" {
		return nil, fmt.Errorf("%w: %s", err, fault.Clip(text))
	}
	return nil, err
}

// bounded keeps the first bytes that it is given and takes the others, so that
// their writer does not wait.
type bounded struct {
	buf  bytes.Buffer
	most int
	cut  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	keep := min(len(p), b.most-b.buf.Len())
	b.cut = b.cut || keep < len(p)
	b.buf.Write(p[:keep])
	return len(p), nil
}
