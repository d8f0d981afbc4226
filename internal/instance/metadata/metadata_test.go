package metadata

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var launched = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

func service() *Service {
	return &Service{Now: func() time.Time { return launched }, Document: Document{
		Account: "123456789012", Region: "eu-west-1", Zone: "eu-west-1a", InstanceID: "i-0123456789abcdef0", ImageID: "ami-0123456789abcdef0", InstanceType: "m5.large",
		Architecture: "x86_64", Hostname: "ip-01234567", Address: "10.0.2.100", KeyName: "deploy", PublicKey: "ssh-ed25519 AAAA", UserData: []byte("#!/bin/sh\n"), Launched: launched,
	}}
}

// ask sends a request and gives the status and the body.
func ask(s http.Handler, method, path string, headers ...string) (int, string) {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestPaths(t *testing.T) {
	t.Parallel()
	s := service()
	for path, want := range map[string]string{
		"/":                                  "1.0\n2021-07-15\nlatest",
		"/latest":                            "dynamic/\nmeta-data/\nuser-data",
		"/latest/":                           "dynamic/\nmeta-data/\nuser-data",
		"/latest/meta-data/instance-id":      "i-0123456789abcdef0",
		"/2021-07-15/meta-data/ami-id":       "ami-0123456789abcdef0",
		"/latest/meta-data/placement/":       "availability-zone\nregion",
		"/latest/meta-data/placement/region": "eu-west-1",
		"/latest/meta-data/placement/availability-zone": "eu-west-1a",
		"/latest/meta-data/public-keys/":                "0=deploy",
		"/latest/meta-data/public-keys/0/":              "openssh-key",
		"/latest/meta-data/public-keys/0/openssh-key":   "ssh-ed25519 AAAA deploy",
		"/latest/user-data":                             "#!/bin/sh\n",
	} {
		if code, got := ask(s, "GET", path); code != 200 || got != want {
			t.Errorf("%s: %d %q, want %q", path, code, got, want)
		}
	}
	for _, path := range []string{"/latest/meta-data/nothing", "/latest/meta-data/iam/", "/latest/meta-data/iam/security-credentials/", "/latest/meta-data/tags/instance/", "/now/meta-data", "/latest/dynamic/instance-identity/pkcs7"} {
		if code, got := ask(s, "GET", path); code != 404 {
			t.Errorf("%s: %d %s", path, code, got)
		}
	}
	var document map[string]any
	_, text := ask(s, "GET", "/latest/dynamic/instance-identity/document")
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	if document["accountId"] != "123456789012" || document["region"] != "eu-west-1" || document["pendingTime"] != "2026-11-22T06:00:00Z" {
		t.Errorf("identity document: %s", text)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	s, clock := service(), launched
	s.Now = func() time.Time { return clock }
	s.TokenRequired = true
	const where = "/latest/meta-data/instance-id"
	for name, headers := range map[string][]string{
		"without a token": nil, "a token of nobody's": {tokenHeader, "AAAA"}, "an empty token": {tokenHeader, ""},
	} {
		if code, _ := ask(s, "GET", where, headers...); code != 401 {
			t.Errorf("%s: %d", name, code)
		}
	}
	for ttl, want := range map[string]int{"": 400, "0": 400, "21601": 400, "x": 400, "-1": 400, "1": 200, "21600": 200} {
		if code, _ := ask(s, "PUT", "/latest/api/token", ttlHeader, ttl); code != want {
			t.Errorf("a token for %q seconds: %d, want %d", ttl, code, want)
		}
	}
	if code, _ := ask(s, "PUT", "/latest/api/token", ttlHeader, "60", "X-Forwarded-For", "192.0.2.1"); code != 403 {
		t.Errorf("by way of a proxy: %d", code)
	}
	_, token := ask(s, "PUT", "/latest/api/token", ttlHeader, "60")
	if code, _ := ask(s, "GET", where, tokenHeader, token); code != 200 {
		t.Errorf("with a token: %d", code)
	}
	if code, _ := ask(service(), "GET", where, tokenHeader, token); code != 401 {
		t.Error("another instance takes the token")
	}
	clock = clock.Add(time.Minute)
	if code, _ := ask(s, "GET", where, tokenHeader, token); code != 401 {
		t.Errorf("with a token that has ended: %d", code)
	}
	if code, _ := ask(s, "POST", where); code != 405 {
		t.Errorf("POST: %d", code)
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	s, clock, made := service(), launched, 0
	s.Now = func() time.Time { return clock }
	s.Document.Profile, s.Document.Role = "builder", "builder"
	s.Credentials = func(context.Context) (Credentials, error) {
		made++
		return Credentials{AccessKeyID: fmt.Sprintf("ASIA%d", made), SecretAccessKey: "secret", Token: "token", Expiration: clock.Add(time.Hour)}, nil
	}
	const list = "/latest/meta-data/iam/security-credentials/"
	if code, got := ask(s, "GET", list); code != 200 || got != "builder" {
		t.Fatalf("%d %s", code, got)
	}
	var got map[string]string
	key := func() string {
		_, text := ask(s, "GET", list+"builder")
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return got["AccessKeyId"]
	}
	if first, second := key(), key(); first != "ASIA1" || second != "ASIA1" {
		t.Errorf("not the same credentials twice: %v", got)
	}
	want := map[string]string{"Code": "Success", "LastUpdated": "2026-11-22T06:00:00Z", "Type": "AWS-HMAC", "AccessKeyId": "ASIA1", "SecretAccessKey": "secret", "Token": "token", "Expiration": "2026-11-22T07:00:00Z"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	clock = clock.Add(50 * time.Minute)
	if k := key(); k != "ASIA2" {
		t.Errorf("ten minutes before their end there are no new ones but %s", k)
	}
	if code, _ := ask(s, "GET", list+"other"); code != 404 {
		t.Errorf("another role: %d", code)
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	e, err := Listen(service())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	got, err := http.Get("http://" + e.Address.String() + "/latest/meta-data/instance-id")
	if err != nil {
		t.Skipf("this user is not let in: %v", err) // neither root nor nobody
	}
	body, _ := io.ReadAll(got.Body)
	got.Body.Close()
	if string(body) != "i-0123456789abcdef0" {
		t.Errorf("%s", body)
	}
	// A guest that opens connections without end is held to its share, and the
	// next one is served when it has let go.
	var open []net.Conn
	closed := 0
	for range maxConnections + 20 {
		conn, err := net.Dial("tcp", e.Address.String())
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
	}
	time.Sleep(200 * time.Millisecond) // for the last of them to be turned away
	for _, conn := range open {
		conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); err != nil && !strings.Contains(err.Error(), "timeout") {
			closed++
		}
	}
	for _, conn := range open {
		conn.Close()
	}
	if closed < 10 { // some of the places may be free again by then
		t.Errorf("of %d connections only %d were turned away", len(open), closed)
	}
	for range 100 {
		if got, err = http.Get("http://" + e.Address.String() + "/latest/meta-data/"); err == nil {
			got.Body.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("after that nobody is served: %v", err)
}

func TestOwnerOf(t *testing.T) {
	t.Parallel()
	const table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		"   0: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 1 1\n" +
		"   1: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000 65534        0 2 1\n"
	local, remote := netip.MustParseAddrPort("127.0.0.1:50000"), netip.MustParseAddrPort("127.0.0.1:8080")
	if uid, ok := ownerOf(strings.NewReader(table), local, remote); !ok || uid != 65534 {
		t.Errorf("%d, %t", uid, ok)
	}
	if uid, ok := ownerOf(strings.NewReader(table), remote, local); !ok || uid != 1000 {
		t.Errorf("%d, %t", uid, ok)
	}
	if _, ok := ownerOf(strings.NewReader(table), local, local); ok {
		t.Error("a connection that is not there")
	}
}

func FuzzService(f *testing.F) {
	f.Add("GET", "/latest/meta-data/../../latest/user-data", tokenHeader, "AAAA")
	f.Add("PUT", "/latest/api/token", ttlHeader, "60")
	f.Fuzz(func(t *testing.T, method, path, header, value string) {
		r, err := http.NewRequest(method, "http://169.254.169.254/", bytes.NewReader(nil))
		if err != nil {
			return
		}
		r.URL.Path = path
		r.Header[http.CanonicalHeaderKey(header)] = []string{value}
		s := service()
		s.TokenRequired = true
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code == 200 && method != "PUT" {
			t.Errorf("%s %s with %s: %s was answered without a token", method, path, header, value)
		}
	})
}
