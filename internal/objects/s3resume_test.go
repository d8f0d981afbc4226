package objects

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// breaking serves one object and cuts each of the first answers after some bytes.
type breaking struct {
	content []byte
	after   int
	cuts    int32 // answers that are cut
	ranges  bool
	asked   atomic.Int32
}

func (b *breaking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		return
	}
	rest, from := b.content, 0
	if b.ranges {
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
			rest = b.content[from:]
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(b.content)-1, len(b.content)))
		}
	}
	w.Header().Set("ETag", `"one"`)
	if match := r.Header.Get("If-Match"); match != "" && match != `"one"` {
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(rest)))
	if w.Header().Get("Content-Range") != "" {
		w.WriteHeader(http.StatusPartialContent)
	}
	if b.asked.Add(1) > b.cuts {
		w.Write(rest)
		return
	}
	w.Write(rest[:min(b.after, len(rest))])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// TestBodiesThatBreakOff are read to their end, and given up when they keep
// breaking off.
func TestBodiesThatBreakOff(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("goldsmith "), 10_000)
	for name, tc := range map[string]struct {
		service *breaking
		fails   bool
	}{
		"whole":                   {&breaking{ranges: true}, false},
		"once":                    {&breaking{after: 1234, cuts: 1, ranges: true}, false},
		"again and again":         {&breaking{after: 9_000, cuts: 9, ranges: true}, false},
		"before the first byte":   {&breaking{cuts: 2, ranges: true}, false},
		"a service that is plain": {&breaking{after: 50_000, cuts: 1}, false},
		"always":                  {&breaking{cuts: 1000, ranges: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.service.content = content
			server := httptest.NewServer(tc.service)
			t.Cleanup(server.Close)
			client := s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: aws.String(server.URL), UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
			store, err := OpenS3(t.Context(), client, "bucket", "")
			if err != nil {
				t.Fatal(err)
			}
			body, err := store.Get(t.Context(), "key")
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			got, err := io.ReadAll(body)
			if tc.fails {
				if err == nil || !strings.Contains(err.Error(), "broke off after 0 bytes") {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				return
			}
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes, %v; want %d", len(got), err, len(content))
			}
		})
	}
}
