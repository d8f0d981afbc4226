package fault

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/objects"
	"github.com/goldsmith-build/goldsmith/internal/objects/s3test"
)

// What the way to the S3 server does to requests for objects.
const (
	passes    = ""
	refuses   = "answers 500"
	breaks    = "cuts bodies"
	hangs     = "does not answer"
	stalls    = "stops in the middle of bodies"
	falsifies = "changes a byte of every block"
)

// way stands between a site and its S3 server.
type way struct {
	*httptest.Server
	harm atomic.Value // one of the above
	hits atomic.Int64 // requests that were harmed
}

// newWay opens the way to a server.
func newWay(t *testing.T, to string) *way {
	target, err := url.Parse(to)
	must(t, err)
	w := &way{}
	w.harm.Store(passes)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // which is signed
		},
		ModifyResponse: w.answer,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	w.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		switch w.harm.Load() {
		case refuses:
			w.hits.Add(1)
			out.Header().Set("Content-Type", "application/xml")
			out.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(out, "<Error><Code>InternalError</Code><Message>We encountered an internal error. Please try again.</Message></Error>")
			return
		case hangs:
			w.hits.Add(1)
			w.hang(in.Context())
			panic(http.ErrAbortHandler)
		case breaks:
			if in.ContentLength > 1024 {
				w.hits.Add(1)
				_, _ = io.CopyN(io.Discard, in.Body, in.ContentLength/2)
				panic(http.ErrAbortHandler)
			}
		}
		proxy.ServeHTTP(out, in)
	}))
	t.Cleanup(w.Close)
	return w
}

// hang returns when the client is gone, or no harm is wanted any more.
func (w *way) hang(ctx context.Context) {
	for ctx.Err() == nil && w.harm.Load() != passes {
		time.Sleep(20 * time.Millisecond)
	}
}

// answer harms the body of an answer.
func (w *way) answer(r *http.Response) error {
	harm := w.harm.Load()
	if r.Request.Method != http.MethodGet || r.ContentLength < 256 || !strings.Contains(r.Request.URL.Path, "/blocks/") {
		return nil
	}
	switch harm {
	case breaks:
		w.hits.Add(1)
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(r.Body, r.ContentLength/2), r.Body}
	case stalls:
		w.hits.Add(1)
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(r.Body, r.ContentLength/2), readerFunc(func([]byte) (int, error) {
			w.hang(r.Request.Context())
			return 0, io.ErrUnexpectedEOF
		})), r.Body}
	case falsifies:
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		w.hits.Add(1)
		data[len(data)/2] ^= 1
		for name := range r.Header { // a checksum of the transport would find it before Goldsmith has to
			if strings.HasPrefix(strings.ToLower(name), "x-amz-checksum") {
				r.Header.Del(name)
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(data))
		r.Header.Set("Content-Length", strconv.Itoa(len(data)))
	}
	return nil
}

type readerFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestObjectStore keeps the blocks in an S3 server, and does harm to what goes to
// and fro: for two seconds, and for as long as the build goes on.
func TestObjectStore(t *testing.T) {
	t.Parallel()
	if !*full {
		t.Skip("a part of make fault")
	}
	server := s3test.Start(t)
	bucket := server.Bucket(t, "blocks")
	w := newWay(t, server.Endpoint)
	s := newSite(t, setting{
		config: []string{"objects: s3://" + bucket + "/site", "s3: {endpoint: '" + w.URL + "', region: " + s3test.Region + ", accessKeyId: " + s3test.AccessKeyID + ", secretAccessKey: " + s3test.SecretAccessKey + "}"},
		objects: func() objects.Store {
			store, err := objects.OpenS3(context.Background(), server.Client, bucket, "site")
			must(t, err)
			return store
		},
	})
	s.placesOf("good", available)
	reads, writes := "in BUILD LaunchBuildInstance at work", "in BUILD CreateOutputAMI instance stopped"
	for _, tc := range []struct{ harm, place string }{
		{refuses, reads}, {refuses, writes}, {breaks, reads}, {breaks, writes}, {hangs, reads}, {hangs, writes}, {stalls, reads}, {falsifies, reads},
	} {
		for _, lasting := range []bool{false, true} {
			kind := "object store " + tc.harm + " for 2 s"
			if lasting {
				kind = "object store " + tc.harm + ", lastingly"
			}
			s.inject(kind, "good", tc.place, either, func(image string, _ int) {
				s.coldCache()
				before := w.hits.Load()
				w.harm.Store(tc.harm)
				s.points.release()
				time.Sleep(2 * time.Second)
				if lasting {
					s.wait(image)
				}
				w.harm.Store(passes)
				if w.hits.Load() == before {
					t.Errorf("%s at %q: nothing was harmed", kind, tc.place)
				}
			})
		}
	}
	s.finish()
}

// coldCache removes the ready copies of snapshots, so that blocks are read.
func (s *site) coldCache() {
	s.t.Helper()
	copies, err := filepath.Glob(filepath.Join(s.dir, "cache", "raw", "*.raw"))
	must(s.t, err)
	for _, name := range copies {
		must(s.t, os.Remove(name))
	}
}
