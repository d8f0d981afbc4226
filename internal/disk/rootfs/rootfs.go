package rootfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"

	"github.com/goldsmith-build/goldsmith/internal/disk/partition"
)

// ErrUnsupported is returned (wrapped) for a root file system other than ext4.
var ErrUnsupported = errors.New("only ext4 file systems can be read without mounting them")

// FS is the root file system of a raw disk. Close it after use.
type FS struct {
	disk *os.File
	root partition.Partition
}

// Open finds the root file system of the raw disk file name.
func Open(name string) (*FS, error) {
	disk, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening the root file system: %w", err)
	}
	root, err := findRoot(disk)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the root file system: %w", err), disk.Close())
	}
	return &FS{disk: disk, root: root}, nil
}

func findRoot(disk *os.File) (partition.Partition, error) {
	st, err := disk.Stat()
	if err != nil {
		return partition.Partition{}, err
	}
	t, err := partition.Read(disk, st.Size())
	if err != nil {
		return partition.Partition{}, err
	}
	root, err := t.Root()
	if err == nil && root.Filesystem != "ext4" {
		err = fmt.Errorf("%w: this is %s", ErrUnsupported, root.Filesystem)
	}
	return root, err
}

// Close ends the use of the disk.
func (f *FS) Close() error { return f.disk.Close() }

// Partition is where the file system lies.
func (f *FS) Partition() partition.Partition { return f.root }

// safeName is what may stand in a request to debugfs without quoting.
var safeName = regexp.MustCompile(`^/[A-Za-z0-9/._+~-]*$`)

// ReadFile reads a regular file of at most limit bytes; a symbolic link at the
// end of the path is not followed. It returns fs.ErrNotExist (wrapped) for a
// file that is not there.
func (f *FS) ReadFile(ctx context.Context, name string, limit int64) ([]byte, error) {
	var b bytes.Buffer
	if err := f.Copy(ctx, name, &b, limit); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Copy writes a regular file of at most limit bytes to w.
func (f *FS) Copy(ctx context.Context, name string, w io.Writer, limit int64) error {
	out := &limited{w: w, left: limit}
	if err := f.debugfs(ctx, "cat", name, out); err != nil {
		return fmt.Errorf("reading %s from the disk: %w", name, err)
	}
	return nil
}

// ReadDir lists the names in a folder, without those that no request could
// name again. A folder of more than 1 MiB is an error.
func (f *FS) ReadDir(ctx context.Context, name string) ([]string, error) {
	var b bytes.Buffer
	if err := f.debugfs(ctx, "ls -p", name, &limited{w: &b, left: 1 << 20}); err != nil {
		return nil, fmt.Errorf("listing %s of the disk: %w", name, err)
	}
	var names []string
	for line := range strings.Lines(b.String()) {
		// /inode/mode/uid/gid/name/size/
		fields := strings.Split(strings.TrimSpace(line), "/")
		if len(fields) == 8 && fields[5] != "." && fields[5] != ".." && safeName.MatchString("/"+fields[5]) {
			names = append(names, fields[5])
		}
	}
	return names, nil
}

var errTooLarge = errors.New("it is larger than expected")

// limited passes on a bounded number of bytes and remembers why it stopped:
// the writing process only notices that nobody listens.
type limited struct {
	w    io.Writer
	left int64
	err  error
}

func (l *limited) Write(p []byte) (n int, err error) {
	if int64(len(p)) > l.left {
		err = errTooLarge
	} else {
		l.left -= int64(len(p))
		n, err = l.w.Write(p)
	}
	if err != nil {
		l.err = err
	}
	return n, err
}

// debugfs sends one request. It answers errors with a line on standard error
// and success, so that line decides.
func (f *FS) debugfs(ctx context.Context, request, name string, out *limited) error {
	if !safeName.MatchString(name) {
		return fmt.Errorf("the name %q cannot be asked for", name)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, "debugfs", "-R", request+" "+name, partition.Inside(f.root.Offset))
	cmd.Env = []string{"LC_ALL=C", "DEBUGFS_PAGER=__none__", "PATH=/usr/sbin:/sbin:/usr/bin:/bin"}
	cmd.ExtraFiles = []*os.File{f.disk}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &limited{w: &stderr, left: 64 << 10}
	err := cmd.Run()
	if ctxErr := ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	if out.err != nil {
		return out.err
	}
	if err != nil {
		return fmt.Errorf("debugfs: %w: %s", err, complaint(stderr.String()))
	}
	if text := complaint(stderr.String()); text != "" {
		if strings.Contains(text, "File not found") {
			return fs.ErrNotExist
		}
		return fmt.Errorf("debugfs: %s", text)
	}
	return nil
}

// complaint is what debugfs wrote besides its version.
func complaint(stderr string) string {
	var lines []string
	for line := range strings.Lines(stderr) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "debugfs 1.") {
			lines = append(lines, line)
		}
	}
	text := strings.Join(lines, "; ")
	return text[:min(len(text), 500)]
}
