package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// S3 is a Store in a bucket of Amazon S3 or of a service that speaks its API.
// Several servers may share it. It relies on what S3 promises since 2020: a
// read after a write sees the write, and so does a list.
//
// An object's time of change cannot be renewed here without its bytes: a copy
// onto itself does that with Amazon, and not with every other service.
type S3 struct {
	client   *s3.Client
	uploader *transfermanager.Client
	bucket   string
	prefix   string // "" or ends with "/"
}

var _ Store = (*S3)(nil)

// OpenS3 gives the store of the objects below prefix ("" for all) in a bucket,
// and makes sure that the bucket can be used.
func OpenS3(ctx context.Context, client *s3.Client, bucket, prefix string) (*S3, error) {
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		if err := ValidKey(prefix); err != nil {
			return nil, fmt.Errorf("prefix of the objects: %w", err)
		}
		prefix += "/"
	}
	if _, err := client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &bucket}); err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", bucket, err)
	}
	// A conflict with what another server does in the same folder is over soon.
	client = s3.New(client.Options(), func(o *s3.Options) {
		o.Retryer = retry.AddWithErrorCodes(o.Retryer, "OperationAborted", "ExistingObjectIsDirectory")
	})
	return &S3{client: client, uploader: NewUploader(client), bucket: bucket, prefix: prefix}, nil
}

// NewUploader gives an uploader whose memory stays small: bodies of up to 8 MiB
// go in one request, longer ones in parts of that size, two at a time. What it
// has begun and cannot finish, it takes back.
func NewUploader(client *s3.Client) *transfermanager.Client {
	return transfermanager.New(client, func(o *transfermanager.Options) {
		o.PartSizeBytes, o.MultipartUploadThreshold, o.Concurrency = 8<<20, 8<<20, 2
		o.FailTimeout = 30 * time.Second
	})
}

// Put is Store's Put. The service makes an object appear whole or not at all.
func (s *S3) Put(ctx context.Context, key string, body io.Reader) error {
	if err := ValidKey(key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	name := s.prefix + key
	_, err := s.uploader.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: &s.bucket, Key: &name, Body: contextReader{ctx, body}})
	if err != nil {
		return s.failed(ctx, "writing", key, err)
	}
	return nil
}

// Get is Store's Get.
func (s *S3) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := ValidKey(key); err != nil {
		return nil, err
	}
	name := s.prefix + key
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &name})
	if err != nil {
		return nil, s.failed(ctx, "reading", key, err)
	}
	return s.newResumed(ctx, key, out), nil
}

// Stat is Store's Stat.
func (s *S3) Stat(ctx context.Context, key string) (Info, error) {
	if err := ValidKey(key); err != nil {
		return Info{}, err
	}
	name := s.prefix + key
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: &name})
	if err != nil {
		return Info{}, s.failed(ctx, "looking at", key, err)
	}
	return Info{Key: key, Size: aws.ToInt64(out.ContentLength), Modified: aws.ToTime(out.LastModified)}, nil
}

// Delete is Store's Delete.
func (s *S3) Delete(ctx context.Context, key string) error {
	if err := ValidKey(key); err != nil {
		return err
	}
	name := s.prefix + key
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &name})
	if err = s.failed(ctx, "deleting", key, err); errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// List is Store's List.
func (s *S3) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		name := s.prefix + prefix
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &name})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Info{}, s.failed(ctx, "listing", prefix, err))
				return
			}
			for _, o := range page.Contents {
				key := strings.TrimPrefix(aws.ToString(o.Key), s.prefix)
				if ValidKey(key) != nil {
					continue // somebody else's, such as a folder's marker
				}
				if !yield(Info{Key: key, Size: aws.ToInt64(o.Size), Modified: aws.ToTime(o.LastModified)}, nil) {
					return
				}
			}
		}
	}
}

// failed says what was being done, and whether the object was missing.
func (s *S3) failed(ctx context.Context, doing, key string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s object %s: %w", doing, key, ctx.Err())
	}
	var response *awshttp.ResponseError
	var bucket *types.NoSuchBucket
	if errors.As(err, &response) && response.HTTPStatusCode() == http.StatusNotFound && !errors.As(err, &bucket) {
		return fmt.Errorf("%s object %s: %w", doing, key, ErrNotFound)
	}
	return fmt.Errorf("%s object %s in bucket %s: %w", doing, key, s.bucket, err)
}
