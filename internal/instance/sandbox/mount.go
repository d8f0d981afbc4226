package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mount mounts the volume's root partition and the scratch folder.
func (s *supervisor) mount() error {
	// Until the instance is stopped the volume is worth nothing: no barriers.
	// Background zeroing of inode tables would only fill holes.
	options := map[string]string{"ext4": "barrier=0,noinit_itable,errors=remount-ro", "xfs": "nouuid", "btrfs": ""}
	if err := s.mountFile(s.Volume, s.Offset, s.Size, s.Root, s.Filesystem, options[s.Filesystem]); err != nil {
		return fmt.Errorf("mounting the volume's root partition (%s at offset %d): %w", s.Filesystem, s.Offset, err)
	}
	if err := s.mountFile(s.Scratch, 0, 0, s.ScratchDir, "ext4", "barrier=0,noinit_itable"); err != nil {
		return fmt.Errorf("mounting the scratch folder: %w", err)
	}
	return nil
}

// mountFile mounts a part of a file, size 0 for all of it, by way of a loop
// device that clears itself when its last user goes.
func (s *supervisor) mountFile(name string, offset, size int64, dir, filesystem, options string) error {
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	loop, err := attachLoop(file, offset, size)
	if err != nil {
		return fmt.Errorf("attaching a loop device: %w", err)
	}
	defer loop.Close()
	if err := unix.Mount(loop.Name(), dir, filesystem, unix.MS_NODEV|unix.MS_NOATIME, options); err != nil {
		return err
	}
	s.loops = append(s.loops, loop.Name())
	return nil
}

// attachLoop gives an open loop device over a part of disk.
func attachLoop(disk *os.File, offset, size int64) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	config := unix.LoopConfig{Fd: uint32(disk.Fd())}
	config.Info.Offset, config.Info.Sizelimit = uint64(offset), uint64(size)
	config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
	copy(config.Info.File_name[:len(config.Info.File_name)-1], disk.Name())
	for range 64 {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, os.NewSyscallError("LOOP_CTL_GET_FREE", err)
		}
		loop, err := os.OpenFile("/dev/loop"+strconv.Itoa(n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, loop.Fd(), unix.LOOP_CONFIGURE, uintptr(unsafe.Pointer(&config)))
		if errno == 0 {
			return loop, nil
		}
		loop.Close()
		if errno != unix.EBUSY {
			return nil, os.NewSyscallError("LOOP_CONFIGURE", errno)
		}
		// Another process took it in between.
	}
	return nil, errors.New("every free loop device was taken by others 64 times in a row")
}

// unmount leaves the volume complete on the disk. Blocks of deleted files
// become holes first, so that snapshots need not carry them.
func (s *supervisor) unmount() error {
	if s.ResolvConf != "" {
		removeEmpty(s.Root, "etc/resolv.conf")
	}
	trim(s.Root)
	for _, dir := range []string{s.ScratchDir, s.Root} {
		if err := retryBusy(func() error { return unix.Unmount(dir, 0) }); err != nil {
			return fmt.Errorf("unmounting the volume: %w", err)
		}
	}
	for i, file := range []string{s.Volume, s.Scratch} {
		if err := awaitDetached(s.loops[i], file); err != nil {
			return err
		}
	}
	disk, err := os.OpenFile(s.Volume, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("opening the volume: %w", err)
	}
	defer disk.Close()
	if err := disk.Sync(); err != nil {
		return fmt.Errorf("writing the volume to the disk: %w", err)
	}
	return nil
}

// removeEmpty removes a regular file that has no content.
func removeEmpty(dir, name string) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return
	}
	defer root.Close()
	if info, err := root.Lstat(name); err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		_ = root.Remove(name) // an empty file does no harm
	}
}

// trim gives the free blocks of a file system back to the host. Where that is
// not possible the volume is only larger.
func trim(dir string) {
	f, err := os.Open(dir)
	if err != nil {
		return
	}
	defer f.Close()
	const fitrim = 0xc0185879 // _IOWR('X', 121, struct fstrim_range), linux/fs.h
	everything := struct{ start, length, least uint64 }{length: ^uint64(0)}
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, f.Fd(), fitrim, uintptr(unsafe.Pointer(&everything)))
}

// awaitDetached waits until the loop device no longer holds the volume: the
// kernel may do that a moment after the unmount.
func awaitDetached(loop, volume string) error {
	for range 500 {
		if backing(loop) != volume {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("%s still holds the volume 5s after it was unmounted", loop)
}

// backing gives the path of the file behind a loop device, "" if none.
func backing(loop string) string {
	b, err := os.ReadFile("/sys/block/" + filepath.Base(loop) + "/loop/backing_file")
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(b), "\n")
}

// dropLoopMounts detaches, in this namespace only, the copies of the host's
// mounts of loop devices. They would keep other volumes busy for as long as
// this instance lives.
func dropLoopMounts() error {
	points, err := mountPoints(func(_, source string) bool { return strings.HasPrefix(source, "/dev/loop") })
	if err != nil {
		return err
	}
	for _, p := range points {
		_ = unix.Unmount(p, unix.MNT_DETACH) // it may have gone with one above it
	}
	return nil
}

// mountPoints gives the mount points of this namespace that want accepts,
// innermost first.
func mountPoints(want func(point, source string) bool) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var points []string
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 2 {
			continue
		}
		if p := unescapeMount(left[4]); want(p, unescapeMount(right[1])) {
			points = append([]string{p}, points...)
		}
	}
	return points, lines.Err()
}

// unescapeMount undoes the octal escapes of mountinfo.
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
