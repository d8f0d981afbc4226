package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/instance/protocol"
)

// lingering is how long the output of a program that ended may stay silent
// before it is taken as complete, although a child that outlived the program
// still holds it open.
const lingering = 200 * time.Millisecond

// execution is a program that runs for the host.
type execution struct {
	server *server
	id     uint64
	cmd    *exec.Cmd
	ctx    context.Context // ends when the host cancels or the session ends
	cancel context.CancelFunc

	stdin    *protocol.Queue // nil: /dev/null, or the terminal
	stdinTo  *os.File
	outputs  []*output
	terminal *os.File // the master side, or nil
	ended    atomic.Bool
	childEnd []*os.File // our copies of the program's ends, closed once it runs
}

// output is one stream from the program to the host.
type output struct {
	name      string
	from      *os.File
	allowance *protocol.Allowance
}

// exec prepares a program; start runs it.
func (s *server) exec(f protocol.Frame) (operation, error) {
	if len(f.Argv) == 0 || f.Argv[0] == "" {
		return nil, refusedError("no program to run")
	}
	e := &execution{server: s, id: f.ID}
	e.ctx, e.cancel = context.WithCancel(s.ctx)
	e.cmd = exec.Command(f.Argv[0], f.Argv[1:]...)
	e.cmd.Dir = f.Dir
	if f.Dir == "" {
		e.cmd.Dir = "/"
	}
	e.cmd.Env = append(environment(), f.Env...)
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a process group of its own to kill
	var err error
	if f.Terminal != nil {
		err = e.openTerminal(*f.Terminal)
	} else {
		err = e.openPipes(f.Stdin)
	}
	if err == nil {
		err = e.cmd.Start()
	}
	for _, file := range e.childEnd {
		file.Close()
	}
	if err != nil {
		e.closeFiles()
		e.cancel()
		return nil, fmt.Errorf("starting %s: %w", f.Argv[0], err)
	}
	exposeToOOM(e.cmd.Process.Pid)
	return e, nil
}

func (e *execution) openPipes(stdin bool) error {
	if stdin {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		e.childEnd = append(e.childEnd, r)
		e.cmd.Stdin, e.stdinTo, e.stdin = r, w, protocol.NewQueue()
	}
	for _, name := range []string{protocol.StreamStdout, protocol.StreamStderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		e.childEnd = append(e.childEnd, w)
		e.outputs = append(e.outputs, &output{name: name, from: r, allowance: protocol.NewAllowance()})
		if name == protocol.StreamStdout {
			e.cmd.Stdout = w
		} else {
			e.cmd.Stderr = w
		}
	}
	return nil
}

func (e *execution) openTerminal(t protocol.Terminal) error {
	master, slave, err := openPTY()
	if err != nil {
		return fmt.Errorf("opening a terminal: %w", err)
	}
	e.childEnd = append(e.childEnd, slave)
	e.terminal, e.stdinTo, e.stdin = master, master, protocol.NewQueue()
	e.outputs = []*output{{name: protocol.StreamStdout, from: master, allowance: protocol.NewAllowance()}}
	if err := resizePTY(master, t.Rows, t.Columns); err != nil {
		return err
	}
	e.cmd.Stdin, e.cmd.Stdout, e.cmd.Stderr = slave, slave, slave
	e.cmd.SysProcAttr.Setctty = true
	if t.Name != "" {
		e.cmd.Env = append(e.cmd.Env, "TERM="+t.Name)
	}
	return nil
}

func (e *execution) start() {
	if e.stdin != nil {
		go e.feed()
	}
	go e.run()
}

// feed passes the host's bytes to the program. A program that does not read
// its input is no error: the rest is swallowed, so that the host can finish.
func (e *execution) feed() {
	credit := e.server.credit(e.id, protocol.StreamStdin)
	if err := e.stdin.Drain(e.stdinTo, credit); err != nil && e.ctx.Err() == nil {
		_ = e.stdin.Drain(io.Discard, credit)
	}
	if e.terminal == nil {
		e.stdinTo.Close()
	}
}

// run waits for the program and its output, then tells the host how it ended.
func (e *execution) run() {
	var copies sync.WaitGroup
	for _, o := range e.outputs {
		copies.Go(func() { e.copyOut(o) })
	}
	err := e.cmd.Wait()
	e.ended.Store(true)
	for _, o := range e.outputs {
		_ = o.from.SetReadDeadline(time.Now().Add(lingering)) // fails only once it is closed
	}
	copies.Wait()
	e.closeFiles()
	e.cancel()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		e.server.fail(e.id, protocol.CodeFailed, fmt.Errorf("waiting for the program: %w", err))
		return
	}
	e.server.close(e.id, protocol.Frame{Type: protocol.Exit, Status: statusOf(e.cmd.ProcessState)})
}

