package partition

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/disk/loop"
)

// Grow makes the raw disk file name size bytes large, and its root partition
// and that partition's ext4 file system as large as the disk allows. It
// returns the root partition as it is then. The disk must not be in use.
//
// A root that is not the last partition keeps its size, and so does a file
// system that is not ext4; the disk still grows. A disk that already has the
// size is left alone. After an error the disk is of no use.
func Grow(ctx context.Context, name string, size int64) (Partition, error) {
	root, err := grow(ctx, name, size)
	if err != nil {
		return Partition{}, fmt.Errorf("growing disk to %d bytes: %w", size, err)
	}
	return root, nil
}

func grow(ctx context.Context, name string, size int64) (Partition, error) {
	disk, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return Partition{}, err
	}
	defer disk.Close()
	st, err := disk.Stat()
	if err != nil {
		return Partition{}, err
	}
	if size < st.Size() {
		return Partition{}, fmt.Errorf("it is already %d bytes large, and disks do not shrink", st.Size())
	}
	t, err := Read(disk, st.Size())
	if err != nil {
		return Partition{}, err
	}
	root, err := t.Root()
	if err != nil || size == st.Size() {
		return root, err
	}
	if err := disk.Truncate(size); err != nil {
		return Partition{}, err
	}
	grown, err := t.growTable(disk, root, size)
	if err != nil {
		return Partition{}, err
	}
	if grown.Size > root.Size && grown.Filesystem == "ext4" {
		if err := growExt4(ctx, disk, grown); err != nil {
			return Partition{}, err
		}
	}
	return grown, disk.Sync()
}

// growTable lets the table describe a disk of size bytes whose root partition
// ends with it.
func (t *Table) growTable(disk *os.File, root Partition, size int64) (Partition, error) {
	const align = 1 << 20
	end := size
	switch t.Scheme {
	case GPT:
		end -= (gptEntries*gptEntrySize/t.SectorSize + 1) * t.SectorSize
		end -= end % align
	case MBR:
		end -= end % align
	}
	grown := root
	if t.last(root) && end > root.Offset+root.Size {
		grown.Size = end - root.Offset
	}
	t.DiskSize = size
	for i := range t.Partitions {
		if t.Partitions[i].Number == root.Number {
			t.Partitions[i].Size = grown.Size
		}
	}
	switch t.Scheme {
	case GPT:
		return grown, t.WriteGPT(disk)
	case MBR:
		return grown, growMBR(disk, root.Number, grown.Size)
	}
	return grown, nil
}

// growExt4 grows the file system to its partition. It does not let resize2fs
// see the disk's file: resize2fs cuts a regular file off at the end of the file
// system, and counts that from the file's start even if it was told an offset.
func growExt4(ctx context.Context, disk *os.File, p Partition) error {
	device, err := loop.Attach(disk, p.Offset, p.Size)
	if err != nil {
		return growCopy(ctx, disk, p)
	}
	err = resizeExt4(ctx, device)
	return errors.Join(err, loop.Release(device, disk.Name()))
}

// growCopy is growExt4 for machines and users without loop devices: the file
// system is grown in a file of its own and copied back, holes and all.
func growCopy(ctx context.Context, disk *os.File, p Partition) (err error) {
	part, err := os.CreateTemp(filepath.Dir(disk.Name()), ".grow-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, part.Close(), os.Remove(part.Name())) }()
	if err := part.Truncate(p.Size); err != nil {
		return err
	}
	if err := copyData(ctx, part, 0, disk, p.Offset, p.Size); err != nil {
		return err
	}
	if err := resizeExt4(ctx, part); err != nil {
		return err
	}
	return copyData(ctx, disk, p.Offset, part, 0, p.Size)
}

// copyData copies the data, but not the holes, of size bytes at from in source
// to the offset to in dest. What the holes of source cover in dest stays.
func copyData(ctx context.Context, dest *os.File, to int64, source *os.File, from, size int64) error {
	for at, end := from, from+size; at < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		start, err := unix.Seek(int(source.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) || start >= end {
			return nil
		}
		if err != nil {
			return err
		}
		stop, err := unix.Seek(int(source.Fd()), start, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		stop = min(stop, end)
		if _, err := io.Copy(io.NewOffsetWriter(dest, to+start-from), io.NewSectionReader(source, start, stop-start)); err != nil {
			return err
		}
		at = stop
	}
	return nil
}

// resizeExt4 checks the file system on a device or in a file, and makes it as
// large as that is. The device is handed over as an open descriptor, so that no
// character of its path can be taken for an option.
func resizeExt4(ctx context.Context, device *os.File) error {
	out, err := runOn(ctx, device, "e2fsck", "-f", "-y", descriptor)
	// 1 means that errors were corrected, such as a journal to replay.
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return fmt.Errorf("checking the file system: %w: %s", err, out)
	}
	if out, err := runOn(ctx, device, "resize2fs", descriptor); err != nil {
		return fmt.Errorf("growing the file system: %w: %s", err, out)
	}
	return nil
}

// descriptor is how a command names the first extra file that it gets.
const descriptor = "/proc/self/fd/3"

// Inside names the file system at offset in the disk that a command gets as
// its first extra file, in the notation of the e2fsprogs.
func Inside(offset int64) string {
	return descriptor + "?offset=" + strconv.FormatInt(offset, 10)
}

// runOn runs a command with disk as descriptor 3 and returns the end of what
// it wrote.
func runOn(ctx context.Context, disk *os.File, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.ExtraFiles = []*os.File{disk}
	cmd.Env = append(os.Environ(), "LC_ALL=C", "E2FSCK_CONFIG=/dev/null")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	text := strings.TrimSpace(out.String())
	return text[max(0, len(text)-500):], err
}
