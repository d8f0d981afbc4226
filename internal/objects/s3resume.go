package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	// mostResumes is how often the reading of one object goes on after its body
	// broke off without a byte in between.
	mostResumes = 5
	// firstPause is the pause before the first of them; each next one is twice as
	// long, so that five take about six seconds.
	firstPause = 200 * time.Millisecond
	// resumeTime is how long after the last byte it is still tried: a service that
	// hangs has used up a minute by itself, and that is enough.
	resumeTime = 30 * time.Second
)

// resumed reads an object whose body may break off: it then asks for the rest of
// the same object. The client's own retries end with an answer's header.
type resumed struct {
	ctx   context.Context
	s     *S3
	key   string
	etag  *string
	size  int64 // bytes, -1 if the service did not say
	read  int64
	body  io.ReadCloser
	tries int
	last  time.Time // when there was something to read
}

// newResumed continues what an answer began.
func (s *S3) newResumed(ctx context.Context, key string, out *s3.GetObjectOutput) *resumed {
	r := &resumed{ctx: ctx, s: s, key: key, etag: out.ETag, size: -1, body: out.Body, last: time.Now()}
	if out.ContentLength != nil {
		r.size = *out.ContentLength
	}
	return r
}

func (r *resumed) Read(p []byte) (int, error) {
	for {
		n, err := r.body.Read(p)
		r.read += int64(n)
		short := errors.Is(err, io.EOF) && r.size >= 0 && r.read < r.size
		switch {
		case n > 0 && (err == nil || short || !errors.Is(err, io.EOF)):
			r.tries, r.last = 0, time.Now()
			return n, nil // an error comes again with the next read
		case err == nil || errors.Is(err, io.EOF) && !short:
			return n, err
		}
		if short {
			err = io.ErrUnexpectedEOF
		}
		if err := r.reopen(err); err != nil {
			return 0, err
		}
	}
}

// reopen asks for what is left, unless it has been tried too often.
func (r *resumed) reopen(cause error) error {
	for ; r.tries < mostResumes && time.Since(r.last) < resumeTime; r.tries++ {
		select {
		case <-r.ctx.Done():
			return fmt.Errorf("reading %s: %w", r.key, r.ctx.Err())
		case <-time.After(firstPause << r.tries):
		}
		name := r.s.prefix + r.key
		out, err := r.s.client.GetObject(r.ctx, &s3.GetObjectInput{Bucket: &r.s.bucket, Key: &name, Range: aws.String(fmt.Sprintf("bytes=%d-", r.read)), IfMatch: r.etag})
		if err != nil {
			cause = r.s.failed(r.ctx, "reading", r.key, err)
			continue
		}
		if r.read > 0 && out.ContentRange == nil { // a service without ranges began anew
			if _, err := io.CopyN(io.Discard, out.Body, r.read); err != nil {
				_ = out.Body.Close() // it broke off
				cause = err
				continue
			}
		}
		_ = r.body.Close() // it broke off
		r.body = out.Body
		r.tries++
		return nil
	}
	return fmt.Errorf("reading %s: it broke off after %d bytes, and %d attempts to go on failed: %w", r.key, r.read, r.tries, cause)
}

// Close ends the reading.
func (r *resumed) Close() error { return r.body.Close() }
