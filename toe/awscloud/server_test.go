package awscloud_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/goldsmith-build/goldsmith/internal/objects/s3test"
	"github.com/goldsmith-build/goldsmith/toe"
	"github.com/goldsmith-build/goldsmith/toe/awscloud"
)

// These run against a real S3 server.

// at is a Cloud with the server's key at an endpoint.
func at(endpoint, secret string) *awscloud.Cloud {
	return awscloud.NewFrom(func(context.Context) (aws.Config, error) {
		return aws.Config{
			Region: s3test.Region, BaseEndpoint: &endpoint,
			Credentials: credentials.NewStaticCredentialsProvider(s3test.AccessKeyID, secret, ""),
		}, nil
	})
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// TestServerDocument runs both actions as users do: with the SDK's ordinary
// chain, from a file of credentials.
func TestServerDocument(t *testing.T) {
	server := s3test.Start(t)
	server.Bucket(t, "bucket")
	dir := t.TempDir()
	for name, content := range map[string]string{
		"credentials":  fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", s3test.AccessKeyID, s3test.SecretAccessKey),
		"config":       fmt.Sprintf("[default]\nregion = %s\nendpoint_url = %s\n", s3test.Region, server.Endpoint),
		"in/a b.txt":   "A",
		"in/sub/c.txt": "C",
		"in/ü.log":     "U",
	} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	for name, value := range map[string]string{
		"AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "credentials"), "AWS_CONFIG_FILE": filepath.Join(dir, "config"),
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	document := `schemaVersion: 1.0
phases:
  - name: build
    steps:
      - {name: File, action: S3Upload, inputs: [{source: 'in/a b.txt', destination: 's3://bucket/one/k e+y.txt'}]}
      - {name: Tree, action: S3Upload, inputs: [{source: in, destination: 's3://bucket/tree/', recurse: true}]}
      - {name: Wild, action: S3Upload, inputs: [{source: 'in/*.log', destination: 's3://bucket/wild/'}]}
      - {name: One, action: S3Download, inputs: [{source: 's3://bucket/one/k e+y.txt', destination: out/one.txt}]}
      - {name: Below, action: S3Download, inputs: [{source: 's3://bucket/tree/*', destination: out/tree}]}
      - {name: Part, action: S3Download, inputs: [{source: 's3://bucket/tree/s*', destination: out/part}]}
      - {name: NoKey, action: S3Download, onFailure: Ignore, inputs: [{source: 's3://bucket/none', destination: out/none}]}
      - {name: NoBucket, action: S3Download, onFailure: Ignore, inputs: [{source: 's3://no-such-bucket/none', destination: out/none}]}
      - {name: NoPrefix, action: S3Download, onFailure: Ignore, inputs: [{source: 's3://bucket/none/*', destination: out/none}]}
      - {name: NoWrite, action: S3Upload, onFailure: Ignore, inputs: [{source: in/ü.log, destination: 's3://no-such-bucket/x'}]}
`
	r, err := toe.Run(t.Context(), toe.Options{Documents: []toe.Source{{Path: "s3.yaml", Data: []byte(document)}}, LogDirectory: filepath.Join(dir, "logs"), Dir: dir, Cloud: awscloud.New()})
	must(t, err)
	if r.Detail == nil || r.Summary.Status != toe.StatusSuccess {
		t.Fatalf("%+v %+v", r.Summary, r.Failure)
	}
	for name, want := range map[string]string{"one.txt": "A", "tree/a b.txt": "A", "tree/sub/c.txt": "C", "tree/ü.log": "U", "part/sub/c.txt": "C"} {
		if got, err := os.ReadFile(filepath.Join(dir, "out", name)); string(got) != want {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
	messages := map[string]string{}
	for _, s := range r.Detail.Documents[0].Phases[0].Steps {
		messages[s.Name] = s.FailureMessage
	}
	for step, want := range map[string]string{"NoKey": "NoSuchKey", "NoBucket": "NoSuchBucket", "NoPrefix": "no object lies below", "NoWrite": "NoSuchBucket"} {
		if !strings.Contains(messages[step], want) {
			t.Errorf("%s failed with %q, want %q", step, messages[step], want)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "out", "*none*")); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestServerRefusals(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	server.Bucket(t, "bucket")
	ctx := context.Background()
	must(t, at(server.Endpoint, s3test.SecretAccessKey).PutObject(ctx, "bucket", "k", "", strings.NewReader("x")))
	for _, tc := range []struct{ secret, owner, want string }{
		{"wrong", "", "SignatureDoesNotMatch"},
		{s3test.SecretAccessKey, "999999999999", "AccessDenied"},
	} {
		c := at(server.Endpoint, tc.secret)
		_, listErr := c.ListObjects(ctx, "bucket", "", tc.owner, 10)
		for what, err := range map[string]error{
			"get": c.GetObject(ctx, "bucket", "k", tc.owner, io.Discard), "put": c.PutObject(ctx, "bucket", "k", tc.owner, strings.NewReader("y")), "list": listErr,
		} {
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s with %+v: %v", what, tc, err)
			}
		}
	}
}

// TestServerMany: a listing of several pages ends where it is told to.
func TestServerMany(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	dir := filepath.Join(server.Folder, server.Bucket(t, "bucket"), "many")
	must(t, os.Mkdir(dir, 0o755))
	for i := range 1100 {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d", i)), nil, 0o600))
	}
	c := at(server.Endpoint, s3test.SecretAccessKey)
	for most, want := range map[int]int{1001: 1001, 2000: 1100, 7: 7} {
		keys, err := c.ListObjects(context.Background(), "bucket", "many/", "", most)
		if err != nil || len(keys) != want || keys[want-1] != fmt.Sprintf("many/%04d", want-1) {
			t.Errorf("at most %d: %d keys, %v", most, len(keys), err)
		}
	}
}

// cutter is a connection to the server that breaks off every answer to a GET
// after some bytes, as often as it is told to.
type cutter struct {
	*httptest.Server
	cuts, requests atomic.Int64
	after          int64
	onCut          func()
}

func newCutter(t *testing.T, endpoint string, after int64) *cutter {
	t.Helper()
	target, err := url.Parse(endpoint)
	must(t, err)
	c := &cutter{after: after, onCut: func() {}}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }, // the host is signed
		ModifyResponse: func(r *http.Response) error {
			c.requests.Add(1)
			if r.Request.Method == http.MethodGet && r.ContentLength > after && c.cuts.Add(-1) >= 0 {
				r.Body = &short{ReadCloser: r.Body, left: after}
			}
			return nil
		},
		ErrorLog:     log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil { // the proxy's way to say that an answer was not whole
				c.onCut()
				panic(http.ErrAbortHandler)
			}
		}()
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(c.Close)
	return c
}

type short struct {
	io.ReadCloser
	left int64
}

func (s *short) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, errors.New("cut")
	}
	n, err := s.ReadCloser.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	return n, err
}

