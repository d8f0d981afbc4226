package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/goldsmith-build/goldsmith/internal/instance"
)

// maxPIDs bounds the processes and threads of an instance.
const maxPIDs = 8192

// hierarchy is one mounted control group hierarchy of this machine.
type hierarchy struct {
	mount       string   // "/sys/fs/cgroup/memory"
	own         string   // this process's group in it, as a path below mount: "/", "/system.slice/…"
	unified     bool     // version 2
	controllers []string // version 1: "memory", "name=systemd"
}

// hierarchies reads what is mounted and where this process is in it.
func hierarchies() ([]hierarchy, error) {
	own, err := ownGroups("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var found []hierarchy
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if len(left) < 5 || len(right) < 3 {
			continue
		}
		h := hierarchy{mount: unescapeMount(left[4])}
		root := unescapeMount(left[3]) // the group that is mounted there
		switch right[0] {
		case "cgroup2":
			h.unified = true
			h.own = own[""]
		case "cgroup":
			for _, option := range strings.Split(right[2], ",") {
				if path, ok := own[option]; ok {
					h.controllers, h.own = append(h.controllers, option), path
				}
			}
		default:
			continue
		}
		h.own = "/" + strings.TrimPrefix(strings.TrimPrefix(h.own, root), "/")
		found = append(found, h)
	}
	return found, lines.Err()
}

// ownGroups reads a /proc/PID/cgroup: the group by controller, "" for version 2.
func ownGroups(name string) (map[string]string, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	own := make(map[string]string)
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for _, controller := range strings.Split(parts[1], ",") {
			own[controller] = parts[2]
		}
	}
	return own, nil
}

// groups are the control groups of one instance.
type groups struct {
	dirs    []string // to remove afterwards
	join    []string // cgroup.procs files for the supervisor
	unified string   // where the container starts, "" without version 2 controllers
	missing []string // limits that this machine cannot set
}

// planGroups says which control groups an instance gets, without making them,
// so that their names can be kept before they exist.
func planGroups(all []hierarchy, id string) *groups {
	g := &groups{}
	have := map[string]bool{}
	for _, h := range all {
		dir := filepath.Join(h.mount, h.own, "goldsmith-"+id)
		switch {
		case h.unified:
			b, err := os.ReadFile(filepath.Join(h.mount, h.own, "cgroup.controllers"))
			controllers := strings.Fields(string(b))
			if err != nil || !slices.Contains(controllers, "memory") {
				continue // a hybrid machine: the limits are with version 1
			}
			for _, c := range controllers {
				have[c] = true
			}
			g.dirs = append(g.dirs, dir)
			g.unified = filepath.Join(dir, "container")
			g.join = append(g.join, filepath.Join(dir, "supervisor", "cgroup.procs"))
		case slices.ContainsFunc(h.controllers, func(c string) bool {
			return c == "memory" || c == "pids" || c == "cpu" || c == "name=systemd"
		}):
			for _, c := range h.controllers {
				have[c] = true
			}
			g.dirs = append(g.dirs, dir)
			g.join = append(g.join, filepath.Join(dir, "cgroup.procs"))
		}
	}
	for _, c := range []string{"memory", "pids", "cpu"} {
		if !have[c] {
			g.missing = append(g.missing, c)
		}
	}
	return g
}

// create makes the groups and sets the limits of spec.
func (g *groups) create(spec instance.Spec) error {
	for _, dir := range g.dirs {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("making a control group: %w", err)
		}
	}
	if g.unified != "" {
		if err := g.delegate(); err != nil {
			return err
		}
	}
	memory := strconv.FormatInt(int64(spec.MemoryMiB)<<20, 10)
	period := 100_000
	quota := strconv.Itoa(spec.VCPU * period)
	limits := []struct{ file, value string }{
		{"memory.limit_in_bytes", memory}, {"memory.max", memory},
		{"pids.max", strconv.Itoa(maxPIDs)},
		{"cpu.cfs_period_us", strconv.Itoa(period)}, {"cpu.cfs_quota_us", quota},
		{"cpu.max", quota + " " + strconv.Itoa(period)},
	}
	for _, dir := range g.dirs {
		for _, l := range limits {
			err := os.WriteFile(filepath.Join(dir, l.file), []byte(l.value), 0)
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
				return fmt.Errorf("setting the limit %s: %w", l.file, err)
			}
		}
	}
	return nil
}

// delegate prepares the version 2 group: processes may only be in its leaves,
// and a controller works where its parent hands it down.
func (g *groups) delegate() error {
	dir := filepath.Dir(g.unified)
	const handDown = "+memory +pids +cpu"
	parent := filepath.Join(filepath.Dir(dir), "cgroup.subtree_control")
	if err := os.WriteFile(parent, []byte(handDown), 0); err != nil {
		return fmt.Errorf("handing the memory, pids and cpu controllers down to instances (a service needs Delegate=yes and DelegateSubgroup=): %w", err)
	}
	for _, leaf := range []string{g.unified, filepath.Join(dir, "supervisor")} {
		if err := os.Mkdir(leaf, 0o755); err != nil {
			return fmt.Errorf("making a control group: %w", err)
		}
	}
	return nil
}

// removeGroups removes control groups and those below them. All of them are
// empty of processes by then; a group that is still being emptied is tried
// again for a moment.
func removeGroups(dirs []string) error {
	var failed error
	for _, dir := range dirs {
		if err := removeGroup(dir); err != nil {
			failed = fmt.Errorf("removing control group: %w", err)
		}
	}
	return failed
}

func removeGroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeGroup(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return retryBusy(func() error {
		err := syscall.Rmdir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
		}
		return nil
	})
}
