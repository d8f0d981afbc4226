package topic

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/cloud/delivery"
)

// topicAttributes are those that a topic keeps as they are set.
var topicAttributes = map[string]func(value string) error{
	"Policy": isObject, "DisplayName": nil, "DeliveryPolicy": checkTopicPolicy, "KmsMasterKeyId": nil, "TracingConfig": nil,
	"SignatureVersion": oneOf("1", "2"), "ContentBasedDeduplication": oneOf("false"), "FifoTopic": oneOf("false"), "ArchivePolicy": isObject,
}

// subscriptionAttributes are those that a subscription keeps as they are set.
var subscriptionAttributes = map[string]func(value string) error{
	"DeliveryPolicy": checkSubscriptionPolicy, "FilterPolicy": nil, "FilterPolicyScope": oneOf("MessageAttributes", "MessageBody"), "RawMessageDelivery": oneOf("true", "false"), "RedrivePolicy": checkRedrive,
}

// set changes an attribute; an empty value takes it away.
func set(all map[string]string, known map[string]func(string) error, name, value string) error {
	check, ok := known[name]
	if !ok {
		return invalid("AttributeName")
	}
	if value == "" {
		delete(all, name)
		return nil
	}
	if check != nil {
		if err := check(value); err != nil {
			return invalid("Attributes Reason: %s: %s", name, err)
		}
	}
	all[name] = value
	return nil
}

// setOn changes an attribute of a subscription. A filter policy depends on its
// scope, so both are looked at together.
func (s *Subscription) setOn(name, value string) error {
	if s.Attributes == nil {
		s.Attributes = map[string]string{}
	}
	if err := set(s.Attributes, subscriptionAttributes, name, value); err != nil {
		return err
	}
	return s.checkFilter()
}

func (s *Subscription) checkFilter() error {
	if _, err := parseFilter(s.Attributes["FilterPolicy"], s.Attributes["FilterPolicyScope"]); err != nil {
		return invalid("FilterPolicy: %s", err)
	}
	return nil
}

func oneOf(values ...string) func(string) error {
	return func(value string) error {
		for _, v := range values {
			if v == value {
				return nil
			}
		}
		return fmt.Errorf("must be %s", strings.Join(values, " or "))
	}
}

func isObject(value string) error {
	var object map[string]any
	if json.Unmarshal([]byte(value), &object) != nil || object == nil {
		return fmt.Errorf("must be a JSON object")
	}
	return nil
}

var queueARN = regexp.MustCompile(`^arn:aws[a-z-]*:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,80}$`)

// checkRedrive holds a redrive policy to its form. There are no queues here:
// what a receiver does not take is kept among the server's dead letters, with or
// without such a policy.
func checkRedrive(value string) error {
	var p struct {
		Target string `json:"deadLetterTargetArn"`
	}
	if err := json.Unmarshal([]byte(value), &p); err != nil || !queueARN.MatchString(p.Target) {
		return fmt.Errorf("deadLetterTargetArn must be the ARN of an SQS queue")
	}
	return nil
}

// topicPolicy and subscriptionPolicy are the two forms of a delivery policy.
type topicPolicy struct {
	HTTP struct {
		Default  *delivery.Policy `json:"defaultHealthyRetryPolicy"`
		Disabled bool             `json:"disableSubscriptionOverrides"`
		Request  requestPolicy    `json:"defaultRequestPolicy"`
		Throttle any              `json:"defaultThrottlePolicy"`
	} `json:"http"`
}

type subscriptionPolicy struct {
	Retry    *delivery.Policy `json:"healthyRetryPolicy"`
	Request  requestPolicy    `json:"requestPolicy"`
	Throttle any              `json:"throttlePolicy"`
}

type requestPolicy struct {
	ContentType string `json:"headerContentType"`
}

// contentTypes are those that a request policy may ask for (SNS Developer Guide,
// "Creating an HTTP/S delivery policy"), without their charset.
var contentTypes = []string{
	"application/atom+xml", "application/json", "application/octet-stream", "application/soap+xml", "application/x-www-form-urlencoded", "application/xhtml+xml", "application/xml",
	"text/css", "text/csv", "text/html", "text/plain", "text/xml",
}

func (p requestPolicy) check() error {
	kind, _, _ := strings.Cut(p.ContentType, ";")
	if p.ContentType == "" {
		return nil
	}
	if strings.ContainsAny(p.ContentType, "\r\n") || oneOf(contentTypes...)(strings.TrimSpace(kind)) != nil {
		return fmt.Errorf("headerContentType %.100q is not supported", p.ContentType)
	}
	return nil
}

func checkTopicPolicy(value string) error {
	p := topicPolicy{}
	p.HTTP.Default = defaults()
	if err := json.Unmarshal([]byte(value), &p); err != nil {
		return fmt.Errorf("is not a delivery policy: %w", err)
	}
	return checkBoth(p.HTTP.Default, p.HTTP.Request)
}

func checkSubscriptionPolicy(value string) error {
	p := subscriptionPolicy{Retry: defaults()}
	if err := json.Unmarshal([]byte(value), &p); err != nil {
		return fmt.Errorf("is not a delivery policy: %w", err)
	}
	return checkBoth(p.Retry, p.Request)
}

func checkBoth(p *delivery.Policy, r requestPolicy) error {
	if p != nil {
		if err := p.Check(); err != nil {
			return err
		}
	}
	return r.check()
}

func defaults() *delivery.Policy {
	p := delivery.DefaultPolicy
	return &p
}

// effectivePolicy gives the policy that holds for a subscription, and the content
// type of its requests: its own, unless its topic overrides, or else the topic's.
// Both were checked when they were set.
func effectivePolicy(ofTopic, own string) (delivery.Policy, string) {
	policy, contentType := delivery.DefaultPolicy, "text/plain; charset=UTF-8"
	var t topicPolicy
	t.HTTP.Default = defaults()
	if ofTopic != "" && json.Unmarshal([]byte(ofTopic), &t) == nil {
		if t.HTTP.Default != nil {
			policy = *t.HTTP.Default
		}
		if t.HTTP.Request.ContentType != "" {
			contentType = t.HTTP.Request.ContentType
		}
	}
	s := subscriptionPolicy{Retry: &delivery.Policy{}}
	*s.Retry = policy
	if own != "" && !t.HTTP.Disabled && json.Unmarshal([]byte(own), &s) == nil {
		if s.Retry != nil {
			policy = *s.Retry
		}
		if s.Request.ContentType != "" {
			contentType = s.Request.ContentType
		}
	}
	return policy, contentType
}
