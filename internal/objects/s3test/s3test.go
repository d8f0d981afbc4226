// Package s3test runs a real S3 server for tests: versitygw over a folder.
package s3test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Access key of the server.
const (
	AccessKeyID     = "GOLDSMITHTESTKEY"
	SecretAccessKey = "goldsmith-test-secret-key"
	Region          = "us-east-1"
)

// Server is a running S3 server.
type Server struct {
	Endpoint string // http://127.0.0.1:PORT
	Client   *s3.Client
	Folder   string // the buckets are folders in it
}

// Program finds versitygw: GOLDSMITH_VERSITYGW, or on the PATH, or where "go
// install" puts programs. It skips the test where there is none.
func Program(t testing.TB) string {
	t.Helper()
	if name := os.Getenv("GOLDSMITH_VERSITYGW"); name != "" {
		return name
	}
	if name, err := exec.LookPath("versitygw"); err == nil {
		return name
	}
	t.Skip("versitygw is not installed (script/setup test does it): no S3 server to test against")
	return ""
}

// Start runs a server until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	program := Program(t)
	s := &Server{Folder: t.TempDir()}
	var output bytes.Buffer
	for range 3 { // another process may take the port that was free
		port := freePort(t)
		s.Endpoint = fmt.Sprintf("http://127.0.0.1:%d", port)
		// The context is not the test's: that ends before clean-up, and the
		// server is needed for as long as anything of the test lives.
		cmd := exec.Command(program, "--access", AccessKeyID, "--secret", SecretAccessKey, "--region", Region,
			"--port", fmt.Sprintf("127.0.0.1:%d", port), "--iam-dir", t.TempDir(), "--quiet", "posix", "--sidecar", sidecar(t), s.Folder)
		cmd.Stdout, cmd.Stderr = &output, &output
		if err := cmd.Start(); err != nil {
			t.Fatalf("starting versitygw: %v", err)
		}
		gone := make(chan struct{})
		go func() { _ = cmd.Wait(); close(gone) }()
		t.Cleanup(func() { _ = cmd.Process.Kill(); <-gone })
		s.Client = s3.New(s3.Options{
			Region: Region, BaseEndpoint: &s.Endpoint, UsePathStyle: true,
			Credentials: credentials.NewStaticCredentialsProvider(AccessKeyID, SecretAccessKey, ""),
		})
		if s.answers(t.Context(), gone) == nil {
			return s
		}
	}
	t.Fatalf("versitygw does not answer:\n%s", output.String())
	return nil
}

// sidecar is where the server keeps metadata: not every file system has
// extended attributes.
func sidecar(t testing.TB) string {
	dir := filepath.Join(t.TempDir(), "sidecar")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Bucket makes a bucket.
func (s *Server) Bucket(t testing.TB, name string) string {
	t.Helper()
	if _, err := s.Client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
		t.Fatalf("making bucket %s: %v", name, err)
	}
	return name
}

// answers waits until the server lists its buckets.
func (s *Server) answers(ctx context.Context, gone <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		_, err := s.Client.ListBuckets(ctx, &s3.ListBucketsInput{})
		if err == nil {
			return nil
		}
		select {
		case <-gone:
			return errors.New("it ended")
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
