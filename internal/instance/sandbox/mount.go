package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/disk/loop"
)

// mount mounts the volume's root partition and the scratch folder.
func (s *supervisor) mount() error {
	// Until the instance is stopped the volume is worth nothing: no barriers.
	// Background zeroing of inode tables would only fill holes.
	options := map[string]string{"ext4": "barrier=0,noinit_itable,errors=remount-ro", "xfs": "nouuid", "btrfs": ""}
	var err error
	if s.rootLoop, err = loop.Mount(s.Volume, s.Offset, s.Size, s.Root, s.Filesystem, options[s.Filesystem]); err != nil {
		return fmt.Errorf("mounting the volume's root partition (%s at offset %d): %w", s.Filesystem, s.Offset, err)
	}
	if s.scratchLoop, err = loop.Mount(s.Scratch, 0, 0, s.ScratchDir, "ext4", "barrier=0,noinit_itable"); err != nil {
		return fmt.Errorf("mounting the scratch folder: %w", err)
	}
	return nil
}

// unmount leaves the volume complete on the disk. Blocks of deleted files
// become holes first, so that snapshots need not carry them.
func (s *supervisor) unmount() error {
	if s.ResolvConf != "" {
		removeEmpty(s.Root, "etc/resolv.conf")
	}
	// An unmount does not tell of writes that failed, a sync does.
	if err := syncFilesystem(s.Root); err != nil {
		return fmt.Errorf("writing the volume's file system: %w", err)
	}
	trim(s.Root)
	if err := loop.Unmount(s.ScratchDir, s.scratchLoop, s.Scratch); err != nil {
		return err
	}
	if err := loop.Unmount(s.Root, s.rootLoop, s.Volume); err != nil {
		return err
	}
	disk, err := os.OpenFile(s.Volume, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("opening the volume: %w", err)
	}
	defer disk.Close()
	if s.Filesystem == "ext4" {
		if err := checkState(disk, s.Offset); err != nil {
			return err
		}
	}
	if err := disk.Sync(); err != nil {
		return fmt.Errorf("writing the volume to the disk: %w", err)
	}
	return nil
}

// syncFilesystem writes what the kernel still holds of a file system.
func syncFilesystem(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// checkState refuses an ext4 file system that the kernel found errors in while
// it was mounted: s_state of its superblock.
func checkState(disk *os.File, offset int64) error {
	const found = 0x2
	state := make([]byte, 2)
	if _, err := disk.ReadAt(state, offset+1024+58); err != nil {
		return fmt.Errorf("reading the volume's superblock: %w", err)
	}
	if binary.LittleEndian.Uint16(state)&found != 0 {
		return errors.New("the volume's file system has errors; is the host's disk full or broken?")
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

// namePattern is what hostname(7) allows.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$`)

// hostname gives the name in an image's /etc/hostname, "" if it names none. A
// guest's systemd would take it, as in a machine, but may not set it in a
// sandbox; and what the image's /etc/hosts knows is this name.
func hostname(dir string) string {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return ""
	}
	defer root.Close()
	// A component may have made anything of it, a pipe without a writer too.
	f, err := root.OpenFile("etc/hostname", os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	b, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if namePattern.MatchString(line) && line != "localhost" {
			return line
		}
		return ""
	}
	return ""
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