// copyOut passes an output to the host until its end, or until the program has
// ended and the output stays silent.
func (e *execution) copyOut(o *output) {
	r := &lingerReader{file: o.from, ended: &e.ended}
	err := o.allowance.Send(e.ctx, r, e.server.send(e.id, o.name))
	if err != nil {
		// Cancelled: go on reading, so that a program that outlives its
		// cancellation for a moment does not block.
		_, _ = io.Copy(io.Discard, r)
		return
	}
	_ = e.server.out.Write(protocol.Frame{Type: protocol.End, ID: e.id, Stream: o.name})
}

// lingerReader reads an output; after the program ended, silence is its end,
// and so is more than a pipe can have held at that moment.
type lingerReader struct {
	file  *os.File
	ended *atomic.Bool
	late  int
}

func (r *lingerReader) Read(b []byte) (int, error) {
	const pipeful = 1 << 20 // the most a pipe holds
	for {
		ended := r.ended.Load()
		if ended {
			if r.late > pipeful {
				return 0, io.EOF
			}
			_ = r.file.SetReadDeadline(time.Now().Add(lingering))
		}
		n, err := r.file.Read(b)
		if ended {
			r.late += n
		}
		switch {
		case n > 0:
			return n, nil
		case errors.Is(err, os.ErrDeadlineExceeded) && !ended:
			continue // the program ended between the look and the read
		case err != nil:
			return 0, io.EOF // a pipe's end, a terminal's EIO, silence
		}
	}
}

func (e *execution) frame(f protocol.Frame) error {
	switch f.Type {
	case protocol.Data, protocol.End:
		if e.stdin == nil || f.Stream != protocol.StreamStdin {
			return fmt.Errorf("the program has no stream %q to write to", f.Stream)
		}
		if f.Type == protocol.End {
			e.stdin.End()
			return nil
		}
		return e.stdin.Add(f.Data)
	case protocol.Credit:
		for _, o := range e.outputs {
			if o.name == f.Stream {
				return o.allowance.Grant(f.Bytes)
			}
		}
		return fmt.Errorf("the program has no stream %q", f.Stream)
	case protocol.Signal:
		if f.Signal <= 0 || f.Signal > 64 {
			return fmt.Errorf("no signal %d", f.Signal)
		}
		e.kill(syscall.Signal(f.Signal))
		return nil
	case protocol.Resize:
		if e.terminal == nil || f.Terminal == nil {
			return errors.New("no terminal to resize")
		}
		return resizePTY(e.terminal, f.Terminal.Rows, f.Terminal.Columns)
	case protocol.Cancel:
		e.abandon()
		return nil
	}
	return errors.New("not a frame for a program")
}

// abandon kills the program and drops its output; run does the rest.
func (e *execution) abandon() {
	e.cancel()
	if e.stdin != nil {
		e.stdin.Break(context.Canceled)
	}
	e.kill(syscall.SIGKILL)
}

// kill signals the program's whole process group, which its session leader
// keeps from being reused until Wait has returned.
func (e *execution) kill(sig syscall.Signal) {
	if !e.ended.Load() {
		_ = syscall.Kill(-e.cmd.Process.Pid, sig) // ESRCH: it just ended
	}
}

func (e *execution) closeFiles() {
	if e.stdin != nil {
		e.stdin.Break(io.ErrClosedPipe)
	}
	if e.stdinTo != nil {
		e.stdinTo.Close()
	}
	for _, o := range e.outputs {
		o.from.Close()
	}
}

// statusOf gives a program's exit status the way a shell does.
func statusOf(p *os.ProcessState) int {
	if ws, ok := p.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return p.ExitCode() & 0xff
}

// exposeToOOM takes from a program the protection against the kernel's
// out-of-memory killer that the agent's unit has.
func exposeToOOM(pid int) {
	// It may have ended already, and without /proc there is nothing to do.
	_ = os.WriteFile("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", []byte("0"), 0)
}

// environment is what programs get, whatever started the agent. Variables of
// the service manager that name the agent's own unit are not for them.
func environment() []string {
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh", "LANG=C.UTF-8",
	}
	for _, name := range []string{"TZ", "container", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		if v, ok := os.LookupEnv(name); ok && !strings.ContainsRune(v, 0) {
			env = append(env, name+"="+v)
		}
	}
	return env
}
