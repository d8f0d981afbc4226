package wire_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/wire"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
	"github.com/goldsmith-build/goldsmith/internal/wire/wiretest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// list gives a valid, signed ListImages request.
func list(t testing.TB, when time.Time) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://127.0.0.1:7420/ListImages", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	wiretest.Sign(t, r, []byte("{}"), wiretest.Key, "imagebuilder", "us-east-1", when)
	return sent(t, r)
}

func TestClockSkew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		signed   time.Time
		accepted bool
		message  string
	}{
		{"now", noon, true, ""},
		{"5 minutes old", noon.Add(-5 * time.Minute), true, ""},
		{"5 minutes and a second old", noon.Add(-301 * time.Second), false,
			"Signature expired: 20260301T115459Z is now earlier than 20260301T115500Z (20260301T120000Z - 5 min.)"},
		{"replayed after 15 minutes", noon.Add(-15 * time.Minute), false,
			"Signature expired: 20260301T114500Z is now earlier than 20260301T115500Z (20260301T120000Z - 5 min.)"},
		{"5 minutes ahead", noon.Add(5 * time.Minute), true, ""},
		{"5 minutes and a second ahead", noon.Add(301 * time.Second), false,
			"Signature not yet current: 20260301T120501Z is still later than 20260301T120500Z (20260301T120000Z + 5 min.)"},
		{"a year old", noon.AddDate(-1, 0, 0), false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := ask(t, handler(t, wire.Config{Clock: at(noon)}), list(t, c.signed))
			if c.accepted {
				if a.Code != "UnsupportedOperationException" {
					t.Errorf("refused: %d %s %s", a.Status, a.Code, a.Message)
				}
				return
			}
			if a.Status != 403 || a.Code != "InvalidSignatureException" || c.message != "" && a.Message != c.message {
				t.Errorf("%d %s %q, want %q", a.Status, a.Code, a.Message, c.message)
			}
		})
	}
}

func TestPathTricksReachNothing(t *testing.T) {
	t.Parallel()
	h := handler(t, wire.Config{})
	for _, path := range []string{
		"//ListImages", "/./ListImages", "/a/../ListImages", "/ListImages/", "/ListImages;a", "/listimages", "/List%49mages",
		"/tags", "/tags/", "/tags//", "/tags/a/b", "/tags/..%2FListImages/x", "/%2e%2e/ListImages", "/ListImages%00", "/tags/%ff", "/",
	} {
		r := wiretest.Request(t, "imagebuilder", "POST", "http://127.0.0.1"+path, nil, []byte("{}"))
		if a := ask(t, h, sent(t, r)); a.Status != 404 || a.Code != "UnknownOperationException" {
			t.Errorf("%s: %d %s %s", path, a.Status, a.Code, a.Message)
		}
	}
	r := wiretest.Request(t, "imagebuilder", "GET", "http://127.0.0.1/ListImages", nil, nil)
	if a := ask(t, h, sent(t, r)); a.Status != 405 || a.Code != "MethodNotAllowedException" {
		t.Errorf("wrong method: %d %s", a.Status, a.Code)
	}
	// The forms that proxies are asked in.
	for _, uri := range []string{"http://elsewhere/ListImages", "*"} {
		r := list(t, time.Now())
		r.RequestURI = uri
		if a := ask(t, h, r); a.Status != 403 {
			t.Errorf("%s: %d %s", uri, a.Status, a.Code)
		}
	}
}

func TestPresignedURLs(t *testing.T) {
	t.Parallel()
	const base = "http://127.0.0.1/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256" +
		"&X-Amz-Credential=AKIAGOLDSMITHTEST001%2F20260301%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date=20260301T120000Z" +
		"&X-Amz-SignedHeaders=host&X-Amz-Signature=00&X-Amz-Expires="
	for url, want := range map[string]string{
		base + "60":                    "SignatureDoesNotMatch",
		base + "0":                     "IncompleteSignature",
		base + "604800":                "SignatureDoesNotMatch",
		base + "604801":                "IncompleteSignature",
		base + "-1":                    "IncompleteSignature",
		base + "60&X-Amz-Expires=61":   "IncompleteSignature",
		base + "60&X-Amz-Signature=11": "IncompleteSignature",
		strings.Replace(base, "&X-Amz-SignedHeaders=host", "", 1) + "60":                    "IncompleteSignature",
		strings.Replace(base, "X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=", 1) + "60": "IncompleteSignature",
	} {
		r := httptest.NewRequest("GET", url, nil)
		if a := ask(t, handler(t, wire.Config{Clock: at(noon)}), r); a.Code != want {
			t.Errorf("%s\n%d %s %s, want %s", url, a.Status, a.Code, a.Message, want)
		}
	}
}

