package topic_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/riverqueue/river"

	"github.com/goldsmith-build/goldsmith/api/sns"
	"github.com/goldsmith-build/goldsmith/internal/cloud/delivery"
	"github.com/goldsmith-build/goldsmith/internal/cloud/topic"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

const (
	alice = "111111111111"
	home  = "us-east-1"
	arn   = "arn:aws:sns:us-east-1:111111111111:images"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func p[T any](v T) *T { return &v }

type jobs []string

func (j *jobs) Insert(_ context.Context, _ *store.Tx, job river.JobArgs, _ *river.InsertOpts) error {
	*j = append(*j, job.(delivery.Job).Target)
	return nil
}

// fixture is a server with the topic images and a receiver beside it.
type fixture struct {
	*testing.T
	store  *store.Store
	topics *topic.Topics
	sns    sns.Service
	outbox *delivery.Outbox
	jobs   *jobs
	server *httptest.Server // of links
	now    time.Time

	receiver *httptest.Server
	mu       sync.Mutex
	got      []received
}

type received struct {
	header http.Header
	body   string
}

// message is what receivers read.
type message struct {
	Type, MessageId, Token, TopicArn, Subject, Message, SubscribeURL, Timestamp, SignatureVersion, Signature, SigningCertURL, UnsubscribeURL string
	MessageAttributes                                                                                                                        map[string]map[string]string
}

var signingKey = sync.OnceValues(topic.NewKey)

func open(t *testing.T) *fixture {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "rows.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	key, err := signingKey()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := topic.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{T: t, store: s, jobs: &jobs{}, now: now}
	clock := func() time.Time { return f.now }
	f.outbox = delivery.New(delivery.Config{Store: s, Client: delivery.NewClient(nil), Now: clock})
	f.outbox.Attach(f.jobs)
	f.topics = topic.New(topic.Config{Store: s, Outbox: f.outbox, Signer: signer, Now: clock})
	f.sns = f.topics.SNS()
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !f.topics.Link(w, r) {
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(f.server.Close)
	f.topics.ServeAt(func() string { return f.server.URL })
	f.receiver = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.got = append(f.got, received{r.Header, string(body)})
	}))
	t.Cleanup(f.receiver.Close)
	f.create(&sns.CreateTopicInput{Name: p("images")})
	return f
}

