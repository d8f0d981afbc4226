package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/goldsmith-build/goldsmith/internal/objects"
)

// s3Server is a real S3 server, versitygw.
type s3Server struct {
	url    string
	client *s3.Client
	sent   atomic.Int64 // bytes of the bodies of requests by client
}

// Do implements s3.HTTPClient, and counts.
func (s *s3Server) Do(req *http.Request) (*http.Response, error) {
	s.sent.Add(max(0, req.ContentLength))
	return http.DefaultClient.Do(req)
}

// startS3 starts the server over a folder.
func (b *bench) startS3() (*s3Server, func(), error) {
	const access, secret = "GOLDSMITHBENCHKEY", "goldsmith-bench-secret-key"
	program := os.Getenv("GOLDSMITH_VERSITYGW")
	if program == "" {
		program = "versitygw"
	}
	folder, side, iam := filepath.Join(b.tmp, "s3"), filepath.Join(b.tmp, "sidecar"), filepath.Join(b.tmp, "iam")
	for _, dir := range []string{folder, side, iam} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, nil, err
		}
	}
	address := "127.0.0.1:" + freePort()
	var said bytes.Buffer
	cmd := exec.Command(program, "--access", access, "--secret", secret, "--region", "us-east-1", "--port", address, "--iam-dir", iam, "--quiet", "posix", "--sidecar", side, folder)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("starting versitygw (script/setup test installs it): %w", err)
	}
	stop := func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	s := &s3Server{url: "http://" + address}
	s.client = s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: &s.url, UsePathStyle: true, HTTPClient: s, Credentials: credentials.NewStaticCredentialsProvider(access, secret, "")})
	os.Setenv("AWS_ACCESS_KEY_ID", access) // for aws s3 cp
	os.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	os.Setenv("AWS_DEFAULT_REGION", "us-east-1")
	var err error
	for range 100 {
		if _, err = s.client.ListBuckets(context.Background(), &s3.ListBucketsInput{}); err == nil {
			return s, stop, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	stop()
	return nil, nil, fmt.Errorf("versitygw does not answer: %w: %s", err, said.String())
}

// bucket makes one and opens it.
func (s *s3Server) bucket(name string) (objects.Store, error) {
	if _, err := s.client.CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		return nil, err
	}
	return objects.OpenS3(context.Background(), s.client, name, "")
}
