//go:build unix

package action

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives a copy the owner of the original, as far as this user may.
func keepOwner(info fs.FileInfo, path string) error {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	if err := os.Chown(path, int(s.Uid), int(s.Gid)); err != nil {
		return err
	}
	return os.Chmod(path, info.Mode()) // a change of owner clears the set-id bits
}
