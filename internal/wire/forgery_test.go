package wire_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/wire"
	"github.com/goldsmith-build/goldsmith/internal/wire/wiretest"
)

func TestForgedAndMalformedSignaturesAreRefused(t *testing.T) {
	t.Parallel()
	authorization := func(change func(string) string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", change(r.Header.Get("Authorization"))) }
	}
	swap := func(old, new string) func(*http.Request) {
		return authorization(func(s string) string { return strings.Replace(s, old, new, 1) })
	}
	set := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = values }
	}
	const incomplete, invalid = "IncompleteSignatureException", "InvalidSignatureException"
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		status int
		code   string
	}{
		{"unsigned", func(r *http.Request) { r.Header.Del("Authorization") }, 403, "MissingAuthenticationTokenException"},
		{"empty header", set("Authorization", ""), 403, "MissingAuthenticationTokenException"},
		{"two headers", func(r *http.Request) {
			r.Header["Authorization"] = append(r.Header["Authorization"], r.Header["Authorization"]...)
		}, 400, incomplete},
		{"basic", set("Authorization", "Basic YTpi"), 400, incomplete},
		{"other algorithm", swap("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), 400, incomplete},
		{"a part twice", authorization(func(s string) string { return s + ", Signature=00" }), 400, incomplete},
		{"unknown part", authorization(func(s string) string { return s + ", Admin=true" }), 400, incomplete},
		{"no parts", set("Authorization", "AWS4-HMAC-SHA256 "), 400, incomplete},
		{"short scope", swap("/aws4_request", ""), 400, incomplete},
		{"other terminator", swap("/aws4_request", "/aws5_request"), 400, incomplete},
		{"no region", swap("/us-east-1/", "//"), 400, incomplete},
		{"region that is none", swap("/us-east-1/", "/%2e%2e/"), 403, invalid},
		{"unknown key", swap("AKIAGOLDSMITHTEST001", "AKIAGOLDSMITHTEST002"), 403, "UnrecognizedClientException"},
		{"scope of another day", swap("/20260301/", "/20260302/"), 403, invalid},
		{"header list out of order", swap("SignedHeaders=content-length;", "SignedHeaders=host;content-length;"), 400, incomplete},
		{"header list in capitals", swap("host;", "Host;"), 400, incomplete},
		{"header list empty", authorization(func(s string) string {
			a, b := strings.Index(s, "SignedHeaders="), strings.Index(s, ", Signature")
			return s[:a] + "SignedHeaders=" + s[b:]
		}), 400, incomplete},
		{"host not signed", swap("host;", ""), 403, invalid},
		{"signed header not sent", swap("host;", "host;x-amz-aaa;"), 403, invalid},
		{"date missing", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, 400, incomplete},
		{"date twice", func(r *http.Request) {
			r.Header["X-Amz-Date"] = append(r.Header["X-Amz-Date"], "20260301T120000Z")
		}, 400, incomplete},
		{"date malformed", set("X-Amz-Date", "2026-03-01T12:00:00Z"), 400, incomplete},
		{"date with a fraction", set("X-Amz-Date", "20260301T120000.5Z"), 400, incomplete},
		{"unsigned payload", set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), 403, invalid},
		{"unsigned x-amz header", set("X-Amz-Target", "x"), 403, invalid},
		{"session token for a key without one", set("X-Amz-Security-Token", "x"), 403, invalid},
		{"both ways at once", func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=00" }, 400, incomplete},
		{"content type twice", set("Content-Type", "application/json", "text/plain"), 400, incomplete},
		{"unreadable query", func(r *http.Request) { r.URL.RawQuery = "a=%zz" }, 400, incomplete},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := list(t, noon)
			c.change(r)
			if a := ask(t, handler(t, wire.Config{Clock: at(noon)}), r); a.Status != c.status || a.Code != c.code {
				t.Errorf("%d %s %q, want %d %s", a.Status, a.Code, a.Message, c.status, c.code)
			}
		})
	}
}

// forge signs exactly what it is told to, with a valid key: the requests of a
// client that knows its secret but leaves out what has to be signed.
func forge(t *testing.T, r *http.Request, payload, scope string, headers ...string) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%s\n", r.Method, r.URL.EscapedPath(), r.URL.RawQuery)
	for _, name := range headers {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		fmt.Fprintf(&b, "%s:%s\n", name, value)
	}
	fmt.Fprintf(&b, "\n%s\n%s", strings.Join(headers, ";"), payload)
	key := []byte("AWS4" + wiretest.Key.SecretAccessKey)
	toSign := "AWS4-HMAC-SHA256\n" + r.Header.Get("X-Amz-Date") + "\n" + scope + "\n" + wiretest.Hash([]byte(b.String()))
	for _, part := range append(strings.Split(scope, "/"), toSign) {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x",
		wiretest.Key.AccessKeyID, scope, strings.Join(headers, ";"), key))
}

