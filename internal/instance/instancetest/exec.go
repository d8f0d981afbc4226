package instancetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/instance"
)

func isLost(err error) bool {
	var lost *instance.LostError
	return errors.As(err, &lost)
}

func contains(s, part string) bool { return strings.Contains(s, part) }

// run runs a shell script in the instance.
func run(t testing.TB, i instance.Instance, script string) (stdout, stderr string, exit int) {
	t.Helper()
	var out, errs bytes.Buffer
	exit, err := i.Exec(t.Context(), instance.Command{Argv: []string{"sh", "-c", script}, Stdout: &out, Stderr: &errs})
	if err != nil {
		t.Fatalf("Exec %q: %v", script, err)
	}
	return out.String(), errs.String(), exit
}

// mustRun fails the test unless the script exits with 0.
func mustRun(t testing.TB, i instance.Instance, script string) {
	t.Helper()
	if out, errs, exit := run(t, i, script); exit != 0 {
		t.Fatalf("%q: exit status %d\n%s%s", script, exit, out, errs)
	}
}

func output(t testing.TB, i instance.Instance, script string) string {
	t.Helper()
	out, _, _ := run(t, i, script)
	return strings.TrimSpace(out)
}

// running counts the guest's processes with exactly that command line.
func running(t testing.TB, i instance.Instance, cmdline string) string {
	t.Helper()
	return output(t, i, `for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline; echo; done 2>/dev/null | grep -cx '`+cmdline+` '`)
}

func (h Harness) status(t *testing.T, i instance.Instance) {
	for script, want := range map[string]int{
		"exit 0": 0, "exit 7": 7, "exit 194": 194, "exit 255": 255, "kill -9 $$": 137, "kill -TERM $$": 143,
	} {
		if _, _, got := run(t, i, script); got != want {
			t.Errorf("%q: exit status %d, want %d", script, got, want)
		}
	}
}

func (h Harness) streams(t *testing.T, i instance.Instance) {
	var out, errs bytes.Buffer
	exit, err := i.Exec(t.Context(), instance.Command{
		Argv:  []string{"sh", "-c", "cat; printf '\\000\\377\\n' ; echo trouble >&2"},
		Stdin: strings.NewReader("what is sent\n"), Stdout: &out, Stderr: &errs,
	})
	if err != nil || exit != 0 {
		t.Fatalf("Exec: %d, %v", exit, err)
	}
	if diff := cmp.Diff("what is sent\n\x00\xff\n", out.String()); diff != "" {
		t.Errorf("stdout (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("trouble\n", errs.String()); diff != "" {
		t.Errorf("stderr (-want +got):\n%s", diff)
	}
	// Without stdin there is nothing to read, and nobody to wait for.
	if out := output(t, i, "wc -c"); out != "0" {
		t.Errorf("a command without stdin read %s bytes", out)
	}
	// A program that does not read what it is sent is no error.
	exit, err = i.Exec(t.Context(), instance.Command{Argv: []string{"true"}, Stdin: io.LimitReader(zeros{}, 4<<20)})
	if err != nil || exit != 0 {
		t.Errorf("true with much on stdin: %d, %v", exit, err)
	}
}

func (h Harness) environment(t *testing.T, i instance.Instance) {
	var out bytes.Buffer
	_, err := i.Exec(t.Context(), instance.Command{
		Argv: []string{"sh", "-c", `echo "$HOME|$LANG|$USER|$A|$(pwd)|$(id -u)|$INVOCATION_ID|"; command -v mke2fs`},
		Env:  []string{"A=$(reboot); 'b'"}, Dir: "/usr", Stdout: &out,
	})
	if err != nil {
		t.Fatalf("Exec: %v", err)
	}
	got, tool, _ := strings.Cut(out.String(), "\n")
	if diff := cmp.Diff("/root|C.UTF-8|root|$(reboot); 'b'|/usr|0||", got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if strings.TrimSpace(tool) == "" {
		t.Error("PATH does not lead to administrators' programs")
	}
	mustRun(t, i, `test "$(cat /proc/self/oom_score_adj)" = 0`)
	mustRun(t, i, "test -x "+i.Toe())
	mustRun(t, i, "getent hosts localhost")
	if _, err := i.Exec(t.Context(), instance.Command{Argv: []string{"echo", strings.Repeat("x", 1<<20)}}); err == nil {
		t.Error("an argument of 1 MiB was accepted, which no Linux takes")
	}
}

func (h Harness) missing(t *testing.T, i instance.Instance) {
	for name, cmd := range map[string]instance.Command{
		"program": {Argv: []string{"/no/such/program"}},
		"folder":  {Argv: []string{"true"}, Dir: "/no/such/folder"},
	} {
		if exit, err := i.Exec(t.Context(), cmd); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s that is not there: %d, %v; want fs.ErrNotExist", name, exit, err)
		}
	}
	if _, err := i.Exec(t.Context(), instance.Command{}); err == nil {
		t.Error("no program at all was run")
	}
	if err := i.Get(t.Context(), "/no/such/file", io.Discard); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get of no file: %v, want fs.ErrNotExist", err)
	}
	for _, name := range []string{"/etc", "relative", "/dev/zero"} {
		if err := i.Get(t.Context(), name, io.Discard); err == nil {
			t.Errorf("Get(%q) gave something", name)
		}
	}
	if err := i.Put(t.Context(), "relative", 0o600, strings.NewReader("")); err == nil {
		t.Error("Put to a relative path went somewhere")
	}
}

