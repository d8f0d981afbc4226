package harness

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Repo is the top folder of the repository.
func Repo(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for dir != "/" {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	tb.Fatal("not inside the repository")
	return ""
}

// Program is the path of a built program; the test is skipped if it is missing.
func Program(tb testing.TB, name string) string {
	tb.Helper()
	dir := os.Getenv("GOLDSMITH_BIN")
	if dir == "" {
		dir = filepath.Join(Repo(tb), "bin")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("%s is not built (make build)", name)
	}
	return path
}

// Client is the path of a program of the Python environment, such as "aws"; the
// test is skipped if it is missing.
func Client(tb testing.TB, name string) string {
	tb.Helper()
	python := os.Getenv("GOLDSMITH_PYTHON")
	if python == "" {
		python = filepath.Join(Repo(tb), ".venv", "bin", "python")
	}
	path := filepath.Join(filepath.Dir(python), name)
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("%s is not there (script/setup test)", path)
	}
	return path
}

// Root skips the test unless it runs as root with what instances need.
func Root(tb testing.TB) {
	tb.Helper()
	if why := unable(); why != "" {
		tb.Skip(why)
	}
}

// CanBuild reports whether Root would let a test go on.
func CanBuild() bool { return unable() == "" }

// unable says why images cannot be built here, or nothing.
func unable() string {
	if os.Geteuid() != 0 {
		return "building images needs root"
	}
	for _, tool := range []string{"systemd-nspawn", "qemu-system-x86_64", "mmdebstrap"} {
		if _, err := exec.LookPath(tool); err != nil {
			return tool + " is not installed (script/setup run)"
		}
	}
	return ""
}

// Cache is the folder that parents are kept in between test runs.
func Cache(tb testing.TB) string {
	tb.Helper()
	if dir := os.Getenv("GOLDSMITH_TEST_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = "/var/cache"
	}
	return filepath.Join(dir, "goldsmith-test")
}

// Server is a running goldsmith serve.
type Server struct {
	URL string
	Dir string // the data folder

	tb      testing.TB
	program string
	args    []string
	cmd     *exec.Cmd
	log     *lockedBuffer
	exited  chan struct{}
	waitErr error
}

// Start starts a server on an empty data folder. It is stopped, and must stop
// well, when the test ends.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	s := &Server{Dir: filepath.Join(tb.TempDir(), "data"), tb: tb, program: Program(tb, "goldsmith"), args: args}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("the server's log:\n%s", s.Log())
		}
	})
	tb.Cleanup(s.Stop)
	s.Restart()
	return s
}

// StartWithParent is Start with the parent image debian-12-x86 in the folder.
func StartWithParent(tb testing.TB, args ...string) *Server {
	tb.Helper()
	Root(tb)
	s := &Server{Dir: filepath.Join(tb.TempDir(), "data"), tb: tb, program: Program(tb, "goldsmith"), args: args}
	out, err := exec.Command(s.program, "base", "build", "debian-12-x86", "--data-dir", s.Dir, "--cache", Cache(tb)).CombinedOutput()
	if err != nil {
		tb.Fatalf("building the parent: %v\n%s", err, out)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("the server's log:\n%s", s.Log())
		}
	})
	tb.Cleanup(s.Stop)
	s.Restart()
	return s
}

// Restart starts the server, on the folder as it is.
func (s *Server) Restart() {
	s.tb.Helper()
	if s.log == nil {
		s.log = &lockedBuffer{}
	}
	s.cmd = exec.Command(s.program, append([]string{"serve", "--data-dir", s.Dir, "--listen", "127.0.0.1:0"}, s.args...)...)
	s.cmd.Stderr = s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.tb.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	s.exited = make(chan struct{})
	line := make(chan string, 1)
	go func() {
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			select {
			case line <- sc.Text():
			default:
			}
		}
		s.waitErr = s.cmd.Wait()
		close(s.exited)
	}()
	select {
	case text := <-line:
		url, ok := strings.CutPrefix(text, "ready ")
		if !ok {
			s.tb.Fatalf("the server's first line is %q, not ready URL", text)
		}
		s.URL = url
	case <-s.exited:
		s.tb.Fatalf("the server did not start: %v\n%s", s.waitErr, s.Log())
	case <-time.After(60 * time.Second):
		s.tb.Fatalf("the server did not get ready in a minute\n%s", s.Log())
	}
}

