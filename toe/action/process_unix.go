//go:build unix

package action

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func ownGroup(cmd *exec.Cmd, _ string) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// exitError turns the error of Wait into an ExitError.
func exitError(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return &ExitError{Code: 128 + int(status.Signal()), Signal: status.Signal().String()}
	}
	return &ExitError{Code: exit.ExitCode()}
}

// terminate ends a process group, and on Linux whatever else carries the
// step's mark: first politely, after the grace by force.
func terminate(p *os.Process, h *Host) {
	group := p.Pid
	signal := func(s syscall.Signal) (alive bool) {
		alive = syscall.Kill(-group, s) == nil
		for _, pid := range marked(h.Mark) {
			alive = syscall.Kill(pid, s) == nil || alive
		}
		return alive
	}
	signal(syscall.SIGTERM)
	for deadline := time.Now().Add(h.Grace); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if !signal(0) {
			return
		}
	}
	// A process may fork between the look and the blow: look again, but do not
	// wait for ever for one that the kernel cannot end.
	for range 50 {
		if !signal(syscall.SIGKILL) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// finish waits until everything that the ended program had printed was read.
func (f *follower) finish() {
	// The deadline wakes the reader even if a child keeps the pipe open.
	if err := f.pipe.SetReadDeadline(time.Now()); err != nil {
		f.pipe.Close()
	}
	<-f.done
}

func clearDeadline(pipe *os.File) error { return pipe.SetReadDeadline(time.Time{}) }

// drain reads what is in the pipe without waiting for more. It says whether
// somebody still holds the other end. A child that prints without pause cannot
// hold it up: at most what a pipe can hold is read.
func drain(pipe *os.File, buffer []byte, keep, log io.Writer) (open bool) {
	const most = 1 << 20
	raw, err := pipe.SyscallConn()
	if err != nil {
		return false
	}
	open = true
	err = raw.Control(func(fd uintptr) {
		for total := 0; total < most; {
			n, err := unix.Read(int(fd), buffer)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if n <= 0 {
				open = errors.Is(err, unix.EAGAIN)
				return
			}
			total += n
			_, _ = keep.Write(buffer[:n])
			_, _ = log.Write(buffer[:n])
		}
	})
	return open && err == nil
}
