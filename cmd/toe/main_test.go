package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// maxSize is what the executor may weigh: it rides into every instance. A program
// that grows past it by half at once has come to link text/template or something
// else that calls methods by name, and with that all of the AWS libraries.
const maxSize = 16 << 20

// build makes the program as the Makefile does.
func build(t *testing.T, goos, goarch string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "toe")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building for %s/%s: %v\n%s", goos, goarch, err, out)
	}
	return path
}

func checkSize(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f MiB", float64(info.Size())/(1<<20))
	if info.Size() > maxSize {
		t.Errorf("the program has %d bytes; at most %d are allowed", info.Size(), maxSize)
	}
}

// TestSize holds the program for this machine to its size. Those for the other
// platforms are built where TOE_PLATFORMS=all ("make platforms"): each costs
// half a minute.
func TestSize(t *testing.T) {
	t.Parallel()
	checkSize(t, build(t, runtime.GOOS, runtime.GOARCH))
	if os.Getenv("TOE_PLATFORMS") != "all" {
		return
	}
	for _, platform := range []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64"} {
		goos, goarch, _ := strings.Cut(platform, "/")
		t.Run(platform, func(t *testing.T) { checkSize(t, build(t, goos, goarch)) })
	}
}

// bareRoot makes a root that has busybox and bash with its libraries, and
// nothing else.
func bareRoot(t *testing.T, toe string) string {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("changing the root needs Linux and root")
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("there is no busybox (the package busybox-static)")
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	root := t.TempDir()
	for _, dir := range []string{"bin", "dev", "tmp", "etc", "work"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	makeNull(t, filepath.Join(root, "dev/null"))
	place := func(from, to string) {
		t.Helper()
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(to)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, to), b, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	place(toe, "bin/toe")
	place(busybox, "bin/busybox")
	place(bash, "bin/bash")
	for _, program := range []string{busybox, bash} {
		out, _ := exec.Command("ldd", program).Output() // a static program has none
		for word := range strings.FieldsSeq(string(out)) {
			if filepath.IsAbs(word) {
				place(word, word)
			}
		}
	}
	if err := os.Symlink("busybox", filepath.Join(root, "bin/grep")); err != nil {
		t.Fatal(err)
	}
	return root
}

// TestBareRoot: the program needs nothing of the system that it runs on but
// bash and /dev/null: no libraries, no user database, no time zones, no
// certificates and no /proc.
func TestBareRoot(t *testing.T) {
	t.Parallel()
	root := bareRoot(t, build(t, runtime.GOOS, runtime.GOARCH))
	document := `schemaVersion: 1.0
phases:
  - name: build
    steps:
      - {name: Bash, action: ExecuteBash, inputs: {commands: ['set -e', 'echo "one two" > a', 'grep -c two a']}}
      - {name: Write, action: CreateFile, inputs: [{path: b, content: '{{ build.Bash.outputs.stdout }} {{ context:osPlatform }}', permissions: '0600'}]}
      - {name: Copy, action: CopyFile, inputs: [{source: b, destination: deep/c}]}
      - {name: List, action: ListFiles, inputs: [{path: ., recursive: true, fileNamePattern: c}]}
      - {name: Check, action: Assert, inputs: {and: [{stringEquals: /work/deep/c, value: '{{ build.List.outputs.files }}'}, {binaryExists: grep}]}}
`
	if err := os.WriteFile(filepath.Join(root, "work/doc.yaml"), []byte(document), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"validate", "-d", "doc.yaml"}, {"run", "-d", "doc.yaml", "-l", "/tmp", "-s", "/tmp/state"}} {
		chroot(t, root, append([]string{"/bin/toe"}, args...))
	}
	if b, err := os.ReadFile(filepath.Join(root, "work/deep/c")); err != nil || string(b) != "1 linux" {
		t.Errorf("wrote %q, %v", b, err)
	}
}
