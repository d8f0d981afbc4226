//go:build linux

package toe_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestOtherPlatforms: the executor builds for every platform it is for, and so
// do the tests of what only Windows has. They are compiled, not run.
func TestOtherPlatforms(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles for other platforms")
	}
	program, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go to compile with")
	}
	for _, tc := range []struct{ platform, args string }{
		{"windows/amd64", "vet ./..."},
		{"windows/amd64", "test -c -o " + os.DevNull + " ./action"},
		{"windows/amd64", "build -o " + os.DevNull + " ../cmd/toe"},
		{"darwin/arm64", "build -o " + os.DevNull + " ../cmd/toe"},
	} {
		system, processor, _ := strings.Cut(tc.platform, "/")
		cmd := exec.Command(program, strings.Fields(tc.args)...)
		cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+processor, "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: go %s: %v\n%s", tc.platform, tc.args, err, out)
		}
	}
}