func TestPresignedURLsExpire(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "http://127.0.0.1/?Action=GetCallerIdentity&Version=2011-06-15", nil)
	r = sent(t, presignedForTest(t, r))
	for after, want := range map[time.Duration]string{
		-6 * time.Minute: "SignatureDoesNotMatch",
		0:                "UnsupportedOperation",
		60 * time.Second: "UnsupportedOperation",
		61 * time.Second: "SignatureDoesNotMatch",
	} {
		if a := ask(t, handler(t, wire.Config{Clock: at(noon.Add(after))}), clone(t, r, nil)); a.Code != want {
			t.Errorf("after %v: %d %s %s, want %s", after, a.Status, a.Code, a.Message, want)
		}
	}
}

func TestOversizeBodies(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(handler(t, wire.Config{}))
	t.Cleanup(server.Close)
	for _, size := range []int{1 << 20, 1<<20 + 1, 3 << 20} {
		for _, chunked := range []bool{false, true} {
			body := append([]byte(`{"owner":"Self"}`), bytes.Repeat([]byte(" "), size-16)...)
			for service, url := range map[string]string{"imagebuilder": "/ListImages", "sts": "/"} {
				r := wiretest.Request(t, service, "POST", server.URL+url, nil, body)
				if chunked {
					r.Header.Del("Content-Length")
					r.ContentLength = -1
					r = unsignedLength(t, r, service, body)
				}
				response, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					t.Fatalf("%d bytes, chunked %v: %v", size, chunked, err)
				}
				a := read(t, response)
				if small := size <= 1<<20; small == (a.Status == 413) {
					t.Errorf("%d bytes to %s, chunked %v: %d %s", size, service, chunked, a.Status, a.Code)
				}
			}
		}
	}
}

// A client that does not finish its body gets an answer and loses its
// connection, be it known or not.
func TestSlowBodiesAreCutOff(t *testing.T) {
	t.Parallel()
	h := handler(t, wire.Config{})
	wire.SetBodyTime(h, 50*time.Millisecond)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"known":   {func(*http.Request) {}, 408},
		"unknown": {func(r *http.Request) { r.Header.Del("Authorization") }, 403},
		"chunked": {func(r *http.Request) { r.TransferEncoding = []string{"chunked"} }, 403},
	} {
		t.Run(name, func(t *testing.T) {
			r := wiretest.Request(t, "imagebuilder", "POST", server.URL+"/ListImages", nil, []byte("{}"))
			c.change(r)
			var whole bytes.Buffer
			if err := r.Write(&whole); err != nil {
				t.Fatal(err)
			}
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			// All but the last byte.
			if _, err := conn.Write(whole.Bytes()[:whole.Len()-1]); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if a := read(t, response); a.Status != c.status {
				t.Errorf("%d %s %s, want %d", a.Status, a.Code, a.Message, c.status)
			}
			// A hang here means that the server still waits for the byte.
			if n, err := io.Copy(io.Discard, conn); err != nil || n > 0 {
				t.Errorf("after the answer: %d bytes, %v", n, err)
			}
		})
	}
}

// A connection lives on after a request whose body was read in time: the
// body's deadline must not outlive it.
func TestABodyDeadlineEndsWithItsBody(t *testing.T) {
	t.Parallel()
	const limit = 50 * time.Millisecond
	h := handler(t, wire.Config{}, operation("test", shape.JSON, func(ctx context.Context, _ *struct{}) (*struct{}, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(4 * limit):
			return nil, nil
		}
	}))
	wire.SetBodyTime(h, limit)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	for range 2 {
		r := wiretest.Request(t, "test", "POST", server.URL+"/", http.Header{"X-Amz-Target": {"Test.Do"}}, []byte("{}"))
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if a := read(t, response); a.Status != 200 {
			t.Fatalf("%d %s %s", a.Status, a.Code, a.Message)
		}
	}
}

