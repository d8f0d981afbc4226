package event

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/goldsmith-build/goldsmith/internal/cloud/delivery"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// source is that of all events of Image Builder (User Guide, "EventBridge
// integration").
const (
	source = "aws.imagebuilder"
	scheme = "webhook" // of deliveries: "webhook:" and the URL
)

// The kinds of events.
const (
	ImageStateChange = "EC2 Image Builder Image State Change"
	StepWaiting      = "EC2 Image Builder Workflow Step Waiting"
	PipelineDisabled = "EC2 Image Builder Image Pipeline Automatically Disabled"
)

// Event is something that happened.
type Event struct {
	Kind      string // detail-type
	Account   string
	Region    string
	Resources []string // ARNs
	Detail    any      // as JSON, by kind
}

// Envelope is what receivers get: EventBridge's.
type Envelope struct {
	Version    string   `json:"version"`
	ID         string   `json:"id"`
	DetailType string   `json:"detail-type"`
	Source     string   `json:"source"`
	Account    string   `json:"account"`
	Time       string   `json:"time"`
	Region     string   `json:"region"`
	Resources  []string `json:"resources"`
	Detail     any      `json:"detail"` // by kind
}

// Webhook is a receiver.
type Webhook struct {
	URL    string
	Secret string // signs the requests; "": they are not signed
}

// Bus has the webhooks and the other receivers.
type Bus struct {
	outbox *delivery.Outbox
	hooks  []Webhook
	now    func() time.Time
	others []string
}

// New returns a Bus, and makes it a writer of the outbox. now is the clock, nil
// for the real one.
func New(outbox *delivery.Outbox, hooks []Webhook, now func() time.Time) *Bus {
	if now == nil {
		now = time.Now
	}
	b := &Bus{outbox: outbox, hooks: hooks, now: now}
	outbox.Handle(scheme, b)
	return b
}

// Also has a target of the outbox, whose scheme somebody else handles, get the
// events, too. Call it before the first event is put.
func (b *Bus) Also(target string) { b.others = append(b.others, target) }

// Policy tries for some hours, as EventBridge tries for a day.
var Policy = delivery.Policy{MinDelayTarget: 5, MaxDelayTarget: 1200, NumRetries: 100, NumMinDelayRetries: 3, BackoffFunction: "exponential"}

// Put adds an event for every receiver to a transaction. Those of a lane reach a
// receiver in the order in which they were put.
func (b *Bus) Put(ctx context.Context, tx *store.Tx, lane string, e Event) error {
	if len(b.hooks)+len(b.others) == 0 {
		return nil
	}
	body, err := json.Marshal(Envelope{
		Version: "0", ID: uuid.NewString(), DetailType: e.Kind, Source: source, Account: e.Account, Time: b.now().UTC().Format("2006-01-02T15:04:05Z"), Region: e.Region, Resources: e.Resources, Detail: e.Detail,
	})
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	for _, hook := range b.hooks {
		if err := b.outbox.Add(ctx, tx, scheme+":"+hook.URL, lane, body); err != nil {
			return err
		}
	}
	for _, target := range b.others {
		if err := b.outbox.Add(ctx, tx, target, lane, body); err != nil {
			return err
		}
	}
	return nil
}

// Write implements delivery.Writer. The signature is that of the Standard
// Webhooks specification, which has libraries in many languages: HMAC-SHA256
// over id, time and body with dots between them.
func (b *Bus) Write(ctx context.Context, d store.Delivery) (*http.Request, delivery.Policy, error) {
	url := d.Target[len(scheme)+1:]
	for _, hook := range b.hooks {
		if hook.URL != url {
			continue
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(d.Body))
		if err != nil {
			return nil, Policy, err
		}
		var e Envelope
		if err := json.Unmarshal(d.Body, &e); err != nil {
			return nil, Policy, err
		}
		at := strconv.FormatInt(b.now().Unix(), 10)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("User-Agent", "Goldsmith")
		r.Header.Set("Webhook-Id", e.ID)
		r.Header.Set("Webhook-Timestamp", at)
		if hook.Secret != "" {
			r.Header.Set("Webhook-Signature", "v1,"+Sign(hook.Secret, e.ID, at, d.Body))
		}
		return r, Policy, nil
	}
	return nil, Policy, delivery.ErrGone // it left the configuration
}

// Sign gives the signature of a webhook's request, in base64. A secret that
// begins with "whsec_" is base64 behind that.
func Sign(secret, id, timestamp string, body []byte) string {
	key := []byte(secret)
	if coded, ok := strings.CutPrefix(secret, "whsec_"); ok {
		if raw, err := base64.StdEncoding.DecodeString(coded); err == nil {
			key = raw
		}
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
