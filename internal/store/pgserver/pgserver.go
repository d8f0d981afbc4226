// Package pgserver runs a PostgreSQL server of one's own for tests and
// benchmarks: a cluster in a temporary folder that listens on a socket in it and
// nowhere else. It ends with the process that started it, however that ends.
//
// It stands beside the store and is part of no program that is installed.
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrAbsent says that no server can be run here.
var ErrAbsent = errors.New("PostgreSQL cannot be run here")

// Server is a server.
type Server struct {
	dir     string
	bin     string
	owner   *syscall.Credential // PostgreSQL does not run as root; nil: as we are
	options []string
	process *os.Process
	ended   chan struct{}
	next    atomic.Int64
	copying sync.Mutex
}

// New starts a server with settings such as "fsync=off"; ErrAbsent if PostgreSQL
// is not installed (Debian package postgresql).
func New(options ...string) (_ *Server, err error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	// The socket's path has to be short.
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin, options: options}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if os.Geteuid() == 0 {
		if s.owner, err = unprivileged(); err != nil {
			return nil, err
		}
		if err := os.Chown(dir, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			return nil, err
		}
	}
	init := s.command("initdb", "--pgdata", s.data(), "--auth", "trust", "--username", "goldsmith", "--encoding", "UTF8", "--no-sync")
	if out, err := init.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("making a database cluster: %w\n%s", err, out)
	}
	return s, s.Start()
}

// Close kills the server and removes its files.
func (s *Server) Close() error {
	s.Kill()
	return os.RemoveAll(s.dir)
}

// binaries finds the folder of the server's programs, which Debian keeps off the
// PATH.
func binaries() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("postgres")
	if err != nil {
		return "", fmt.Errorf("%w: it is not installed (Debian package postgresql)", ErrAbsent)
	}
	return filepath.Dir(path), nil
}

// unprivileged is the user that the server runs as when we are root.
func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("%w: we are root, and there is no user postgres or nobody that it could run as", ErrAbsent)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// command is a program of the server's, run as its owner.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Pdeathsig: syscall.SIGQUIT}
	return cmd
}

// startTime is how long a server may take to answer, also when it recovers.
const startTime = time.Minute

// Start starts the server again after Kill, and returns when it answers.
func (s *Server) Start() error {
	args := []string{"-D", s.data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "unix_socket_permissions=0777", "-c", "max_connections=200", "-c", "shared_buffers=32MB"}
	for _, option := range s.options {
		args = append(args, "-c", option)
	}
	cmd := s.command("postgres", args...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	started := make(chan error)
	s.ended = make(chan struct{})
	go func() {
		// The server is told of the death of the thread that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(s.ended)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting PostgreSQL: %w", err)
	}
	s.process = cmd.Process
	for deadline := time.Now().Add(startTime); ; {
		err := s.Do("postgres", "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			s.process = nil
			return fmt.Errorf("PostgreSQL ended at once:\n%s", said.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("PostgreSQL does not answer: %w", err)
		}
	}
}

// Kill ends the server as its crash would: its connections break, and nothing is
// written any more. (SIGQUIT, not SIGKILL, so that its children and its shared
// memory go with it; the next start recovers either way.)
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	_ = s.process.Signal(syscall.SIGCONT)
	_ = s.process.Signal(syscall.SIGQUIT)
	<-s.ended
	s.process = nil
}

// Pause stops all of the server's processes, or lets them go on: a server that
// hangs, with connections that stay open.
func (s *Server) Pause(stop bool) error {
	signal := syscall.SIGCONT
	if stop {
		signal = syscall.SIGSTOP
	}
	pids, err := s.Processes()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); err != nil && err != syscall.ESRCH {
			return err
		}
	}
	return nil
}

// Processes gives the ids of the server's processes.
func (s *Server) Processes() ([]int, error) {
	pids := []int{s.process.Pid}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", s.process.Pid, s.process.Pid))
	if err != nil {
		return nil, fmt.Errorf("finding the server's processes: %w", err)
	}
	for _, field := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("finding the server's processes: %w", err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// URL is the address of a database.
func (s *Server) URL(database string) string {
	return "postgres:///" + database + "?" + url.Values{"host": {s.dir}, "user": {"goldsmith"}}.Encode()
}

// Database makes an empty database and gives its address.
func (s *Server) Database() (string, error) {
	name := fmt.Sprint("test_", s.next.Add(1))
	if err := s.Do("postgres", "CREATE DATABASE "+name); err != nil {
		return "", fmt.Errorf("making a database: %w", err)
	}
	return s.URL(name), nil
}

// Copy makes a database that holds what another does, which nobody is connected
// to, and gives its address.
func (s *Server) Copy(address string) (string, error) {
	from, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("copying a database: %w", err)
	}
	name := fmt.Sprint("test_", s.next.Add(1))
	// One at a time: a database that is being copied is in use.
	s.copying.Lock()
	defer s.copying.Unlock()
	if err := s.Do("postgres", "CREATE DATABASE "+name+" TEMPLATE "+strings.TrimPrefix(from.Path, "/")); err != nil {
		return "", fmt.Errorf("copying a database: %w", err)
	}
	return s.URL(name), nil
}

// Do runs a statement in a database.
func (s *Server) Do(database, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing is left to say
	_, err = conn.Exec(ctx, statement)
	return err
}
