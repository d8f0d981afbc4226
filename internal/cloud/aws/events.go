package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/goldsmith-build/goldsmith/internal/cloud/delivery"
	"github.com/goldsmith-build/goldsmith/internal/cloud/event"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// EventScheme begins the targets of the outbox that are buses and topics of AWS:
// "awsevents:ARN".
const EventScheme = "awsevents"

// Receiver is an event bus of Amazon EventBridge or a topic of Amazon SNS.
type Receiver struct {
	ARN    string
	Source string // of events on a bus: "aws." is Amazon's own
	Access Account
}

// Events brings events to buses and topics of AWS. It is safe for concurrent use.
type Events struct {
	receivers map[string]Receiver // by target

	mu      sync.Mutex
	clients map[string]sdk.Config
}

var _ delivery.Sender = (*Events)(nil)

// NewEvents returns the events' way to receivers.
func NewEvents(receivers []Receiver) *Events {
	e := &Events{receivers: map[string]Receiver{}, clients: map[string]sdk.Config{}}
	for _, r := range receivers {
		e.receivers[r.Target()] = r
	}
	return e
}

// Target is the receiver's in the outbox.
func (r Receiver) Target() string { return EventScheme + ":" + r.ARN }

// Send implements delivery.Sender.
func (e *Events) Send(ctx context.Context, d store.Delivery) (delivery.Policy, error) {
	r, ok := e.receivers[d.Target]
	if !ok {
		return event.Policy, delivery.ErrGone // it left the configuration
	}
	var told event.Envelope
	if err := json.Unmarshal(d.Body, &told); err != nil {
		return event.Policy, fmt.Errorf("%w: %w", delivery.ErrRefused, err)
	}
	loaded, err := e.access(ctx, r)
	if err != nil {
		return event.Policy, err
	}
	if strings.Contains(r.ARN, ":events:") {
		return event.Policy, putEvent(ctx, loaded, r, told)
	}
	return event.Policy, publishEvent(ctx, loaded, r, d, told)
}

// access gives the way to a receiver, in its region.
func (e *Events) access(ctx context.Context, r Receiver) (sdk.Config, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if loaded, ok := e.clients[r.ARN]; ok {
		return loaded, nil
	}
	loaded, err := r.Access.Load(ctx, strings.Split(r.ARN, ":")[3])
	if err == nil {
		e.clients[r.ARN] = loaded
	}
	return loaded, err
}

// putEvent puts an event on a bus. EventBridge takes a request and refuses what
// is in it one by one.
func putEvent(ctx context.Context, loaded sdk.Config, r Receiver, told event.Envelope) error {
	detail, err := json.Marshal(told.Detail)
	if err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, told.Time)
	if err != nil {
		return fmt.Errorf("%w: %w", delivery.ErrRefused, err)
	}
	out, err := eventbridge.NewFromConfig(loaded).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{{
		EventBusName: &r.ARN, Source: &r.Source, DetailType: &told.DetailType, Detail: sdk.String(string(detail)), Resources: told.Resources, Time: &at,
	}}})
	if err != nil {
		return fmt.Errorf("putting an event on %s: %w", r.ARN, err)
	}
	if out.FailedEntryCount == 0 {
		return nil
	}
	entry := out.Entries[0]
	err = fmt.Errorf("putting an event on %s: %s (%s)", r.ARN, sdk.ToString(entry.ErrorMessage), sdk.ToString(entry.ErrorCode))
	switch sdk.ToString(entry.ErrorCode) {
	case "InvalidArgument", "MalformedDetail", "NotAuthorizedForSourceException", "NotAuthorizedForDetailTypeException", "RedactionFailure":
		return fmt.Errorf("%w: %w", delivery.ErrRefused, err)
	}
	return err
}

// publishEvent publishes an event to a topic, as the JSON that webhooks get. A
// FIFO topic keeps the order of each lane and drops what comes twice.
func publishEvent(ctx context.Context, loaded sdk.Config, r Receiver, d store.Delivery, told event.Envelope) error {
	in := &sns.PublishInput{
		TopicArn: &r.ARN, Message: sdk.String(string(d.Body)),
		MessageAttributes: map[string]snstypes.MessageAttributeValue{"detail-type": {DataType: sdk.String("String"), StringValue: &told.DetailType}},
	}
	if strings.HasSuffix(r.ARN, ".fifo") {
		group := digest(d.Lane)
		in.MessageGroupId, in.MessageDeduplicationId = &group, &told.ID
	}
	if _, err := sns.NewFromConfig(loaded).Publish(ctx, in); err != nil {
		return fmt.Errorf("publishing an event to %s: %w", r.ARN, err)
	}
	return nil
}
