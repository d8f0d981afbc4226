package action

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// newServer answers with "content", and counts its requests.
func newServer(t *testing.T) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var requests atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/file.txt", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "content") })
	mux.Handle("/moved", http.RedirectHandler("/file.txt", http.StatusFound))
	mux.HandleFunc("/flaky", func(w http.ResponseWriter, _ *http.Request) {
		if requests.Load()%3 != 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "content")
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	mux.HandleFunc("/no-content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "half")
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server, &requests
}

func TestWebDownload(t *testing.T) {
	t.Parallel()
	server, _ := newServer(t)
	h := newHost(t)
	r, err := do(t, h, "WebDownload",
		fields{"source": server.URL + "/file.txt?secret=1", "destination": "folder/"},
		fields{"source": server.URL + "/moved", "destination": h.Dir + "/deep/er/name"},
	)
	if err != nil {
		t.Fatal(err)
	}
	if want := h.Dir + "/folder/file.txt\n" + h.Dir + "/deep/er/name"; len(r.Outputs) != 1 || r.Outputs[0]["destination"] != want {
		t.Errorf("outputs %q", r.Outputs)
	}
	if read(t, h.Dir, "folder/file.txt") != "content" || read(t, h.Dir, "deep/er/name") != "content" {
		t.Error("the content is wrong")
	}
}

func TestWebDownloadChecksums(t *testing.T) {
	t.Parallel()
	server, requests := newServer(t)
	h := newHost(t)
	content := []byte("content")
	md, s1, s256, s512 := md5.Sum(content), sha1.Sum(content), sha256.Sum256(content), sha512.Sum512(content)
	for algorithm, sum := range map[string][]byte{"MD5": md[:], "SHA1": s1[:], "SHA256": s256[:], "SHA512": s512[:]} {
		f := fields{"source": server.URL + "/file.txt", "destination": algorithm, "algorithm": algorithm, "checksum": strings.ToUpper(hex.EncodeToString(sum))}
		if _, err := do(t, h, "WebDownload", f); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		before := requests.Load()
		if _, err := do(t, h, "WebDownload", f); err != nil || requests.Load() != before {
			t.Errorf("%s: a file that is there was downloaded again, %v", algorithm, err)
		}
	}
	write(t, h.Dir+"/old", "old", 0o640)
	before := requests.Load()
	_, err := do(t, h, "WebDownload", fields{"source": server.URL + "/file.txt", "destination": "old", "algorithm": "MD5", "checksum": "00"})
	wantError(t, err, "the MD5 checksum is 9a0364b9e99bb480dd25e1f0284c8555, not 00")
	if read(t, h.Dir, "old") != "old" || requests.Load() != before+1 {
		t.Error("a wrong checksum replaced the file, or was tried again")
	}
	if _, err := do(t, h, "WebDownload", fields{"source": server.URL + "/file.txt", "destination": "old", "checksum": "00"}); err != nil {
		t.Errorf("a checksum without algorithm was verified: %v", err)
	}
	if read(t, h.Dir, "old") != "content" || mode(t, h.Dir, "old") != 0o640 {
		t.Error("the file was not replaced, or its mode not kept")
	}
}

func TestWebDownloadFailures(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		path, want string
		requests   int64
	}{
		{"/flaky", "", 3},
		{"/broken", `the server answered "502 Bad Gateway"`, 5},
		{"/missing?token=hush", `the server answered "404 Not Found"`, 1},
		{"/no-content", `the server answered "204 No Content"`, 1},
		{"/cut", "unexpected EOF", 5},
	} {
		server, requests := newServer(t)
		h := newHost(t)
		_, err := do(t, h, "WebDownload", fields{"source": server.URL + tc.path, "destination": "out"})
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.path, err, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("the error tells a secret: %v", err)
		}
		if requests.Load() != tc.requests {
			t.Errorf("%s: %d requests, want %d", tc.path, requests.Load(), tc.requests)
		}
		entries, readErr := os.ReadDir(h.Dir)
		if readErr != nil || tc.want != "" && len(entries) != 0 {
			t.Errorf("%s left %v, %v", tc.path, entries, readErr)
		}
	}
}

func TestWebDownloadDestinations(t *testing.T) {
	t.Parallel()
	server, requests := newServer(t)
	h := newHost(t)
	write(t, h.Dir+"/there", "old", 0o600)
	for want, f := range map[string]fields{
		"exists, and overwrite is false": {"source": server.URL + "/file.txt", "destination": "there", "overwrite": false},
		"names no file to put into":      {"source": server.URL + "/", "destination": "folder/"},
		"must be an http or https URL":   {"source": "file:///etc/passwd", "destination": "x"},
		"algorithm must be MD5":          {"source": server.URL + "/file.txt", "destination": "x", "algorithm": "CRC", "checksum": "00"},
	} {
		_, err := do(t, h, "WebDownload", f)
		wantError(t, err, want)
	}
	// A URL cannot choose a place outside the folder.
	for _, path := range []string{"/..", "/a/..%2f..%2fpwned", "/%2e%2e"} {
		_, err := do(t, h, "WebDownload", fields{"source": server.URL + path, "destination": "folder/"})
		if err == nil {
			t.Errorf("%s was downloaded", path)
		}
	}
	if _, err := os.Stat(filepath.Join(h.Dir, "..", "pwned")); err == nil {
		t.Error("a file was written outside the folder")
	}
	if read(t, h.Dir, "there") != "old" {
		t.Errorf("the file was replaced after %d requests", requests.Load())
	}
}

func TestWebDownloadCertificates(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "content") }))
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()
	h := newHost(t)
	h.HTTP = func(ignore bool) *http.Client {
		return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: ignore}}}
	}
	_, err := do(t, h, "WebDownload", fields{"source": server.URL + "/a", "destination": "a"})
	wantError(t, err, "certificate")
	if _, err := do(t, h, "WebDownload", fields{"source": server.URL + "/a", "destination": "a", "ignoreCertificateErrors": true}); err != nil {
		t.Error(err)
	}
}
