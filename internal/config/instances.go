package config

import (
	"fmt"
	"net/netip"
)

// Instances say what the instances of builds and tests may do.
type Instances struct {
	// Reach are services of this machine, "ADDRESS:PORT" by its own IPv4
	// addresses, that instances may connect to. Without them they reach none.
	Reach []string `yaml:"reach"`

	// Privileged lets the components of builds mount file systems and make
	// device nodes. They can become root of this machine then.
	Privileged bool `yaml:"privileged"`

	reach []netip.AddrPort
}

// Reachable gives Reach, parsed.
func (i Instances) Reachable() []netip.AddrPort { return i.reach }

func (i *Instances) check() error {
	i.reach = nil
	for n, text := range i.Reach {
		a, err := netip.ParseAddrPort(text)
		switch {
		case err != nil || !a.Addr().Is4() || a.Port() == 0:
			return fmt.Errorf("reach[%d]: must be an IPv4 address and a port such as 192.0.2.10:8080, not %q", n, text)
		case a.Addr().IsLoopback() || a.Addr().IsLinkLocalUnicast() || a.Addr().IsUnspecified():
			return fmt.Errorf("reach[%d]: %s cannot be reached from an instance: give the service one of the machine's other addresses", n, text)
		}
		i.reach = append(i.reach, a)
	}
	return nil
}
