//go:build unix

package toe_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/toe"
)

func thousandSteps() []byte {
	var b strings.Builder
	b.WriteString("schemaVersion: 1.0\nphases:\n  - name: build\n    steps:\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "      - {name: Step%d, action: ExecuteBash, inputs: {commands: ['true']}}\n", i)
	}
	return []byte(b.String())
}

// BenchmarkRun1000Steps runs a document of 1,000 ExecuteBash steps that do
// nothing. BenchmarkShell1000Steps is its floor.
func BenchmarkRun1000Steps(b *testing.B) {
	document := thousandSteps()
	for b.Loop() {
		r, err := toe.Run(context.Background(), toe.Options{
			Documents: []toe.Source{{Path: "bench.yaml", Data: document}}, LogDirectory: b.TempDir(), StateDirectory: b.TempDir(),
		})
		if err != nil || r.Summary.ExecutedStepCount != 1000 || r.ExitCode() != 0 {
			b.Fatalf("%+v, %v", r, err)
		}
	}
}

// BenchmarkShell1000Steps runs "bash -c true" 1,000 times from a shell.
func BenchmarkShell1000Steps(b *testing.B) {
	for b.Loop() {
		if err := exec.Command("bash", "-c", "for ((i = 0; i < 1000; i++)); do bash -c true; done").Run(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOutput prints 256 MiB in one step.
func BenchmarkOutput(b *testing.B) {
	b.SetBytes(256 << 20)
	document := []byte(steps(sh("Print", "yes 0123456789012345678901234567890123456789012345678901234567890 | head -c 256M")))
	for b.Loop() {
		r, err := toe.Run(context.Background(), toe.Options{Documents: []toe.Source{{Path: "bench.yaml", Data: document}}, LogDirectory: b.TempDir()})
		if err != nil || r.ExitCode() != 0 {
			b.Fatalf("%+v, %v", r, err)
		}
	}
}

// BenchmarkParse reads a document that uses the whole language.
func BenchmarkParse(b *testing.B) {
	data, err := os.ReadFile("testdata/every-action.yaml")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, problems := toe.Parse("bench.yaml", data); problems != nil {
			b.Fatal(problems)
		}
	}
}