func (f *fixture) ctx() context.Context {
	return identity.With(f.Context(), identity.Caller{Account: alice, Region: home, ARN: "arn:aws:iam::" + alice + ":user/admin"})
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (f *fixture) create(in *sns.CreateTopicInput) string {
	f.Helper()
	return *must(f.sns.CreateTopic(f.ctx(), in))(f).TopicArn
}

// deliver works on the jobs and gives what the receiver got.
func (f *fixture) deliver() []received {
	f.Helper()
	f.mu.Lock()
	f.got = nil
	f.mu.Unlock()
	for _, target := range *f.jobs {
		must(struct{}{}, func() error { _, _, err := f.outbox.Run(f.Context(), target); return err }())(f)
	}
	*f.jobs = nil
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.got
}

// read reads and verifies the one message that was received.
func (f *fixture) read(got []received) message {
	f.Helper()
	if len(got) != 1 {
		f.Fatalf("%d messages were received, want 1", len(got))
	}
	var m message
	if err := json.Unmarshal([]byte(got[0].body), &m); err != nil {
		f.Fatalf("%v in %s", err, got[0].body)
	}
	f.verify(m)
	return m
}

// verify checks a signature as subscribers do (SNS Developer Guide, "Verifying
// the signatures of Amazon SNS messages").
func (f *fixture) verify(m message) {
	f.Helper()
	answer := must(http.Get(m.SigningCertURL))(f)
	defer answer.Body.Close()
	text := must(io.ReadAll(answer.Body))(f)
	block, _ := pem.Decode(text)
	if block == nil {
		f.Fatalf("no certificate at %s: %s", m.SigningCertURL, text)
	}
	cert := must(x509.ParseCertificate(block.Bytes))(f)
	fields := []string{"Message", m.Message, "MessageId", m.MessageId}
	if m.Type == "Notification" {
		if m.Subject != "" {
			fields = append(fields, "Subject", m.Subject)
		}
		fields = append(fields, "Timestamp", m.Timestamp)
	} else {
		fields = append(fields, "SubscribeURL", m.SubscribeURL, "Timestamp", m.Timestamp, "Token", m.Token)
	}
	fields = append(fields, "TopicArn", m.TopicArn, "Type", m.Type)
	signed := []byte(strings.Join(fields, "\n") + "\n")
	signature := must(base64.StdEncoding.DecodeString(m.Signature))(f)
	hash, sum := crypto.SHA1, sha1.Sum(signed)
	digest := sum[:]
	if m.SignatureVersion == "2" {
		all := sha256.Sum256(signed)
		hash, digest = crypto.SHA256, all[:]
	}
	if err := rsa.VerifyPKCS1v15(cert.PublicKey.(*rsa.PublicKey), hash, digest, signature); err != nil {
		f.Errorf("the signature of %+v: %v", m, err)
	}
}

// subscribe subscribes the receiver and follows the link that it gets.
func (f *fixture) subscribe(attributes map[string]string) string {
	f.Helper()
	must(f.sns.Subscribe(f.ctx(), &sns.SubscribeInput{TopicArn: p(arn), Protocol: p("http"), Endpoint: p(f.receiver.URL), Attributes: attributes}))(f)
	m := f.read(f.deliver())
	answer := must(http.Get(m.SubscribeURL))(f)
	defer answer.Body.Close()
	body := must(io.ReadAll(answer.Body))(f)
	_, rest, _ := strings.Cut(string(body), "<SubscriptionArn>")
	subscription, _, ok := strings.Cut(rest, "</SubscriptionArn>")
	if answer.StatusCode != http.StatusOK || !ok {
		f.Fatalf("confirming: %s %s", answer.Status, body)
	}
	return subscription
}

func (f *fixture) publish(in *sns.PublishInput) string {
	f.Helper()
	in.TopicArn = p(arn)
	return *must(f.sns.Publish(f.ctx(), in))(f).MessageId
}

func TestASubscriberFromConfirmationToFarewell(t *testing.T) {
	t.Parallel()
	f := open(t)
	out := must(f.sns.Subscribe(f.ctx(), &sns.SubscribeInput{TopicArn: p(arn), Protocol: p("http"), Endpoint: p(f.receiver.URL)}))(t)
	if *out.SubscriptionArn != "pending confirmation" {
		t.Errorf("Subscribe gives %s", *out.SubscriptionArn)
	}
	got := f.deliver()
	m := f.read(got)
	if m.Type != "SubscriptionConfirmation" || got[0].header.Get("X-Amz-Sns-Message-Type") != m.Type || got[0].header.Get("X-Amz-Sns-Topic-Arn") != arn || got[0].header.Get("Content-Type") != "text/plain; charset=UTF-8" {
		t.Errorf("confirmation %+v with the header %v", m, got[0].header)
	}
	f.publish(&sns.PublishInput{Message: p("too early")})
	if got := f.deliver(); len(got) != 0 {
		t.Errorf("a receiver that did not confirm got %v", got)
	}
	confirmed := *must(f.sns.ConfirmSubscription(f.ctx(), &sns.ConfirmSubscriptionInput{TopicArn: p(arn), Token: p(m.Token)}))(t).SubscriptionArn

	id := f.publish(&sns.PublishInput{Message: p("line <1>\n& \"more\" ☃"), Subject: p("An image"), MessageAttributes: map[string]sns.MessageAttributeValue{"kind": {DataType: p("String"), StringValue: p("golden")}}})
	got = f.deliver()
	m = f.read(got)
	want := message{
		Type: "Notification", MessageId: id, TopicArn: arn, Subject: "An image", Message: "line <1>\n& \"more\" ☃", Timestamp: "2026-11-21T10:00:00.000Z", SignatureVersion: "1",
		Signature: m.Signature, SigningCertURL: m.SigningCertURL, UnsubscribeURL: f.server.URL + "/?Action=Unsubscribe&SubscriptionArn=" + strings.ReplaceAll(confirmed, ":", "%3A"),
		MessageAttributes: map[string]map[string]string{"kind": {"Type": "String", "Value": "golden"}},
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("notification (-want +got):\n%s", diff)
	}
	if got[0].header.Get("X-Amz-Sns-Subscription-Arn") != confirmed || got[0].header.Get("X-Amz-Sns-Message-Id") != id {
		t.Errorf("header %v", got[0].header)
	}
	must(f.sns.SetTopicAttributes(f.ctx(), &sns.SetTopicAttributesInput{TopicArn: p(arn), AttributeName: p("SignatureVersion"), AttributeValue: p("2")}))(t)
	f.publish(&sns.PublishInput{Message: p("again")})
	if m = f.read(f.deliver()); m.SignatureVersion != "2" {
		t.Errorf("signature version %s, want 2", m.SignatureVersion)
	}

	must(http.Get(m.UnsubscribeURL))(t).Body.Close()
	if m = f.read(f.deliver()); m.Type != "UnsubscribeConfirmation" {
		t.Errorf("the farewell is a %s", m.Type)
	}
	f.publish(&sns.PublishInput{Message: p("too late")})
	if got := f.deliver(); len(got) != 0 {
		t.Errorf("a receiver that left got %v", got)
	}
}

func TestRawDeliveryFiltersAndProtocols(t *testing.T) {
	t.Parallel()
	f := open(t)
	subscription := f.subscribe(map[string]string{"FilterPolicy": `{"state": ["AVAILABLE"]}`})
	set := func(name, value string) {
		must(f.sns.SetSubscriptionAttributes(f.ctx(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: &subscription, AttributeName: &name, AttributeValue: &value}))(t)
	}
	state := func(s string) map[string]sns.MessageAttributeValue {
		return map[string]sns.MessageAttributeValue{"state": {DataType: p("String"), StringValue: &s}}
	}
	f.publish(&sns.PublishInput{Message: p("no"), MessageAttributes: state("FAILED")})
	f.publish(&sns.PublishInput{Message: p("none")})
	f.publish(&sns.PublishInput{Message: p("yes"), MessageAttributes: state("AVAILABLE")})
	if m := f.read(f.deliver()); m.Message != "yes" {
		t.Errorf("got %q", m.Message)
	}
	set("FilterPolicy", "")
	set("RawMessageDelivery", "true")
	f.publish(&sns.PublishInput{Message: p(`{"default": "d", "http": "raw text", "email": "e"}`), MessageStructure: p("json")})
	got := f.deliver()
	if len(got) != 1 || got[0].body != "raw text" || got[0].header.Get("X-Amz-Sns-Rawdelivery") != "true" {
		t.Errorf("raw: %+v", got)
	}
	set("DeliveryPolicy", `{"requestPolicy": {"headerContentType": "application/json"}}`)
	f.publish(&sns.PublishInput{Message: p("{}")})
	if got := f.deliver(); got[0].header.Get("Content-Type") != "application/json" {
		t.Errorf("content type %s", got[0].header.Get("Content-Type"))
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	f := open(t)
	subscription := f.subscribe(nil)
	subscribe := func(protocol, endpoint string, attributes map[string]string) error {
		_, err := f.sns.Subscribe(f.ctx(), &sns.SubscribeInput{TopicArn: p(arn), Protocol: &protocol, Endpoint: &endpoint, Attributes: attributes})
		return err
	}
	attribute := func(name, value string) error {
		_, err := f.sns.SetSubscriptionAttributes(f.ctx(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: &subscription, AttributeName: &name, AttributeValue: &value})
		return err
	}
	publish := func(in sns.PublishInput) error {
		if in.TopicArn == nil {
			in.TopicArn = p(arn)
		}
		_, err := f.sns.Publish(f.ctx(), &in)
		return err
	}
	create := func(name string, attributes map[string]string, tags ...sns.Tag) error {
		_, err := f.sns.CreateTopic(f.ctx(), &sns.CreateTopicInput{Name: &name, Attributes: attributes, Tags: tags})
		return err
	}
	confirm := func(token string) error {
		_, err := f.sns.ConfirmSubscription(f.ctx(), &sns.ConfirmSubscriptionInput{TopicArn: p(arn), Token: &token})
		return err
	}
	for name, test := range map[string]struct {
		err        error
		code, says string
	}{
		"email":             {subscribe("email", "a@example.com", nil), "InvalidParameter", "http and https endpoints only"},
		"sqs":               {subscribe("sqs", "arn:aws:sqs:us-east-1:111111111111:q", nil), "InvalidParameter", "http and https endpoints only"},
		"lambda":            {subscribe("lambda", "arn:x", nil), "InvalidParameter", "http and https endpoints only"},
		"protocol":          {subscribe("gopher", "gopher://x", nil), "InvalidParameter", "protocol string"},
		"other scheme":      {subscribe("https", "http://example.com/", nil), "InvalidParameter", "specified protocol"},
		"no host":           {subscribe("http", "http:///x", nil), "InvalidParameter", "specified protocol"},
		"file":              {subscribe("http", "file:///etc/passwd", nil), "InvalidParameter", "specified protocol"},
		"attribute":         {subscribe("http", "http://example.com/", map[string]string{"X": "y"}), "InvalidParameter", "AttributeName"},
		"filter":            {attribute("FilterPolicy", `{"a": {"b": ["c"]}}`), "InvalidParameter", "does not support nested"},
		"filter number":     {attribute("FilterPolicy", `{"a": [{"numeric": [">", "1"]}]}`), "InvalidParameter", "numeric"},
		"filter keyword":    {attribute("FilterPolicy", `{"a": [{"like": "x"}]}`), "InvalidParameter", "Unrecognized match type"},
		"filter text":       {attribute("FilterPolicy", `{"a": "x"}`), "InvalidParameter", "object or an array"},
		"filter keys":       {attribute("FilterPolicy", `{"a": [1], "b": [1], "c": [1], "d": [1], "e": [1], "f": [1]}`), "InvalidParameter", "more than 5 keys"},
		"policy":            {attribute("DeliveryPolicy", `{"healthyRetryPolicy": {"numRetries": 101}}`), "InvalidParameter", "numRetries"},
		"content type":      {attribute("DeliveryPolicy", `{"requestPolicy": {"headerContentType": "image/png"}}`), "InvalidParameter", "headerContentType"},
		"smuggled header":   {attribute("DeliveryPolicy", `{"requestPolicy": {"headerContentType": "text/plain\r\nX: y"}}`), "InvalidParameter", "headerContentType"},
		"raw":               {attribute("RawMessageDelivery", "yes"), "InvalidParameter", "true or false"},
		"empty message":     {publish(sns.PublishInput{Message: p("")}), "InvalidParameter", "Empty message"},
		"long message":      {publish(sns.PublishInput{Message: p(strings.Repeat("x", 256<<10+1))}), "InvalidParameter", "too long"},
		"subject":           {publish(sns.PublishInput{Message: p("x"), Subject: p("two\nlines")}), "InvalidParameter", "Subject"},
		"structure":         {publish(sns.PublishInput{Message: p("x"), MessageStructure: p("json")}), "InvalidParameter", "failed to parse"},
		"no default":        {publish(sns.PublishInput{Message: p("{}"), MessageStructure: p("json")}), "InvalidParameter", "No default entry"},
		"no topic":          {publish(sns.PublishInput{Message: p("x"), TopicArn: p(arn + "2")}), "NotFound", "Topic does not exist"},
		"no arn":            {publish(sns.PublishInput{Message: p("x"), TopicArn: p("images")}), "InvalidParameter", "TopicArn"},
		"phone":             {publish(sns.PublishInput{Message: p("x"), PhoneNumber: p("+1")}), "InvalidParameter", "topics only"},
		"message attribute": {publish(sns.PublishInput{Message: p("x"), MessageAttributes: map[string]sns.MessageAttributeValue{"a": {DataType: p("Blob"), StringValue: p("x")}}}), "ParameterValueInvalid", "Binary, Number, and String"},
		"name":              {create("a b", nil), "InvalidParameter", "Topic Name"},
		"fifo":              {create("a.fifo", map[string]string{"FifoTopic": "true"}), "InvalidParameter", "FIFO"},
		"topic attribute":   {create("images", map[string]string{"DisplayName": "other"}), "InvalidParameter", "different attributes"},
		"topic tags":        {create("images", nil, sns.Tag{Key: p("a"), Value: p("b")}), "InvalidParameter", "different tags"},
		"token":             {confirm(strings.Repeat("0", 64)), "InvalidParameter", "Token"},
		"empty token":       {confirm(""), "InvalidParameter", "Token"},
	} {
		if fault.Code(test.err) != test.code || !strings.Contains(test.err.Error(), test.says) {
			t.Errorf("%s: %v, want %s with %q", name, test.err, test.code, test.says)
		}
	}
}

func TestTokensDoNotLiveLong(t *testing.T) {
	t.Parallel()
	f := open(t)
	must(f.sns.Subscribe(f.ctx(), &sns.SubscribeInput{TopicArn: p(arn), Protocol: p("http"), Endpoint: p(f.receiver.URL)}))(t)
	m := f.read(f.deliver())
	f.now = f.now.Add(49 * time.Hour)
	answer := must(http.Get(m.SubscribeURL))(t)
	answer.Body.Close()
	if answer.StatusCode != http.StatusBadRequest {
		t.Errorf("an old token: %s", answer.Status)
	}
	must(f.sns.Subscribe(f.ctx(), &sns.SubscribeInput{TopicArn: p(arn), Protocol: p("http"), Endpoint: p(f.receiver.URL)}))(t)
	again := f.read(f.deliver())
	if again.Token == m.Token {
		t.Error("the token of a new question is the old one")
	}
	all := must(f.sns.ListSubscriptionsByTopic(f.ctx(), &sns.ListSubscriptionsByTopicInput{TopicArn: p(arn)}))(t).Subscriptions
	if len(all) != 1 || *all[0].SubscriptionArn != "PendingConfirmation" {
		t.Errorf("subscriptions %+v, want the one that is pending", all)
	}
}

func TestListsAndAttributes(t *testing.T) {
	t.Parallel()
	f := open(t)
	subscription := f.subscribe(nil)
	for i := range 105 {
		f.create(&sns.CreateTopicInput{Name: p(fmt.Sprintf("topic-%03d", i))})
	}
	var names []string
	var next *string
	for {
		out := must(f.sns.ListTopics(f.ctx(), &sns.ListTopicsInput{NextToken: next}))(t)
		for _, x := range out.Topics {
			names = append(names, *x.TopicArn)
		}
		if next = out.NextToken; next == nil {
			break
		}
	}
	if len(names) != 106 || !slices.IsSorted(names) {
		t.Errorf("%d topics: %v", len(names), names)
	}
	got := must(f.sns.GetTopicAttributes(f.ctx(), &sns.GetTopicAttributesInput{TopicArn: p(arn)}))(t).Attributes
	for name, want := range map[string]string{"TopicArn": arn, "Owner": alice, "SubscriptionsConfirmed": "1", "SubscriptionsPending": "0"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	for _, name := range []string{"Policy", "EffectiveDeliveryPolicy"} {
		if !json.Valid([]byte(got[name])) {
			t.Errorf("%s is not JSON: %s", name, got[name])
		}
	}
	sub := must(f.sns.GetSubscriptionAttributes(f.ctx(), &sns.GetSubscriptionAttributesInput{SubscriptionArn: &subscription}))(t).Attributes
	want := map[string]string{
		"SubscriptionArn": subscription, "TopicArn": arn, "Owner": alice, "Protocol": "http", "Endpoint": f.receiver.URL, "PendingConfirmation": "false", "ConfirmationWasAuthenticated": "false", "RawMessageDelivery": "false",
	}
	if diff := cmp.Diff(want, sub); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	mine := must(f.sns.ListSubscriptions(f.ctx(), &sns.ListSubscriptionsInput{}))(t).Subscriptions
	if len(mine) != 1 || *mine[0].SubscriptionArn != subscription {
		t.Errorf("subscriptions %+v", mine)
	}
	must(f.sns.TagResource(f.ctx(), &sns.TagResourceInput{ResourceArn: p(arn), Tags: []sns.Tag{{Key: p("a"), Value: p("1")}, {Key: p("b"), Value: p("2")}}}))(t)
	must(f.sns.UntagResource(f.ctx(), &sns.UntagResourceInput{ResourceArn: p(arn), TagKeys: []string{"a"}}))(t)
	tags := must(f.sns.ListTagsForResource(f.ctx(), &sns.ListTagsForResourceInput{ResourceArn: p(arn)}))(t).Tags
	if diff := cmp.Diff([]sns.Tag{{Key: p("b"), Value: p("2")}}, tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	must(f.sns.DeleteTopic(f.ctx(), &sns.DeleteTopicInput{TopicArn: p(arn)}))(t)
	must(f.sns.DeleteTopic(f.ctx(), &sns.DeleteTopicInput{TopicArn: p(arn)}))(t)
	if _, err := f.sns.GetSubscriptionAttributes(f.ctx(), &sns.GetSubscriptionAttributesInput{SubscriptionArn: &subscription}); fault.Code(err) != "NotFound" {
		t.Errorf("the subscription of a deleted topic: %v", err)
	}
}

func TestABatch(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.subscribe(nil)
	out := must(f.sns.PublishBatch(f.ctx(), &sns.PublishBatchInput{TopicArn: p(arn), PublishBatchRequestEntries: []sns.PublishBatchRequestEntry{
		{Id: p("1"), Message: p("one")}, {Id: p("2"), Message: p("")}, {Id: p("3"), Message: p("three")},
	}}))(t)
	if len(out.Successful) != 2 || len(out.Failed) != 1 || *out.Failed[0].Id != "2" || *out.Failed[0].Code != "InvalidParameter" {
		t.Errorf("%+v", out)
	}
	if got := f.deliver(); len(got) != 2 {
		t.Errorf("%d messages, want 2", len(got))
	}
	entry := sns.PublishBatchRequestEntry{Id: p("1"), Message: p("one")}
	for code, entries := range map[string][]sns.PublishBatchRequestEntry{
		"EmptyBatchRequest": nil, "BatchEntryIdsNotDistinct": {entry, entry}, "TooManyEntriesInBatchRequest": slices.Repeat([]sns.PublishBatchRequestEntry{entry}, 11),
		"BatchRequestTooLong": {entry, {Id: p("2"), Message: p(strings.Repeat("x", 256<<10))}},
	} {
		if _, err := f.sns.PublishBatch(f.ctx(), &sns.PublishBatchInput{TopicArn: p(arn), PublishBatchRequestEntries: entries}); fault.Code(err) != code {
			t.Errorf("%v, want %s", err, code)
		}
	}
}

// TestLinksToNothing makes sure that what everybody may ask without a signature
// tells nothing and does nothing.
func TestLinksToNothing(t *testing.T) {
	t.Parallel()
	f := open(t)
	for query, status := range map[string]int{
		"Action=ConfirmSubscription&TopicArn=" + arn + "&Token=":  http.StatusBadRequest,
		"Action=ConfirmSubscription&TopicArn=" + arn + "x&Token=": http.StatusNotFound,
		"Action=ConfirmSubscription&TopicArn=%00&Token=x":         http.StatusBadRequest,
		"Action=Unsubscribe&SubscriptionArn=<script>":             http.StatusBadRequest,
		"Action=DeleteTopic&TopicArn=" + arn:                      http.StatusNotFound, // the API answers: without a signature it refuses
		"":                                                        http.StatusNotFound,
	} {
		answer := must(http.Get(f.server.URL + "/?" + query))(t)
		body := must(io.ReadAll(answer.Body))(t)
		answer.Body.Close()
		if answer.StatusCode != status || strings.Contains(string(body), "<script>") {
			t.Errorf("%s: %s %s, want %d", query, answer.Status, body, status)
		}
	}
	must(f.sns.GetTopicAttributes(f.ctx(), &sns.GetTopicAttributesInput{TopicArn: p(arn)}))(t)
}