// A right signature over too little is refused.
func TestSignaturesOverTooLittleAreRefused(t *testing.T) {
	t.Parallel()
	const scope = "20260301/us-east-1/imagebuilder/aws4_request"
	right := wiretest.Hash([]byte("{}"))
	for _, c := range []struct {
		name    string
		header  http.Header
		payload string
		scope   string
		signed  []string
		code    string
		message string
	}{
		{"all signed", nil, right, scope, []string{"host", "x-amz-date"}, "UnsupportedOperationException", "The operation"},
		{"host not signed", nil, right, scope, []string{"x-amz-date"}, "InvalidSignatureException", "'Host' or"},
		{"date not signed", nil, right, scope, []string{"host"}, "InvalidSignatureException", "There were headers"},
		{"target not signed", http.Header{"X-Amz-Target": {"a"}}, right, scope, []string{"host", "x-amz-date"}, "InvalidSignatureException", "There were headers"},
		{"headers out of order", nil, right, scope, []string{"x-amz-date", "host"}, "IncompleteSignatureException", "SignedHeaders must"},
		{"header twice in the list", nil, right, scope, []string{"host", "host", "x-amz-date"}, "IncompleteSignatureException", "SignedHeaders must"},
		{"empty header that is not sent", nil, right, scope, []string{"host", "x-amz-date", "x-amz-target"}, "InvalidSignatureException", "The signed header"},
		{"scope of another day", nil, right, "20260228/us-east-1/imagebuilder/aws4_request", []string{"host", "x-amz-date"}, "InvalidSignatureException", "Date in Credential"},
		{"region that is none", nil, right, "20260301/../imagebuilder/aws4_request", []string{"host", "x-amz-date"}, "InvalidSignatureException", "Credential should be"},
		{"unsigned payload", http.Header{"X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"}}, "UNSIGNED-PAYLOAD", scope,
			[]string{"host", "x-amz-content-sha256", "x-amz-date"}, "InvalidSignatureException", "The payload has"},
		{"streamed payload", http.Header{"X-Amz-Content-Sha256": {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}}, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", scope,
			[]string{"host", "x-amz-content-sha256", "x-amz-date"}, "InvalidSignatureException", "The payload has"},
		{"hash of another body", http.Header{"X-Amz-Content-Sha256": {wiretest.Hash(nil)}}, right, scope,
			[]string{"host", "x-amz-content-sha256", "x-amz-date"}, "InvalidSignatureException", "The request signature"},
		{"another body", http.Header{"X-Amz-Content-Sha256": {wiretest.Hash(nil)}}, wiretest.Hash(nil), scope,
			[]string{"host", "x-amz-content-sha256", "x-amz-date"}, "InvalidSignatureException", "The request signature"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("POST", "/ListImages", strings.NewReader("{}"))
			r.Header.Set("X-Amz-Date", noon.Format("20060102T150405Z"))
			maps.Copy(r.Header, c.header)
			forge(t, r, c.payload, c.scope, c.signed...)
			a := ask(t, handler(t, wire.Config{Clock: at(noon)}), r)
			if a.Code != c.code || !strings.HasPrefix(a.Message, c.message) {
				t.Errorf("%d %s %q, want %s %q", a.Status, a.Code, a.Message, c.code, c.message)
			}
		})
	}
	// Both ways of authentication at once: which one holds is not for us to choose.
	r := httptest.NewRequest("POST", "/ListImages?X-Amz-Credential=x", strings.NewReader("{}"))
	r.Header.Set("X-Amz-Date", noon.Format("20060102T150405Z"))
	forge(t, r, right, scope, "host", "x-amz-date")
	if a := ask(t, handler(t, wire.Config{Clock: at(noon)}), r); a.Code != "IncompleteSignatureException" {
		t.Errorf("both ways at once: %d %s", a.Status, a.Code)
	}
}

func TestSessionTokens(t *testing.T) {
	t.Parallel()
	key := wiretest.Key
	key.SessionToken = "right"
	for token, code := range map[string]string{
		"right": "UnsupportedOperationException",
		"wrong": "UnrecognizedClientException",
		"":      "UnrecognizedClientException",
	} {
		signing := key
		signing.SessionToken = token
		r, err := http.NewRequestWithContext(t.Context(), "POST", "http://127.0.0.1/ListImages", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		wiretest.Sign(t, r, []byte("{}"), signing, "imagebuilder", "us-east-1", noon)
		h := handler(t, wire.Config{Keys: wiretest.Keys{key.AccessKeyID: key}, Clock: at(noon)})
		if a := ask(t, h, sent(t, r)); a.Code != code {
			t.Errorf("token %q: %s, want %s", token, a.Code, code)
		}
	}
}

// A session that has ended is told apart from one that never was, in each
// protocol's words.
func TestExpiredSessions(t *testing.T) {
	t.Parallel()
	key := wiretest.Key
	key.SessionToken, key.Expires = "right", noon
	for service, want := range map[string]string{"imagebuilder": "ExpiredTokenException", "sts": "ExpiredToken", "ec2": "RequestExpired"} {
		for after, code := range map[time.Duration]string{-time.Second: "", 0: want, time.Second: want} {
			method, url, body := "POST", "http://127.0.0.1/", []byte("Action=X")
			if service == "imagebuilder" {
				url, body = url+"ListImages", []byte("{}")
			}
			r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			now := noon.Add(after)
			wiretest.Sign(t, r, body, key, service, "us-east-1", now)
			a := ask(t, handler(t, wire.Config{Keys: wiretest.Keys{key.AccessKeyID: key}, Clock: at(now)}), sent(t, r))
			if code == "" && a.Status == 403 || code != "" && a.Code != code {
				t.Errorf("%s %v after its end: %d %s, want %s", service, after, a.Status, a.Code, code)
			}
		}
	}
}
