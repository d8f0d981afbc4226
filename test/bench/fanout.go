package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
)

const (
	fanMessages    = 10_000
	fanSubscribers = 10
)

// fanSubscriber counts the messages that it took, each once.
type fanSubscriber struct {
	broken  *atomic.Bool // nil: it always works
	ready   sync.Once
	joined  chan struct{}
	mu      sync.Mutex
	seen    map[string]bool
	refused int
	twice   int
}

// ServeHTTP confirms the subscription and takes messages.
func (s *fanSubscriber) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var m struct{ Message, SubscribeURL string }
	if err != nil || json.Unmarshal(body, &m) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if m.SubscribeURL != "" {
		if answer, err := http.Get(m.SubscribeURL); err == nil {
			answer.Body.Close()
			s.ready.Do(func() { close(s.joined) })
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil && s.broken.Load() {
		s.refused++
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if s.seen[m.Message] {
		s.twice++
	}
	s.seen[m.Message] = true
}

func (s *fanSubscriber) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// fanout publishes 10,000 messages to a topic with 10 subscribers, of which one
// refuses everything until the others have all of it, and counts what arrives.
func (b *bench) fanout() error {
	dir := filepath.Join(b.tmp, "fanout")
	url, pid, stop, err := b.serve(dir, "")
	if err != nil {
		return err
	}
	defer stop()
	ctx := context.Background()
	loaded, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion("us-east-1"), awsconfig.WithBaseEndpoint(url),
		awsconfig.WithSharedCredentialsFiles([]string{filepath.Join(dir, "credentials")}), awsconfig.WithSharedConfigFiles([]string{filepath.Join(dir, "config")}))
	if err != nil {
		return err
	}
	client := sns.NewFromConfig(loaded)
	topic, err := client.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("fanout")})
	if err != nil {
		return err
	}
	var broken atomic.Bool
	broken.Store(true)
	all := make([]*fanSubscriber, fanSubscribers)
	for i := range all {
		all[i] = &fanSubscriber{seen: map[string]bool{}, joined: make(chan struct{})}
		if i == 0 {
			all[i].broken = &broken
		}
		server := httptest.NewServer(all[i])
		defer server.Close()
		_, err := client.Subscribe(ctx, &sns.SubscribeInput{
			TopicArn: topic.TopicArn, Protocol: aws.String("http"), Endpoint: &server.URL,
			Attributes: map[string]string{"DeliveryPolicy": `{"healthyRetryPolicy":{"minDelayTarget":5,"maxDelayTarget":5,"numRetries":100}}`},
		})
		if err != nil {
			return err
		}
		<-all[i].joined
	}
	before := processorTime(pid)
	start := time.Now()
	if err := fanPublish(ctx, client, *topic.TopicArn); err != nil {
		return err
	}
	published := time.Since(start)
	wait := func(who []*fanSubscriber) error {
		for deadline := time.Now().Add(20 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
			missing := 0
			for _, s := range who {
				missing += fanMessages - s.count()
			}
			if missing == 0 {
				return nil
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%d messages are missing", missing)
			}
		}
	}
	if err := wait(all[1:]); err != nil {
		return err
	}
	delivered := time.Since(start)
	busy := processorTime(pid) - before
	broken.Store(false)
	if err := wait(all[:1]); err != nil {
		return err
	}
	twice := 0
	for _, s := range all {
		twice += s.twice
	}
	n := float64(fanMessages * (fanSubscribers - 1))
	fmt.Printf("\n## SNS fan-out\n\n%d messages of 20 bytes to %d subscribers, 10 a request, 4 requests at once; one subscriber answers 503 until the others have everything.\n\n", fanMessages, fanSubscribers)
	fmt.Println("| | |\n| --- | --- |")
	fmt.Printf("| published | %.1f s, %.0f messages/s |\n", published.Seconds(), fanMessages/published.Seconds())
	fmt.Printf("| all at the 9 that work | %.1f s, %.0f deliveries/s |\n", delivered.Seconds(), n/delivered.Seconds())
	fmt.Printf("| the server's processor time until then | %.1f s, %.2f ms a delivery |\n", busy, busy*1000/n)
	fmt.Printf("| refused by the one that fails | %d attempts |\n", all[0].refused)
	fmt.Printf("| at the one that failed, after it works again | %d, all of them after %.1f s |\n", all[0].count(), time.Since(start).Seconds())
	fmt.Printf("| lost | 0 |\n| delivered twice | %d |\n", twice)
	return nil
}

// processorTime is what a process has used, in seconds.
func processorTime(pid int) float64 { return ticks(pid, 11, 12) }

// familyTime is what a process and those of its children that have ended have
// used, in seconds.
func familyTime(pid int) float64 { return ticks(pid, 11, 12, 13, 14) }

// ticks adds fields of a process's stat, counted behind its name, in seconds.
func ticks(pid int, fields ...int) (sum float64) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	check(err)
	_, rest, _ := strings.Cut(string(data), ") ")
	all := strings.Fields(rest)
	for _, i := range fields {
		n, _ := strconv.ParseFloat(all[i], 64)
		sum += n
	}
	return sum / 100 // of a second, on Linux
}

// fanPublish publishes all messages, ten a request, four requests at once.
func fanPublish(ctx context.Context, client *sns.Client, topic string) error {
	var next atomic.Int64
	failures := make(chan error, 4)
	for range 4 {
		go func() {
			for {
				first := next.Add(10) - 10
				if first >= fanMessages {
					failures <- nil
					return
				}
				entries := make([]types.PublishBatchRequestEntry, 10)
				for i := range entries {
					entries[i] = types.PublishBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), Message: aws.String(fmt.Sprintf("message number %05d", first+int64(i)))}
				}
				out, err := client.PublishBatch(ctx, &sns.PublishBatchInput{TopicArn: &topic, PublishBatchRequestEntries: entries})
				if err == nil && len(out.Failed) > 0 {
					err = fmt.Errorf("publishing: %s", aws.ToString(out.Failed[0].Message))
				}
				if err != nil {
					failures <- err
					return
				}
			}
		}()
	}
	var err error
	for range 4 {
		if one := <-failures; one != nil {
			err = one
		}
	}
	return err
}
