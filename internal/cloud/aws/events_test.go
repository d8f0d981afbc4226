package aws_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/cloud/aws"
	"github.com/goldsmith-build/goldsmith/internal/cloud/delivery"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// sqs calls moto's queue service, whose JSON needs no client.
func sqs(t *testing.T, url, action string, in map[string]any) map[string]any {
	t.Helper()
	body, _ := json.Marshal(in)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "AmazonSQS."+action)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLEAWSTEST00/20261122/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	out := map[string]any{}
	if err := json.NewDecoder(answer.Body).Decode(&out); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v %v", action, answer.StatusCode, out, err)
	}
	return out
}

// received takes the messages of a queue.
func received(t *testing.T, url, queue string) (all []map[string]any) {
	t.Helper()
	out := sqs(t, url, "ReceiveMessage", map[string]any{"QueueUrl": queue, "MaxNumberOfMessages": 10})
	list, _ := out["Messages"].([]any)
	for _, m := range list {
		body := map[string]any{}
		if err := json.Unmarshal([]byte(m.(map[string]any)["Body"].(string)), &body); err != nil {
			t.Fatal(err)
		}
		all = append(all, body)
	}
	return all
}

// TestEventsReachBusesAndTopics sends an event to a bus and a topic of moto, and
// reads what a queue behind each of them gets.
func TestEventsReachBusesAndTopics(t *testing.T) {
	t.Parallel()
	access := aws.Account{ID: "123456789012", Endpoint: moto(t)}
	loaded, err := access.Load(t.Context(), "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	queue := func(name string) (url, arn string) {
		url = sqs(t, access.Endpoint, "CreateQueue", map[string]any{"QueueName": name})["QueueUrl"].(string)
		return url, "arn:aws:sqs:us-east-1:123456789012:" + name
	}
	behindBus, busQueue := queue("bus")
	behindTopic, topicQueue := queue("topic")
	bridge, topics := eventbridge.NewFromConfig(loaded), sns.NewFromConfig(loaded)
	bus, err := bridge.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: sdk.String("images")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bridge.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: sdk.String("all"), EventBusName: sdk.String("images"), EventPattern: sdk.String(`{"source": ["goldsmith.imagebuilder"]}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := bridge.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: sdk.String("all"), EventBusName: sdk.String("images"), Targets: []ebtypes.Target{{Id: sdk.String("q"), Arn: &busQueue}}}); err != nil {
		t.Fatal(err)
	}
	topic, err := topics.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: sdk.String("images")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := topics.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: topic.TopicArn, Protocol: sdk.String("sqs"), Endpoint: &topicQueue}); err != nil {
		t.Fatal(err)
	}
	onBus := aws.Receiver{ARN: *bus.EventBusArn, Source: "goldsmith.imagebuilder", Access: access}
	onTopic := aws.Receiver{ARN: *topic.TopicArn, Access: access}
	events := aws.NewEvents([]aws.Receiver{onBus, onTopic})
	const body = `{"version":"0","id":"11111111-2222-4333-8444-555555555555","detail-type":"EC2 Image Builder Image State Change","source":"aws.imagebuilder","account":"111122223333","time":"2026-11-22T07:00:00Z","region":"us-east-1","resources":["arn:aws:imagebuilder:us-east-1:111122223333:image/web/1.0.0/1"],"detail":{"previous-state":{"status":"TESTING"},"state":{"status":"AVAILABLE"}}}`
	for _, r := range []aws.Receiver{onBus, onTopic} {
		if _, err := events.Send(t.Context(), store.Delivery{Target: r.Target(), Lane: "image", Body: []byte(body)}); err != nil {
			t.Fatalf("%s: %v", r.ARN, err)
		}
	}
	want := map[string]any{}
	json.Unmarshal([]byte(body), &want)
	got := received(t, access.Endpoint, behindBus)
	if len(got) != 1 {
		t.Fatalf("behind the bus there are %v", got)
	}
	for _, member := range []string{"detail", "detail-type", "resources"} {
		if diff := cmp.Diff(want[member], got[0][member]); diff != "" {
			t.Errorf("%s of the event on the bus (-want +got):\n%s", member, diff)
		}
	}
	got = received(t, access.Endpoint, behindTopic)
	if len(got) != 1 || got[0]["Message"] != body {
		t.Errorf("behind the topic there is %v", got)
	}
	if _, err := events.Send(t.Context(), store.Delivery{Target: aws.EventScheme + ":arn:aws:sns:us-east-1:123456789012:gone", Body: []byte(body)}); !errors.Is(err, delivery.ErrGone) {
		t.Errorf("a receiver that left the configuration: %v", err)
	}
	missing := aws.Receiver{ARN: "arn:aws:sns:us-east-1:123456789012:missing", Access: access}
	if _, err := aws.NewEvents([]aws.Receiver{missing}).Send(t.Context(), store.Delivery{Target: missing.Target(), Body: []byte(body)}); err == nil {
		t.Error("a topic that is not there took an event")
	}
}
