package topic

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/goldsmith-build/goldsmith/api/sns"
	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// grantable are the actions that the policy of a topic can speak of (SNS
// Developer Guide, "Amazon SNS API permissions").
var grantable = []string{
	"AddPermission", "DeleteTopic", "GetDataProtectionPolicy", "GetTopicAttributes", "ListSubscriptionsByTopic", "ListTagsForResource", "Publish",
	"PutDataProtectionPolicy", "RemovePermission", "SetTopicAttributes", "Subscribe",
}

// checkPolicy holds the access policy of a topic to its rules.
func checkPolicy(arn, document string) error {
	p, err := access.Parse(access.ResourceBased, document)
	if err != nil {
		return invalid("Policy Reason: %s", err)
	}
	var actions []string
	for _, name := range grantable {
		actions = append(actions, "SNS:"+name)
	}
	if err := p.Concerns(arn, actions); err != nil {
		return invalid("Policy Reason: %s", err)
	}
	return nil
}

// setOn changes an attribute of a topic.
func (t *Topic) setOn(name, value string) error {
	if name == "Policy" && value != "" {
		if err := checkPolicy(t.ARN(), value); err != nil {
			return err
		}
	}
	return set(t.Attributes, topicAttributes, name, value)
}

// Resource gives a topic or subscription for decisions about who may use it; ok
// is false for one that there is not. A subscription is its owner's, also to a
// topic of another account.
func (t *Topics) Resource(ctx context.Context, arn string) (r access.Resource, ok bool, err error) {
	of, id, good := parse(arn)
	if !good {
		return r, false, nil
	}
	r.ARN = arn
	err = t.store.Read(ctx, func(tx *store.Tx) error {
		document := ""
		if id == "" {
			found, err := t.topic(tx, arn)
			if err != nil {
				return err
			}
			document = found.Attributes["Policy"]
			if identity.From(ctx).Account == of.Account { // nobody sees the tags of another account's
				r.Tags = found.Tags
			}
		} else {
			s, err := t.subscription(tx, arn)
			if err != nil {
				return err
			}
			if s.Owner != of.Account {
				document = ownersPolicy(s)
			}
		}
		if document != "" {
			r.Policy, err = access.Parse(access.ResourceBased, document)
		}
		return err
	})
	if fault.Code(err) != "" { // NotFound
		return access.Resource{}, false, nil
	}
	return r, err == nil, err
}

// ownersPolicy lets the owner of a subscription look at it, change it and end it.
func ownersPolicy(s Subscription) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":%q},"Action":["sns:GetSubscriptionAttributes","sns:SetSubscriptionAttributes","sns:Unsubscribe"],"Resource":%q}}`, s.Owner, s.ARN)
}

// document is a topic's policy, as far as statements are added and removed.
type document struct {
	Version    string            `json:"Version"`
	ID         string            `json:"Id,omitempty"`
	Statements []json.RawMessage `json:"Statement"`
}

// policyOf reads the policy of a topic, which was checked when it was set.
func policyOf(t *Topic) (document, error) {
	text := t.Attributes["Policy"]
	if text == "" {
		text = defaultPolicy(*t)
	}
	var raw struct {
		document
		Statement json.RawMessage `json:"Statement"`
	}
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return document{}, fmt.Errorf("reading the policy of %s: %w", t.ARN(), err)
	}
	if json.Unmarshal(raw.Statement, &raw.document.Statements) != nil { // a statement may stand alone
		raw.document.Statements = []json.RawMessage{raw.Statement}
	}
	return raw.document, nil
}

// labelled finds the statement with a label.
func (d document) labelled(label string) int {
	return slices.IndexFunc(d.Statements, func(s json.RawMessage) bool {
		var named struct{ Sid string }
		return json.Unmarshal(s, &named) == nil && named.Sid == label
	})
}

// keep makes a policy that of a topic.
func (d document) keep(t *Topic) error {
	text, err := encode(t.ARN(), d)
	if err != nil {
		return err
	}
	return t.setOn("Policy", string(text))
}

// AddPermission adds a statement to the policy of a topic that lets accounts do
// something with it.
func (f face) AddPermission(ctx context.Context, in *sns.AddPermissionInput) (*sns.AddPermissionOutput, error) {
	type statement struct {
		Sid       string
		Effect    string
		Principal map[string][]string
		Action    []string
		Resource  string
	}
	err := f.change(ctx, *in.TopicArn, func(t *Topic) error {
		d, err := policyOf(t)
		if err != nil {
			return err
		}
		if d.labelled(*in.Label) >= 0 {
			return invalid("Statement already exists")
		}
		s := statement{Sid: *in.Label, Effect: "Allow", Principal: map[string][]string{}, Resource: *in.TopicArn}
		for _, id := range in.AWSAccountId {
			s.Principal["AWS"] = append(s.Principal["AWS"], "arn:"+cloud.PartitionFor(t.Region)+":iam::"+id+":root")
		}
		for _, name := range in.ActionName {
			if !slices.Contains(grantable, name) {
				return invalid("Policy statement action out of service scope!")
			}
			s.Action = append(s.Action, "SNS:"+name)
		}
		one, err := encode(t.ARN(), s)
		if err != nil {
			return err
		}
		d.Statements = append(d.Statements, one)
		return d.keep(t)
	})
	if err != nil {
		return nil, err
	}
	return &sns.AddPermissionOutput{}, nil
}

// RemovePermission removes a statement from the policy of a topic.
func (f face) RemovePermission(ctx context.Context, in *sns.RemovePermissionInput) (*sns.RemovePermissionOutput, error) {
	err := f.change(ctx, *in.TopicArn, func(t *Topic) error {
		d, err := policyOf(t)
		if err != nil {
			return err
		}
		at := d.labelled(*in.Label)
		if at < 0 {
			return fault.New("NotFound", "Statement does not exist")
		}
		if d.Statements = slices.Delete(d.Statements, at, at+1); len(d.Statements) == 0 {
			delete(t.Attributes, "Policy")
			return nil
		}
		return d.keep(t)
	})
	if err != nil {
		return nil, err
	}
	return &sns.RemovePermissionOutput{}, nil
}
