package cgroup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOwnGroups(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file string
		want map[string]string
	}{
		"version 2": {"0::/system.slice/goldsmith.service\n", map[string]string{"": "/system.slice/goldsmith.service"}},
		"hybrid": {
			"9:name=systemd:/a\n4:cpu,cpuacct:/b\n3:memory:/c:d\n0::/e\n",
			map[string]string{"name=systemd": "/a", "cpu": "/b", "cpuacct": "/b", "memory": "/c:d", "": "/e"},
		},
		"nonsense": {"\n::\nx\n1:a\n", map[string]string{"": ""}},
	} {
		file := filepath.Join(t.TempDir(), "cgroup")
		if err := os.WriteFile(file, []byte(test.file), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ownGroups(file)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestPlanVersion2 plans on a paper hierarchy: a group that may hand its
// controllers down gets the instance below it, another one beside it.
func TestPlanVersion2(t *testing.T) {
	t.Parallel()
	mount := t.TempDir()
	own := filepath.Join(mount, "own")
	if err := os.Mkdir(own, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(mount, "cgroup.controllers"), "cpuset cpu io memory pids\n")
	write(filepath.Join(own, "cgroup.controllers"), "cpu memory pids\n")
	write(filepath.Join(own, "cgroup.subtree_control"), "")
	all := []Hierarchy{{mount: mount, own: "/own", unified: true}}
	if g := Plan(all, "x"); g.Dirs[0] != filepath.Join(mount, "goldsmith-x") || g.Leaf == "" || len(g.Missing) != 0 {
		t.Errorf("below a group that hands nothing down: %+v", g)
	}
	write(filepath.Join(own, "cgroup.subtree_control"), "cpu memory pids\n")
	if g := Plan(all, "x"); g.Dirs[0] != filepath.Join(own, "goldsmith-x") {
		t.Errorf("below a group that hands down: %+v", g)
	}
	write(filepath.Join(mount, "cgroup.controllers"), "hugetlb\n")
	if g := Plan(all, "x"); g.Dirs[0] != filepath.Join(own, "goldsmith-x") || g.Leaf == "" || len(g.Missing) != 3 {
		t.Errorf("on a hybrid machine: %+v", g)
	}
}

func TestCreateAndRemove(t *testing.T) {
	t.Parallel()
	all, err := Hierarchies()
	if err != nil {
		t.Skipf("this machine has no control groups: %v", err)
	}
	if err := Try(all); err != nil {
		t.Skipf("this machine lets us make no control groups: %v", err)
	}
	id := "test-" + filepath.Base(t.TempDir())
	g := Plan(all, id)
	if err := g.Create(Limits{MemoryMiB: 100, CPUs: 1, PIDs: 10}); err != nil {
		t.Fatalf("Create: %v", err)
	}
	limits := 0
	for _, dir := range g.Dirs {
		for _, file := range []string{"memory.limit_in_bytes", "memory.max"} {
			if b, err := os.ReadFile(filepath.Join(dir, file)); err == nil {
				limits++
				if strings.TrimSpace(string(b)) != "104857600" {
					t.Errorf("%s: %s", file, b)
				}
			}
		}
	}
	if limits == 0 && len(g.Missing) == 0 {
		t.Error("no group limits memory")
	}
	for range 2 {
		if err := Remove(g.Dirs); err != nil {
			t.Errorf("Remove: %v", err)
		}
	}
	for _, dir := range g.Dirs {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is still there", dir)
		}
	}
}

func TestRemoveRefusesWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	precious := filepath.Join(t.TempDir(), "goldsmith-i-1")
	if err := os.Mkdir(precious, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{
		precious, "/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/../../../" + precious, "/", "",
	} {
		if err := Remove([]string{dir}); err == nil {
			t.Errorf("Remove(%q) was accepted", dir)
		}
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("a folder that is no control group was removed: %v", err)
	}
}
