package awscloud

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) {
	callPause = time.Millisecond
	os.Exit(m.Run())
}

// server speaks as much of S3, SSM and Image Builder as the tests need, to
// requests that bear a signature.
type server struct {
	mu       sync.Mutex
	objects  map[string]string // by bucket/key
	failures int               // how many requests to fail first
	requests []string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	auth := r.Header.Get("Authorization")
	switch {
	case !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=AKID/"):
		w.WriteHeader(http.StatusForbidden)
	case s.failures > 0:
		s.failures--
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.Header.Get("X-Amz-Target") == "AmazonSSM.GetParameter" && strings.Contains(auth, "/eu-west-1/ssm/"):
		s.parameter(w, r)
	case r.URL.Path == "/GetComponent" && strings.Contains(auth, "/us-west-2/imagebuilder/"):
		if arn := r.URL.Query().Get("componentBuildVersionArn"); !strings.HasSuffix(arn, "/1.0.0/1") {
			w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException:http://internal")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprintf(w, `{"message":"no %s"}`, arn)
			return
		}
		fmt.Fprint(w, `{"component":{"data":"schemaVersion: 1.0"}}`)
	default:
		s.bucket(w, r)
	}
}

func (s *server) parameter(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	switch {
	case strings.Contains(string(body), `"/plain"`):
		fmt.Fprint(w, `{"Parameter":{"Type":"String","Value":"open"}}`)
	case strings.Contains(string(body), `"/secret"`) && strings.Contains(string(body), `"WithDecryption":true`):
		fmt.Fprint(w, `{"Parameter":{"Type":"SecureString","Value":"hush"}}`)
	default:
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"com.amazonaws.ssm#ParameterNotFound"}`)
	}
}

func (s *server) bucket(w http.ResponseWriter, r *http.Request) {
	if owner := r.Header.Get("X-Amz-Expected-Bucket-Owner"); owner != "" && owner != "123456789012" {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<Error><Code>AccessDenied</Code></Error>`)
		return
	}
	key := strings.TrimPrefix(r.URL.Path, "/")
	switch {
	case r.Method == http.MethodPut:
		b, _ := io.ReadAll(r.Body)
		s.objects[key] = string(b)
	case r.URL.Query().Get("list-type") == "2":
		s.list(w, key, r.URL.Query().Get("prefix"), r.URL.Query().Get("continuation-token"))
	default:
		content, ok := s.objects[key]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>`)
			return
		}
		fmt.Fprint(w, content)
	}
}

// list gives two keys a page.
func (s *server) list(w io.Writer, bucket, prefix, after string) {
	var keys []string
	for name := range s.objects {
		if key, ok := strings.CutPrefix(name, bucket+"/"); ok && strings.HasPrefix(key, prefix) && key > after {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	const page = 2
	fmt.Fprintf(w, `<ListBucketResult><IsTruncated>%t</IsTruncated>`, len(keys) > page)
	keys = keys[:min(len(keys), page)]
	for _, key := range keys {
		fmt.Fprintf(w, `<Contents><Key>%s</Key></Contents>`, key)
	}
	if len(keys) == page {
		fmt.Fprintf(w, `<NextContinuationToken>%s</NextContinuationToken>`, keys[page-1])
	}
	fmt.Fprint(w, `</ListBucketResult>`)
}

func newCloud(t *testing.T) (*Cloud, *server) {
	t.Helper()
	s := &server{objects: map[string]string{"b/dir/a": "A", "b/dir/b": "B", "b/dir/c/d": "D", "b/other": "O"}}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return NewFrom(func(context.Context) (aws.Config, error) {
		return aws.Config{
			Region: "eu-west-1", BaseEndpoint: &h.URL, HTTPClient: h.Client(),
			Credentials: credentials.NewStaticCredentialsProvider("AKID", "SECRET", ""),
		}, nil
	}), s
}

func TestObjects(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, s := newCloud(t)
	var got bytes.Buffer
	if err := c.GetObject(ctx, "b", "dir/a", "123456789012", &got); err != nil || got.String() != "A" {
		t.Errorf("got %q, %v", got.String(), err)
	}
	for most, want := range map[int][]string{10: {"dir/a", "dir/b", "dir/c/d"}, 2: {"dir/a", "dir/b"}, 1: {"dir/a"}} {
		keys, err := c.ListObjects(ctx, "b", "dir/", "", most)
		if diff := cmp.Diff(want, keys); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	}
	if err := c.PutObject(ctx, "b", "new/key", "", strings.NewReader("content")); err != nil || !strings.Contains(s.objects["b/new/key"], "content") {
		t.Errorf("put %q, %v", s.objects["b/new/key"], err)
	}
	if err := c.GetObject(ctx, "b", "missing", "", io.Discard); err == nil || !strings.Contains(err.Error(), "getting s3://b/missing: ") || !strings.Contains(err.Error(), "NoSuchKey") {
		t.Errorf("got %v", err)
	}
	if err := c.GetObject(ctx, "b", "dir/a", "999999999999", io.Discard); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("a bucket of another account was read: %v", err)
	}
}

func TestParameter(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, s := newCloud(t)
	s.failures = callTries - 1
	if value, secret, err := c.Parameter(ctx, "/plain"); value != "open" || secret || err != nil {
		t.Errorf("got %q, %v, %v", value, secret, err)
	}
	if value, secret, err := c.Parameter(ctx, "/secret"); value != "hush" || !secret || err != nil {
		t.Errorf("got %q, %v, %v", value, secret, err)
	}
	before := len(s.requests)
	if _, _, err := c.Parameter(ctx, "/missing"); err == nil || err.Error() != "getting the parameter /missing: ParameterNotFound" || len(s.requests) != before+1 {
		t.Errorf("got %v after %d requests", err, len(s.requests)-before)
	}
	s.failures = callTries
	if _, _, err := c.Parameter(ctx, "/plain"); err == nil || err.Error() != "getting the parameter /plain: 503 Service Unavailable" {
		t.Errorf("got %v", err)
	}
}

func TestComponent(t *testing.T) {
	t.Parallel()
	c, _ := newCloud(t)
	const arn = "arn:aws:imagebuilder:us-west-2:123456789012:component/nginx/1.0.0/"
	if data, err := c.Component(context.Background(), arn+"1"); string(data) != "schemaVersion: 1.0" || err != nil {
		t.Errorf("got %q, %v", data, err)
	}
	want := "getting the component " + arn + "2: ResourceNotFoundException: no " + arn + "2"
	if _, err := c.Component(context.Background(), arn+"2"); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestConfigurationFailure(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	c := NewFrom(func(context.Context) (aws.Config, error) { return aws.Config{}, boom })
	if _, _, err := c.Parameter(context.Background(), "/x"); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	if err := c.GetObject(context.Background(), "b", "k", "", io.Discard); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
}
