package egress

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// Metadata is where every guest asks for its metadata (EC2 User Guide,
// "Instance metadata").
var Metadata = netip.MustParseAddrPort("169.254.169.254:80")

// Rules are where connections may go, IPv4 alone: guests have no IPv6, and what
// a helper sends by it is refused.
type Rules struct {
	Denied   []netip.Prefix
	Allowed  []netip.AddrPort // exceptions from Denied
	Redirect netip.AddrPort   // where TCP connections to Metadata go instead; the zero value: they are Denied's
}

// never are networks that no guest has business with, whatever host it is: this
// host, and link-local services.
var never = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16")}

// ForHost gives the rules of this host as it is now: none of its own addresses,
// but for its resolvers' DNS, which guests ask by way of the helper, and for
// what reach names.
func ForHost(reach []netip.AddrPort) (Rules, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return Rules{}, fmt.Errorf("reading the host's addresses: %w", err)
	}
	r := Rules{Denied: slices.Clone(never), Allowed: slices.Clone(reach)}
	for _, a := range addresses {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || !prefix.Addr().Is4() || prefix.Addr().IsLoopback() {
			continue
		}
		r.Denied = append(r.Denied, netip.PrefixFrom(prefix.Addr(), 32))
	}
	f, err := os.Open("/etc/resolv.conf")
	if err != nil {
		return r, nil // no names then, and no harm
	}
	defer f.Close()
	for _, resolver := range resolvers(f) {
		r.Allowed = append(r.Allowed, netip.AddrPortFrom(resolver, 53))
	}
	return r, nil
}

// resolvers reads the IPv4 name servers of a resolv.conf, at most the three that
// resolvers use (resolv.conf(5)).
func resolvers(r io.Reader) []netip.Addr {
	var all []netip.Addr
	lines := bufio.NewScanner(r)
	for lines.Scan() && len(all) < 3 {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if addr, err := netip.ParseAddr(fields[1]); err == nil && addr.Is4() {
			all = append(all, addr)
		}
	}
	return all
}
