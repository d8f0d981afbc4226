package config

import (
	"fmt"
	"net/netip"
	"net/url"

	"github.com/goldsmith-build/goldsmith/internal/identity"
)

// Webhook is told of events of images, in EventBridge's shape.
type Webhook struct {
	URL    string          `yaml:"url"`
	Secret identity.Secret `yaml:"secret"` // signs the requests
}

// Notifications say where messages of topics and events may go.
type Notifications struct {
	Allow []string `yaml:"allow"` // networks, such as 10.0.0.0/8; none: everywhere but link-local addresses

	allowed []netip.Prefix
}

// Allowed gives the networks; none: everywhere.
func (n Notifications) Allowed() []netip.Prefix { return n.allowed }

func (c *Config) checkMessages() error {
	for i, e := range c.Events {
		if !isHTTP(e.URL) {
			return fmt.Errorf("events[%d].url: must be an http or https URL", i)
		}
	}
	if c.PublicURL != "" && !isHTTP(c.PublicURL) {
		return fmt.Errorf("publicUrl: must be an http or https URL")
	}
	c.Notifications.allowed = nil
	for i, network := range c.Notifications.Allow {
		p, err := netip.ParsePrefix(network)
		if err != nil {
			return fmt.Errorf("notifications.allow[%d]: must be a network such as 10.0.0.0/8, not %q", i, network)
		}
		c.Notifications.allowed = append(c.Notifications.allowed, p)
	}
	return nil
}

func isHTTP(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
