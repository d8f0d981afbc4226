package fault

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/goldsmith-build/goldsmith/test/harness"
)

// The parent of the suite's images: a busybox, and a process 1 of a few lines. A
// build on it takes two seconds, all of them Goldsmith's.
const (
	parentName = "tiny"
	parentARN  = "arn:aws:imagebuilder:us-east-1:aws:image/" + parentName + "/x.x.x"
)

// initScript is process 1 of the parent: it keeps the guest's agent running and
// ends at systemd-nspawn's signal to power off.
const initScript = `#!/bin/busybox sh
trap 'exit 0' 37 15
while :; do
    /run/goldsmith/toe agent --channel /run/goldsmith/channel/agent.sock &
    wait $!
    sleep 0.1
done
`

// parentFiles are the parent's scripts.
var parentFiles = map[string]string{
	"sbin/init":      initScript,
	"bin/bash":       "#!/bin/busybox sh\nexec /bin/busybox sh \"$@\"\n",
	"bin/systemctl":  "#!/bin/busybox sh\necho running\n",
	"bin/dpkg-query": "#!/bin/busybox sh\nprintf 'ii \\tbusybox\\t1\\n'\n",
	"etc/os-release": "NAME=Tiny\nID=tiny\nVERSION_ID=1\n",
	"etc/passwd":     "root:x:0:0:root:/root:/bin/sh\n",
	"etc/group":      "root:x:0:\n",
}

// makeParent makes the parent's disk, 64 MiB with one partition, and gives its
// file.
func makeParent(t testing.TB) string {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("busybox is not installed (Debian package busybox-static)")
	}
	if out, err := exec.Command("ldd", busybox).CombinedOutput(); err == nil {
		t.Skipf("busybox is not static (Debian package busybox-static): %s", out)
	}
	dir := t.TempDir()
	tree, disk := filepath.Join(dir, "tree"), filepath.Join(dir, "tiny.raw")
	for _, name := range []string{"bin", "sbin", "etc", "usr/bin", "usr/lib", "proc", "sys", "dev", "run", "tmp", "var/tmp", "var/log", "root", "opt"} {
		must(t, os.MkdirAll(filepath.Join(tree, name), 0o755))
	}
	for name, text := range parentFiles {
		mode := os.FileMode(0o644)
		if text[0] == '#' {
			mode = 0o755
		}
		must(t, os.WriteFile(filepath.Join(tree, name), []byte(text), mode))
	}
	program, err := os.ReadFile(busybox)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(tree, "bin/busybox"), program, 0o755))
	for _, applet := range []string{"sh", "cat", "echo", "true", "false", "sleep", "test", "df", "rm", "find", "sync", "truncate", "touch", "mkdir", "env", "dd", "printf", "kill", "ps"} {
		must(t, os.Symlink("busybox", filepath.Join(tree, "bin", applet)))
	}
	const start, size = 1 << 20, 62 << 20
	must(t, os.WriteFile(disk, nil, 0o600))
	must(t, os.Truncate(disk, 64<<20))
	run(t, "label: gpt\nstart=2048, size=126976, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709\n", "sfdisk", "-q", disk)
	run(t, "", "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-d", tree, "-E", fmt.Sprintf("offset=%d", start), disk, fmt.Sprintf("%dk", size>>10))
	return disk
}

// importParent makes the parent known in a data folder; its blocks go where the
// configuration file says, if it is to be used.
func importParent(t testing.TB, dataDir, disk string, configured bool, config string) {
	t.Helper()
	args := []string{"base", "import", disk, "--name", parentName, "--version", "1.0.0", "--os-version", "Tiny 1", "--architecture", "x86_64", "--data-dir", dataDir}
	if configured {
		args = append(args, "--config", config)
	}
	run(t, "", harness.Program(t, "goldsmith"), args...)
}
