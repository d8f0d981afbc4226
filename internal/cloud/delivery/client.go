package delivery

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// NewClient returns the client that messages are sent with. Whoever may
// subscribe chooses where the server connects to, so it connects to no
// link-local address, where clouds have their metadata service, to no multicast
// or unspecified one and, if networks are allowed by name, to no others. The
// address is judged when it is dialled, after names were resolved. No redirect
// is followed and no proxy used, because both would go around that.
func NewClient(allowed []netip.Prefix) *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: func(_, address string, _ syscall.RawConn) error { return check(allowed, address) }}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: attemptTime, MaxResponseHeaderBytes: maxAnswer,
			MaxIdleConns: 64, MaxIdleConnsPerHost: atOnce, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// errAddress says that a receiver is where the server does not connect to.
var errAddress = errors.New("the server does not send messages to this address")

func check(allowed []netip.Prefix, address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", errAddress, address)
	}
	ip := at.Addr().Unmap().WithZone("")
	within := len(allowed) == 0 || slices.ContainsFunc(allowed, func(p netip.Prefix) bool { return p.Contains(ip) })
	if !within || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() || ip == awsMetadata {
		return fmt.Errorf("%w: %s", errAddress, ip)
	}
	return nil
}

// awsMetadata is the metadata service's address that is not link-local.
var awsMetadata = netip.MustParseAddr("fd00:ec2::254")
