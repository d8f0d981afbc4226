package topic_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/api/sns"
	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
)

const bob = "222222222222"

// may reports whether an account may do something with what an ARN names, by the
// policy of that.
func (f *fixture) may(account, action, name string) bool {
	f.Helper()
	r, ok, err := f.topics.Resource(f.ctx(), name)
	if err != nil {
		f.Fatal(err)
	}
	return ok && r.Policy != nil && r.Policy.Grants(access.AccountRoot(account, access.Place{}), action, name, func(string) ([]string, bool) { return nil, false })
}

func TestPoliciesOfTopics(t *testing.T) {
	t.Parallel()
	f := open(t)
	add := func(label string, actions ...string) error {
		_, err := f.sns.AddPermission(f.ctx(), &sns.AddPermissionInput{TopicArn: p(arn), Label: &label, AWSAccountId: []string{bob}, ActionName: actions})
		return err
	}
	if f.may(bob, "sns:Publish", arn) {
		t.Error("a stranger may publish to a topic without a policy")
	}
	if err := errors.Join(add("publishers", "Publish"), add("others", "Subscribe", "GetTopicAttributes")); err != nil {
		t.Fatal(err)
	}
	for action, want := range map[string]bool{"sns:Publish": true, "sns:Subscribe": true, "sns:DeleteTopic": false} {
		if got := f.may(bob, action, arn); got != want {
			t.Errorf("%s: %v, want %v", action, got, want)
		}
	}
	if err := add("publishers", "Subscribe"); fault.Code(err) != "InvalidParameter" {
		t.Errorf("a label that is there: %v", err)
	}
	if err := add("x", "CreateTopic"); fault.Code(err) != "InvalidParameter" {
		t.Errorf("an action that cannot be granted: %v", err)
	}
	out, err := f.sns.GetTopicAttributes(f.ctx(), &sns.GetTopicAttributesInput{TopicArn: p(arn)})
	if err != nil {
		t.Fatal(err)
	}
	var shown struct{ Statement []struct{ Sid string } }
	if err := json.Unmarshal([]byte(out.Attributes["Policy"]), &shown); err != nil {
		t.Fatal(err)
	}
	var sids []string
	for _, s := range shown.Statement {
		sids = append(sids, s.Sid)
	}
	if diff := cmp.Diff([]string{"__default_statement_ID", "publishers", "others"}, sids); diff != "" {
		t.Errorf("statements (-want +got):\n%s", diff)
	}
	// What is shown can be set.
	set := func(value string) error {
		_, err := f.sns.SetTopicAttributes(f.ctx(), &sns.SetTopicAttributesInput{TopicArn: p(arn), AttributeName: p("Policy"), AttributeValue: &value})
		return err
	}
	if err := set(out.Attributes["Policy"]); err != nil {
		t.Errorf("setting what was shown: %v", err)
	}
	remove := func(label string) error {
		_, err := f.sns.RemovePermission(f.ctx(), &sns.RemovePermissionInput{TopicArn: p(arn), Label: &label})
		return err
	}
	if err := remove("publishers"); err != nil || f.may(bob, "sns:Publish", arn) || !f.may(bob, "sns:Subscribe", arn) {
		t.Errorf("after the permission was removed: %v", err)
	}
	if err := remove("publishers"); fault.Code(err) != "NotFound" {
		t.Errorf("a label that is not there: %v", err)
	}
	for _, bad := range []string{
		"{", `{"Statement": []}`, strings.ReplaceAll(out.Attributes["Policy"], "images", "other"), strings.ReplaceAll(out.Attributes["Policy"], "SNS:Publish", "s3:GetObject"),
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sns:Publish","Resource":"` + arn + `"}}`,
	} {
		if err := set(bad); fault.Code(err) != "InvalidParameter" {
			t.Errorf("the policy %.80s: %v", bad, err)
		}
	}
	if err := set(""); err != nil || f.may(bob, "sns:Subscribe", arn) {
		t.Errorf("after the policy was taken away: %v", err)
	}
}

// TestASubscriptionIsItsOwners also where the topic is another account's.
func TestASubscriptionIsItsOwners(t *testing.T) {
	t.Parallel()
	f := open(t)
	out, err := f.sns.Subscribe(identity.With(f.Context(), identity.Caller{Account: bob, Region: home, ARN: "arn:aws:iam::" + bob + ":root"}), &sns.SubscribeInput{TopicArn: p(arn), Protocol: p("http"), Endpoint: p(f.receiver.URL), ReturnSubscriptionArn: p(true)})
	if err != nil {
		t.Fatal(err)
	}
	name := *out.SubscriptionArn
	if !f.may(bob, "sns:Unsubscribe", name) || f.may(bob, "sns:Publish", name) || f.may("333333333333", "sns:Unsubscribe", name) {
		t.Error("a subscription is not its owner's alone")
	}
	if _, ok, err := f.topics.Resource(f.ctx(), arn+"x"); ok || err != nil {
		t.Errorf("a topic that is not there: %v, %v", ok, err)
	}
}

func TestRedrivePoliciesNameAQueue(t *testing.T) {
	t.Parallel()
	f := open(t)
	name := f.subscribe(nil)
	set := func(value string) error {
		_, err := f.sns.SetSubscriptionAttributes(f.ctx(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: &name, AttributeName: p("RedrivePolicy"), AttributeValue: &value})
		return err
	}
	if err := set(`{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:111111111111:dead"}`); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"[]", "{}", `{"deadLetterTargetArn": "dead"}`} {
		if err := set(bad); fault.Code(err) != "InvalidParameter" {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
