package action

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Files are opened without waiting and looked at once they are open: what a
// path names may change between a look and the opening, and the opening of a
// pipe waits for somebody at its other end.

// regular lets a file pass that was opened, if it is a regular one.
func regular(f *os.File, err error, path string) (*os.File, fs.FileInfo, error) {
	if errors.Is(err, syscall.ENXIO) { // a pipe that nobody reads
		return nil, nil, notRegular(path)
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = fmt.Errorf("%s is a folder, not a file", path)
	case !info.Mode().IsRegular():
		err = notRegular(path)
	default:
		return f, info, nil
	}
	f.Close()
	return nil, nil, err
}

func notRegular(path string) error { return fmt.Errorf("%s is not a regular file", path) }

// openFile opens a regular file to read it.
func openFile(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|noWait, 0)
	return regular(f, err, path)
}

// createRegular opens a regular file to write it, and makes it if flags say so.
func createRegular(path string, flags int, mode fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, flags|noWait, mode)
	f, _, err = regular(f, err, path)
	return f, err
}
