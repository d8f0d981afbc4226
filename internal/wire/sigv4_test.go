package wire_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/wire"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
	"github.com/goldsmith-build/goldsmith/internal/wire/wiretest"
)

const letters = "abcXYZ019-._~ !$&'()*+,;=:@%/\"<>[]{}|\\^`é日\U0001f600"

func random(rng *rand.Rand, most int) string {
	runes, b := []rune(letters), strings.Builder{}
	for range rng.IntN(most + 1) {
		b.WriteRune(runes[rng.IntN(len(runes))])
	}
	return b.String()
}

// randomRequest makes an unsigned request of the kinds that clients send, and
// some that they do not.
func randomRequest(t *testing.T, rng *rand.Rand) (*http.Request, []byte) {
	t.Helper()
	u := url.URL{Scheme: "http", Host: "127.0.0.1:7420", Path: "/" + strings.ReplaceAll(random(rng, 12), "//", "/")}
	if rng.IntN(3) == 0 {
		u.Path, u.RawPath = "/tags/a/b", "/tags/"+url.PathEscape(random(rng, 20)+"x")
		u.Path, _ = url.PathUnescape(u.RawPath)
	}
	query := url.Values{}
	for range rng.IntN(4) {
		query.Add(random(rng, 6)+"q", random(rng, 8))
	}
	u.RawQuery = query.Encode()
	body := []byte(random(rng, 200))
	method := []string{"GET", "PUT", "POST", "DELETE"}[rng.IntN(4)]
	r, err := http.NewRequestWithContext(t.Context(), method, u.String(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := range rng.IntN(3) {
		r.Header.Add(fmt.Sprintf("X-Amz-Meta-%d", i), strings.TrimSpace(strings.Repeat("a ", rng.IntN(4))+strings.Repeat(" ", rng.IntN(3))+"b"))
	}
	if rng.IntN(2) == 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	if rng.IntN(4) == 0 {
		r.Header.Set("X-Amz-Content-Sha256", wiretest.Hash(body))
	}
	return r, body
}

// tampering changes a signed request so that it no longer is what was signed.
type tampering struct {
	name string
	do   func(r *http.Request, rng *rand.Rand) bool // false: does not apply
}

var tamperings = []tampering{
	{"method", func(r *http.Request, _ *rand.Rand) bool { r.Method = "PATCH"; return true }},
	{"path", func(r *http.Request, _ *rand.Rand) bool {
		r.RequestURI = "/x" + r.RequestURI
		return true
	}},
	{"escaping of the path", func(r *http.Request, _ *rand.Rand) bool {
		path, query, _ := strings.Cut(r.RequestURI, "?")
		changed := strings.Replace(path, "%2F", "/", 1)
		r.RequestURI = changed + "?" + query
		return changed != path
	}},
	{"added parameter", func(r *http.Request, _ *rand.Rand) bool {
		r.URL.RawQuery += "&zz=1"
		return true
	}},
	{"repeated parameter", func(r *http.Request, _ *rand.Rand) bool {
		first, _, _ := strings.Cut(r.URL.RawQuery, "&")
		r.URL.RawQuery += "&" + first
		return first != ""
	}},
	{"body", func(r *http.Request, _ *rand.Rand) bool {
		r.Body, r.ContentLength = http.NoBody, 0
		r.Body = readCloser{bytes.NewReader([]byte("tampered"))}
		r.ContentLength = -1
		return true
	}},
	{"host", func(r *http.Request, _ *rand.Rand) bool { r.Host = "example.com"; return true }},
	{"a signed header", func(r *http.Request, _ *rand.Rand) bool {
		if r.Header.Get("X-Amz-Meta-0") == "" {
			return false
		}
		r.Header.Set("X-Amz-Meta-0", "changed")
		return true
	}},
	{"an unsigned x-amz header", func(r *http.Request, _ *rand.Rand) bool {
		r.Header.Set("X-Amz-Target", "Service.Other")
		return true
	}},
	{"a removed header", func(r *http.Request, _ *rand.Rand) bool {
		r.Header.Del("X-Amz-Meta-0")
		return strings.Contains(credentialOf(r), "x-amz-meta-0")
	}},
	{"signature", func(r *http.Request, rng *rand.Rand) bool {
		return edit(r, func(s string) string {
			i := strings.LastIndex(s, "Signature=") + len("Signature=") + rng.IntN(64)
			c := "0"
			if s[i] == '0' {
				c = "1"
			}
			return s[:i] + c + s[i+1:]
		})
	}},
	{"no signature", func(r *http.Request, _ *rand.Rand) bool {
		return edit(r, func(s string) string { return s[:strings.LastIndex(s, "Signature=")+len("Signature=")] })
	}},
	{"region", func(r *http.Request, _ *rand.Rand) bool {
		return edit(r, func(s string) string { return strings.Replace(s, "us-east-1", "us-east-2", 1) })
	}},
	{"date", func(r *http.Request, _ *rand.Rand) bool {
		return edit(r, func(s string) string { return strings.Replace(s, "T120000Z", "T120001Z", 1) })
	}},
	{"signed headers", func(r *http.Request, _ *rand.Rand) bool {
		return edit(r, func(s string) string { return strings.Replace(strings.Replace(s, "host;", "", 1), "%3Bhost", "", 1) })
	}},
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// credentialOf gives the text that holds a request's signature.
func credentialOf(r *http.Request) string {
	if a := r.Header.Get("Authorization"); a != "" {
		return a
	}
	return r.URL.RawQuery
}

// edit changes that text and, for a header, the date's.
func edit(r *http.Request, change func(string) string) bool {
	before, date := credentialOf(r), r.Header.Get("X-Amz-Date")
	if r.Header.Get("Authorization") != "" {
		r.Header.Set("Authorization", change(before))
		if strings.Contains(date, "T") && change(before) == before {
			r.Header.Set("X-Amz-Date", change(date))
		}
	} else if strings.Contains(before, "X-Amz-Signature=") {
		r.URL.RawQuery = change(before)
	}
	return credentialOf(r) != before || r.Header.Get("X-Amz-Date") != date
}

func TestSignaturesAgreeWithTheSDK(t *testing.T) {
	t.Parallel()
	count := 20_000
	if testing.Short() {
		count = 2_000
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	temporary := wiretest.Key
	temporary.AccessKeyID, temporary.SessionToken = "ASIATEMPORARY", "session/token+=="
	keys := []identity.Key{wiretest.Key, temporary}
	h := handler(t, wire.Config{Keys: wiretest.Keys{keys[0].AccessKeyID: keys[0], keys[1].AccessKeyID: keys[1]}, Clock: at(now)},
		&shape.Service{Name: "imagebuilder", Protocol: shape.RestJSON}, &shape.Service{Name: "ssm", Protocol: shape.RestJSON})
	refused := map[string]int{}
	signer := v4.NewSigner()
	for seed := range count {
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		key, service := keys[rng.IntN(2)], []string{"imagebuilder", "ssm"}[rng.IntN(2)]
		r, body := randomRequest(t, rng)
		if rng.IntN(4) == 0 {
			r = presigned(t, signer, r, body, key, service, now)
		} else {
			wiretest.Sign(t, r, body, key, service, "us-east-1", now)
		}
		good := sent(t, r)
		// No operation is there to be found: that is how a good signature shows.
		if a := ask(t, h, clone(t, good, body)); a.Code != "UnknownOperationException" {
			t.Fatalf("seed %d: %d %s %s\n%s %s\n%v", seed, a.Status, a.Code, a.Message, r.Method, r.URL, r.Header)
		}
		tamper := tamperings[rng.IntN(len(tamperings))]
		bad := clone(t, good, body)
		if !tamper.do(bad, rng) {
			continue
		}
		refused[tamper.name]++
		if a := ask(t, h, bad); a.Status != 403 && a.Code != "IncompleteSignatureException" || a.Code == "UnrecognizedClientException" {
			t.Fatalf("seed %d: %s was not noticed: %d %s %s\n%s %s\n%v", seed, tamper.name, a.Status, a.Code, a.Message, bad.Method, bad.RequestURI, bad.Header)
		}
	}
	for _, tamper := range tamperings {
		if refused[tamper.name] == 0 {
			t.Errorf("%s was never tried", tamper.name)
		}
	}
	t.Logf("%d requests; refused: %v", count, refused)
}

// clone gives a copy of a request that can be changed and sent.
func clone(t *testing.T, r *http.Request, body []byte) *http.Request {
	c := r.Clone(t.Context())
	c.Header, c.Body, c.RequestURI = maps.Clone(r.Header), readCloser{bytes.NewReader(body)}, r.RequestURI
	return c
}

func presigned(t *testing.T, signer *v4.Signer, r *http.Request, body []byte, key identity.Key, service string, now time.Time) *http.Request {
	t.Helper()
	q := r.URL.Query()
	q.Set("X-Amz-Expires", "60")
	r.URL.RawQuery = q.Encode()
	// A presigned URL has only the headers that its user knows to send.
	for name := range maps.Clone(r.Header) {
		if slices.Contains([]string{"X-Amz-Meta-0", "X-Amz-Meta-1", "X-Amz-Content-Sha256", "Content-Type"}, name) {
			r.Header.Del(name)
		}
	}
	credentials := aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: string(key.SecretAccessKey), SessionToken: key.SessionToken}
	uri, header, err := signer.PresignHTTP(t.Context(), credentials, r, wiretest.Hash(body), service, "us-east-1", now)
	if err != nil {
		t.Fatal(err)
	}
	p, err := http.NewRequestWithContext(t.Context(), r.Method, uri, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		if name != "Host" {
			p.Header[name] = values
		}
	}
	return p
}
