package lifeline

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// lineFD is where a helper finds its end of the lifeline. Files that Start is
// given follow it.
const lineFD = 3

// FirstFile is the file descriptor of the first of Start's files in a helper.
const FirstFile = lineFD + 1

// Helper makes this program the named helper if it was started as such: it
// runs f and exits with f's status. It is called from a package's init, on the
// main thread. Ordinary starts of the program are not affected.
func Helper(name string, f func(*Line) int) {
	if len(os.Args) == 0 || os.Args[0] != name {
		return
	}
	syscall.CloseOnExec(lineFD)
	line, err := newLine(os.NewFile(lineFD, "lifeline"))
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s is not for people to start: %v\n", name, err)
		os.Exit(2)
	}
	os.Exit(f(line))
}

// Start starts the named helper of this program. attr may be nil; files become
// FirstFile and up. The caller closes the line, or just dies, to end the helper,
// and waits for cmd.
func Start(name string, attr *syscall.SysProcAttr, stderr *os.File, files ...*os.File) (*exec.Cmd, *Line, error) {
	ours, theirs, err := Pair()
	if err != nil {
		return nil, nil, err
	}
	defer theirs.Close()
	line, err := newLine(ours)
	if err != nil {
		return nil, nil, err
	}
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{name},
		Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"},
		ExtraFiles: append([]*os.File{theirs}, files...),
		Stderr:     stderr, SysProcAttr: attr, Dir: "/",
	}
	if err := cmd.Start(); err != nil {
		line.Close()
		return nil, nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return cmd, line, nil
}

// Pair gives two connected stream sockets.
func Pair() (a, b *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket"), nil
}

// Line is one end of a lifeline: JSON values, one a line, both ways.
type Line struct {
	conn net.Conn
	in   *bufio.Reader
	mu   sync.Mutex
}

func newLine(file *os.File) (*Line, error) {
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return nil, fmt.Errorf("lifeline: %w", err)
	}
	return &Line{conn: conn, in: bufio.NewReader(conn)}, nil
}

// Send sends v.
func (l *Line) Send(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err = l.conn.Write(append(b, '\n'))
	return err
}

// Receive waits for the next value; io.EOF says that the other end is gone.
func (l *Line) Receive(v any) error {
	b, err := l.in.ReadBytes('\n')
	if errors.Is(err, syscall.ECONNRESET) || err != nil && len(b) > 0 {
		return io.EOF // it went in the middle of a line, or with one unread
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// Close closes this end.
func (l *Line) Close() error { return l.conn.Close() }
