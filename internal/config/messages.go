package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/identity"
)

// Receiver is told of events of images, in EventBridge's shape: a webhook, or an
// event bus or topic of AWS.
type Receiver struct {
	URL    string          `yaml:"url"`    // of a webhook
	Secret identity.Secret `yaml:"secret"` // signs the webhook's requests
	Bus    string          `yaml:"bus"`    // ARN of an event bus of Amazon EventBridge
	Source string          `yaml:"source"` // of the events on the bus, default DefaultSource
	Topic  string          `yaml:"topic"`  // ARN of a topic of Amazon SNS
	AWS    *Access         `yaml:"aws"`    // how to get to the bus or topic; default: as to its account
}

// DefaultSource is the source of events on a bus of AWS, where sources that begin
// with "aws." are Amazon's own.
const DefaultSource = "goldsmith.imagebuilder"

var (
	busARN      = regexp.MustCompile(`^arn:aws[a-z-]*:events:[a-z0-9-]+:[0-9]{12}:event-bus/[/.\w-]{1,256}$`)
	topicARN    = regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[\w-]{1,256}(\.fifo)?$`)
	eventSource = regexp.MustCompile(`^[\w.-]{1,256}$`)
)

// check refuses what cannot be meant, naming the member.
func (r *Receiver) check() error {
	named := 0
	for _, one := range []string{r.URL, r.Bus, r.Topic} {
		if one != "" {
			named++
		}
	}
	switch {
	case named != 1:
		return fmt.Errorf("url, bus, topic: name one of them")
	case r.URL != "" && !isHTTP(r.URL):
		return fmt.Errorf("url: must be an http or https URL")
	case r.Bus != "" && !busARN.MatchString(r.Bus):
		return fmt.Errorf("bus: %q is not the ARN of an event bus", r.Bus)
	case r.Topic != "" && !topicARN.MatchString(r.Topic):
		return fmt.Errorf("topic: %q is not the ARN of a topic of AWS", r.Topic)
	case r.Secret != "" && r.URL == "":
		return fmt.Errorf("secret: signs requests to a url")
	case r.AWS != nil && r.URL != "":
		return fmt.Errorf("aws: is for a bus or topic")
	case r.Source != "" && (r.Bus == "" || !eventSource.MatchString(r.Source) || strings.HasPrefix(r.Source, "aws.")):
		return fmt.Errorf("source: is for events on a bus, and must be letters, digits and ._- that do not begin with 'aws.'")
	case r.AWS != nil && len(r.AWS.Regions) > 0:
		return fmt.Errorf("aws.regions: the ARN names the region")
	case r.AWS != nil:
		if err := r.AWS.check(); err != nil {
			return fmt.Errorf("aws.%w", err)
		}
	}
	return nil
}

// Notifications say where messages of topics and events may go.
type Notifications struct {
	Allow []string `yaml:"allow"` // networks, such as 10.0.0.0/8; none: everywhere but link-local addresses

	allowed []netip.Prefix
}

// Allowed gives the networks; none: everywhere.
func (n Notifications) Allowed() []netip.Prefix { return n.allowed }

func (c *Config) checkMessages() error {
	for i := range c.Events {
		if err := c.Events[i].check(); err != nil {
			return fmt.Errorf("events[%d].%w", i, err)
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