// Stop ends the server with SIGTERM and wants exit status 0.
func (s *Server) Stop() {
	if s.exited == nil {
		return // it never started
	}
	select {
	case <-s.exited:
		return
	default:
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(60 * time.Second):
		s.cmd.Process.Kill()
		<-s.exited
		s.tb.Errorf("the server did not stop within a minute of SIGTERM")
		return
	}
	if s.waitErr != nil {
		s.tb.Errorf("the server stopped with %v", s.waitErr)
	}
}

// Kill ends the server as a crash does.
func (s *Server) Kill() {
	s.cmd.Process.Kill()
	<-s.exited
}

// Pid is the server's process id.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Log is what the server logged so far.
func (s *Server) Log() string {
	if s.log == nil {
		return ""
	}
	return s.log.String()
}

// Run runs a goldsmith command on the server's data folder.
func (s *Server) Run(stdin string, args ...string) (stdout, stderr string, code int) {
	s.tb.Helper()
	cmd := exec.Command(s.program, append(args, "--data-dir", s.Dir)...)
	return run(s.tb, cmd, stdin)
}

// Env is the environment that points AWS clients at the server.
func (s *Server) Env() []string {
	env := []string{
		"AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(s.Dir, "credentials"),
		"AWS_CONFIG_FILE=" + filepath.Join(s.Dir, "config"),
		"AWS_PAGER=", "AWS_MAX_ATTEMPTS=1", "AWS_EC2_METADATA_DISABLED=true",
	}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "AWS_") {
			env = append(env, v)
		}
	}
	return env
}

// TryAWS runs the stock AWS CLI.
func (s *Server) TryAWS(args ...string) (stdout, stderr string, code int) {
	s.tb.Helper()
	cmd := exec.Command(Client(s.tb, "aws"), args...)
	cmd.Env = s.Env()
	return run(s.tb, cmd, "")
}

// AWS runs the stock AWS CLI, which must succeed, and gives its JSON.
func (s *Server) AWS(args ...string) Object {
	s.tb.Helper()
	stdout, stderr, code := s.TryAWS(args...)
	if code != 0 {
		s.tb.Fatalf("aws %s: exit status %d: %s", strings.Join(args, " "), code, stderr)
	}
	out := Object{}
	if strings.TrimSpace(stdout) != "" {
		if err := json.Unmarshal([]byte(stdout), &out); err != nil {
			s.tb.Fatalf("aws %s: %v in %s", strings.Join(args, " "), err, stdout)
		}
	}
	return out
}

// run runs cmd with a bound on its time.
func run(tb testing.TB, cmd *exec.Cmd, stdin string) (string, string, int) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	bounded := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
	bounded.Env, bounded.Dir = cmd.Env, cmd.Dir
	bounded.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	bounded.Stdin, bounded.Stdout, bounded.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := bounded.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatalf("%s: %v", cmd, err)
	}
	return stdout.String(), stderr.String(), bounded.ProcessState.ExitCode()
}

// Object is decoded JSON.
type Object map[string]any

// At follows a path of names and indexes; nil if it leads nowhere.
func (o Object) At(path ...any) any {
	var at any = map[string]any(o)
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := at.(map[string]any)
			at = m[p]
		case int:
			l, _ := at.([]any)
			if p >= len(l) {
				return nil
			}
			at = l[p]
		}
	}
	return at
}

// Str is At as text.
func (o Object) Str(path ...any) string {
	switch v := o.At(path...).(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

// Len is the length of a list.
func (o Object) Len(path ...any) int {
	l, _ := o.At(path...).([]any)
	return len(l)
}

// lockedBuffer is a buffer that may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String gives all that was written.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// botoCall calls one method of a boto3 client and prints the answer as JSON.
const botoCall = `
import json, sys, boto3
service, method, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
answer = getattr(boto3.client(service), method)(**arguments)
answer.pop("ResponseMetadata", None)
print(json.dumps(answer, default=str))
`

// Boto calls a method of a boto3 client. The CLI carries its own, older copy of
// the service models and drops members that it does not know.
func (s *Server) Boto(service, method string, arguments map[string]any) Object {
	s.tb.Helper()
	cmd := exec.Command(Client(s.tb, "python"), "-c", botoCall, service, method, text(arguments))
	cmd.Env = s.Env()
	stdout, stderr, code := run(s.tb, cmd, "")
	if code != 0 {
		s.tb.Fatalf("%s.%s: %s", service, method, stderr)
	}
	out := Object{}
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		s.tb.Fatalf("%s.%s: %v in %s", service, method, err, stdout)
	}
	return out
}