// TestServerLarge: a file of 40 MiB goes up in parts, and comes down whole
// over a connection that breaks off again and again.
func TestServerLarge(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	server.Bucket(t, "bucket")
	content := make([]byte, 40<<20+1)
	_, err := rand.Read(content)
	must(t, err)
	ctx := context.Background()
	must(t, at(server.Endpoint, s3test.SecretAccessKey).PutObject(ctx, "bucket", "large", "", bytes.NewReader(content)))
	head, err := server.Client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("bucket"), Key: aws.String("large")})
	must(t, err)
	if !strings.HasSuffix(strings.Trim(aws.ToString(head.ETag), `"`), "-6") {
		t.Errorf("the ETag %s is not that of 6 parts", aws.ToString(head.ETag))
	}
	flaky := newCutter(t, server.Endpoint, 9<<20)
	flaky.cuts.Store(3)
	var got bytes.Buffer
	must(t, at(flaky.URL, s3test.SecretAccessKey).GetObject(ctx, "bucket", "large", "", &got))
	if !bytes.Equal(got.Bytes(), content) {
		t.Errorf("got %d bytes, and not those that were sent", got.Len())
	}
	if n := flaky.requests.Load(); n != 4 {
		t.Errorf("%d requests, want 4", n)
	}
}

// TestServerChanged: the rest of another version is never put behind the first
// half of one.
func TestServerChanged(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	server.Bucket(t, "bucket")
	ctx := context.Background()
	direct := at(server.Endpoint, s3test.SecretAccessKey)
	must(t, direct.PutObject(ctx, "bucket", "k", "", bytes.NewReader(bytes.Repeat([]byte("a"), 1<<20))))
	flaky := newCutter(t, server.Endpoint, 1<<19)
	flaky.cuts.Store(1)
	flaky.onCut = func() {
		_ = direct.PutObject(ctx, "bucket", "k", "", bytes.NewReader(bytes.Repeat([]byte("b"), 1<<20)))
	}
	var got bytes.Buffer
	err := at(flaky.URL, s3test.SecretAccessKey).GetObject(ctx, "bucket", "k", "", &got)
	if err == nil || !strings.Contains(err.Error(), "the object changed while it was being read") {
		t.Errorf("got %v", err)
	}
}

// TestNoProgress: a server whose answers break off before their first byte is
// given up.
func TestNoProgress(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	err := at(server.URL, s3test.SecretAccessKey).GetObject(context.Background(), "bucket", "k", "", io.Discard)
	if err == nil || !strings.Contains(err.Error(), "getting s3://bucket/k: the transfer broke off") || requests.Load() != 3 {
		t.Errorf("got %v after %d requests", err, requests.Load())
	}
}

// TestServerDiskFull: an error of writing is not tried again.
func TestServerDiskFull(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	server.Bucket(t, "bucket")
	ctx := context.Background()
	must(t, at(server.Endpoint, s3test.SecretAccessKey).PutObject(ctx, "bucket", "k", "", strings.NewReader("x")))
	full := errors.New("no space left on device")
	counted := newCutter(t, server.Endpoint, 1<<40)
	err := at(counted.URL, s3test.SecretAccessKey).GetObject(ctx, "bucket", "k", "", failing{full})
	if !errors.Is(err, full) || counted.requests.Load() != 1 {
		t.Errorf("got %v after %d requests", err, counted.requests.Load())
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
