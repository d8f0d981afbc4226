package loop

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Mount mounts a part of a file, size 0 for all of it, on dir in this mount
// namespace, and gives the loop device, which clears itself when the mount goes.
// Device nodes on it are dead.
//
// A part that another loop device holds is waited for, and refused after 5 s:
// two mounts of one file system, each with what it has in memory, ruin it. The
// other mount may be in a namespace that nobody here sees, such as the copy of
// the host's mounts that every new mount namespace begins with.
func Mount(name string, offset, size int64, dir, filesystem, options string) (device string, err error) {
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if err := awaitUnheld(file, offset, size); err != nil {
		return "", err
	}
	loop, err := Attach(file, offset, size)
	if err != nil {
		return "", fmt.Errorf("attaching a loop device: %w", err)
	}
	defer loop.Close()
	return loop.Name(), unix.Mount(loop.Name(), dir, filesystem, unix.MS_NODEV|unix.MS_NOATIME, options)
}

// Unmount unmounts dir, which device is mounted on, and returns when the kernel
// has let go of the file.
func Unmount(dir, device, file string) error {
	var err error
	for range 200 {
		if err = unix.Unmount(dir, 0); !errors.Is(err, unix.EBUSY) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("unmounting %s: %w", dir, err)
	}
	return awaitDetached(device, file)
}

// Attach gives an open loop device over a part of disk, size 0 for all that
// follows offset. It clears itself when the last user closes it.
func Attach(disk *os.File, offset, size int64) (*os.File, error) {
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

// Release closes a device that Attach gave and returns when the kernel has let
// go of the file, with everything written to it.
func Release(device *os.File, file string) error {
	err := device.Sync()
	if closeErr := device.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("releasing %s: %w", device.Name(), err)
	}
	return awaitDetached(device.Name(), file)
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

// awaitUnheld waits until no loop device is over that part of the file.
func awaitUnheld(file *os.File, offset, size int64) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	var held string
	for range 500 {
		var err error
		if held, err = holder(st, offset, size); err != nil || held == "" {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("%s is in use: %s holds it; is it mounted?", file.Name(), held)
}

// holder gives a loop device that is over a part of the file, "" if there is none.
func holder(file unix.Stat_t, offset, size int64) (string, error) {
	bound, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return "", err
	}
	for _, b := range bound {
		name := "/dev/" + filepath.Base(filepath.Dir(filepath.Dir(b)))
		info, err := status(name)
		if err != nil {
			continue // it was released since
		}
		begins, ends := int64(info.Offset), int64(info.Offset+info.Sizelimit)
		if info.Inode == file.Ino && info.Device == file.Dev &&
			(info.Sizelimit == 0 || offset < ends) && (size == 0 || begins < offset+size) {
			return name, nil
		}
	}
	return "", nil
}

// status asks a loop device what it is over.
func status(name string) (*unix.LoopInfo64, error) {
	device, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer device.Close()
	return unix.IoctlLoopGetStatus64(int(device.Fd()))
}

// backing gives the path of the file behind a loop device, "" if none.
func backing(loop string) string {
	b, err := os.ReadFile("/sys/block/" + filepath.Base(loop) + "/loop/backing_file")
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(b), "\n")
}

// DropOthers detaches, in this namespace only, the copies of the host's
// mounts of loop devices. They would keep other volumes busy for as long as
// this instance lives. Those that hold one of the absolute paths in keep stay: the
// data folder, or the whole system, may lie on a loop device.
func DropOthers(keep ...string) error {
	for i, path := range keep {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			keep[i] = real
		}
	}
	points, err := Points(func(point, source string) bool {
		holds := func(path string) bool { return strings.HasPrefix(path+"/", strings.TrimSuffix(point, "/")+"/") }
		return strings.HasPrefix(source, "/dev/loop") && !slices.ContainsFunc(keep, holds)
	})
	if err != nil {
		return err
	}
	for _, p := range points {
		_ = unix.Unmount(p, unix.MNT_DETACH) // it may have gone with one above it
	}
	return nil
}

// Points gives the mount points of this namespace that want accepts,
// innermost first.
func Points(want func(point, source string) bool) ([]string, error) {
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
		if p := Unescape(left[4]); want(p, Unescape(right[1])) {
			points = append([]string{p}, points...)
		}
	}
	return points, lines.Err()
}

// Unescape undoes the octal escapes of mountinfo.
func Unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
