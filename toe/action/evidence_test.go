//go:build unix

package action

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata/windows-evidence.txt anew")

// evidence is what passing tests have exercised of the actions that only
// Windows has. It becomes a part of docs/conformance.md.
var evidence struct {
	sync.Mutex
	lines []string
}

// record notes an input that was given or left out, or an output that came,
// once the test has passed.
func record(t *testing.T, m *Module, in fields, r Result) {
	t.Helper()
	name, _, _ := strings.Cut(t.Name(), "/")
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		evidence.Lock()
		defer evidence.Unlock()
		add := func(format string, args ...any) {
			evidence.lines = append(evidence.lines, fmt.Sprintf(format, args...)+"\t"+name)
		}
		add("run %s", m.Name)
		for _, f := range m.Fields {
			if _, ok := in[f.Name]; ok {
				add("given %s.%s", m.Name, f.Name)
			} else {
				add("without %s.%s", m.Name, f.Name)
			}
		}
		for _, o := range r.Outputs {
			for key := range o {
				add("output %s.%s", m.Name, key)
			}
		}
	})
}

// checkEvidence compares what a whole run has recorded with the file.
func checkEvidence() error {
	const file = "testdata/windows-evidence.txt"
	slices.Sort(evidence.lines)
	text := strings.Join(slices.Compact(evidence.lines), "\n") + "\n"
	if *update {
		return os.WriteFile(file, []byte(text), 0o644)
	}
	if old, err := os.ReadFile(file); err != nil || string(old) != text {
		return fmt.Errorf("%s is not what the tests exercise: run go test ./toe/action -update (%v)", file, err)
	}
	return nil
}

func TestMain(m *testing.M) {
	retryPause = time.Millisecond
	flag.Parse()
	status := m.Run()
	whole := true
	for _, name := range []string{"test.run", "test.skip", "test.fuzz", "test.list"} {
		whole = whole && flag.Lookup(name).Value.String() == ""
	}
	if status == 0 && whole {
		if err := checkEvidence(); err != nil {
			fmt.Println(err)
			status = 1
		}
	}
	os.Exit(status)
}
