package awscloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe"
)

// Limits of PutLogEvents (CloudWatch Logs API reference).
const (
	maxBatchBytes  = 1 << 20
	maxBatchEvents = 10_000
	eventOverhead  = 26
	maxEventBytes  = 256<<10 - eventOverhead
)

// LogStream is a stream of CloudWatch Logs.
type LogStream struct {
	cloud                 *Cloud
	group, stream, region string
}

var _ toe.LogSink = (*LogStream)(nil)

// LogStream gives a stream by its name and that of its group, in a region or,
// with "", in the configured one.
func (c *Cloud) LogStream(group, stream, region string) *LogStream {
	return &LogStream{cloud: c, group: group, stream: stream, region: region}
}

// Open makes the stream, and its group, where they are missing.
func (s *LogStream) Open(ctx context.Context) error {
	stream := map[string]any{"logGroupName": s.group, "logStreamName": s.stream}
	err := s.call(ctx, "CreateLogStream", stream, nil)
	if isCode(err, "ResourceNotFoundException") {
		if err = s.call(ctx, "CreateLogGroup", map[string]any{"logGroupName": s.group}, nil); err == nil || isCode(err, "ResourceAlreadyExistsException") {
			err = s.call(ctx, "CreateLogStream", stream, nil)
		}
	}
	if isCode(err, "ResourceAlreadyExistsException") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("making the log stream %s of %s: %w", s.stream, s.group, err)
	}
	return nil
}

// logEvent is a line as CloudWatch takes it.
type logEvent struct {
	Timestamp int64  `json:"timestamp"` // milliseconds since 1970
	Message   string `json:"message"`
}

// Send puts lines into the stream, in as many requests as it takes.
func (s *LogStream) Send(ctx context.Context, lines []toe.LogLine) error {
	var batch []logEvent
	size := 0
	for _, line := range lines {
		for _, message := range pieces(line.Text) {
			if len(batch) == maxBatchEvents || size+len(message)+eventOverhead > maxBatchBytes {
				if err := s.put(ctx, batch); err != nil {
					return err
				}
				batch, size = nil, 0
			}
			batch = append(batch, logEvent{line.Time.UnixMilli(), message})
			size += len(message) + eventOverhead
		}
	}
	return s.put(ctx, batch)
}

// pieces cuts a line that is too long for one event. An event must not be
// empty; an empty line is a blank.
func pieces(text string) []string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if text == "" {
		return []string{" "}
	}
	var all []string
	for len(text) > maxEventBytes {
		cut := maxEventBytes
		for cut > maxEventBytes-4 && text[cut]&0xc0 == 0x80 { // within a character
			cut--
		}
		all, text = append(all, text[:cut]), text[cut:]
	}
	return append(all, text)
}

func (s *LogStream) put(ctx context.Context, batch []logEvent) error {
	if len(batch) == 0 {
		return nil
	}
	var out struct {
		Rejected map[string]any `json:"rejectedLogEventsInfo"`
	}
	err := s.call(ctx, "PutLogEvents", map[string]any{"logGroupName": s.group, "logStreamName": s.stream, "logEvents": batch}, &out)
	if err == nil && len(out.Rejected) > 0 {
		err = fmt.Errorf("events were rejected: %v", out.Rejected)
	}
	if err != nil {
		return fmt.Errorf("putting %d events into the log stream %s of %s: %w", len(batch), s.stream, s.group, err)
	}
	return nil
}

func (s *LogStream) call(ctx context.Context, operation string, in, out any) error {
	cfg, err := s.cloud.configuration(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	c := call{
		service: "logs", method: http.MethodPost, path: "/", target: "Logs_20140328." + operation, body: body,
		endpoint: os.Getenv("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"), region: s.region,
	}
	return c.do(ctx, cfg, out)
}

// isCode says whether an error is an answer with this code.
func isCode(err error, code string) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if found, _, _ := strings.Cut(err.Error(), ":"); found == code {
			return true
		}
	}
	return false
}
