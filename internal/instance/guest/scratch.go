package guest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// scratchSize is the size of the scratch file system. Its file is sparse: it
// takes what the guest writes, and a guest cannot take more of the host's disk.
const scratchSize = 8 << 30

// MakeScratch makes a file with the file system of a guest's scratch folder,
// filled from the folder from, "" for nothing.
func MakeScratch(ctx context.Context, name, from string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("making the scratch file system: %w", err)
	}
	err = f.Truncate(scratchSize)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("making the scratch file system: %w", err)
	}
	// It is thrown away with the instance, so no journal; few inodes, since
	// what lies there are logs.
	args := []string{"-q", "-F", "-t", "ext4", "-b", "4096", "-i", "65536", "-m", "0",
		"-O", "^has_journal,^resize_inode", "-E", "lazy_itable_init=1,nodiscard,root_owner=0:0"}
	if from != "" {
		args = append(args, "-d", from)
	}
	mke2fs, err := Tool("mke2fs")
	if err != nil {
		return fmt.Errorf("making the scratch file system: %w (package e2fsprogs)", err)
	}
	cmd := exec.CommandContext(ctx, mke2fs, append(args, name)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making the scratch file system: mke2fs: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Tool finds a program of the host in PATH or where administrators' programs
// are, which is not in everybody's PATH.
func Tool(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if path, otherErr := exec.LookPath(dir + name); otherErr == nil {
			return path, nil
		}
	}
	return "", err
}
