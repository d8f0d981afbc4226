package topic

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/goldsmith-build/goldsmith/api/sns"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// SNS is the face that SNS's clients see.
func (t *Topics) SNS() sns.Service { return face{topics: t} }

type face struct {
	sns.Unimplemented
	topics *Topics
}

// maxTopics is the quota of an account in a region.
const maxTopics = 100000

// CreateTopic makes a topic; one that is there with the same attributes and tags
// is given again.
func (f face) CreateTopic(ctx context.Context, in *sns.CreateTopicInput) (*sns.CreateTopicOutput, error) {
	caller := identity.From(ctx)
	t := Topic{Account: caller.Account, Region: caller.Region, Name: *in.Name, Attributes: map[string]string{}}
	if in.Attributes["FifoTopic"] == "true" {
		return nil, invalid("FifoTopic Reason: this server has no FIFO topics; messages with the same MessageGroupId go in order")
	}
	if !topicName.MatchString(t.Name) {
		return nil, invalid("Topic Name")
	}
	for name, value := range in.Attributes {
		if err := t.setOn(name, value); err != nil {
			return nil, err
		}
	}
	var err error
	if t.Tags, err = retagged(nil, in.Tags); err != nil {
		return nil, err
	}
	err = f.topics.store.Write(ctx, func(tx *store.Tx) error { return f.create(tx, t) })
	if err != nil {
		return nil, err
	}
	return &sns.CreateTopicOutput{TopicArn: ptr(t.ARN())}, nil
}

func (f face) create(tx *store.Tx, t Topic) error {
	old, err := f.topics.topic(tx, t.ARN())
	switch {
	case err == nil:
		for name, value := range t.Attributes {
			if old.Attributes[name] != value {
				return invalid("Attributes Reason: Topic already exists with different attributes")
			}
		}
		if len(t.Tags) > 0 && !maps.Equal(old.Tags, t.Tags) {
			return invalid("Tags Reason: Topic already exists with different tags")
		}
		return nil
	case fault.Code(err) != "NotFound":
		return err
	}
	n, err := tx.Count(topicKind, t.Account, t.Region)
	if err != nil {
		return err
	}
	if n >= maxTopics {
		return fault.New("TopicLimitExceeded", "The account has %d topics, as many as it may have.", n)
	}
	doc, err := encode(t.ARN(), t)
	if err != nil {
		return err
	}
	return tx.Insert(store.Resource{Key: store.Key{Kind: topicKind, Account: t.Account, Region: t.Region, Name: t.Name}, ARN: t.ARN(), Created: f.topics.now(), Doc: doc})
}

// DeleteTopic deletes a topic with its subscriptions; one that is not there is no
// error.
func (f face) DeleteTopic(ctx context.Context, in *sns.DeleteTopicInput) (*sns.DeleteTopicOutput, error) {
	err := f.topics.store.Write(ctx, func(tx *store.Tx) error {
		_, err := f.topics.topic(tx, *in.TopicArn)
		if fault.Code(err) == "NotFound" {
			return nil
		}
		if err != nil {
			return err
		}
		var gone []Subscription
		err = f.topics.subscriptions(tx, *in.TopicArn, func(s Subscription) error {
			gone = append(gone, s)
			return nil
		})
		if err != nil {
			return err
		}
		for _, s := range gone {
			if err := f.topics.remove(tx, s); err != nil {
				return err
			}
		}
		return tx.Delete(*in.TopicArn)
	})
	if err != nil {
		return nil, err
	}
	return &sns.DeleteTopicOutput{}, nil
}

