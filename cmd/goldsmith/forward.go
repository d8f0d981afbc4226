package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/instance"
)

// parseForwards reads 127.0.0.1:PORT:GUESTPORT. Only the loopback address is
// taken: a disk that is being looked at is not served to the network.
func parseForwards(list []string) ([]instance.Forward, error) {
	var out []instance.Forward
	for _, text := range list {
		parts := strings.Split(text, ":")
		if len(parts) != 3 || parts[0] != "127.0.0.1" {
			return nil, usageError{fmt.Errorf("--forward %q: it is 127.0.0.1:PORT:GUESTPORT", text)}
		}
		host, err1 := strconv.ParseUint(parts[1], 10, 16)
		guest, err2 := strconv.ParseUint(parts[2], 10, 16)
		if err1 != nil || err2 != nil || guest == 0 {
			return nil, usageError{fmt.Errorf("--forward %q: ports are 1 to 65535", text)}
		}
		if host == 0 {
			free, err := freePort()
			if err != nil {
				return nil, err
			}
			host = free
		}
		out = append(out, instance.Forward{Host: int(host), Guest: int(guest)})
	}
	return out, nil
}

// freePort finds a port of the loopback address that nobody listens on.
func freePort() (uint64, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	defer ln.Close()
	return uint64(ln.Addr().(*net.TCPAddr).Port), nil
}
