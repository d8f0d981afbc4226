package event_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/riverqueue/river"

	"github.com/goldsmith-build/goldsmith/internal/cloud/delivery"
	"github.com/goldsmith-build/goldsmith/internal/cloud/event"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

type jobs []string

func (j *jobs) Insert(_ context.Context, _ *store.Tx, job river.JobArgs, _ *river.InsertOpts) error {
	*j = append(*j, job.(delivery.Job).Target)
	return nil
}

func TestAWebhookGetsSignedEvents(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	var header http.Header
	var body []byte
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
	}))
	t.Cleanup(hook.Close)
	rows, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "rows.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rows.Close() })
	clock := func() time.Time { return now }
	queued := &jobs{}
	outbox := delivery.New(delivery.Config{Store: rows, Client: delivery.NewClient(nil), Now: clock})
	outbox.Attach(queued)
	bus := event.New(outbox, []event.Webhook{{URL: hook.URL, Secret: "s3cret"}}, clock)
	put := event.Event{Kind: event.ImageStateChange, Account: "111111111111", Region: "us-east-1", Resources: []string{"arn:image"}, Detail: map[string]any{"state": map[string]string{"status": "AVAILABLE"}}}
	if err := rows.Write(t.Context(), func(tx *store.Tx) error { return bus.Put(t.Context(), tx, "arn:image", put) }); err != nil {
		t.Fatal(err)
	}
	if len(*queued) != 1 {
		t.Fatalf("jobs %v", *queued)
	}
	if _, more, err := outbox.Run(t.Context(), (*queued)[0]); more || err != nil {
		t.Fatalf("more %v, %v", more, err)
	}
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	id, _ := got["id"].(string)
	want := map[string]any{
		"version": "0", "id": id, "detail-type": "EC2 Image Builder Image State Change", "source": "aws.imagebuilder", "account": "111111111111", "time": "2026-11-21T10:00:00Z", "region": "us-east-1",
		"resources": []any{"arn:image"}, "detail": map[string]any{"state": map[string]any{"status": "AVAILABLE"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if header.Get("Webhook-Id") != id || header.Get("Webhook-Timestamp") != "1795255200" || header.Get("Webhook-Signature") != "v1,"+event.Sign("s3cret", id, "1795255200", body) {
		t.Errorf("header %v", header)
	}
	// A webhook that leaves the configuration is not called any more.
	silent := event.New(outbox, nil, clock)
	if _, _, err := silent.Write(t.Context(), store.Delivery{Target: "webhook:" + hook.URL, Body: body}); !errors.Is(err, delivery.ErrGone) {
		t.Errorf("a webhook that is gone: %v", err)
	}
}

// TestSignature is the example of the Standard Webhooks specification's
// reference libraries.
func TestSignature(t *testing.T) {
	t.Parallel()
	got := event.Sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if strings.Contains(got, " ") {
		t.Error("a signature has no spaces")
	}
}
