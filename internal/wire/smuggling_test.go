package wire_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/wire"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
	"github.com/goldsmith-build/goldsmith/internal/wire/wiretest"
)

// raw is a signed request as bytes, before anything was done to it.
func raw(t *testing.T, url string, body []byte) string {
	t.Helper()
	r := wiretest.Request(t, "test", "POST", url, http.Header{"X-Amz-Target": {"Test.Do"}}, body)
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// sendRaw sends bytes and gives the statuses of all answers, up to the
// connection's end.
func sendRaw(t *testing.T, address, text string) []int {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	var all []int
	in := bufio.NewReader(conn)
	for {
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			return all
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
		all = append(all, response.StatusCode)
	}
}

// A request that two readers could understand in two ways must not reach an
// operation, and nothing may hide behind it: what a signature covers is what is
// done, once.
func TestSmuggledRequests(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	h := handler(t, wire.Config{}, operation("test", shape.JSON, func(context.Context, *struct{}) (*struct{}, error) {
		calls.Add(1)
		return nil, nil
	}))
	server := newServer(t, h)
	address := server.Addr().String()
	url := "http://" + address + "/"
	body := []byte(`{"a":1}`)
	header := func(line string) func(string) string {
		return func(s string) string { return strings.Replace(s, "\r\n\r\n", "\r\n"+line+"\r\n\r\n", 1) }
	}
	replace := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	length := fmt.Sprintf("Content-Length: %d", len(body))
	hidden := raw(t, url, body)
	for name, c := range map[string]struct {
		change func(string) string
		calls  int32
	}{
		"as it is":             {func(s string) string { return s }, 1},
		"two hosts":            {header("Host: elsewhere"), 0},
		"no host":              {replace("Host: ", "X-Host: "), 0},
		"an empty host":        {func(s string) string { return strings.Replace(s, "Host: "+address, "Host:", 1) }, 0},
		"another host":         {replace("Host: "+address, "Host: elsewhere"), 0},
		"two lengths":          {header("Content-Length: 0"), 0},
		"two lengths in one":   {replace(length, length+", 0"), 0},
		"a length with a sign": {replace(length, "Content-Length: +7"), 0},
		"a length in base 16":  {replace(length, "Content-Length: 0x7"), 0},
		"chunks and a length":  {header("Transfer-Encoding: chunked"), 0},
		"chunks and a length, well formed": {func(s string) string {
			return header("Transfer-Encoding: chunked")(s[:len(s)-len(body)]) + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
		}, 0},
		"an unknown encoding":             {header("Transfer-Encoding: xchunked"), 0},
		"two encodings":                   {header("Transfer-Encoding: identity, chunked"), 0},
		"an encoding after a space":       {header("Transfer-Encoding : chunked"), 0},
		"a name with a space":             {header("X-Amz-Date : 20260101T000000Z"), 0},
		"two dates":                       {header("X-Amz-Date: 20260101T000000Z"), 0},
		"two authorizations":              {header("Authorization: AWS4-HMAC-SHA256 Credential=a"), 0},
		"two targets":                     {header("X-Amz-Target: Test.Other"), 0},
		"an unsigned x-amz header":        {header("X-Amz-Security-Token: x"), 0},
		"a folded header that was signed": {replace("X-Amz-Target: Test.Do", "X-Amz-Target: Test.Do\r\n Other"), 0},
		"a line end in a value":           {replace("X-Amz-Target: Test.Do", "X-Amz-Target: Test.Do\rX-Evil: 1"), 0},
		"a zero byte":                     {replace("X-Amz-Target: Test.Do", "X-Amz-Target: Test.Do\x00"), 0},
		"another version of HTTP":         {replace("HTTP/1.1", "HTTP/3.0"), 0},
		"a second path":                   {replace("POST / ", "POST / /x "), 0},
		"an upgrade":                      {header("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"), 1},
		"one behind a short length":       {func(s string) string { return replace(length, "Content-Length: 0")(s) }, 0},
		"one in a body":                   {func(s string) string { return s[:len(s)-len(body)] + hidden }, 0},
	} {
		calls.Store(0)
		statuses := sendRaw(t, address, c.change(raw(t, url, body)))
		if got := calls.Load(); got != c.calls {
			t.Errorf("%s: the operation was called %d times, want %d (answers %v)", name, got, c.calls, statuses)
		}
		for i, status := range statuses {
			if ok := status == http.StatusOK; ok != (i == 0 && c.calls == 1) {
				t.Errorf("%s: answers %v", name, statuses)
				break
			}
		}
	}
	// Two whole requests on one connection are two.
	calls.Store(0)
	if statuses := sendRaw(t, address, raw(t, url, body)+raw(t, url, body)); calls.Load() != 2 || len(statuses) != 2 {
		t.Errorf("two requests: %d calls, answers %v", calls.Load(), statuses)
	}
}

// newServer serves with the limits of the real server.
func newServer(t *testing.T, h http.Handler) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := wire.NewServer(h)
	go s.Serve(ln) //nolint:errcheck // it ends with Close
	t.Cleanup(func() { s.Close() })
	return ln
}

// A signature is good for what it was made for only, and for five minutes: then
// a recorded request is refused.
func TestReplays(t *testing.T) {
	t.Parallel()
	now := noon
	h := handler(t, wire.Config{Clock: func() time.Time { return now }})
	r := list(t, noon)
	for after, want := range map[time.Duration]int{0: 400, 4 * time.Minute: 400, 5*time.Minute + time.Second: 403, 24 * time.Hour: 403} {
		now = noon.Add(after)
		if a := ask(t, h, clone(t, r, []byte("{}"))); a.Status != want {
			t.Errorf("after %v: %d %s", after, a.Status, a.Code)
		}
	}
	now = noon
	for name, change := range map[string]func(*http.Request){
		"another operation": func(r *http.Request) { r.RequestURI, r.URL.Path = "/ListComponents", "/ListComponents" },
		"another method":    func(r *http.Request) { r.Method = "PUT" },
		"another host":      func(r *http.Request) { r.Host = "elsewhere" },
		"another body": func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(`{"owner":"Self"}`))
			r.ContentLength = 16
		},
		"another region": func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "us-east-1", "us-west-2", 1))
		},
		"another service": func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "/imagebuilder/", "/sts/", 1))
		},
	} {
		bad := clone(t, r, []byte("{}"))
		change(bad)
		if a := ask(t, h, bad); a.Status != 403 {
			t.Errorf("%s: %d %s", name, a.Status, a.Code)
		}
	}
}
