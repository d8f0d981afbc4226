package fault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder"

	"github.com/goldsmith-build/goldsmith/internal/datadir"
)

// client is what the suite asks a server with.
type client struct {
	*imagebuilder.Client
	url string
	key datadir.Key
}

func newClient(t testing.TB, url, dataDir string) *client {
	t.Helper()
	key, err := datadir.Dir(dataDir).Key()
	must(t, err)
	return &client{url: url, key: key, Client: imagebuilder.New(imagebuilder.Options{
		BaseEndpoint: aws.String(url), Region: "us-east-1", RetryMaxAttempts: 8,
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, ""),
	})}
}

// query calls an operation of EC2 or SNS and reads its XML into out.
func (c *client) query(service, region, action string, params url.Values, out any) error {
	params.Set("Action", action)
	params.Set("Version", map[string]string{"ec2": "2016-11-15", "sns": "2010-03-31"}[service])
	body := params.Encode()
	req, err := http.NewRequest(http.MethodPost, c.url+"/", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum := sha256.Sum256([]byte(body))
	signer := aws.Credentials{AccessKeyID: c.key.AccessKeyID, SecretAccessKey: c.key.SecretAccessKey}
	if err := v4.NewSigner().SignHTTP(context.Background(), signer, req, hex.EncodeToString(sum[:]), service, region, time.Now()); err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", action, answer.Status, data)
	}
	if err != nil || out == nil {
		return err
	}
	return xml.Unmarshal(data, out)
}

// amis gives the IDs of the AMIs in a region that carry an image's tag and can be
// launched.
func (c *client) amis(region, image string) ([]string, error) {
	var out struct {
		Images []string `xml:"imagesSet>item>imageId"`
	}
	err := c.query("ec2", region, "DescribeImages", url.Values{"Owner.1": {"self"}, "Filter.1.Name": {"tag:Ec2ImageBuilderArn"}, "Filter.1.Value.1": {image}}, &out)
	return out.Images, err
}

// listener hears the events and messages of images, each counted once by its ID.
type listener struct {
	*httptest.Server

	mu     sync.Mutex
	seen   map[string]bool
	events map[string][]string // by image: the states that its events told of
	told   map[string][]string // the same of the messages of its topic
}

func newListener(t testing.TB) *listener {
	l := &listener{seen: map[string]bool{}, events: map[string][]string{}, told: map[string][]string{}}
	l.Server = httptest.NewServer(l)
	t.Cleanup(l.Close)
	return l
}

// ServeHTTP takes an event at /event and a message at /topic.
func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if r.URL.Path == "/event" {
		l.event(body)
		return
	}
	var m struct{ Type, MessageId, Message, SubscribeURL string }
	if json.Unmarshal(body, &m) != nil {
		return
	}
	if m.SubscribeURL != "" {
		if answer, err := http.Get(m.SubscribeURL); err == nil {
			answer.Body.Close()
		}
		return
	}
	var image struct {
		ARN   string
		State struct{ Status string }
	}
	if json.Unmarshal([]byte(m.Message), &image) == nil {
		l.note(l.told, m.MessageId, image.ARN, image.State.Status)
	}
}

func (l *listener) event(body []byte) {
	var e struct {
		ID         string `json:"id"`
		DetailType string `json:"detail-type"`
		Resources  []string
		Detail     struct {
			State struct{ Status string }
		}
	}
	if json.NewDecoder(bytes.NewReader(body)).Decode(&e) == nil && len(e.Resources) > 0 && strings.Contains(e.DetailType, "State Change") {
		l.note(l.events, e.ID, e.Resources[0], e.Detail.State.Status)
	}
}

func (l *listener) note(list map[string][]string, id, image, status string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id != "" && !l.seen[id] {
		l.seen[id] = true
		list[image] = append(list[image], status)
	}
}

// heard gives how often an image's events and messages told of a state.
func (l *listener) heard(image, status string) (events, messages int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.events[image] {
		if s == status {
			events++
		}
	}
	for _, s := range l.told[image] {
		if s == status {
			messages++
		}
	}
	return events, messages
}
