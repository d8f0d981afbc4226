package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/disk/partition"
	"github.com/goldsmith-build/goldsmith/internal/instance/guest"
)

// scratchSerial is the serial number by which the guest finds its scratch disk.
const scratchSerial = "goldsmith"

const (
	unitDir   = "etc/systemd/system"
	wantsDir  = unitDir + "/multi-user.target.wants"
	mountName = "run-goldsmith.mount" // systemd's name for guest.Folder
)

// mountUnit mounts the scratch disk. The agent's unit pulls it in.
const mountUnit = `# Written by Goldsmith for the time the instance runs.
[Unit]
Description=Goldsmith scratch folder
DefaultDependencies=no
Conflicts=umount.target
Before=umount.target

[Mount]
What=/dev/disk/by-id/virtio-` + scratchSerial + `
Where=` + guest.Folder + `
Type=ext4
Options=nodev,noatime
`

// copySparse copies a disk, sharing its blocks where the file system can and
// keeping its holes where not.
func copySparse(ctx context.Context, from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err = unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())); err != nil {
		if err = dst.Truncate(info.Size()); err == nil {
			err = copyData(ctx, dst, src)
		}
	}
	if closeErr := dst.Close(); err == nil {
		err = closeErr
	}
	return err
}

// copyData copies the parts of src that hold data.
func copyData(ctx context.Context, dst, src *os.File) error {
	for at := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		start, err := src.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // only a hole follows
		}
		if err != nil {
			return fmt.Errorf("looking for data: %w", err)
		}
		end, err := src.Seek(start, unix.SEEK_HOLE)
		if err != nil {
			return fmt.Errorf("looking for a hole: %w", err)
		}
		if _, err := src.Seek(start, io.SeekStart); err != nil {
			return err
		}
		if _, err := dst.Seek(start, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.CopyN(dst, src, end-start); err != nil {
			return err
		}
		at = end
	}
}

// rootOf finds the root partition of a raw disk.
func rootOf(disk string) (partition.Partition, error) {
	f, err := os.Open(disk)
	if err != nil {
		return partition.Partition{}, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return partition.Partition{}, err
	}
	table, err := partition.Read(f, size)
	if err != nil {
		return partition.Partition{}, err
	}
	return table.Root()
}

// units are the files that make a guest start the agent, by name.
func units() map[string]string {
	return map[string]string{
		guest.UnitName: guest.Unit("/dev/virtio-ports/" + portName),
		mountName:      mountUnit,
	}
}

// inject puts the agent's units into the root file system of a disk that
// nobody uses. Where debugfs can do it, neither root nor a loop device is needed
// and the host's kernel does not mount what a guest wrote.
func (k *Kind) inject(ctx context.Context, disk, dir string) error {
	root, err := rootOf(disk)
	if err != nil {
		return err
	}
	if k.found.debugfs != "" && root.Filesystem == "ext4" && !needsRecovery(disk, root.Offset) {
		err = k.injectOffline(ctx, disk, root.Offset, dir)
	} else {
		err = injectMounted(disk, root)
	}
	if err != nil {
		return fmt.Errorf("putting the guest agent's unit into the disk: %w", err)
	}
	return nil
}

// needsRecovery tells whether an ext4 journal is to be replayed, which debugfs
// does not do: s_feature_incompat has INCOMPAT_RECOVER.
func needsRecovery(disk string, offset int64) bool {
	f, err := os.Open(disk)
	if err != nil {
		return true
	}
	defer f.Close()
	b := make([]byte, 1)
	_, err = f.ReadAt(b, offset+1024+96)
	return err != nil || b[0]&0x4 != 0
}

func (k *Kind) injectOffline(ctx context.Context, disk string, offset int64, dir string) error {
	var script strings.Builder
	// Names may be there from an instance that was killed, and debugfs would
	// make a second inode that nothing leads to.
	script.WriteString(removal())
	fmt.Fprintf(&script, "mkdir /%s\n", wantsDir) // says so if it is there already
	for name, content := range units() {
		host := filepath.Join(dir, name)
		if err := os.WriteFile(host, []byte(content), 0o644); err != nil {
			return err
		}
		if strings.ContainsAny(host, "\"\n") {
			return fmt.Errorf("debugfs cannot read from the folder %q", dir)
		}
		fmt.Fprintf(&script, "write \"%s\" /%s/%s\n", host, unitDir, name)
		fmt.Fprintf(&script, "sif /%s/%s mode 0100644\nsif /%[1]s/%[2]s uid 0\nsif /%[1]s/%[2]s gid 0\n", unitDir, name)
	}
	fmt.Fprintf(&script, "symlink /%s/%s ../%[2]s\n", wantsDir, guest.UnitName)
	out, err := k.debugfs(ctx, disk, offset, script.String())
	if err != nil {
		return err
	}
	// debugfs has one exit status for everything: look at what it did.
	for name, content := range units() {
		got, err := k.debugfs(ctx, disk, offset, fmt.Sprintf("cat /%s/%s\n", unitDir, name))
		if err != nil {
			return err
		}
		if !bytes.Contains(got, []byte(content)) {
			return fmt.Errorf("debugfs did not write %s: %s", name, bytes.TrimSpace(out))
		}
	}
	return nil
}

// removal is the script of debugfs that takes the units out.
func removal() string {
	script := fmt.Sprintf("rm /%s/%s\n", wantsDir, guest.UnitName)
	for name := range units() {
		script += fmt.Sprintf("rm /%s/%s\n", unitDir, name)
	}
	return script
}

// eject takes out again what inject put in, and syncs the disk.
func (k *Kind) eject(ctx context.Context, disk string) error {
	root, err := rootOf(disk)
	if err != nil {
		return err
	}
	if k.found.debugfs != "" && root.Filesystem == "ext4" && !needsRecovery(disk, root.Offset) {
		_, err = k.debugfs(ctx, disk, root.Offset, removal())
	} else {
		err = ejectMounted(disk, root)
	}
	if err != nil {
		return fmt.Errorf("taking the guest agent's unit out of the disk: %w", err)
	}
	f, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// debugfs runs a script of debugfs on the file system at offset.
func (k *Kind) debugfs(ctx context.Context, disk string, offset int64, script string) ([]byte, error) {
	if strings.Contains(disk, "?") {
		return nil, fmt.Errorf("debugfs cannot open the disk %q", disk)
	}
	cmd := exec.CommandContext(ctx, k.found.debugfs, "-w", "-f", "-", fmt.Sprintf("%s?offset=%d", disk, offset))
	cmd.Stdin = strings.NewReader(script)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBUGFS_PAGER=cat")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("debugfs: %w: %s", err, bytes.TrimSpace(out))
	}
	return out, nil
}