func TestInternalErrorsAndPanicsTellNothing(t *testing.T) {
	t.Parallel()
	const secret = "open /var/lib/secret: permission denied"
	for name, call := range map[string]func(context.Context, *struct{}) (*struct{}, error){
		"error": func(context.Context, *struct{}) (*struct{}, error) { return nil, errors.New(secret) },
		"panic": func(context.Context, *struct{}) (*struct{}, error) { panic(secret) },
		"fault": func(context.Context, *struct{}) (*struct{}, error) {
			return nil, fmt.Errorf("reading: %w", fault.New("InternalServerException", "Try again.").Because(errors.New(secret)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, p := range []shape.Protocol{shape.RestJSON, shape.JSON, shape.Query, shape.EC2} {
				var log bytes.Buffer
				h := handler(t, wire.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, operation("test", p, call))
				a := ask(t, h, sent(t, do(t, p, "test")))
				if a.Status != 500 || strings.Contains(a.Body, "secret") {
					t.Errorf("%s: %d %s", p, a.Status, a.Body)
				}
				id := a.Header.Get("X-Amzn-Requestid")
				if !strings.Contains(log.String(), secret) || !strings.Contains(log.String(), id) {
					t.Errorf("%s: the log has not both cause and request id %s:\n%s", p, id, log.String())
				}
			}
		})
	}
}

// The cause of a client's mistake is for the log as well.
func TestCausesAreLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := handler(t, wire.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, operation("test", shape.JSON, func(context.Context, *struct{}) (*struct{}, error) {
		return nil, fault.New("InvalidRequestException", "No.").Because(errors.New("hidden cause"))
	}))
	a := ask(t, h, sent(t, do(t, shape.JSON, "test")))
	if a.Status != 400 || strings.Contains(a.Body, "hidden") || !strings.Contains(log.String(), "hidden cause") {
		t.Errorf("%d %s\n%s", a.Status, a.Body, log.String())
	}
}

// A handler that wants its connection dropped gets that.
func TestAbortedHandlersDropTheConnection(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(handler(t, wire.Config{}, operation("test", shape.JSON, func(context.Context, *struct{}) (*struct{}, error) {
		panic(http.ErrAbortHandler)
	})))
	t.Cleanup(server.Close)
	r := wiretest.Request(t, "test", "POST", server.URL, http.Header{"X-Amz-Target": {"Test.Do"}}, []byte("{}"))
	if response, err := server.Client().Do(r); err == nil {
		response.Body.Close()
		t.Errorf("got an answer: %s", response.Status)
	}
}

// do makes a request for operation's service.
func do(t testing.TB, p shape.Protocol, service string) *http.Request {
	t.Helper()
	header, body := http.Header{}, []byte("{}")
	switch p {
	case shape.JSON:
		header.Set("X-Amz-Target", "Test.Do")
	case shape.Query, shape.EC2:
		header.Set("Content-Type", "application/x-www-form-urlencoded")
		body = []byte("Action=Do&Version=2026-01-01")
	}
	return wiretest.Request(t, service, "POST", "http://127.0.0.1/", header, body)
}

type brokenKeys struct{}

func (brokenKeys) Lookup(context.Context, string, string) (identity.Key, bool, error) {
	return identity.Key{}, false, errors.New("the key store is gone")
}

func TestABrokenKeyStoreLetsNobodyIn(t *testing.T) {
	t.Parallel()
	a := ask(t, handler(t, wire.Config{Keys: brokenKeys{}, Clock: at(noon)}), list(t, noon))
	if a.Status != 500 || a.Code != "ServiceException" || strings.Contains(a.Body, "key store") {
		t.Errorf("%d %s %s", a.Status, a.Code, a.Body)
	}
}

// Whoever has no known key cannot make the server read a body.
func TestStrangersBodiesAreNotRead(t *testing.T) {
	t.Parallel()
	r := list(t, noon)
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "TEST001", "TEST002", 1))
	r.Body = io.NopCloser(readerFunc(func([]byte) (int, error) {
		t.Error("the body was read")
		return 0, io.EOF
	}))
	ask(t, handler(t, wire.Config{Clock: at(noon)}), r)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func presignedForTest(t *testing.T, r *http.Request) *http.Request {
	t.Helper()
	return presigned(t, v4.NewSigner(), r, nil, wiretest.Key, "sts", noon)
}

// unsignedLength signs a request again without its length, as a client with a
// stream does.
func unsignedLength(t *testing.T, r *http.Request, service string, body []byte) *http.Request {
	t.Helper()
	c := r.Clone(t.Context())
	c.Body, c.ContentLength = io.NopCloser(bytes.NewReader(body)), -1
	c.Header.Del("Authorization")
	c.Header.Del("X-Amz-Date")
	wiretest.Sign(t, c, body, wiretest.Key, service, "us-east-1", time.Now())
	return c
}
