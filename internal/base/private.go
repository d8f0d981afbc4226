package base

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// inPrivateMounts calls f on a thread with a mount namespace of its own.
// Whatever f mounts is seen only by f and the commands it runs, and vanishes
// with them, also when this process is killed. f must not hand file work to
// other goroutines: they see the host's mounts.
func inPrivateMounts(f func() error) error {
	result := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with this goroutine, and with it the
		// namespace.
		runtime.LockOSThread()
		result <- func() error {
			if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
				return fmt.Errorf("making a mount namespace: %w", err)
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return fmt.Errorf("making mounts private: %w", err)
			}
			return f()
		}()
	}()
	return <-result
}

// memoryFolder mounts a tmpfs of at most size bytes on dir if the machine has
// that much memory to spare, and tells whether it did. Bootstrapping is many
// small writes, which a disk makes a tenth slower.
func memoryFolder(dir string, size int64) bool {
	available, err := memoryAvailable()
	if err != nil || available < size+size/2 {
		return false
	}
	return unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("mode=0755,size=%d", size)) == nil
}

// memoryAvailable gives the bytes that programs can get without swapping.
func memoryAvailable() (int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "MemAvailable:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/meminfo has no MemAvailable")
}
