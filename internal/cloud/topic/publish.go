package topic

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/goldsmith-build/goldsmith/api/sns"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// maxMessage is the size of a message with its attributes, in bytes (API
// Reference, Publish).
const maxMessage = 256 << 10

// content is what was published.
type content struct {
	Message    string
	Subject    *string
	Attributes map[string]attribute
	Protocols  map[string]string // for MessageStructure json: what each protocol gets
}

// attribute is a message attribute in the shape that receivers see.
type attribute struct {
	Type  string `json:"Type"`
	Value string `json:"Value"`
}

// publish adds a message to the transaction for every confirmed subscription
// that wants it, and gives its id.
func (t *Topics) publish(ctx context.Context, tx *store.Tx, topic, lane string, c content) (string, error) {
	id := uuid.NewString()
	err := t.subscriptions(tx, topic, func(s Subscription) error {
		if !s.Confirmed {
			return nil
		}
		filter, err := parseFilter(s.Attributes["FilterPolicy"], s.Attributes["FilterPolicyScope"])
		if err != nil {
			return fmt.Errorf("the filter policy of %s: %w", s.ARN, err)
		}
		if !filter.wants(c) {
			return nil
		}
		message := c.Message
		if c.Protocols != nil {
			message = c.Protocols["default"]
			if own, ok := c.Protocols[s.Protocol]; ok {
				message = own
			}
		}
		return t.send(ctx, tx, s, lane, envelope{Type: notification, ID: id, Topic: topic, Subject: c.Subject, Message: message, At: t.now().UTC(), Attributes: c.Attributes})
	})
	return id, err
}

// send adds an envelope to the transaction for one subscription.
func (t *Topics) send(ctx context.Context, tx *store.Tx, s Subscription, lane string, e envelope) error {
	body, err := encode(s.ARN, e)
	if err != nil {
		return err
	}
	return t.outbox.Add(ctx, tx, target(s.ARN), lane, body)
}

// read checks a message and takes it over from the API's shapes.
func read(message string, subject, structure *string, attributes map[string]sns.MessageAttributeValue) (content, error) {
	c := content{Message: message, Subject: subject}
	size := len(message)
	switch {
	case message == "":
		return c, invalid("Empty message")
	case !utf8.ValidString(message):
		return c, invalid("Message Reason: it is not valid UTF-8")
	case subject != nil && !subjectIsGood(*subject):
		return c, invalid("Subject")
	}
	for name, a := range attributes {
		v, err := readAttribute(name, a)
		if err != nil {
			return c, err
		}
		if c.Attributes == nil {
			c.Attributes = map[string]attribute{}
		}
		c.Attributes[name] = v
		size += len(name) + len(v.Type) + len(v.Value)
	}
	if size > maxMessage {
		return c, invalid("Message too long")
	}
	if structure == nil || *structure == "" {
		return c, nil
	}
	if *structure != "json" {
		return c, invalid("MessageStructure must be 'json' if provided")
	}
	var raw map[string]any
	if err := json.Unmarshal([]byte(message), &raw); err != nil {
		return c, invalid("Message Structure - JSON message body failed to parse")
	}
	c.Protocols = map[string]string{}
	for key, v := range raw {
		if s, ok := v.(string); ok {
			c.Protocols[key] = s
		}
	}
	if _, ok := c.Protocols["default"]; !ok {
		return c, invalid("Message Structure - No default entry in JSON message body")
	}
	return c, nil
}

// subjectIsGood holds a subject to the rules of Publish: ASCII, one line, at
// most 100 characters, no space at its beginning.
func subjectIsGood(s string) bool {
	if s == "" || len(s) > 100 || s[0] <= ' ' {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

func readAttribute(name string, a sns.MessageAttributeValue) (attribute, error) {
	kind, _, _ := strings.Cut(*a.DataType, ".")
	switch kind {
	case "String", "Number":
		if a.StringValue == nil || *a.StringValue == "" {
			return attribute{}, fault.New("ParameterValueInvalid", "The message attribute '%.100s' must contain non-empty message attribute value for message attribute type '%.100s'.", name, *a.DataType)
		}
		return attribute{*a.DataType, *a.StringValue}, nil
	case "Binary":
		return attribute{*a.DataType, base64Of(a.BinaryValue)}, nil
	}
	return attribute{}, fault.New("ParameterValueInvalid", "The message attribute '%.100s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", name)
}
