package instancetest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// NothingLeft fails the test if, after a moment, the machine still has a mount,
// a loop device, a process or a control group of the instance with that id,
// whose files are in the given folders.
func NothingLeft(t testing.TB, id string, folders ...string) {
	t.Helper()
	var found []string
	for range 300 {
		if found = leftovers(id, folders); len(found) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("instance %s left behind:\n%s", id, strings.Join(found, "\n"))
}

// Left names what the machine has now of the instances with these ids and of
// whatever has its files in the folder.
func Left(folder string, ids ...string) []string {
	found := leftovers(folder, []string{folder})
	for _, id := range ids {
		found = append(found, groupsOf(id)...)
	}
	return found
}

func leftovers(id string, folders []string) []string {
	var found []string
	mentions := func(s string) bool {
		for _, dir := range folders {
			if strings.Contains(s, dir+"/") {
				return true
			}
		}
		return strings.Contains(s, id)
	}
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range processes {
		if p == fmt.Sprintf("/proc/%d", os.Getpid()) {
			continue // a test's own arguments are no leftovers; its mounts are looked at below
		}
		cmdline, _ := os.ReadFile(p + "/cmdline") // a process that just ended has none
		if s := strings.ReplaceAll(string(cmdline), "\x00", " "); mentions(s) {
			found = append(found, "process "+filepath.Base(p)+": "+s)
		}
	}
	// Every mount namespace, not only this one.
	for _, p := range processes {
		b, _ := os.ReadFile(p + "/mountinfo")
		for line := range strings.Lines(string(b)) {
			if mentions(line) {
				found = append(found, "mount in process "+filepath.Base(p)+": "+strings.TrimSpace(line))
			}
		}
	}
	loops, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, l := range loops {
		if b, _ := os.ReadFile(l); mentions(string(b)) {
			found = append(found, l+": "+strings.TrimSpace(string(b)))
		}
	}
	return append(found, groupsOf(id)...)
}

// groupsOf finds the control groups of an instance.
func groupsOf(id string) []string {
	var found []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "goldsmith-"+id {
			found = append(found, "control group "+path)
		}
		return nil // groups come and go while we look
	})
	return found
}
