package wire_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/api/sts"
	"github.com/goldsmith-build/goldsmith/internal/wire"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
	"github.com/goldsmith-build/goldsmith/internal/wire/wiretest"
)

// quiet is a logger for tests that do not look at the log.
var quiet = slog.New(slog.DiscardHandler)

func handler(t testing.TB, c wire.Config, services ...*shape.Service) *wire.Handler {
	t.Helper()
	if c.Keys == nil {
		c.Keys = wiretest.Known()
	}
	if c.Gate == nil {
		c.Gate = wiretest.Open{}
	}
	if c.Logger == nil {
		c.Logger = quiet
	}
	if services == nil {
		services = []*shape.Service{
			imagebuilder.Serve(imagebuilder.Unimplemented{}), ec2.Serve(ec2.Unimplemented{}), sts.Serve(sts.Unimplemented{}),
		}
	}
	h, err := wire.New(c, services...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// sent gives r as a server reads it from the wire.
func sent(t testing.TB, r *http.Request) *http.Request {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatalf("writing the request: %v", err)
	}
	got, err := http.ReadRequest(bufio.NewReader(&b))
	if err != nil {
		t.Fatalf("reading the request: %v\n%s", err, b.String())
	}
	return got
}

// answer is what a client can see of an answer.
type answer struct {
	Status  int
	Code    string
	Message string
	Header  http.Header
	Body    string
}

// ask sends a request through the handler and reads the answer in whatever
// protocol it is; anything that no client could read fails the test.
func ask(t testing.TB, h http.Handler, r *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return read(t, w.Result())
}

func read(t testing.TB, r *http.Response) answer {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	r.Body.Close()
	a := answer{Status: r.StatusCode, Header: r.Header, Body: string(body)}
	id := strings.Join(r.Header.Values("X-Amzn-Requestid"), " ")
	if id == "" {
		t.Errorf("the answer has no request id: %d %s", a.Status, body)
	}
	switch kind := r.Header.Get("Content-Type"); kind {
	case "application/json", "application/x-amz-json-1.1":
		a.readJSON(t)
	case "text/xml;charset=UTF-8":
		a.readXML(t, id)
	default:
		t.Errorf("unexpected content type %q", kind)
	}
	if a.Status >= 300 && a.Code == "" {
		t.Errorf("an error without a code: %d %s", a.Status, body)
	}
	return a
}

func (a *answer) readJSON(t testing.TB) {
	var e struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal([]byte(a.Body), &e); err != nil {
		t.Errorf("the answer is not JSON: %v\n%s", err, a.Body)
	}
	a.Code, a.Message = a.Header.Get("X-Amzn-Errortype"), e.Message
	if e.Type != "" && e.Type != a.Code {
		t.Errorf("__type %q, header %q", e.Type, a.Code)
	}
}

func (a *answer) readXML(t testing.TB, id string) {
	var e struct {
		XMLName xml.Name
		Query   struct {
			Type, Code, Message string
		} `xml:"Error"`
		EC2 struct {
			Code, Message string
		} `xml:"Errors>Error"`
		IDs []string `xml:"RequestId"`
		ID2 []string `xml:"RequestID"`
		ID3 []string `xml:"requestId"`
		ID4 []string `xml:"ResponseMetadata>RequestId"`
	}
	if err := xml.Unmarshal([]byte(a.Body), &e); err != nil {
		t.Errorf("the answer is not XML: %v\n%s", err, a.Body)
	}
	a.Code, a.Message = e.Query.Code+e.EC2.Code, e.Query.Message+e.EC2.Message
	if got := strings.Join(append(append(append(e.IDs, e.ID2...), e.ID3...), e.ID4...), " "); got != id {
		t.Errorf("request id %q in the body, %q in the header", got, id)
	}
}

func at(now time.Time) func() time.Time { return func() time.Time { return now } }

// operation makes a service that has one operation, for tests of what is
// between a request and an implementation.
func operation[I, O any](name string, p shape.Protocol, call func(context.Context, *I) (*O, error)) *shape.Service {
	op := shape.Operation{Name: "Do", Method: "POST", Path: "/", ResultWrapper: "DoResult"}
	return &shape.Service{
		Name: name, Protocol: p, APIVersion: "2026-01-01", Namespace: "urn:test", TargetPrefix: "Test",
		Operations: []shape.Operation{shape.Bind(op, call)},
	}
}
