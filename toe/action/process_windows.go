package action

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

func ownGroup(cmd *exec.Cmd, line string) {
	if line != "" {
		cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: line}
	}
}

// exitError turns the error of Wait into an ExitError.
func exitError(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	return &ExitError{Code: exit.ExitCode()}
}

// terminate ends a process and its descendants. Windows has no polite way to
// ask a program without a window.
func terminate(p *os.Process, _ *Host) {
	tree := exec.Command("taskkill.exe", "/T", "/F", "/PID", strconv.Itoa(p.Pid)) //nolint:gosec // a number
	if tree.Run() != nil {
		_ = p.Kill()
	}
}

// finish waits until the pipe has ended, but not long for children that keep
// it open: pipes have no deadlines here.
func (f *follower) finish() {
	select {
	case <-f.done:
	case <-time.After(200 * time.Millisecond):
		f.pipe.Close()
		<-f.done
	}
}

func clearDeadline(*os.File) error { return nil }

func drain(*os.File, []byte, io.Writer, io.Writer) bool { return false }
