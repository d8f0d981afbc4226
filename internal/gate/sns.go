package gate

import (
	api "github.com/goldsmith-build/goldsmith/api/sns"
	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
)

// sns are the rules of the Simple Notification Service. A subscription's ARN is
// that of its topic with an id behind it; who confirms or follows the link of an
// unsubscription needs no permission but the token.
var sns = map[string]rule{
	"AddPermission": on(func(in *api.AddPermissionInput) *string { return in.TopicArn }),
	"ConfirmSubscription": rules(func(a asked, in *api.ConfirmSubscriptionInput) []need {
		if of := owner(named(in.TopicArn)); of != "" && of != a.Account && text(in.AuthenticateOnUnsubscribe) != "true" {
			return nil // the token is the permission, as it is without a signature
		}
		return a.on(in.TopicArn)
	}),
	"CreateTopic": rules(func(a asked, in *api.CreateTopicInput) []need {
		tags, arn := topicTags(in.Tags), a.topic(text(in.Name))
		all := []need{{action: a.action(), resource: arn, values: requestTags(tags)}}
		if len(tags) > 0 {
			all = append(all, need{action: "sns:TagResource", resource: arn, values: requestTags(tags)})
		}
		return all
	}),
	"DeleteTopic":               on(func(in *api.DeleteTopicInput) *string { return in.TopicArn }),
	"GetSubscriptionAttributes": on(func(in *api.GetSubscriptionAttributesInput) *string { return in.SubscriptionArn }),
	"GetTopicAttributes":        on(func(in *api.GetTopicAttributesInput) *string { return in.TopicArn }),
	"ListSubscriptions":         anything,
	"ListSubscriptionsByTopic":  on(func(in *api.ListSubscriptionsByTopicInput) *string { return in.TopicArn }),
	"ListTagsForResource":       on(func(in *api.ListTagsForResourceInput) *string { return in.ResourceArn }),
	"ListTopics":                anything,
	"Publish": rules(func(a asked, in *api.PublishInput) []need {
		if in.TopicArn == nil {
			return a.on(in.TargetArn)
		}
		return a.on(in.TopicArn)
	}),
	"PublishBatch": rules(func(a asked, in *api.PublishBatchInput) []need {
		return []need{{action: "sns:Publish", resource: named(in.TopicArn)}}
	}),
	"RemovePermission":          on(func(in *api.RemovePermissionInput) *string { return in.TopicArn }),
	"SetSubscriptionAttributes": on(func(in *api.SetSubscriptionAttributesInput) *string { return in.SubscriptionArn }),
	"SetTopicAttributes":        on(func(in *api.SetTopicAttributesInput) *string { return in.TopicArn }),
	"Subscribe": rules(func(a asked, in *api.SubscribeInput) []need {
		v := access.Values{}
		v.Set("sns:protocol", text(in.Protocol))
		v.Set("sns:endpoint", text(in.Endpoint))
		return []need{{action: a.action(), resource: named(in.TopicArn), values: v}}
	}),
	"TagResource": rules(func(a asked, in *api.TagResourceInput) []need {
		return []need{{action: a.action(), resource: named(in.ResourceArn), values: requestTags(topicTags(in.Tags))}}
	}),
	"Unsubscribe": on(func(in *api.UnsubscribeInput) *string { return in.SubscriptionArn }),
	"UntagResource": rules(func(a asked, in *api.UntagResourceInput) []need {
		return []need{{action: a.action(), resource: named(in.ResourceArn), values: untagged(in.TagKeys)}}
	}),
}

func topicTags(given []api.Tag) map[string]string {
	all := map[string]string{}
	for _, t := range given {
		all[text(t.Key)] = text(t.Value)
	}
	return all
}

// topic is the ARN of a topic of the caller's.
func (a asked) topic(name string) string {
	return "arn:" + cloud.PartitionFor(a.Region) + ":sns:" + a.Region + ":" + a.Account + ":" + name
}
