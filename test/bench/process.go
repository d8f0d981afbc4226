package main

import (
	"net"
	"strconv"
	"syscall"
)

// interrupt is the signal that ends a server in an orderly way.
const interrupt = syscall.SIGTERM

// freePort gives a TCP port that nobody listens on now.
func freePort() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	defer ln.Close()
	return strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
}
