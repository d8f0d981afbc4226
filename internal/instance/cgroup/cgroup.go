package cgroup

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
	"time"

	"github.com/goldsmith-build/goldsmith/internal/disk/loop"
)

// prefix begins the name of every instance's group.
const prefix = "goldsmith-"

// mounts is where hierarchies are mounted on every Linux with systemd.
const mounts = "/sys/fs/cgroup/"

// Limits are what an instance may take.
type Limits struct {
	MemoryMiB int // memory and page cache; beyond it a process of the instance is killed
	CPUs      int // processors' worth of time
	PIDs      int // processes and threads
}

// Hierarchy is one mounted control group hierarchy of this machine.
type Hierarchy struct {
	mount       string   // "/sys/fs/cgroup/memory"
	own         string   // this process's group in it, as a path below mount: "/", "/system.slice/…"
	unified     bool     // version 2
	controllers []string // version 1: "memory", "name=systemd"
}

// Hierarchies reads what is mounted and where this process is in it.
func Hierarchies() ([]Hierarchy, error) {
	own, err := ownGroups("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var found []Hierarchy
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if len(left) < 5 || len(right) < 3 {
			continue
		}
		h := Hierarchy{mount: loop.Unescape(left[4])}
		root := loop.Unescape(left[3]) // the group that is mounted there
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
		if !strings.HasPrefix(h.mount+"/", mounts) {
			continue // somebody's second view of the same hierarchy
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

// Groups are the control groups of one instance.
type Groups struct {
	Dirs    []string // the groups, to Remove afterwards
	Join    []string // cgroup.procs files that the instance's first process writes itself to
	Leaf    string   // folder of a version 2 leaf for what it starts, "" where there is no version 2
	Helper  string   // folder of the version 2 leaf of the helper and of what it starts besides, "" likewise
	Missing []string // controllers that this machine does not have

	limits bool // the limits are with version 2
}

// Plan says which control groups an instance gets, without making them,
// so that their names can be kept before they exist.
func Plan(all []Hierarchy, id string) *Groups {
	g := &Groups{}
	have := map[string]bool{}
	for _, h := range all {
		dir := filepath.Join(h.mount, h.own, prefix+id)
		switch {
		case h.unified:
			// On a hybrid machine the limits are with version 1, but a
			// container is better off with a version 2 group of its own: only
			// there does its service manager hear when a service has ended.
			own := filepath.Join(h.mount, h.own)
			g.limits = slices.Contains(words(filepath.Join(h.mount, "cgroup.controllers")), "memory")
			if g.limits {
				// A group that has processes cannot hand controllers down to
				// groups below it. Unless ours does already, as a delegated one
				// may, the instance gets a group of the first level.
				if !slices.Contains(words(filepath.Join(own, "cgroup.subtree_control")), "memory") {
					own = h.mount
				}
				for _, c := range words(filepath.Join(own, "cgroup.controllers")) {
					have[c] = true
				}
			}
			dir = filepath.Join(own, prefix+id)
			g.Dirs = append(g.Dirs, dir)
			g.Leaf = filepath.Join(dir, "container")
			g.Helper = filepath.Join(dir, "supervisor")
			g.Join = append(g.Join, filepath.Join(g.Helper, "cgroup.procs"))
		case slices.ContainsFunc(h.controllers, func(c string) bool {
			return c == "memory" || c == "pids" || c == "cpu" || c == "name=systemd"
		}):
			for _, c := range h.controllers {
				have[c] = true
			}
			g.Dirs = append(g.Dirs, dir)
			g.Join = append(g.Join, filepath.Join(dir, "cgroup.procs"))
		}
	}
	for _, c := range []string{"memory", "pids", "cpu"} {
		if !have[c] {
			g.Missing = append(g.Missing, c)
		}
	}
	return g
}

// words reads a file of words; none if it cannot be read.
func words(name string) []string {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	return strings.Fields(string(b))
}

// Try makes the groups of an instance and removes them again. The error says
// why limits cannot be set here.
func Try(all []Hierarchy) error {
	g := Plan(all, "try-"+strconv.Itoa(os.Getpid()))
	err := g.Create(Limits{MemoryMiB: 64, CPUs: 1, PIDs: 64})
	if removeErr := Remove(g.Dirs); err == nil {
		err = removeErr
	}
	return err
}

// Create makes the groups and sets the limits.
func (g *Groups) Create(l Limits) error {
	for _, dir := range g.Dirs {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("making a control group: %w", err)
		}
	}
	if g.Leaf != "" {
		if err := g.delegate(); err != nil {
			return err
		}
	}
	memory := strconv.FormatInt(int64(l.MemoryMiB)<<20, 10)
	period := 100_000
	quota := strconv.Itoa(l.CPUs * period)
	limits := []struct{ file, value string }{
		{"memory.limit_in_bytes", memory}, {"memory.max", memory},
		{"pids.max", strconv.Itoa(l.PIDs)},
		{"cpu.cfs_period_us", strconv.Itoa(period)}, {"cpu.cfs_quota_us", quota},
		{"cpu.max", quota + " " + strconv.Itoa(period)},
	}
	for _, dir := range g.Dirs {
		for _, limit := range limits {
			// A hierarchy has the files of its own controllers only.
			err := os.WriteFile(filepath.Join(dir, limit.file), []byte(limit.value), 0)
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
				return fmt.Errorf("setting the limit %s: %w", limit.file, err)
			}
		}
	}
	return nil
}

// delegate prepares the version 2 group: processes may only be in its leaves,
// and a controller works where its parent hands it down.
func (g *Groups) delegate() error {
	dir := filepath.Dir(g.Leaf)
	const handDown = "+memory +pids +cpu"
	parent := filepath.Join(filepath.Dir(dir), "cgroup.subtree_control")
	if g.limits {
		if err := os.WriteFile(parent, []byte(handDown), 0); err != nil {
			return fmt.Errorf("handing the memory, pids and cpu controllers down to instances: %w", err)
		}
	}
	for _, leaf := range []string{g.Leaf, g.Helper} {
		if err := os.Mkdir(leaf, 0o755); err != nil {
			return fmt.Errorf("making a control group: %w", err)
		}
	}
	return nil
}

// Remove removes control groups and those below them. All of them are
// empty of processes by then; a group that is still being emptied is tried
// again for a moment. Folders that are not an instance's group are refused.
func Remove(dirs []string) error {
	var failed error
	for _, dir := range dirs {
		if !strings.HasPrefix(filepath.Base(dir), prefix) || !strings.HasPrefix(filepath.Clean(dir)+"/", mounts) {
			return fmt.Errorf("%s is not an instance's control group", dir)
		}
		if err := remove(dir); err != nil {
			failed = fmt.Errorf("removing control group: %w", err)
		}
	}
	return failed
}

func remove(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	for range 200 {
		if err = syscall.Rmdir(dir); !errors.Is(err, syscall.EBUSY) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
	}
	return nil
}
