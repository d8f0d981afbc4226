package awscloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// transferTries is how often in a row a download may break off without having
// brought anything.
const transferTries = 3

// uploadPart is the size of the parts that large files are sent in, and
// uploadParallel how many are under way at once: together they bound memory.
const (
	uploadPart     = 8 << 20
	uploadParallel = 3
)

// GetObject implements toe.Cloud. A transfer that breaks off goes on where it
// was, with the same version of the object or not at all.
func (c *Cloud) GetObject(ctx context.Context, bucket, key, owner string, to io.Writer) error {
	client, err := c.s3(ctx)
	if err != nil {
		return err
	}
	d := &transfer{client: client, to: to, in: s3.GetObjectInput{Bucket: &bucket, Key: &key, ExpectedBucketOwner: optional(owner)}}
	for tries := 1; ; tries++ {
		before := d.done
		err := d.once(ctx)
		if err == nil {
			return nil
		}
		if d.done > before {
			tries = 1
		}
		var again *brokenOff
		if !errors.As(err, &again) || tries >= transferTries || ctx.Err() != nil {
			return fmt.Errorf("getting s3://%s/%s: %w", bucket, key, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(callPause << tries):
		}
	}
}

// transfer is a download under way.
type transfer struct {
	client *s3.Client
	in     s3.GetObjectInput
	to     io.Writer
	done   int64
}

// brokenOff is a failure in the middle of an object, which a later try may not
// have. What the client gives up on before has been tried again already.
type brokenOff struct{ err error }

func (e *brokenOff) Error() string { return "the transfer broke off: " + e.err.Error() }
func (e *brokenOff) Unwrap() error { return e.err }

func (d *transfer) once(ctx context.Context) error {
	if d.done > 0 {
		d.in.Range = aws.String(fmt.Sprintf("bytes=%d-", d.done))
	}
	out, err := d.client.GetObject(ctx, &d.in)
	if err != nil {
		var answer *awshttp.ResponseError
		if d.done > 0 && errors.As(err, &answer) && answer.HTTPStatusCode() == http.StatusPreconditionFailed {
			return errors.New("the object changed while it was being read")
		}
		return err
	}
	defer out.Body.Close()
	if d.done > 0 && out.ContentRange == nil {
		return errors.New("the transfer broke off, and the server cannot go on in the middle of an object")
	}
	d.in.IfMatch = out.ETag
	n, err := io.Copy(&writer{d.to}, out.Body)
	d.done += n
	var disk *writeError
	if err != nil && !errors.As(err, &disk) {
		return &brokenOff{err}
	}
	return err
}

// writer marks the errors of writing, which are none of the network.
type writer struct{ to io.Writer }

type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

func (w *writer) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if err != nil {
		err = &writeError{err}
	}
	return n, err
}

// PutObject implements toe.Cloud. Large files go in parts, and the parts of an
// upload that fails are taken back.
func (c *Cloud) PutObject(ctx context.Context, bucket, key, owner string, from io.ReadSeeker) error {
	client, err := c.s3(ctx)
	if err != nil {
		return err
	}
	up := transfermanager.New(client, func(o *transfermanager.Options) {
		o.PartSizeBytes, o.MultipartUploadThreshold, o.Concurrency = uploadPart, 2*uploadPart, uploadParallel
		o.FailTimeout = time.Minute
	})
	if _, err := up.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: &bucket, Key: &key, Body: from, ExpectedBucketOwner: optional(owner)}); err != nil {
		return fmt.Errorf("putting s3://%s/%s: %w", bucket, key, err)
	}
	return nil
}
