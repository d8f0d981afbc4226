package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/objects"
)

// S3 is a service that speaks the API of Amazon S3. Buckets are not made: they
// have owners there.
type S3 struct {
	client   *s3.Client
	uploader *transfermanager.Client
}

var _ Buckets = (*S3)(nil)

// NewS3 gives the buckets that a client reaches.
func NewS3(client *s3.Client) *S3 {
	return &S3{client: client, uploader: objects.NewUploader(client)}
}

// Read is Buckets' Read.
func (s *S3) Read(ctx context.Context, bucket, key string, limit int64) ([]byte, error) {
	if err := checkKey(bucket, key); err != nil {
		return nil, err
	}
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, failed("reading", bucket, key, err)
	}
	defer out.Body.Close()
	data, err := readAll(out.Body, limit)
	if err != nil {
		return nil, fmt.Errorf("reading s3://%s/%s: %w", bucket, key, err)
	}
	return data, nil
}

// Write is Buckets' Write. A body of more than 8 MiB goes in parts; memory does
// not grow with it.
func (s *S3) Write(ctx context.Context, bucket, key string, body io.Reader) error {
	if err := checkKey(bucket, key); err != nil {
		return err
	}
	_, err := s.uploader.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: &bucket, Key: &key, Body: objects.WithContext(ctx, body)})
	if err != nil {
		return failed("writing", bucket, key, err)
	}
	return nil
}

// checkKey refuses what the service would refuse less clearly.
func checkKey(bucket, key string) error {
	if err := ValidName(bucket); err != nil {
		return err
	}
	if key == "" || len(key) > 1024 {
		return fmt.Errorf("%q is not the key of an object: it has %d bytes, allowed are 1 to 1024", fault.Clip(key), len(key))
	}
	return nil
}

// failed tells what is not there from what did not work.
func failed(doing, bucket, key string, err error) error {
	var none *types.NoSuchBucket
	if errors.As(err, &none) {
		err = errors.Join(errNoBucket, fs.ErrNotExist)
	} else if response := (*awshttp.ResponseError)(nil); errors.As(err, &response) && response.HTTPStatusCode() == http.StatusNotFound {
		err = fs.ErrNotExist
	}
	return fmt.Errorf("%s s3://%s/%s: %w", doing, bucket, key, err)
}