// ListTopics lists the caller's topics in its region.
func (f face) ListTopics(ctx context.Context, in *sns.ListTopicsInput) (*sns.ListTopicsOutput, error) {
	caller := identity.From(ctx)
	at, err := start(in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &sns.ListTopicsOutput{Topics: []sns.Topic{}}
	err = f.topics.store.Read(ctx, func(tx *store.Tx) error {
		rows, err := tx.List(store.Query{Kind: topicKind, Account: caller.Account, Region: caller.Region, Scope: store.Names, After: at, Limit: pageSize + 1})
		if len(rows) > pageSize {
			rows = rows[:pageSize]
			out.NextToken = token(rows[pageSize-1].Cursor())
		}
		for _, row := range rows {
			out.Topics = append(out.Topics, sns.Topic{TopicArn: ptr(row.ARN)})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// GetTopicAttributes gives what was set, and what follows from the topic.
func (f face) GetTopicAttributes(ctx context.Context, in *sns.GetTopicAttributesInput) (*sns.GetTopicAttributesOutput, error) {
	out := &sns.GetTopicAttributesOutput{}
	err := f.topics.store.Read(ctx, func(tx *store.Tx) error {
		t, err := f.topics.topic(tx, *in.TopicArn)
		if err != nil {
			return err
		}
		var confirmed, pending int
		err = f.topics.subscriptions(tx, *in.TopicArn, func(s Subscription) error {
			if s.Confirmed {
				confirmed++
			} else {
				pending++
			}
			return nil
		})
		out.Attributes = map[string]string{
			"TopicArn": *in.TopicArn, "Owner": t.Account, "DisplayName": "", "Policy": defaultPolicy(t), "EffectiveDeliveryPolicy": effectiveDeliveryPolicy,
			"SubscriptionsConfirmed": strconv.Itoa(confirmed), "SubscriptionsPending": strconv.Itoa(pending), "SubscriptionsDeleted": "0",
		}
		maps.Copy(out.Attributes, t.Attributes)
		if own, ok := t.Attributes["DeliveryPolicy"]; ok {
			out.Attributes["EffectiveDeliveryPolicy"] = own
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// effectiveDeliveryPolicy is that of a topic without one of its own.
const effectiveDeliveryPolicy = `{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}`

// defaultPolicy is the access policy that a new topic shows: its owner may do
// everything with it.
func defaultPolicy(t Topic) string {
	return `{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Sid":"__default_statement_ID","Effect":"Allow","Principal":{"AWS":"*"},"Action":["SNS:GetTopicAttributes","SNS:SetTopicAttributes","SNS:AddPermission","SNS:RemovePermission","SNS:DeleteTopic","SNS:Subscribe","SNS:ListSubscriptionsByTopic","SNS:Publish"],"Resource":"` +
		t.ARN() + `","Condition":{"StringEquals":{"AWS:SourceOwner":"` + t.Account + `"}}}]}`
}

// change writes a topic that do has changed.
func (f face) change(ctx context.Context, arn string, do func(*Topic) error) error {
	return f.topics.store.Write(ctx, func(tx *store.Tx) error {
		t, err := f.topics.topic(tx, arn)
		if err != nil {
			return err
		}
		if t.Attributes == nil {
			t.Attributes = map[string]string{}
		}
		if err := do(&t); err != nil {
			return err
		}
		doc, err := encode(arn, t)
		if err != nil {
			return err
		}
		return tx.Update(store.Resource{ARN: arn, Updated: f.topics.now(), Doc: doc})
	})
}

// SetTopicAttributes sets an attribute.
func (f face) SetTopicAttributes(ctx context.Context, in *sns.SetTopicAttributesInput) (*sns.SetTopicAttributesOutput, error) {
	err := f.change(ctx, *in.TopicArn, func(t *Topic) error {
		return t.setOn(*in.AttributeName, or(in.AttributeValue, ""))
	})
	if err != nil {
		return nil, err
	}
	return &sns.SetTopicAttributesOutput{}, nil
}

// TagResource adds tags to a topic.
func (f face) TagResource(ctx context.Context, in *sns.TagResourceInput) (*sns.TagResourceOutput, error) {
	err := resource(f.change(ctx, *in.ResourceArn, func(t *Topic) (err error) {
		t.Tags, err = retagged(t.Tags, in.Tags)
		return err
	}))
	if err != nil {
		return nil, err
	}
	return &sns.TagResourceOutput{}, nil
}

// UntagResource removes tags from a topic.
func (f face) UntagResource(ctx context.Context, in *sns.UntagResourceInput) (*sns.UntagResourceOutput, error) {
	err := resource(f.change(ctx, *in.ResourceArn, func(t *Topic) error {
		maps.DeleteFunc(t.Tags, func(key, _ string) bool { return slices.Contains(in.TagKeys, key) })
		return nil
	}))
	if err != nil {
		return nil, err
	}
	return &sns.UntagResourceOutput{}, nil
}

// ListTagsForResource lists the tags of a topic.
func (f face) ListTagsForResource(ctx context.Context, in *sns.ListTagsForResourceInput) (*sns.ListTagsForResourceOutput, error) {
	out := &sns.ListTagsForResourceOutput{Tags: []sns.Tag{}}
	err := f.topics.store.Read(ctx, func(tx *store.Tx) error {
		t, err := f.topics.topic(tx, *in.ResourceArn)
		for _, key := range slices.Sorted(maps.Keys(t.Tags)) {
			out.Tags = append(out.Tags, sns.Tag{Key: ptr(key), Value: ptr(t.Tags[key])})
		}
		return resource(err)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// resource gives a missing topic the code that operations on tags have for it.
func resource(err error) error {
	if fault.Code(err) == "NotFound" {
		return fault.New("ResourceNotFound", "Resource does not exist")
	}
	return err
}

// retagged gives tags with more added: at most 50.
func retagged(tags map[string]string, more []sns.Tag) (map[string]string, error) {
	all := maps.Clone(tags)
	if all == nil && len(more) > 0 {
		all = map[string]string{}
	}
	for _, t := range more {
		all[*t.Key] = *t.Value
	}
	if len(all) > 50 {
		return nil, fault.New("TagLimitExceeded", "Could not complete request: tag quota of per resource exceeded")
	}
	return all, nil
}

func ptr[T any](v T) *T { return &v }

// or gives a member's value, or another if it is absent.
func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
