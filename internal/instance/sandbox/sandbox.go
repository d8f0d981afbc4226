package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/cgroup"
	"github.com/goldsmith-build/goldsmith/internal/instance/guest"
	"github.com/goldsmith-build/goldsmith/internal/instance/holding"
	"github.com/goldsmith-build/goldsmith/internal/instance/lifeline"
)

// stopping is how long an orderly shutdown may take before Stop gives up. It
// is longer than what systemd gives a service that does not stop: 90 s after
// SIGTERM, and as much after SIGKILL.
const stopping = 200 * time.Second

// sandbox is a running instance. Exec, Put, Get and Reboot are the Channel's.
type sandbox struct {
	*guest.Channel

	spec     instance.Spec
	log      *slog.Logger
	groups   *cgroup.Groups
	held     *holding.Holding
	listener *net.UnixListener
	cmd      *exec.Cmd
	line     *lifeline.Line
	agent    atomic.Int64 // pid of the guest's agent, as this process sees it

	exited  chan struct{} // closed when the supervisor is gone
	outcome report        // its last report, good once exited is closed
	cleanup sync.Once
}

func (i *sandbox) path(name string) string { return filepath.Join(i.spec.Dir, name) }

// ID is instance.Instance's ID.
func (i *sandbox) ID() string { return i.spec.ID }

// Scratch is a folder of the host, shown to the guest.
func (i *sandbox) Scratch() string { return guest.Folder }

// Toe is instance.Instance's Toe.
func (i *sandbox) Toe() string { return guest.Toe }

// Console is instance.Instance's Console.
func (i *sandbox) Console() string { return i.path(consoleFile) }

// Enter is an nsenter into the namespaces of the guest's agent.
func (i *sandbox) Enter() []string {
	return []string{
		"nsenter", "--target", strconv.FormatInt(i.agent.Load(), 10),
		"--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd",
		"/usr/bin/env", "-i", "HOME=/root", "LANG=C.UTF-8", "TERM=xterm",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "/bin/sh", "-l",
	}
}

// accept takes the agent's connections, one after the other: whoever connects
// while one is served is not the agent.
func (i *sandbox) accept() {
	var busy atomic.Bool
	for {
		conn, err := i.listener.AcceptUnix()
		if err != nil {
			return // closed
		}
		if !busy.CompareAndSwap(false, true) {
			i.log.Warn("a second connection to the agent's socket was refused")
			conn.Close()
			continue
		}
		if pid, ok := peer(conn); ok {
			i.agent.Store(int64(pid))
		}
		go func() {
			defer busy.Store(false)
			err := i.Serve(conn)
			i.log.Debug("the agent's connection ended", "error", err)
		}()
	}
}

// peer gives the process at the other end of a socket.
func peer(conn *net.UnixConn) (int32, bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, false
	}
	var cred *unix.Ucred
	if raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}) != nil || err != nil {
		return 0, false
	}
	return cred.Pid, true
}

// follow reads the supervisor's reports until it is gone.
func (i *sandbox) follow(copies *sync.WaitGroup) {
	last := report{Event: "failed", Error: "its supervisor was killed"}
	for {
		var r report
		if err := i.line.Receive(&r); err != nil {
			break
		}
		i.log.Debug("sandbox", "event", r.Event, "error", r.Error)
		if r.Event == "failed" || r.Event == "stopped" {
			last = r
		}
	}
	_ = i.cmd.Wait() // its reports say more than its status
	copies.Wait()
	i.outcome = last
	cause := errors.New("it powered off")
	if last.Event == "failed" {
		cause = errors.New(last.Error)
	}
	i.log.Debug("sandbox ended", "cause", cause)
	close(i.exited)
	i.Channel.Close(cause)
}

// explain adds to the error of a launch what the supervisor and the guest said.
func (i *sandbox) explain(ctx context.Context, err error) error {
	var lost *instance.LostError
	switch {
	case errors.As(err, &lost):
		err = lost.Cause
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("its guest agent has not answered within %s", i.spec.BootTimeout)
	}
	select {
	case <-i.exited: // the console is complete then
	case <-ctx.Done():
	}
	if tail := i.held.Console.Tail(15); tail != "" {
		return fmt.Errorf("%w; the console's last lines:\n%s", err, tail)
	}
	return err
}

// Stop is instance.Instance's Stop.
func (i *sandbox) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopping)
	defer cancel()
	_ = i.line.Send(order{Stop: true}) // fails if it is gone already, which is fine
	select {
	case <-i.exited:
	case <-ctx.Done():
		return fmt.Errorf("stopping sandbox %s: %w; the console's last lines:\n%s", i.spec.ID, ctx.Err(), i.held.Console.Tail(10))
	}
	if err := i.clean(); err != nil {
		return err
	}
	if i.outcome.Event != "stopped" {
		return fmt.Errorf("stopping sandbox %s: %s", i.spec.ID, i.outcome.Error)
	}
	return nil
}

// Kill is instance.Instance's Kill.
func (i *sandbox) Kill() error {
	if i.cmd != nil {
		_ = i.cmd.Process.Kill() // it may be gone already
		<-i.exited
	}
	return i.clean()
}

// clean removes what is left when the supervisor is gone.
func (i *sandbox) clean() error {
	i.cleanup.Do(func() {
		i.Channel.Close(errors.New("it was stopped"))
		if i.listener != nil {
			i.listener.Close()
		}
		if i.line != nil {
			i.line.Close()
		}
	})
	return i.held.Release()
}
