package topic

import (
	"context"
	"encoding/xml"
	"net/http"
	"strings"

	"github.com/goldsmith-build/goldsmith/api/sns"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Publish sends a message to all subscriptions of a topic that want it.
func (f face) Publish(ctx context.Context, in *sns.PublishInput) (*sns.PublishOutput, error) {
	arn := in.TopicArn
	if arn == nil {
		arn = in.TargetArn
	}
	if in.PhoneNumber != nil || arn == nil {
		return nil, invalid("TopicArn Reason: this server publishes to topics only")
	}
	c, err := read(*in.Message, in.Subject, in.MessageStructure, in.MessageAttributes)
	if err != nil {
		return nil, err
	}
	var id string
	err = f.topics.store.Write(ctx, func(tx *store.Tx) error {
		if _, err := f.topics.topic(tx, *arn); err != nil {
			return err
		}
		id, err = f.topics.publish(ctx, tx, *arn, or(in.MessageGroupId, ""), c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &sns.PublishOutput{MessageId: &id}, nil
}

// PublishBatch sends up to ten messages; each succeeds or fails by itself.
func (f face) PublishBatch(ctx context.Context, in *sns.PublishBatchInput) (*sns.PublishBatchOutput, error) {
	entries := in.PublishBatchRequestEntries
	switch {
	case len(entries) == 0:
		return nil, fault.New("EmptyBatchRequest", "The batch request doesn't contain any entries.")
	case len(entries) > 10:
		return nil, fault.New("TooManyEntriesInBatchRequest", "The batch request contains more entries than permissible.")
	}
	seen, size := map[string]bool{}, 0
	for _, e := range entries {
		if seen[*e.Id] {
			return nil, fault.New("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.")
		}
		seen[*e.Id] = true
		size += len(*e.Message)
	}
	if size > maxMessage {
		return nil, fault.New("BatchRequestTooLong", "The length of all the batch messages put together is more than the limit.")
	}
	out := &sns.PublishBatchOutput{Successful: []sns.PublishBatchResultEntry{}, Failed: []sns.BatchResultErrorEntry{}}
	err := f.topics.store.Write(ctx, func(tx *store.Tx) error {
		out.Successful, out.Failed = out.Successful[:0], out.Failed[:0]
		if _, err := f.topics.topic(tx, *in.TopicArn); err != nil {
			return err
		}
		for _, e := range entries {
			c, err := read(*e.Message, e.Subject, e.MessageStructure, e.MessageAttributes)
			if code := fault.Code(err); code != "" {
				_, why, _ := strings.Cut(err.Error(), ": ")
				out.Failed = append(out.Failed, sns.BatchResultErrorEntry{Id: e.Id, Code: &code, Message: &why, SenderFault: ptr(true)})
				continue
			}
			id, err := f.topics.publish(ctx, tx, *in.TopicArn, or(e.MessageGroupId, ""), c)
			if err != nil {
				return err
			}
			out.Successful = append(out.Successful, sns.PublishBatchResultEntry{Id: e.Id, MessageId: &id})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Link answers the links in messages, which receivers follow without a
// signature: the certificate, a confirmation, and an unsubscription. It reports
// whether the request was for one of these.
func (t *Topics) Link(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	if r.URL.Path == t.signer.Path() {
		t.signer.ServeHTTP(w, r)
		return true
	}
	query := r.URL.Query()
	if r.URL.Path != "/" || r.Header.Get("Authorization") != "" || query.Has("X-Amz-Signature") {
		return false
	}
	switch query.Get("Action") {
	case "ConfirmSubscription":
		arn, err := t.confirm(r.Context(), query.Get("TopicArn"), query.Get("Token"), query.Get("AuthenticateOnUnsubscribe") == "true")
		reply(w, "ConfirmSubscription", "<ConfirmSubscriptionResult><SubscriptionArn>"+escape(arn)+"</SubscriptionArn></ConfirmSubscriptionResult>", err)
	case "Unsubscribe":
		reply(w, "Unsubscribe", "", t.unsubscribe(r.Context(), query.Get("SubscriptionArn"), false))
	default:
		return false
	}
	return true
}

// reply answers a link as the API does its operations.
func reply(w http.ResponseWriter, operation, result string, err error) {
	w.Header().Set("Content-Type", "text/xml")
	code, why := fault.Code(err), "The server could not do it. Try again."
	switch {
	case err == nil:
		w.Write([]byte("<" + operation + `Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/">` + result + "</" + operation + "Response>"))
		return
	case code == "":
		code = "InternalError"
		w.WriteHeader(http.StatusInternalServerError)
	default:
		_, why, _ = strings.Cut(err.Error(), ": ")
		w.WriteHeader(sns.Errors[code])
	}
	w.Write([]byte("<ErrorResponse><Error><Code>" + escape(code) + "</Code><Message>" + escape(why) + "</Message></Error></ErrorResponse>"))
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) //nolint:errcheck // a strings.Builder takes everything
	return b.String()
}
