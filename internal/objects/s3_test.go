package objects_test

import (
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/goldsmith-build/goldsmith/internal/objects"
	"github.com/goldsmith-build/goldsmith/internal/objects/objectstest"
	"github.com/goldsmith-build/goldsmith/internal/objects/s3test"
)

func TestS3(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	var count atomic.Int64
	for _, prefix := range []string{"", "of/ours"} {
		t.Run("prefix "+prefix, func(t *testing.T) {
			objectstest.Suite(t, func(t *testing.T) objects.Store {
				bucket := server.Bucket(t, fmt.Sprintf("store-%d", count.Add(1)))
				s, err := objects.OpenS3(t.Context(), server.Client, bucket, prefix)
				if err != nil {
					t.Fatal(err)
				}
				return s
			})
		})
	}
}

// TestS3Large puts an object of several parts, and looks that one that fails
// half way leaves no parts behind.
func TestS3Large(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	bucket := server.Bucket(t, "large")
	s, err := objects.OpenS3(t.Context(), server.Client, bucket, "")
	if err != nil {
		t.Fatal(err)
	}
	const size = 20<<20 + 17
	if err := s.Put(t.Context(), "a/large", io.LimitReader(pattern{}, size)); err != nil {
		t.Fatal(err)
	}
	if info, err := s.Stat(t.Context(), "a/large"); err != nil || info.Size != size {
		t.Errorf("Stat: %+v, %v", info, err)
	}
	failing := io.MultiReader(io.LimitReader(pattern{}, size), failedReader{})
	if err := s.Put(t.Context(), "a/failed", failing); err == nil {
		t.Error("a body that fails was accepted")
	}
	left, err := server.Client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range left.Uploads {
		t.Errorf("an upload was left behind: %s", aws.ToString(u.Key))
	}
	if _, err := s.Stat(t.Context(), "a/failed"); err == nil {
		t.Error("half an object is there")
	}
}

func TestS3WithoutBucket(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	if _, err := objects.OpenS3(t.Context(), server.Client, "not-there", ""); err == nil {
		t.Error("a store in a bucket that is not there was opened")
	}
	if _, err := objects.OpenS3(t.Context(), server.Client, server.Bucket(t, "there"), "../x"); err == nil {
		t.Error("a prefix that is no key was accepted")
	}
}

type pattern struct{}

func (pattern) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i * 7)
	}
	return len(p), nil
}

type failedReader struct{}

func (failedReader) Read([]byte) (int, error) { return 0, fmt.Errorf("the disk is broken") }
