package metadata

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Endpoint is where a handler answers, on the host's loopback.
type Endpoint struct {
	Address netip.AddrPort
	server  *http.Server
}

// Close ends it.
func (e *Endpoint) Close() error { return e.server.Close() }

// Bounds of what a guest may take of the server.
const (
	maxConnections = 32
	maxHeader      = 16 << 10
	patience       = 10 * time.Second
)

// Listen answers on a port of the loopback to which package egress leads a
// guest's connections. Others on the host are turned away: only root, and
// nobody, as whom the guests' networks run, are let in.
func Listen(h http.Handler) (*Endpoint, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for metadata requests: %w", err)
	}
	e := &Endpoint{Address: l.Addr().(*net.TCPAddr).AddrPort(), server: &http.Server{
		Handler: http.MaxBytesHandler(h, 0), ReadHeaderTimeout: patience, ReadTimeout: patience, WriteTimeout: patience, IdleTimeout: patience, MaxHeaderBytes: maxHeader,
		ErrorLog: log.New(io.Discard, "", 0), // guests' mistakes are theirs
	}}
	go e.server.Serve(&guests{Listener: l, slots: make(chan struct{}, maxConnections)})
	return e, nil
}

// guests is a listener that serves a bounded number of connections, and none of
// strangers.
type guests struct {
	net.Listener
	slots chan struct{}
}

// Accept waits for a connection of a guest.
func (g *guests) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if !fromGuest(conn) {
			conn.Close()
			continue
		}
		select {
		case g.slots <- struct{}{}:
			return &counted{Conn: conn, slots: g.slots}, nil
		default:
			conn.Close() // the guest has enough of them
		}
	}
}

// counted gives its place back when it is closed, once.
type counted struct {
	net.Conn
	slots chan struct{}
	once  sync.Once
}

// Close closes the connection.
func (c *counted) Close() error {
	c.once.Do(func() { <-c.slots })
	return c.Conn.Close()
}

// fromGuest tells whether the other end of a loopback connection belongs to
// root or to nobody.
func fromGuest(conn net.Conn) bool {
	f, err := os.Open("/proc/self/net/tcp")
	if err != nil {
		return false
	}
	defer f.Close()
	uid, ok := ownerOf(f, conn.RemoteAddr().(*net.TCPAddr).AddrPort(), conn.LocalAddr().(*net.TCPAddr).AddrPort())
	const nobody = 65534
	return ok && (uid == 0 || uid == nobody)
}

// ownerOf finds the user of a socket in the kernel's table (proc(5)).
func ownerOf(table io.Reader, local, remote netip.AddrPort) (uid int, ok bool) {
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 8 || fields[1] != kernelForm(local) || fields[2] != kernelForm(remote) {
			continue
		}
		uid, err := strconv.Atoi(fields[7])
		return uid, err == nil
	}
	return 0, false
}

// kernelForm is an address as the kernel prints it: the number in memory, which
// is little-endian here, and the port.
func kernelForm(a netip.AddrPort) string {
	b := a.Addr().Unmap().As4()
	return fmt.Sprintf("%s:%04X", strings.ToUpper(hex.EncodeToString([]byte{b[3], b[2], b[1], b[0]})), a.Port())
}
