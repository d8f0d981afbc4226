package sandbox

import (
	"fmt"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// controlGroups is where every systemd looks for control groups.
const controlGroups = "/sys/fs/cgroup"

// unify lets the container have control groups version 2 wherever there is a
// group for it. In a container, version 1 does not tell systemd that the last
// process of a service has ended; systemd looks by itself when it hears of a
// child's end, misses some, and then waits 90 s twice for a service that is
// long gone before it powers off.
//
// nspawn gives the container what it finds on the host. So on a hybrid machine
// this hides version 1 from it, in the supervisor's own mount namespace; the
// limits hold all the same, because they were joined before.
func (s *supervisor) unify() error {
	if s.CgroupV2 == "" {
		return nil
	}
	var found unix.Statfs_t
	if err := unix.Statfs(controlGroups, &found); err != nil {
		return fmt.Errorf("looking at the machine's control groups: %w", err)
	}
	hybrid := found.Type != unix.CGROUP2_SUPER_MAGIC
	s.version2 = knowsVersion2(s.Root)
	if hybrid && !s.version2 {
		return nil
	}
	var err error
	if s.cgroup, err = os.Open(s.CgroupV2); err != nil {
		return fmt.Errorf("opening the container's control group: %w", err)
	}
	if !hybrid {
		return nil
	}
	if err := unix.Mount("cgroup2", controlGroups, "cgroup2", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting control groups version 2 for the container: %w", err)
	}
	return nil
}

// leastSystemd is the first systemd that runs well on version 2 alone.
const leastSystemd = 233

// knowsVersion2 reports whether an image's systemd works with control groups
// version 2 alone. The version is in the name of the library that all of
// systemd's programs share. nspawn would look there, too, but not in all the
// folders where distributions have it.
func knowsVersion2(image string) bool {
	root, err := os.OpenRoot(image)
	if err != nil {
		return false
	}
	defer root.Close()
	for _, dir := range []string{"usr/lib/systemd", "usr/lib64/systemd", "usr/lib/*-linux-gnu*/systemd", "lib/systemd", "lib64/systemd", "lib/*-linux-gnu*/systemd"} {
		names, _ := fs.Glob(root.FS(), path.Join(dir, "libsystemd-shared-*.so"))
		for _, name := range names {
			var version int
			if _, err := fmt.Sscanf(path.Base(name), "libsystemd-shared-%d", &version); err == nil && version >= leastSystemd {
				return true
			}
		}
	}
	return false
}
