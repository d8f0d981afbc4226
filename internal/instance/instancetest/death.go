package instancetest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/instance"
)

// specVariable makes a test binary the server that a test kills: it launches
// the Spec in the variable.
const specVariable = "GOLDSMITH_TEST_LAUNCH"

// Main is for a kind's TestMain. newKind makes the kind in the process that
// serverKilled kills.
func Main(m *testing.M, newKind func() instance.Kind) {
	if spec := os.Getenv(specVariable); spec != "" {
		os.Exit(serve(spec, newKind()))
	}
	status := m.Run()
	RemoveToe()
	os.Exit(status)
}

// serve launches an instance and says so, then works on it until it is killed.
func serve(encoded string, kind instance.Kind) int {
	var spec instance.Spec
	err := json.Unmarshal([]byte(encoded), &spec)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("launching")
	i, err := kind.Launch(context.Background(), spec)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("launched")
	_, err = i.Exec(context.Background(), instance.Command{Argv: []string{"sh", "-c", "while :; do echo x >>/root/x; sync; done"}})
	fmt.Println(err)
	return 1
}

// killed is an instance that is killed in the middle of its work.
func (h Harness) killed(t *testing.T) {
	if h.Slow {
		t.Skip("a boot more; Cancelled and ServerKilled kill this kind while it boots")
	}
	spec := h.Spec(t)
	i := h.Launch(t, spec)
	lost := make(chan error, 1)
	go func() {
		_, err := i.Exec(t.Context(), instance.Command{Argv: []string{"sh", "-c", "trap '' TERM INT; while :; do echo x >>/root/x; done"}})
		lost <- err
	}()
	time.Sleep(100 * time.Millisecond)
	for range 2 {
		if err := i.Kill(); err != nil {
			t.Errorf("Kill: %v", err)
		}
	}
	if err := <-lost; !isLost(err) {
		t.Errorf("Exec under Kill: %v, want a LostError", err)
	}
	if err := i.Reboot(t.Context()); !isLost(err) {
		t.Errorf("Reboot after Kill: %v, want a LostError", err)
	}
	NothingLeft(t, spec.ID, spec.Dir, filepath.Dir(spec.Volume))
}

// serverKilled is kill -9 of the server: the kernel removes the instance, and
// Sweep the rest.
func (h Harness) serverKilled(t *testing.T) {
	spec := h.Spec(t)
	encoded, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command("/proc/self/exe")
	server.Env = append(os.Environ(), specVariable+"="+string(encoded))
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	want := "launched"
	if h.Slow {
		want = "launching"
	}
	for lines.Scan() && lines.Text() != want {
		if lines.Text() != "launching" {
			t.Errorf("the server says: %s", lines.Text())
		}
	}
	// In the middle of its work, or of its boot.
	for range 3000 {
		if b, _ := os.ReadFile(filepath.Join(spec.Dir, "console.log")); len(b) > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if len(leftovers(spec.ID, []string{spec.Dir})) == 0 {
		t.Error("there was no instance to leave anything")
	}
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait() // it was killed
	withoutGroups(t, spec)
	for range 2 {
		if err := h.Kind.Sweep(t.Context(), spec.Dir); err != nil {
			t.Errorf("Sweep: %v", err)
		}
	}
	NothingLeft(t, spec.ID, spec.Dir, filepath.Dir(spec.Volume))
}

// withoutGroups waits until the kernel has removed all but empty control groups.
func withoutGroups(t *testing.T, spec instance.Spec) {
	t.Helper()
	var rest []string
	for range 300 {
		rest = rest[:0]
		for _, l := range leftovers(spec.ID, []string{spec.Dir, filepath.Dir(spec.Volume)}) {
			if !strings.HasPrefix(l, "control group ") {
				rest = append(rest, l)
			}
		}
		if len(rest) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("before any Sweep there still are:\n%s", strings.Join(rest, "\n"))
}
