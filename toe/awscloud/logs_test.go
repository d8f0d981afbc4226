package awscloud

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/goldsmith-build/goldsmith/toe"
)

// logServer speaks as much of CloudWatch Logs as a stream needs, and holds
// requests to the service's limits.
type logServer struct {
	mu      sync.Mutex
	groups  map[string]map[string][]string // messages by group and stream
	last    int64
	faults  []string // codes to answer first
	puts    int
	problem string
}

func (s *logServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in struct {
		LogGroupName, LogStreamName string
		LogEvents                   []struct {
			Timestamp int64
			Message   string
		}
	}
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "Logs_20140328.")
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || !strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/logs/") {
		s.problem = fmt.Sprintf("%v, %s", err, r.Header.Get("Authorization"))
	}
	fail := func(code string) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"__type":"com.amazonaws.logs#%s","message":"about %s"}`, code, in.LogGroupName)
	}
	if len(s.faults) > 0 {
		fault := s.faults[0]
		s.faults = s.faults[1:]
		fail(fault)
		return
	}
	streams, ok := s.groups[in.LogGroupName]
	_, exists := streams[in.LogStreamName]
	switch {
	case operation == "CreateLogGroup" && ok, operation == "CreateLogStream" && exists:
		fail("ResourceAlreadyExistsException")
	case operation == "CreateLogGroup":
		s.groups[in.LogGroupName] = map[string][]string{}
	case !ok, operation == "PutLogEvents" && !exists:
		fail("ResourceNotFoundException")
	case operation == "CreateLogStream":
		streams[in.LogStreamName] = nil
	default:
		size := 0
		for _, e := range in.LogEvents {
			size += len(e.Message) + eventOverhead
			if e.Message == "" || e.Timestamp < s.last || len(e.Message) > 256<<10 {
				s.problem = fmt.Sprintf("bad event of %d bytes at %d", len(e.Message), e.Timestamp)
			}
			s.last = e.Timestamp
			streams[in.LogStreamName] = append(streams[in.LogStreamName], e.Message)
		}
		if size > 1<<20 || len(in.LogEvents) > 10_000 || len(in.LogEvents) == 0 {
			s.problem = fmt.Sprintf("a batch of %d events and %d bytes", len(in.LogEvents), size)
		}
		s.puts++
		fmt.Fprint(w, `{"nextSequenceToken":"x"}`)
	}
}

func newLogStream(t *testing.T, s *logServer) *LogStream {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	cloud := NewFrom(func(context.Context) (aws.Config, error) {
		return aws.Config{Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", "")}, nil
	})
	return cloud.LogStream("group", "stream", "eu-west-1")
}

func TestLogStream(t *testing.T) {
	t.Parallel()
	s := &logServer{groups: map[string]map[string][]string{}}
	stream := newLogStream(t, s)
	ctx := context.Background()
	for range 2 { // the second time everything is there
		if err := stream.Open(ctx); err != nil {
			t.Fatal(err)
		}
	}
	var lines []toe.LogLine
	var want strings.Builder
	for i := range 25_000 {
		text := fmt.Sprintf("line %d", i)
		want.WriteString(text)
		lines = append(lines, toe.LogLine{Time: time.UnixMilli(int64(i)), Text: text})
	}
	long := strings.Repeat("ü", 2<<20)
	want.WriteString(" " + long + "bad \ufffd")
	now := time.UnixMilli(30_000)
	lines = append(lines, toe.LogLine{Time: now}, toe.LogLine{Time: now, Text: long}, toe.LogLine{Time: now, Text: "bad \xff"})
	s.faults = []string{"ThrottlingException"}
	if err := stream.Send(ctx, lines); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.groups["group"]["stream"], ""); got != want.String() {
		t.Errorf("%d bytes arrived, want %d", len(got), want.Len())
	}
	if s.problem != "" || s.puts < 6 {
		t.Errorf("%d requests, problem %q", s.puts, s.problem)
	}
}

func TestLogStreamFails(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	line := []toe.LogLine{{Time: time.Now(), Text: "x"}}
	s := &logServer{groups: map[string]map[string][]string{}, faults: []string{"AccessDeniedException"}}
	stream := newLogStream(t, s)
	if err := stream.Open(ctx); err == nil || err.Error() != "making the log stream stream of group: AccessDeniedException: about group" {
		t.Errorf("open: %v", err)
	}
	if err := stream.Send(ctx, line); err == nil || !strings.Contains(err.Error(), "ResourceNotFoundException") {
		t.Errorf("send: %v", err)
	}
	if err := stream.Send(ctx, nil); err != nil {
		t.Errorf("nothing to send: %v", err)
	}
	rejects := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1}}`)
	}))
	defer rejects.Close()
	stream.cloud.config.BaseEndpoint = &rejects.URL
	if err := stream.Send(ctx, line); err == nil || !strings.Contains(err.Error(), "tooOldLogEventEndIndex:1") {
		t.Errorf("rejected: %v", err)
	}
	// The other end hangs.
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice that the client has gone
		<-r.Context().Done()
	}))
	defer hangs.Close()
	stream.cloud.config.BaseEndpoint = &hangs.URL
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := stream.Send(short, line); err == nil {
		t.Error("a request that hangs was waited for")
	}
}
