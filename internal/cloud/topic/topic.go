package topic

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/cloud/delivery"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

const (
	topicKind        store.Kind = "sns-topic"
	subscriptionKind store.Kind = "sns-subscription"
	scheme                      = "sns" // of deliveries: "sns:" and the ARN of a subscription
	pageSize                    = 100   // of every list (API Reference)
)

// Topic is what messages are published to.
type Topic struct {
	Account    string            `json:"account"`
	Region     string            `json:"region"`
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes,omitempty"` // as they were set
	Tags       map[string]string `json:"tags,omitempty"`
}

// ARN is the topic's.
func (t *Topic) ARN() string {
	return fmt.Sprintf("arn:%s:sns:%s:%s:%s", cloud.PartitionFor(t.Region), t.Region, t.Account, t.Name)
}

// Subscription is a receiver of a topic's messages.
type Subscription struct {
	ARN        string            `json:"arn"` // the topic's, with an id behind it
	Topic      string            `json:"topic"`
	Owner      string            `json:"owner"`
	Region     string            `json:"region"`
	Protocol   string            `json:"protocol"` // "http", "https"
	Endpoint   string            `json:"endpoint"` // URL
	Confirmed  bool              `json:"confirmed"`
	Token      string            `json:"token,omitempty"` // confirms it
	Asked      time.Time         `json:"asked"`           // when the token was sent
	Guarded    bool              `json:"guarded,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// Config is what the topics work with.
type Config struct {
	Store  *store.Store
	Outbox *delivery.Outbox
	Signer *Signer
	Now    func() time.Time // nil: time.Now
}

// Topics has those of every account and region.
type Topics struct {
	store  *store.Store
	outbox *delivery.Outbox
	signer *Signer
	now    func() time.Time
	base   func() string
}

// New returns the topics that a store keeps, and makes them a writer of the
// outbox.
func New(c Config) *Topics {
	t := &Topics{store: c.Store, outbox: c.Outbox, signer: c.Signer, now: c.Now, base: func() string { return "" }}
	if t.now == nil {
		t.now = time.Now
	}
	c.Outbox.Handle(scheme, t)
	return t
}

// ServeAt says where receivers reach the server: "http://HOST:PORT". Messages
// have links to it.
func (t *Topics) ServeAt(base func() string) { t.base = base }

var arnForm = regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(?::[0-9a-f-]{36})?$`)

var topicName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

// parse takes the ARN of a topic, or of a subscription with its id, apart.
func parse(arn string) (t Topic, id string, ok bool) {
	if !arnForm.MatchString(arn) {
		return Topic{}, "", false
	}
	parts := strings.Split(arn, ":")
	t = Topic{Region: parts[3], Account: parts[4], Name: parts[5]}
	if len(parts) == 7 {
		id = parts[6]
	}
	return t, id, true
}

func invalid(format string, args ...any) error {
	return fault.New("InvalidParameter", "Invalid parameter: "+format, args...)
}

// topic reads a topic by its ARN. A fault NotFound if there is none.
func (t *Topics) topic(tx *store.Tx, arn string) (Topic, error) {
	if _, id, ok := parse(arn); !ok || id != "" {
		return Topic{}, invalid("TopicArn Reason: %.256s is not the ARN of a topic", arn)
	}
	var found Topic
	row, ok, err := tx.Resource(arn)
	if err == nil && (!ok || row.Kind != topicKind) {
		err = fault.New("NotFound", "Topic does not exist")
	}
	if err == nil {
		err = decode(row, &found)
	}
	return found, err
}

// subscription reads a subscription by its ARN. A fault NotFound if there is
// none.
func (t *Topics) subscription(tx *store.Tx, arn string) (Subscription, error) {
	if _, id, ok := parse(arn); !ok || id == "" {
		return Subscription{}, invalid("SubscriptionArn Reason: %.256s is not the ARN of a subscription", arn)
	}
	var found Subscription
	row, ok, err := tx.Resource(arn)
	if err == nil && (!ok || row.Kind != subscriptionKind) {
		err = fault.New("NotFound", "Subscription does not exist")
	}
	if err == nil {
		err = decode(row, &found)
	}
	return found, err
}

func decode(row store.Resource, into any) error {
	if err := json.Unmarshal(row.Doc, into); err != nil {
		return fmt.Errorf("decoding %s: %w", row.ARN, err)
	}
	return nil
}

func encode(arn string, v any) ([]byte, error) {
	doc, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", arn, err)
	}
	return doc, nil
}

// subscriptions calls do for every subscription of a topic.
func (t *Topics) subscriptions(tx *store.Tx, topic string, do func(Subscription) error) error {
	var at store.Cursor
	for {
		rows, err := tx.Children(topic, at, pageSize)
		if err != nil {
			return err
		}
		for _, row := range rows {
			at = row.Cursor()
			var s Subscription
			if err := decode(row, &s); err != nil {
				return err
			}
			if err := do(s); err != nil {
				return err
			}
		}
		if len(rows) < pageSize {
			return nil
		}
	}
}

// save writes a changed subscription.
func (t *Topics) save(tx *store.Tx, s Subscription) error {
	doc, err := encode(s.ARN, s)
	if err != nil {
		return err
	}
	return tx.Update(store.Resource{ARN: s.ARN, Parent: s.Topic, Updated: t.now(), Doc: doc})
}

// remove deletes a subscription and what was on its way to it.
func (t *Topics) remove(tx *store.Tx, s Subscription) error {
	if err := tx.Delete(s.ARN); err != nil {
		return err
	}
	return tx.DeleteDeliveries(target(s.ARN))
}

func target(subscription string) string { return scheme + ":" + subscription }

// Announce publishes a message in the caller's transaction; a topic that is not
// there takes it and has nobody to tell. Messages of a lane reach each receiver
// in the order in which they were published.
func (t *Topics) Announce(ctx context.Context, tx *store.Tx, topic, lane, message string) error {
	row, ok, err := tx.Resource(topic)
	if err != nil {
		return err
	}
	if !ok || row.Kind != topicKind {
		slog.WarnContext(ctx, "a message has no topic to go to", "topic", topic, "of", lane)
		return nil
	}
	_, err = t.publish(ctx, tx, topic, lane, content{Message: message})
	return err
}
