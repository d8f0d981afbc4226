package guest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// Listen listens on a unix socket that only the owner may connect to, in place
// of a stale one. The path may be longer than the 107 bytes that the kernel
// takes. The socket's file stays behind when the listener is closed.
func Listen(path string) (*net.UnixListener, error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("removing a stale socket: %w", err)
	}
	short, release, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer release()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false) // its name is short's, which means nothing by then
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Dial connects to a unix socket at a path of any length.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	short, release, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer release()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", short)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", path, err)
	}
	return conn, nil
}

// shorten gives a path of the same socket that fits in a socket address: by
// way of the file descriptor of its folder, good until release.
func shorten(path string) (short string, release func(), err error) {
	const longest = 107
	if len(path) <= longest {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	short = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	if len(short) > longest {
		dir.Close()
		return "", nil, fmt.Errorf("the name of the socket %s is too long", path)
	}
	return short, func() { dir.Close() }, nil
}