// bulk moves many bytes and looks that they arrive whole, and that they are
// not all held in memory at once.
func (h Harness) bulk(t *testing.T, i instance.Instance) {
	var before runtime.MemStats
	runtime.GC() // what other tests left is not ours
	runtime.ReadMemStats(&before)
	var peak atomic.Uint64
	sum := sha256.New()
	n := int64(0)
	count := writerFunc(func(b []byte) (int, error) {
		if n += int64(len(b)); n%(4<<20) < int64(len(b)) {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapInuse))
		}
		return sum.Write(b)
	})
	script := fmt.Sprintf("head -c %d /dev/zero", h.Bulk)
	exit, err := i.Exec(t.Context(), instance.Command{Argv: []string{"sh", "-c", script}, Stdout: count})
	if err != nil || exit != 0 || n != h.Bulk {
		t.Fatalf("%s: exit status %d, %v, %d bytes", script, exit, err, n)
	}
	want := sha256.New()
	_, _ = io.Copy(want, io.LimitReader(zeros{}, h.Bulk)) // hashes do not fail
	if !bytes.Equal(sum.Sum(nil), want.Sum(nil)) {
		t.Error("the bytes that arrived are others")
	}
	if most := before.HeapInuse + 128<<20; peak.Load() > most {
		t.Errorf("the heap grew from %d to %d MiB", before.HeapInuse>>20, peak.Load()>>20)
	}
}

// slow is a consumer that stops reading: the program must wait, not the memory
// of anybody grow.
func (h Harness) slow(t *testing.T, i instance.Instance) {
	release := make(chan struct{})
	var n atomic.Int64
	slow := writerFunc(func(b []byte) (int, error) {
		<-release
		n.Add(int64(len(b)))
		return len(b), nil
	})
	done := make(chan error, 1)
	go func() {
		_, err := i.Exec(t.Context(), instance.Command{
			Argv: []string{"sh", "-c", "head -c 2097152 /dev/zero; touch /run/all-written"}, Stdout: slow,
		})
		done <- err
	}()
	time.Sleep(300 * time.Millisecond)
	// Meanwhile others get through, and the program is still at its output.
	if _, _, exit := run(t, i, "test ! -e /run/all-written"); exit != 0 {
		t.Error("2 MiB were taken although nobody read them")
	}
	close(release)
	if err := <-done; err != nil || n.Load() != 2<<20 {
		t.Errorf("after the consumer went on: %v, %d bytes", err, n.Load())
	}
}

// ends is a command whose context ends: it and its children are dead when Exec
// returns.
func (h Harness) ends(t *testing.T, i instance.Instance) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	started := writerFunc(func(b []byte) (int, error) {
		cancel()
		return len(b), nil
	})
	_, err := i.Exec(ctx, instance.Command{
		Argv: []string{"sh", "-c", "trap '' TERM; sleep 4321 & echo started; sleep 4321; echo not reached"}, Stdout: started,
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Exec: %v, want context.Canceled", err)
	}
	if n := running(t, i, "sleep 4321"); n != "0" {
		t.Errorf("%s of the command's processes are still running", n)
	}
	// A command that floods its output is no harder to stop.
	ctx, cancel = context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := i.Exec(ctx, instance.Command{Argv: []string{"yes"}, Stdout: io.Discard}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Exec of yes: %v, want context.DeadlineExceeded", err)
	}
	mustRun(t, i, "true")
}

// outlive is a child that outlives the command with its output in hand.
func (h Harness) outlive(t *testing.T, i instance.Instance) {
	out := output(t, i, "sleep 3210 & echo $!; echo last")
	pid, last, _ := strings.Cut(out, "\n")
	if last != "last" {
		t.Errorf("output: %q", out)
	}
	mustRun(t, i, "kill "+pid)
}

// writers is a consumer that fails.
func (h Harness) writers(t *testing.T, i instance.Instance) {
	broken := errors.New("the log's disk is full")
	_, err := i.Exec(t.Context(), instance.Command{
		Argv: []string{"yes"}, Stdout: writerFunc(func([]byte) (int, error) { return 0, broken }),
	})
	if !errors.Is(err, broken) {
		t.Errorf("Exec with a broken writer: %v, want its error", err)
	}
	_, err = i.Exec(t.Context(), instance.Command{Argv: []string{"cat"}, Stdin: readerFunc(func([]byte) (int, error) { return 0, broken })})
	if !errors.Is(err, broken) {
		t.Errorf("Exec with a broken reader: %v, want its error", err)
	}
	err = i.Put(t.Context(), "/root/half", 0o600, readerFunc(func([]byte) (int, error) { return 0, broken }))
	if !errors.Is(err, broken) {
		t.Errorf("Put with a broken reader: %v, want its error", err)
	}
	mustRun(t, i, "test ! -e /root/half && test -z \"$(ls -A /root | grep goldsmith)\"")
}

// many is more commands at once than an agent takes.
func (h Harness) many(t *testing.T, i instance.Instance) {
	var all sync.WaitGroup
	var good atomic.Int64
	for n := range 24 {
		all.Go(func() {
			var out bytes.Buffer
			exit, err := i.Exec(t.Context(), instance.Command{Argv: []string{"echo", fmt.Sprint(n)}, Stdout: &out})
			if err == nil && exit == 0 && out.String() == fmt.Sprintln(n) {
				good.Add(1)
			}
		})
	}
	all.Wait()
	if good.Load() != 24 {
		t.Errorf("%d of 24 commands at once went well", good.Load())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// Digest is the SHA-256 of a file.
func Digest(t testing.TB, name string) [32]byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		t.Fatal(err)
	}
	return [32]byte(sum.Sum(nil))
}
