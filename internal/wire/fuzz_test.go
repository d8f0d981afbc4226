package wire_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/wire"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
	"github.com/goldsmith-build/goldsmith/internal/wire/wiretest"
)

// What is accepted is valid JSON, and is the same after another round.
func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"text":"\ud83d\ude00","list":["a",""],"map":{"k":"v"}}`, `{"deep":[{"nested":{"when":1.5}}],"byName":{"":{}}}`,
		`{"blob":"YQ==","ratio":-1e-9,"large":-1}`, `{"x":[[[{}]],null,1e5]}`, "{\"text\":\"\xff\"}", `{"text":null,"Text":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var first, second everything
		if wire.DecodeJSON(body, &first) != nil {
			return
		}
		if !json.Valid(body) {
			t.Fatalf("accepted what is no JSON: %q", body)
		}
		text, err := json.Marshal(first)
		if err != nil {
			t.Fatalf("%q cannot be stored: %v", body, err)
		}
		if err := wire.DecodeJSON(text, &second); err != nil {
			t.Fatalf("%q: its own form %s is refused: %v", body, text, err)
		}
		if !reflect.DeepEqual(first, second) {
			t.Fatalf("%q changed: %s", body, text)
		}
	})
}

// A form either is refused as the client's mistake or is read; whatever it
// holds, the answer is XML.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{
		"Action=Do&Version=2026-01-01", "Action=Do&List.member.1=a&Map.entry.1.Name=k&Map.entry.1.Content=v", "Action=Do&Deep.member.1.Nested.Text=a",
		"Action=Do&Flat.99999999999999999999=a&Flat.-1=b&Flat.01=c", "Action=Do&Deep=&List.member=", "Action=Do&Text=%00%01%ED%A0%80", "a.b..c=1&.=2&=3",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, body string, strict bool) {
		p := shape.Query
		if strict {
			p = shape.EC2
		}
		if a, _ := echoed(t, p, body); a.Status != 200 && (a.Status < 400 || a.Status > 413) {
			t.Fatalf("%q: %d %s", body, a.Status, a.Body)
		}
	})
}

// Whatever arrives, nobody without a signature gets further than an error that
// a client can read.
func FuzzServe(f *testing.F) {
	h := handler(f, wire.Config{Clock: at(noon)})
	stranger := wiretest.Key
	stranger.SecretAccessKey = "guessed"
	r, err := http.NewRequestWithContext(f.Context(), "POST", "http://127.0.0.1:7420/ListImages", strings.NewReader("{}"))
	if err != nil {
		f.Fatal(err)
	}
	wiretest.Sign(f, r, []byte("{}"), stranger, "imagebuilder", "us-east-1", noon)
	var forged bytes.Buffer
	if err := r.Write(&forged); err != nil {
		f.Fatal(err)
	}
	f.Add(forged.Bytes())
	f.Add([]byte("GET /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20260301%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date=20260301T120000Z&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Signature=0 HTTP/1.1\r\nHost: a\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"))
	f.Add([]byte("POST http://b/ HTTP/1.1\r\nHost: a\r\nX-Amz-Target: x\r\nAuthorization: AWS4-HMAC-SHA256 Credential=,,==\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return
		}
		if a := ask(t, h, r); a.Status < 400 || a.Status >= 500 || a.Code == "UnsupportedOperationException" {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	})
}

// The canonical request is the SDK's for every path, query, header and body.
func FuzzCanonicalRequest(f *testing.F) {
	h := handler(f, wire.Config{Clock: at(noon)}, &shape.Service{Name: "test", Protocol: shape.RestJSON})
	f.Add("/tags/arn%3Aaws%2Fx", "a=b&a=a&c", "v  w", []byte("{}"))
	f.Add("/a b/%25/é", "x=%20+%2B&=&y==", "  ", []byte{})
	f.Add("/..//./", "&&a", "a,b", []byte("\x00"))
	f.Fuzz(func(t *testing.T, path, query, value string, body []byte) {
		u, err := url.Parse("http://127.0.0.1:7420/" + strings.TrimLeft(path, "/"))
		if err != nil || u.Fragment != "" || u.RawQuery != "" || u.ForceQuery || u.Host != "127.0.0.1:7420" {
			return
		}
		// The SDK sends a query only in the form that url.Values gives it.
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		u.RawQuery = values.Encode()
		r, err := http.NewRequestWithContext(t.Context(), "PUT", u.String(), bytes.NewReader(body))
		if err != nil {
			return
		}
		if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			return // no client can send it
		}
		r.Header.Set("X-Amz-Meta", value)
		wiretest.Sign(t, r, body, wiretest.Key, "test", "us-east-1", noon)
		var b bytes.Buffer
		if r.Write(&b) != nil {
			return // a header or path that cannot be sent
		}
		got, err := http.ReadRequest(bufio.NewReader(&b))
		if err != nil {
			return
		}
		for name := range values {
			if strings.HasPrefix(name, "X-Amz-") {
				return // may look like a presigned URL
			}
		}
		a := ask(t, h, got)
		if a.Code == "UnknownOperationException" {
			return
		}
		// Names and values that are no text are refused before they are signed for.
		if a.Code == "IncompleteSignatureException" && strings.Contains(a.Message, "UTF-8") {
			return
		}
		t.Fatalf("%d %s %s\n%s", a.Status, a.Code, a.Message, got.RequestURI)
	})
}
