package clients

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/test/harness"
)

// object is JSON as a client sends or receives it, with the API's own names.
type object = map[string]any

// said is one call as a driver is told it.
type said struct {
	Operation string `json:"operation"` // "CreateComponent"; "wait:NAME" is the waiter of that name, "knows:NAME" only asks whether the client has the operation
	Input     object `json:"input"`
	Pages     string `json:"pages,omitempty"` // the output's list that is read through the client's paginator, one item a page
}

// heard is what a client made of the answer.
type heard struct {
	Output object `json:"output"`
	Error  *failure
	Lacks  string `json:"lacks"` // why this client cannot say it at all
}

// failure is an error as the client showed it.
type failure struct {
	Code    string `json:"code"`
	Class   string `json:"class"` // the type that a program would catch; empty if the client has none for it
	Message string `json:"message"`
}

// driver is one client.
type driver interface {
	// Call makes one call and gives what the client made of the answer. An error
	// means that the driver itself broke.
	Call(ctx context.Context, call said) (heard, error)
}

// client is a client of the story.
type client struct {
	name    string // of subtests and of resources
	title   string // of the table's column
	version func(testing.TB) string
	start   func(tb testing.TB, s *harness.Server) driver
	zeroes  bool // false, 0 and "" cannot be told from absent
	untyped bool // errors have codes but no classes
	generic bool // errors that the model does not declare for an operation have no class
}

// callLimit bounds one call, so that a client that hangs is found.
const callLimit = 2 * time.Minute

// program is a client that runs as a process of its own: it takes one call a
// line and answers with one line.
type program struct {
	mu     sync.Mutex
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
}

// run starts a driver of this folder under an interpreter.
func run(tb testing.TB, s *harness.Server, env []string, interpreter string, args ...string) driver {
	tb.Helper()
	p := &program{}
	cmd := exec.Command(interpreter, args...)
	cmd.Env = append(s.Env(), "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "PYTHONDONTWRITEBYTECODE=1", "HOME="+tb.TempDir())
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = &p.stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		p.in, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		tb.Fatalf("%s: %v", interpreter, err)
	}
	p.out = bufio.NewReaderSize(out, 1<<20)
	tb.Cleanup(func() {
		p.in.Close()
		stuck := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		defer stuck.Stop()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("%s: %v\n%s", interpreter, err, p.stderr.String())
		}
	})
	return p
}

// Call implements driver.
func (p *program) Call(ctx context.Context, call said) (heard, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line, err := json.Marshal(call)
	if err != nil {
		return heard{}, err
	}
	type result struct {
		line []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		if _, err := p.in.Write(append(line, '\n')); err != nil {
			done <- result{nil, err}
			return
		}
		line, err := p.out.ReadBytes('\n')
		done <- result{line, err}
	}()
	select {
	case r := <-done:
		var h heard
		if r.err == nil {
			r.err = json.Unmarshal(r.line, &h)
		}
		if r.err != nil {
			p.in.Close()
			return heard{}, fmt.Errorf("%w; its stderr: %s", r.err, p.stderr.String())
		}
		return h, nil
	case <-ctx.Done():
		p.in.Close()
		return heard{}, ctx.Err()
	}
}

// all are the clients, in the order of the table's columns.
func all() []client {
	return []client{
		{name: "cli", title: "AWS CLI", version: pinned("script/requirements-client.txt", `awscli==(\S+)`), untyped: true, start: func(tb testing.TB, s *harness.Server) driver {
			return run(tb, s, nil, harness.Client(tb, "python"), "cli.py")
		}},
		{name: "old-cli", title: "AWS CLI of Debian 12,", version: func(testing.TB) string { return debianVersion }, untyped: true, start: func(tb testing.TB, s *harness.Server) driver {
			return run(tb, s, []string{"GOLDSMITH_ENDPOINT=" + s.URL}, debianCLI(tb), "cli.py")
		}},
		{name: "boto3", title: "boto3", version: pinned("script/requirements-client.txt", `boto3==(\S+)`), start: func(tb testing.TB, s *harness.Server) driver {
			return run(tb, s, nil, harness.Client(tb, "python"), "boto.py")
		}},
		{name: "go", title: "SDK for Go, imagebuilder", version: pinned("go.mod", `aws-sdk-go-v2/service/imagebuilder (\S+)`), zeroes: true, generic: true, start: func(tb testing.TB, s *harness.Server) driver {
			return goDriver{s.SDK()}
		}},
		{name: "js", title: "SDK for JavaScript", version: pinned("test/clients/js/package.json", `client-imagebuilder": "([^"]+)"`), start: func(tb testing.TB, s *harness.Server) driver {
			return run(tb, s, []string{"GOLDSMITH_JS=" + javaScript(tb), "AWS_ENDPOINT_URL=" + s.URL}, node(tb), "js/driver.mjs")
		}},
	}
}

// pinned reads a client's version from the file that pins it.
func pinned(file, pattern string) func(testing.TB) string {
	return func(tb testing.TB) string {
		tb.Helper()
		data, err := os.ReadFile(filepath.Join(harness.Repo(tb), file))
		if err != nil {
			tb.Fatal(err)
		}
		found := regexp.MustCompile(pattern).FindSubmatch(data)
		if found == nil {
			tb.Fatalf("%s has nothing that matches %s", file, pattern)
		}
		return strings.TrimPrefix(string(found[1]), "v")
	}
}

// debianVersion is the awscli package of Debian 12, the oldest client that is
// looked at.
const debianVersion = "2.9.19"

// debianCLI is the interpreter of the distribution's own awscli package.
func debianCLI(tb testing.TB) string {
	tb.Helper()
	const interpreter = "/usr/bin/python3"
	out, err := exec.Command(interpreter, "-c", "import awscli; print(awscli.__version__)").CombinedOutput()
	if got := strings.TrimSpace(string(out)); err != nil || got != debianVersion {
		tb.Skipf("the distribution's awscli is not %s (script/setup test installs it on Debian 12): %s", debianVersion, got)
	}
	return interpreter
}

// javaScript is the folder with the node_modules of js/package.json.
func javaScript(tb testing.TB) string {
	tb.Helper()
	dir := os.Getenv("GOLDSMITH_JS")
	if dir == "" {
		dir = filepath.Join(harness.Repo(tb), ".cache", "js")
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "@aws-sdk", "client-imagebuilder")); err != nil {
		tb.Skipf("the AWS SDK for JavaScript is not there (script/setup test): %v", err)
	}
	return dir
}

// node is the JavaScript interpreter: the Python environment's, which is there
// where the machine has none that is recent enough, else the machine's.
func node(tb testing.TB) string {
	tb.Helper()
	if path := filepath.Join(filepath.Dir(harness.Client(tb, "python")), "node"); executable(path) {
		return path
	}
	path, err := exec.LookPath("node")
	if err != nil {
		tb.Skipf("there is no node: %v", err)
	}
	return path
}

func executable(path string) bool {
	_, err := exec.LookPath(path)
	return err == nil
}
