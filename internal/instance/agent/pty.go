package agent

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// openPTY opens a terminal: master is the agent's side, slave the program's.
func openPTY() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			master.Close()
		}
	}()
	conn, err := master.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	var number int
	var inner error
	err = conn.Control(func(fd uintptr) {
		if inner = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); inner == nil {
			number, inner = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err == nil {
		err = inner
	}
	if err != nil {
		return nil, nil, os.NewSyscallError("unlocking a terminal", err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|syscall.O_NOCTTY, 0)
	return master, slave, err
}

// resizePTY tells the terminal its size; zero rows or columns mean 24 by 80.
func resizePTY(master *os.File, rows, columns uint16) error {
	if rows == 0 || columns == 0 {
		rows, columns = 24, 80
	}
	conn, err := master.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = conn.Control(func(fd uintptr) {
		inner = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	})
	if err == nil {
		err = inner
	}
	return os.NewSyscallError("resizing a terminal", err)
}
