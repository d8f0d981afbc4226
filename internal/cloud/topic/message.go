package topic

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud/delivery"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// The types of messages that a receiver gets (SNS Developer Guide, "Parsing
// Amazon SNS message formats").
const (
	notification = "Notification"
	confirmation = "SubscriptionConfirmation"
	farewell     = "UnsubscribeConfirmation"
)

// envelope is a message as its row keeps it. Links and signature are made when
// it is sent, since the server's address may have changed.
type envelope struct {
	Type       string               `json:"type"`
	ID         string               `json:"id"`
	Topic      string               `json:"topic"`
	Subject    *string              `json:"subject,omitempty"`
	Message    string               `json:"message"`
	At         time.Time            `json:"at"`
	Attributes map[string]attribute `json:"attributes,omitempty"`
	Token      string               `json:"token,omitempty"`
	To         *Subscription        `json:"to,omitempty"` // where the row of the subscription is gone
}

// posted is the JSON that receivers get, in the order of SNS's own.
type posted struct {
	Type              string               `json:"Type"`
	MessageID         string               `json:"MessageId"`
	Token             string               `json:"Token,omitempty"`
	TopicARN          string               `json:"TopicArn"`
	Subject           *string              `json:"Subject,omitempty"`
	Message           string               `json:"Message"`
	SubscribeURL      string               `json:"SubscribeURL,omitempty"`
	Timestamp         string               `json:"Timestamp"`
	SignatureVersion  string               `json:"SignatureVersion"`
	Signature         string               `json:"Signature"`
	SigningCertURL    string               `json:"SigningCertURL"`
	UnsubscribeURL    string               `json:"UnsubscribeURL,omitempty"`
	MessageAttributes map[string]attribute `json:"MessageAttributes,omitempty"`
}

// Write implements delivery.Writer.
func (t *Topics) Write(ctx context.Context, d store.Delivery) (*http.Request, delivery.Policy, error) {
	var e envelope
	if err := json.Unmarshal(d.Body, &e); err != nil {
		return nil, delivery.DefaultPolicy, err
	}
	s, of, err := t.receiver(ctx, d.Target[len(scheme)+1:], e)
	if err != nil {
		return nil, delivery.DefaultPolicy, err
	}
	raw := e.Type == notification && s.Attributes["RawMessageDelivery"] == "true"
	body := []byte(e.Message)
	if !raw {
		if body, err = t.render(e, s, of); err != nil {
			return nil, delivery.DefaultPolicy, err
		}
	}
	// A password in the URL is sent as basic authentication by the client.
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, delivery.DefaultPolicy, err
	}
	policy, contentType := effectivePolicy(of.Attributes["DeliveryPolicy"], s.Attributes["DeliveryPolicy"])
	h := r.Header
	h.Set("User-Agent", "Amazon Simple Notification Service Agent")
	h.Set("Content-Type", contentType)
	h.Set("X-Amz-Sns-Message-Type", e.Type)
	h.Set("X-Amz-Sns-Message-Id", e.ID)
	h.Set("X-Amz-Sns-Topic-Arn", e.Topic)
	if e.Type != confirmation {
		h.Set("X-Amz-Sns-Subscription-Arn", s.ARN)
	}
	if raw {
		h.Set("X-Amz-Sns-Rawdelivery", "true")
	}
	return r, policy, nil
}

// receiver finds the subscription that a message goes to, and its topic.
func (t *Topics) receiver(ctx context.Context, arn string, e envelope) (s Subscription, of Topic, err error) {
	err = t.store.Read(ctx, func(tx *store.Tx) error {
		if of, err = t.topic(tx, e.Topic); fault.Code(err) != "" {
			err = nil // the farewell of a topic that was deleted
		}
		if err != nil || e.To != nil {
			return err
		}
		s, err = t.subscription(tx, arn)
		if fault.Code(err) != "" {
			err = delivery.ErrGone
		}
		return err
	})
	if e.To != nil {
		s = *e.To
	}
	return s, of, err
}

// render makes the signed JSON of a message.
func (t *Topics) render(e envelope, s Subscription, of Topic) ([]byte, error) {
	p := posted{
		Type: e.Type, MessageID: e.ID, Token: e.Token, TopicARN: e.Topic, Subject: e.Subject, Message: e.Message, Timestamp: e.At.UTC().Format("2006-01-02T15:04:05.000Z"),
		SignatureVersion: "1", SigningCertURL: t.base() + t.signer.Path(), MessageAttributes: e.Attributes,
	}
	if of.Attributes["SignatureVersion"] == "2" {
		p.SignatureVersion = "2"
	}
	switch e.Type {
	case notification:
		p.UnsubscribeURL = t.link("Unsubscribe", "SubscriptionArn", s.ARN)
	default:
		p.SubscribeURL = t.link("ConfirmSubscription", "TopicArn", e.Topic, "Token", e.Token)
	}
	var err error
	if p.Signature, err = t.signer.sign(p); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	j.SetIndent("", "  ")
	if err := j.Encode(p); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// link is a URL that a receiver may follow without a signature.
func (t *Topics) link(action string, pairs ...string) string {
	text := t.base() + "/?Action=" + action
	for i := 0; i < len(pairs); i += 2 {
		text += "&" + pairs[i] + "=" + url.QueryEscape(pairs[i+1])
	}
	return text
}

func base64Of(data []byte) string { return base64.StdEncoding.EncodeToString(data) }
