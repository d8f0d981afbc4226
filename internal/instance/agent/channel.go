package agent

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// openChannel opens a unix socket or a character device. A virtio port that
// has no node under /dev/virtio-ports yet, because udev has not run, is looked
// up by its name in sysfs.
func openChannel(path string) (io.ReadWriteCloser, error) {
	info, err := os.Stat(path)
	if os.IsNotExist(err) && filepath.Dir(path) == "/dev/virtio-ports" {
		if path, err = findPort("/sys/class/virtio-ports", filepath.Base(path)); err == nil {
			info, err = os.Stat(path)
		}
	}
	if err != nil {
		return nil, err
	}
	switch info.Mode().Type() {
	case fs.ModeSocket:
		return net.Dial("unix", path)
	case fs.ModeDevice | fs.ModeCharDevice:
		return os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	}
	return nil, fmt.Errorf("%s is neither a unix socket nor a character device", path)
}

// findPort gives the device node of the virtio port with that name.
func findPort(class, name string) (string, error) {
	entries, err := os.ReadDir(class)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(class, e.Name(), "name"))
		if err == nil && strings.TrimSpace(string(b)) == name {
			return filepath.Join("/dev", e.Name()), nil
		}
	}
	return "", fmt.Errorf("virtio port %s: %w", name, fs.ErrNotExist)
}
