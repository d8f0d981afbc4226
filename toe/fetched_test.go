package toe_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/toe"
	"github.com/goldsmith-build/goldsmith/toe/action"
)

// TestFetchedFilesAreTold: whoever keeps what a run made wants to know what it
// got from elsewhere, but for what the document pins, and never a secret.
func TestFetchedFilesAreTold(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("content of " + r.URL.Path))
	}))
	defer server.Close()
	digest := func(path string) string {
		sum := sha256.Sum256([]byte("content of " + path))
		return hex.EncodeToString(sum[:])
	}
	dir := t.TempDir()
	document := strings.NewReplacer("SERVER", server.URL, "DIR", dir, "SUM", digest("/pinned")).Replace(`
schemaVersion: 1.0
phases:
  - name: build
    steps:
      - name: Both
        action: WebDownload
        inputs:
          - {source: "SERVER/a?token=1", destination: DIR/a}
          - {source: "SERVER/pinned", destination: DIR/pinned, checksum: SUM, algorithm: SHA256}
      - name: Quiet
        action: WebDownload
        disableLogging: true
        inputs:
          - {source: "SERVER/quiet", destination: DIR/quiet, ignoreCertificateErrors: true}
`)
	var got []action.Fetch
	result, err := toe.Run(t.Context(), toe.Options{
		Documents: []toe.Source{{Path: "fetch.yaml", Data: []byte(document)}}, LogDirectory: t.TempDir(),
		Events: func(e toe.Event) {
			if e.Event == toe.EventFetched {
				got = append(got, *e.Fetched)
			}
		},
	})
	if err != nil || result.Summary.Status != toe.StatusSuccess {
		t.Fatalf("%+v, %v", result, err)
	}
	want := []action.Fetch{{Action: "WebDownload", Source: server.URL + "/a?token=1", SHA256: digest("/a")}, {Action: "WebDownload"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fetched (-want +got):\n%s", diff)
	}
}
