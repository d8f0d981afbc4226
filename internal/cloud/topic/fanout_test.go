package topic_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/api/sns"
)

// TestFanOutLosesNothing publishes to ten subscribers of which one refuses all
// of it at first: each gets every message once, those of a group in their order.
func TestFanOutLosesNothing(t *testing.T) {
	t.Parallel()
	f := open(t)
	const subscribers, messages, groups = 10, 60, 4
	type subscriber struct {
		mu  sync.Mutex
		got []string
	}
	all := make([]*subscriber, subscribers)
	var broken atomic.Bool
	broken.Store(true)
	for i := range all {
		s := &subscriber{}
		all[i] = s
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			var m message
			if json.Unmarshal(body, &m) != nil {
				t.Errorf("not a message: %s", body)
			}
			if m.SubscribeURL != "" {
				answer, err := http.Get(m.SubscribeURL)
				if err == nil {
					answer.Body.Close()
				}
				return
			}
			if i == 0 && broken.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.got = append(s.got, m.Message)
		}))
		t.Cleanup(server.Close)
		must(f.sns.Subscribe(f.ctx(), &sns.SubscribeInput{TopicArn: p(arn), Protocol: p("http"), Endpoint: &server.URL}))(t)
	}
	f.work()
	for n := 0; n < messages; n += 10 {
		batch := make([]sns.PublishBatchRequestEntry, 10)
		for i := range batch {
			group := (n + i) % groups
			batch[i] = sns.PublishBatchRequestEntry{Id: p(strconv.Itoa(i)), Message: p(fmt.Sprintf("%d %03d", group, n+i)), MessageGroupId: p(strconv.Itoa(group))}
		}
		out := must(f.sns.PublishBatch(f.ctx(), &sns.PublishBatchInput{TopicArn: p(arn), PublishBatchRequestEntries: batch}))(t)
		if len(out.Successful) != 10 {
			t.Fatalf("published %+v", out)
		}
	}
	targets := *f.jobs
	f.work()
	broken.Store(false)
	f.now = f.now.Add(time.Minute)
	*f.jobs = targets
	f.work()
	for i, s := range all {
		last, seen := map[string]string{}, map[string]bool{}
		for _, text := range s.got {
			group, number, _ := strings.Cut(text, " ")
			if seen[text] || number <= last[group] {
				t.Errorf("subscriber %d: %s came after %s", i, text, last[group])
			}
			seen[text], last[group] = true, number
		}
		if len(seen) != messages {
			t.Errorf("subscriber %d got %d of %d messages", i, len(seen), messages)
		}
	}
}

// work works on all jobs side by side.
func (f *fixture) work() {
	f.Helper()
	targets := *f.jobs
	*f.jobs = nil
	var all sync.WaitGroup
	for _, target := range targets {
		all.Go(func() {
			if _, _, err := f.outbox.Run(f.Context(), target); err != nil {
				f.Error(err)
			}
		})
	}
	all.Wait()
}
