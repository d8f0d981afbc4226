package storetest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Postgres is a PostgreSQL server of a test's own: a cluster in a temporary
// folder that listens on a socket in it and nowhere else. It ends with the test,
// and with the test's process however that ends.
type Postgres struct {
	dir     string
	bin     string
	owner   *syscall.Credential // PostgreSQL does not run as root; nil: as we are
	options []string
	process *os.Process
	ended   chan struct{}
	next    atomic.Int64
}

// StartPostgres starts a server, or skips the test where PostgreSQL is not
// installed (Debian package postgresql). Where GOLDSMITH_NEED_POSTGRES is set, as
// in CI, its absence fails the test. options are settings such as "fsync=off".
func StartPostgres(t testing.TB, options ...string) *Postgres {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		if os.Getenv("GOLDSMITH_NEED_POSTGRES") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	// The socket's path has to be short: not t.TempDir.
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		t.Fatal(err)
	}
	p := &Postgres{dir: dir, bin: bin, options: options}
	t.Cleanup(func() {
		p.Kill()
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("removing the test's database server: %v", err)
		}
	})
	if os.Geteuid() == 0 {
		p.owner = unprivileged(t)
		if err := os.Chown(dir, int(p.owner.Uid), int(p.owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	init := p.command("initdb", "--pgdata", p.data(), "--auth", "trust", "--username", "goldsmith", "--encoding", "UTF8", "--no-sync")
	if out, err := init.CombinedOutput(); err != nil {
		t.Fatalf("making a database cluster: %v\n%s", err, out)
	}
	p.Start(t)
	return p
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
		return "", fmt.Errorf("PostgreSQL is not installed (Debian package postgresql): %w", err)
	}
	return filepath.Dir(path), nil
}

// unprivileged is the user that the server runs as when we are root.
func unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	t.Skip("we are root, and there is no user postgres or nobody that PostgreSQL could run as")
	return nil
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

// command is a program of the server's, run as its owner.
func (p *Postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.owner, Pdeathsig: syscall.SIGQUIT}
	return cmd
}

// Start starts the server, after Kill too, and waits until it answers.
func (p *Postgres) Start(t testing.TB) {
	t.Helper()
	args := []string{"-D", p.data(), "-k", p.dir, "-c", "listen_addresses=", "-c", "unix_socket_permissions=0777", "-c", "max_connections=200", "-c", "shared_buffers=32MB"}
	for _, option := range p.options {
		args = append(args, "-c", option)
	}
	cmd := p.command("postgres", args...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	started := make(chan error)
	p.ended = make(chan struct{})
	go func() {
		// The server is told of the death of the thread that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("starting PostgreSQL: %v", err)
	}
	p.process = cmd.Process
	for deadline := time.Now().Add(time.Minute); ; {
		err := p.Do("postgres", "SELECT 1")
		if err == nil {
			return
		}
		select {
		case <-p.ended:
			t.Fatalf("PostgreSQL ended at once:\n%s", said.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("PostgreSQL does not answer: %v", err)
		}
	}
}

// Kill ends the server as its crash would: its connections break, and nothing is
// written any more. (SIGQUIT, not SIGKILL, so that its children and its shared
// memory go with it; the next start recovers either way.)
func (p *Postgres) Kill() {
	if p.process == nil {
		return
	}
	_ = p.process.Signal(syscall.SIGQUIT)
	<-p.ended
	p.process = nil
}

// Pause stops all of the server's processes, or lets them go on: a server that
// hangs, with connections that stay open.
func (p *Postgres) Pause(t testing.TB, stop bool) {
	t.Helper()
	signal := syscall.SIGCONT
	if stop {
		signal = syscall.SIGSTOP
	}
	pids := []int{p.process.Pid}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.process.Pid, p.process.Pid))
	if err != nil {
		t.Skipf("finding the server's processes: %v", err)
	}
	for _, field := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); err != nil && err != syscall.ESRCH {
			t.Fatal(err)
		}
	}
}

// URL is the address of a database.
func (p *Postgres) URL(database string) string {
	return "postgres:///" + database + "?" + url.Values{"host": {p.dir}, "user": {"goldsmith"}}.Encode()
}

// Database makes an empty database and gives its address.
func (p *Postgres) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprint("test_", p.next.Add(1))
	if err := p.Do("postgres", "CREATE DATABASE "+name); err != nil {
		t.Fatalf("making a database: %v", err)
	}
	return p.URL(name)
}

// Do runs a statement in a database.
func (p *Postgres) Do(database, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.URL(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing is left to say
	_, err = conn.Exec(ctx, statement)
	return err
}
