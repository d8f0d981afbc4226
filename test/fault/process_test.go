package fault

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/faultpoint"
)

// long is the limit for what is expected to happen.
const long = 4 * time.Minute

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a program that must succeed.
func run(t testing.TB, stdin, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// process is a goldsmith serve or goldsmith worker.
type process struct {
	t    testing.TB
	args []string
	env  []string
	log  *buffer // of all its lives

	cmd    *exec.Cmd
	exited chan struct{}
	err    error  // of its end, once exited is closed
	line   string // the first that it printed: "ready …"
}

// start starts the process and waits until it is ready.
func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Env, p.cmd.Stderr = p.env, p.log
	out, err := p.cmd.StdoutPipe()
	must(p.t, err)
	must(p.t, p.cmd.Start())
	cmd, exited, line := p.cmd, make(chan struct{}), make(chan string, 1)
	p.exited = exited
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			select {
			case line <- lines.Text():
			default:
			}
		}
		p.err = cmd.Wait()
		close(exited)
	}()
	select {
	case p.line = <-line:
	case <-exited:
		p.t.Fatalf("the process did not start: %v\n%s", p.err, p.log.tail())
	case <-time.After(long):
		p.t.Fatalf("the process did not get ready\n%s", p.log.tail())
	}
}

// alive reports whether the process runs.
func (p *process) alive() bool {
	if p.exited == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// kill ends the process as a crash does.
func (p *process) kill() {
	if p.alive() {
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// stop ends the process with SIGTERM; release, if it is not nil, is called when
// the signal is sent. It must end with status 0.
func (p *process) stop(release func()) {
	p.t.Helper()
	if !p.alive() {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if release != nil {
		release()
	}
	select {
	case <-p.exited:
	case <-time.After(time.Minute):
		p.kill()
		p.t.Errorf("the process did not stop within a minute of SIGTERM\n%s", p.log.tail())
		return
	}
	if p.err != nil {
		p.t.Errorf("after SIGTERM the process ended with %v\n%s", p.err, p.log.tail())
	}
}

// descendants are the processes that it has started, and theirs.
func (p *process) descendants() []child {
	parents := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		data, _ := os.ReadFile(name) // it may have ended meanwhile
		_, rest, _ := bytes.Cut(data, []byte(") "))
		fields := strings.Fields(string(rest))
		if len(fields) < 2 {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		parent, _ := strconv.Atoi(fields[1])
		parents[parent] = append(parents[parent], pid)
	}
	var found []child
	for next := []int{p.cmd.Process.Pid}; len(next) > 0; next = next[1:] {
		for _, pid := range parents[next[0]] {
			data, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
			argv := strings.Split(strings.TrimRight(string(data), "\x00"), "\x00")
			if argv[0] != "" {
				found = append(found, child{pid, argv})
			}
			next = append(next, pid)
		}
	}
	return found
}

// child is a process of an instance.
type child struct {
	pid  int
	argv []string
}

// role is what the process is for: its program, and of the executor's binary the
// command.
func (c child) role() string {
	name := filepath.Base(c.argv[0])
	if name == "busybox" || name == "sh" || name == "bash" {
		name = "a script"
		for _, arg := range c.argv[1:] {
			if strings.HasSuffix(arg, "/init") {
				name = "process 1 of the instance"
			}
		}
	}
	if name == "toe" && len(c.argv) > 1 {
		name = map[string]string{"agent": "the agent", "run": "the executor"}[c.argv[1]]
	}
	return name
}

// points is the folder through which the suite and its processes talk.
type points string

// hold names the place that a process is to be held at.
func (p points) hold(t testing.TB, name string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(string(p), "next"), []byte(name+"\n"), 0o600))
	must(t, os.Rename(filepath.Join(string(p), "next"), filepath.Join(string(p), faultpoint.HoldFile)))
}

// held waits until a process is held, or until ended says that none will be any
// more, and gives its id.
func (p points) held(t testing.TB, ended func() bool) (pid int, ok bool) {
	t.Helper()
	looks, over := 0, 0
	for deadline := time.Now().Add(long); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		data, err := os.ReadFile(filepath.Join(string(p), faultpoint.HeldFile))
		if err == nil {
			first, _, _ := strings.Cut(string(data), " ")
			pid, err = strconv.Atoi(first)
			must(t, err)
			return pid, true
		}
		// The end can be seen before the process has come to what lies behind it.
		if looks++; looks%50 == 0 && ended() {
			over++
		}
		if over == 20 {
			_ = os.Remove(filepath.Join(string(p), faultpoint.HoldFile))
			return 0, false
		}
	}
	return 0, false
}

// release lets the held process go on.
func (p points) release() { _ = os.Remove(filepath.Join(string(p), faultpoint.HeldFile)) }

// trace gives the places that were reached since the last call, each once, in
// their order.
func (p points) trace(t testing.TB) []string {
	t.Helper()
	name := filepath.Join(string(p), faultpoint.TraceFile)
	data, err := os.ReadFile(name)
	if !errors.Is(err, fs.ErrNotExist) {
		must(t, err)
	}
	_ = os.Remove(name)
	var all []string
	seen := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); !seen[line] {
			seen[line] = true
			all = append(all, line)
		}
	}
	return all
}

// buffer may be read while it is written.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// tail is the end of what was written.
func (b *buffer) tail() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.buf.Bytes()
	return string(text[max(0, len(text)-6000):])
}
