package blackbox

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/test/harness"
)

// TestTheCloudThroughBoto3 calls every operation of the cloud's faces.
func TestTheCloudThroughBoto3(t *testing.T) {
	t.Parallel()
	s := harness.Start(t)
	cmd := exec.Command(harness.Client(t, "python"), filepath.Join(harness.Repo(t), "test", "blackbox", "cloud.py"), s.URL)
	cmd.Env = s.Env()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestMessagesSurviveAKilledServer publishes while the receiver is down, kills
// the server in the middle of its attempts, and brings both back.
func TestMessagesSurviveAKilledServer(t *testing.T) {
	t.Parallel()
	s := harness.Start(t)
	topic := s.AWS("sns", "create-topic", "--name", "t").Str("TopicArn")
	r := &subscriber{messages: make(chan string, 100)}
	r.up(t, "127.0.0.1:0")
	policy := `{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":1,"numRetries":100}}`
	s.AWS("sns", "subscribe", "--topic-arn", topic, "--protocol", "http", "--notification-endpoint", "http://"+r.addr+"/", "--attributes", "DeliveryPolicy="+quoted(policy))
	r.next(t, "SubscriptionConfirmation")
	r.down()
	for _, m := range []string{"one", "two", "three"} {
		s.AWS("sns", "publish", "--topic-arn", topic, "--message", m, "--message-group-id", "g")
	}
	s.Kill()
	r.up(t, r.addr)
	s.Restart()
	for _, m := range []string{"one", "two", "three"} {
		r.next(t, m)
	}

	// What the receiver refuses for good is kept and listed.
	s.AWS("sns", "publish", "--topic-arn", topic, "--message", "refuse me")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		out, stderr, code := s.Run("", "dead-letters")
		if code == 0 && strings.Contains(out, topic) && strings.Contains(out, "1 attempts: the receiver answered 400 Bad Request") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("dead letters: %d %s %s", code, out, stderr)
		}
	}
}

func quoted(text string) string { return `"` + strings.ReplaceAll(text, `"`, `\"`) + `"` }

// subscriber is an endpoint that confirms and tells what it got.
type subscriber struct {
	addr     string
	server   *http.Server
	messages chan string
	seen     sync.Map
}

func (r *subscriber) up(t *testing.T, addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	r.addr, r.server = ln.Addr().String(), &http.Server{Handler: r}
	go r.server.Serve(ln)
	t.Cleanup(r.down)
}

func (r *subscriber) down() { r.server.Close() }

// ServeHTTP takes a message; one that comes again is told once.
func (r *subscriber) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	var m struct{ Type, MessageId, Message, SubscribeURL string }
	if json.Unmarshal(body, &m) != nil {
		return
	}
	if m.Message == "refuse me" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if _, again := r.seen.LoadOrStore(m.MessageId, true); again {
		return
	}
	if m.SubscribeURL != "" {
		if answer, err := http.Get(m.SubscribeURL); err == nil {
			answer.Body.Close()
		}
		m.Message = m.Type
	}
	r.messages <- m.Message
}

func (r *subscriber) next(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-r.messages:
		if got != want {
			t.Fatalf("the subscriber got %q, want %q", got, want)
		}
	case <-time.After(time.Minute):
		t.Fatalf("the subscriber got nothing, want %q", want)
	}
}
