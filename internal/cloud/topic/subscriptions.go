package topic

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/goldsmith-build/goldsmith/api/sns"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// tokenLife is how long a subscription can be confirmed (API Reference,
// Subscribe: two days).
const tokenLife = 48 * time.Hour

const pendingConfirmation = "pending confirmation"

// Subscribe asks an endpoint whether it wants the messages of a topic. Asking
// again sends the question again, or gives the subscription that is there.
func (f face) Subscribe(ctx context.Context, in *sns.SubscribeInput) (*sns.SubscribeOutput, error) {
	if err := checkEndpoint(*in.Protocol, or(in.Endpoint, "")); err != nil {
		return nil, err
	}
	caller := identity.From(ctx)
	s := Subscription{ARN: *in.TopicArn + ":" + uuid.NewString(), Topic: *in.TopicArn, Owner: caller.Account, Region: caller.Region, Protocol: *in.Protocol, Endpoint: *in.Endpoint, Attributes: map[string]string{}}
	for name, value := range in.Attributes {
		if err := set(s.Attributes, subscriptionAttributes, name, value); err != nil {
			return nil, err
		}
	}
	if err := s.checkFilter(); err != nil {
		return nil, err
	}
	err := f.topics.store.Write(ctx, func(tx *store.Tx) (err error) {
		s, err = f.subscribe(ctx, tx, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !s.Confirmed && !or(in.ReturnSubscriptionArn, false) {
		return &sns.SubscribeOutput{SubscriptionArn: ptr(pendingConfirmation)}, nil
	}
	return &sns.SubscribeOutput{SubscriptionArn: &s.ARN}, nil
}

func (f face) subscribe(ctx context.Context, tx *store.Tx, s Subscription) (Subscription, error) {
	if _, err := f.topics.topic(tx, s.Topic); err != nil {
		return s, err
	}
	there := false
	err := f.topics.subscriptions(tx, s.Topic, func(old Subscription) error {
		if old.Protocol == s.Protocol && old.Endpoint == s.Endpoint {
			for name, value := range s.Attributes {
				if old.Confirmed && old.Attributes[name] != value {
					return invalid("Attributes Reason: Subscription already exists with different attributes")
				}
			}
			s, there = old, true
		}
		return nil
	})
	if err != nil || s.Confirmed {
		return s, err
	}
	var secret [32]byte
	rand.Read(secret[:])
	s.Token, s.Asked = hex.EncodeToString(secret[:]), f.topics.now().UTC()
	if there {
		err = f.topics.save(tx, s)
	} else {
		err = f.insert(tx, s)
	}
	if err != nil {
		return s, err
	}
	return s, f.topics.send(ctx, tx, s, "confirm", envelope{
		Type: confirmation, ID: uuid.NewString(), Topic: s.Topic, Token: s.Token, At: s.Asked,
		Message: "You have chosen to subscribe to the topic " + s.Topic + ".\nTo confirm the subscription, visit the SubscribeURL included in this message.",
	})
}

func (f face) insert(tx *store.Tx, s Subscription) error {
	doc, err := encode(s.ARN, s)
	if err != nil {
		return err
	}
	_, id, _ := parse(s.ARN)
	return tx.Insert(store.Resource{Key: store.Key{Kind: subscriptionKind, Account: s.Owner, Region: s.Region, Name: id}, ARN: s.ARN, Parent: s.Topic, Created: s.Asked, Doc: doc})
}

// checkEndpoint refuses what this server cannot send to.
func checkEndpoint(protocol, endpoint string) error {
	switch protocol {
	case "http", "https":
	case "email", "email-json", "sms", "sqs", "application", "lambda", "firehose":
		return invalid("Protocol Reason: this server delivers to http and https endpoints only, not to %s", protocol)
	default:
		return invalid("Does not support this protocol string: %.64s", protocol)
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != protocol || len(endpoint) > 2048 {
		return invalid("Endpoint must match the specified protocol")
	}
	return nil
}

// ConfirmSubscription takes a subscription's token for its yes.
func (f face) ConfirmSubscription(ctx context.Context, in *sns.ConfirmSubscriptionInput) (*sns.ConfirmSubscriptionOutput, error) {
	arn, err := f.topics.confirm(ctx, *in.TopicArn, *in.Token, or(in.AuthenticateOnUnsubscribe, "") == "true")
	if err != nil {
		return nil, err
	}
	return &sns.ConfirmSubscriptionOutput{SubscriptionArn: &arn}, nil
}

func (t *Topics) confirm(ctx context.Context, topic, token string, guarded bool) (arn string, err error) {
	err = t.store.Write(ctx, func(tx *store.Tx) error {
		if _, err := t.topic(tx, topic); err != nil {
			return err
		}
		var found *Subscription
		err := t.subscriptions(tx, topic, func(s Subscription) error {
			if s.Token != "" && subtle.ConstantTimeCompare([]byte(s.Token), []byte(token)) == 1 {
				found = &s
			}
			return nil
		})
		switch {
		case err != nil:
			return err
		case found == nil, t.now().Sub(found.Asked) > tokenLife:
			return invalid("Token")
		}
		arn = found.ARN
		if found.Confirmed {
			return nil
		}
		found.Confirmed, found.Guarded = true, guarded
		return t.save(tx, *found)
	})
	return arn, err
}

// Unsubscribe ends a subscription and tells its endpoint; one that is not there
// is no error.
func (f face) Unsubscribe(ctx context.Context, in *sns.UnsubscribeInput) (*sns.UnsubscribeOutput, error) {
	if err := f.topics.unsubscribe(ctx, *in.SubscriptionArn, true); err != nil {
		return nil, err
	}
	return &sns.UnsubscribeOutput{}, nil
}

func (t *Topics) unsubscribe(ctx context.Context, arn string, signed bool) error {
	return t.store.Write(ctx, func(tx *store.Tx) error {
		s, err := t.subscription(tx, arn)
		if fault.Code(err) == "NotFound" {
			return nil
		}
		if err != nil {
			return err
		}
		if s.Guarded && !signed {
			return fault.New("AuthorizationError", "The subscription can be ended by its owner only.")
		}
		if err := t.remove(tx, s); err != nil || !s.Confirmed {
			return err
		}
		return t.send(ctx, tx, s, "", envelope{
			Type: farewell, ID: uuid.NewString(), Topic: s.Topic, Token: s.Token, At: t.now().UTC(), To: &s,
			Message: "You have chosen to deactivate subscription " + s.ARN + ".\nTo cancel this operation and restore the subscription, subscribe the endpoint again.",
		})
	})
}

// ListSubscriptions lists the caller's subscriptions in its region.
func (f face) ListSubscriptions(ctx context.Context, in *sns.ListSubscriptionsInput) (*sns.ListSubscriptionsOutput, error) {
	caller := identity.From(ctx)
	all, more, err := f.list(ctx, in.NextToken, func(tx *store.Tx, at store.Cursor) ([]store.Resource, error) {
		return tx.List(store.Query{Kind: subscriptionKind, Account: caller.Account, Region: caller.Region, Scope: store.Names, After: at, Limit: pageSize + 1})
	})
	if err != nil {
		return nil, err
	}
	return &sns.ListSubscriptionsOutput{Subscriptions: all, NextToken: more}, nil
}

// ListSubscriptionsByTopic lists those of a topic, in the order in which they
// were made.
func (f face) ListSubscriptionsByTopic(ctx context.Context, in *sns.ListSubscriptionsByTopicInput) (*sns.ListSubscriptionsByTopicOutput, error) {
	all, more, err := f.list(ctx, in.NextToken, func(tx *store.Tx, at store.Cursor) ([]store.Resource, error) {
		if _, err := f.topics.topic(tx, *in.TopicArn); err != nil {
			return nil, err
		}
		return tx.Children(*in.TopicArn, at, pageSize+1)
	})
	if err != nil {
		return nil, err
	}
	return &sns.ListSubscriptionsByTopicOutput{Subscriptions: all, NextToken: more}, nil
}

func (f face) list(ctx context.Context, next *string, fetch func(*store.Tx, store.Cursor) ([]store.Resource, error)) (all []sns.Subscription, more *string, err error) {
	at, err := start(next)
	if err != nil {
		return nil, nil, err
	}
	all = []sns.Subscription{}
	err = f.topics.store.Read(ctx, func(tx *store.Tx) error {
		rows, err := fetch(tx, at)
		if len(rows) > pageSize {
			rows = rows[:pageSize]
			more = token(rows[pageSize-1].Cursor())
		}
		for _, row := range rows {
			var s Subscription
			if err := decode(row, &s); err != nil {
				return err
			}
			arn := s.ARN
			if !s.Confirmed {
				arn = "PendingConfirmation"
			}
			all = append(all, sns.Subscription{SubscriptionArn: &arn, Owner: &s.Owner, Protocol: &s.Protocol, Endpoint: ptr(masked(s.Endpoint)), TopicArn: &s.Topic})
		}
		return err
	})
	return all, more, err
}

// masked hides a password in a URL from lists.
func masked(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || u.User == nil {
		return endpoint
	}
	if _, secret := u.User.Password(); secret {
		u.User = url.UserPassword(u.User.Username(), "****")
	}
	return u.String()
}

// GetSubscriptionAttributes gives what was set, and what follows from the
// subscription.
func (f face) GetSubscriptionAttributes(ctx context.Context, in *sns.GetSubscriptionAttributesInput) (*sns.GetSubscriptionAttributesOutput, error) {
	out := &sns.GetSubscriptionAttributesOutput{}
	err := f.topics.store.Read(ctx, func(tx *store.Tx) error {
		s, err := f.topics.subscription(tx, *in.SubscriptionArn)
		out.Attributes = map[string]string{
			"SubscriptionArn": s.ARN, "TopicArn": s.Topic, "Owner": s.Owner, "Protocol": s.Protocol, "Endpoint": s.Endpoint, "PendingConfirmation": strconv.FormatBool(!s.Confirmed),
			"ConfirmationWasAuthenticated": strconv.FormatBool(s.Guarded), "RawMessageDelivery": "false",
		}
		for name, value := range s.Attributes {
			out.Attributes[name] = value
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// SetSubscriptionAttributes sets an attribute.
func (f face) SetSubscriptionAttributes(ctx context.Context, in *sns.SetSubscriptionAttributesInput) (*sns.SetSubscriptionAttributesOutput, error) {
	err := f.topics.store.Write(ctx, func(tx *store.Tx) error {
		s, err := f.topics.subscription(tx, *in.SubscriptionArn)
		if err != nil {
			return err
		}
		if err := s.setOn(*in.AttributeName, or(in.AttributeValue, "")); err != nil {
			return err
		}
		return f.topics.save(tx, s)
	})
	if err != nil {
		return nil, err
	}
	return &sns.SetSubscriptionAttributesOutput{}, nil
}

// start reads the token of a list, token makes one.
func start(next *string) (at store.Cursor, err error) {
	if next == nil {
		return at, nil
	}
	data, err := base64.RawURLEncoding.DecodeString(*next)
	if err == nil {
		err = json.Unmarshal(data, &at)
	}
	if err != nil {
		return store.Cursor{}, invalid("NextToken")
	}
	return at, nil
}

func token(at store.Cursor) *string {
	data, err := json.Marshal(at)
	if err != nil {
		panic(fmt.Sprintf("topic: a place in a list always marshals: %v", err))
	}
	return ptr(base64.RawURLEncoding.EncodeToString(data))
}
