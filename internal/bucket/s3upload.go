package bucket

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

var _ Large = (*S3)(nil)

const (
	senders  = 3               // parts that are on their way at once
	partTime = 5 * time.Minute // for one part: a service that takes bytes too slowly has failed
)

// Upload is Large's Upload. Memory is that of five parts: 40 MiB for objects of
// up to 78 GiB. Every part goes with its SHA-256.
func (s *S3) Upload(ctx context.Context, bucket, key string, most int64, write func(ctx context.Context, w io.Writer) error) (Uploaded, error) {
	if err := checkKey(bucket, key); err != nil {
		return Uploaded{}, err
	}
	size, err := partSize(most)
	if err != nil {
		return Uploaded{}, fmt.Errorf("writing s3://%s/%s: %w", bucket, key, err)
	}
	u := &upload{s3: s, bucket: bucket, key: key, there: map[int32]types.Part{}}
	if err := u.begin(ctx); err != nil {
		if notThere(err) {
			err = errors.Join(errNoBucket, fs.ErrNotExist)
		}
		return Uploaded{}, failed("writing", bucket, key, err)
	}
	if err := u.sendAll(ctx, size, most, write); err != nil {
		return Uploaded{}, failed("writing", bucket, key, err)
	}
	if err := u.complete(ctx); err != nil {
		return Uploaded{}, failed("writing", bucket, key, err)
	}
	return Uploaded{Bytes: u.bytes, Sent: u.sent}, nil
}

// upload is one multipart upload.
type upload struct {
	s3          *S3
	bucket, key string
	id          string
	there       map[int32]types.Part // that an earlier attempt sent

	done        []types.CompletedPart
	bytes, sent int64
}

// begin finds the upload of an earlier attempt, or makes one. If there are
// several, the one with the most parts goes on and the others end.
func (u *upload) begin(ctx context.Context) error {
	ids, err := u.s3.unfinished(ctx, u.bucket, u.key)
	if err != nil {
		return err
	}
	for _, id := range ids {
		parts, err := u.list(ctx, id)
		if err != nil {
			return err
		}
		loser := id
		if u.id == "" || len(parts) > len(u.there) {
			loser, u.id, u.there = u.id, id, parts
		}
		if loser != "" {
			if err := u.s3.abort(ctx, u.bucket, u.key, loser); err != nil {
				return err
			}
		}
	}
	if u.id != "" {
		return nil
	}
	made, err := u.s3.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &u.bucket, Key: &u.key, ChecksumAlgorithm: types.ChecksumAlgorithmSha256, ContentType: ptr("application/octet-stream"),
	})
	if err == nil {
		u.id = *made.UploadId
	}
	return err
}

// unfinished gives the uploads of a key that were begun and not ended.
func (s *S3) unfinished(ctx context.Context, bucket, key string) ([]string, error) {
	var ids []string
	in := &s3.ListMultipartUploadsInput{Bucket: &bucket, Prefix: &key}
	for {
		out, err := s.client.ListMultipartUploads(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, u := range out.Uploads {
			if u.Key != nil && *u.Key == key && u.UploadId != nil {
				ids = append(ids, *u.UploadId)
			}
		}
		if out.IsTruncated == nil || !*out.IsTruncated || out.NextKeyMarker == nil {
			return ids, nil
		}
		in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
	}
}

// list gives the parts of an upload.
func (u *upload) list(ctx context.Context, id string) (map[int32]types.Part, error) {
	parts := map[int32]types.Part{}
	pages := s3.NewListPartsPaginator(u.s3.client, &s3.ListPartsInput{Bucket: &u.bucket, Key: &u.key, UploadId: &id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if notThere(err) {
			return parts, nil // it ended meanwhile
		}
		if err != nil {
			return nil, err
		}
		for _, p := range page.Parts {
			if p.PartNumber != nil {
				parts[*p.PartNumber] = p
			}
		}
	}
	return parts, nil
}

// sendAll cuts the stream into parts and sends those that are not there.
func (u *upload) sendAll(ctx context.Context, size int, most int64, write func(ctx context.Context, w io.Writer) error) error {
	group, ctx := errgroup.WithContext(ctx)
	type piece struct {
		number int32
		data   []byte
	}
	pieces, spare := make(chan piece), make(chan []byte, senders+2)
	for range cap(spare) {
		spare <- nil
	}
	results := make(chan types.CompletedPart, mostParts+1)
	sent := make(chan int64, mostParts+1)
	for range senders {
		group.Go(func() error {
			for p := range pieces {
				part, n, err := u.send(ctx, p.number, p.data)
				if err != nil {
					return fmt.Errorf("part %d: %w", p.number, err)
				}
				results <- part
				sent <- n
				select {
				case spare <- p.data:
				default: // the part of an empty object comes from nowhere
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(pieces)
		p := &parter{size: size, left: most, get: func() ([]byte, error) {
			select {
			case buf := <-spare:
				if buf == nil {
					buf = make([]byte, size)
				}
				return buf, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}
		p.use = func(number int32, data []byte) error {
			u.bytes += int64(len(data))
			select {
			case pieces <- piece{number, data}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := write(ctx, p); err != nil {
			return err
		}
		return p.flush()
	})
	if err := group.Wait(); err != nil {
		return err
	}
	close(results)
	close(sent)
	for part := range results {
		u.done = append(u.done, part)
	}
	for n := range sent {
		u.sent += n
	}
	slices.SortFunc(u.done, func(a, b types.CompletedPart) int { return cmp.Compare(*a.PartNumber, *b.PartNumber) })
	return nil
}

// send sends a part, unless the service has it already.
func (u *upload) send(ctx context.Context, number int32, data []byte) (types.CompletedPart, int64, error) {
	sum := sha256.Sum256(data)
	checksum := base64.StdEncoding.EncodeToString(sum[:])
	if old, ok := u.there[number]; ok && samePart(old, data, checksum) {
		return types.CompletedPart{PartNumber: &number, ETag: old.ETag, ChecksumSHA256: old.ChecksumSHA256}, 0, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, partTime, fmt.Errorf("%d bytes were not taken within %s", len(data), partTime))
	defer cancel()
	out, err := u.s3.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &u.bucket, Key: &u.key, UploadId: &u.id, PartNumber: &number, Body: bytes.NewReader(data), ChecksumSHA256: &checksum,
	})
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = errors.Join(cause, err)
		}
		return types.CompletedPart{}, 0, err
	}
	return types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumSHA256: out.ChecksumSHA256}, int64(len(data)), nil
}

// samePart compares a part that is there with what it should be: by its SHA-256
// where the service keeps that, else by its MD5.
func samePart(old types.Part, data []byte, checksum string) bool {
	switch {
	case old.Size == nil || *old.Size != int64(len(data)) || old.ETag == nil:
		return false
	case old.ChecksumSHA256 != nil:
		return *old.ChecksumSHA256 == checksum
	}
	sum := md5.Sum(data)
	return strings.Trim(*old.ETag, `"`) == hex.EncodeToString(sum[:])
}

// complete makes the object of the parts.
func (u *upload) complete(ctx context.Context) error {
	_, err := u.s3.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &u.bucket, Key: &u.key, UploadId: &u.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: u.done},
	})
	return err
}

func (s *S3) abort(ctx context.Context, bucket, key, id string) error {
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: &id})
	if notThere(err) {
		return nil
	}
	return err
}

// Abandon is Large's Abandon.
func (s *S3) Abandon(ctx context.Context, bucket, key string) error {
	if err := checkKey(bucket, key); err != nil {
		return err
	}
	ids, err := s.unfinished(ctx, bucket, key)
	if notThere(err) {
		return nil // with the bucket
	}
	for _, id := range ids {
		err = errors.Join(err, s.abort(ctx, bucket, key, id))
	}
	if err != nil {
		return failed("removing what is left of", bucket, key, err)
	}
	return nil
}

// notThere reports whether the service says that there is no such thing.
func notThere(err error) bool {
	var response *awshttp.ResponseError
	return errors.As(err, &response) && response.HTTPStatusCode() == http.StatusNotFound
}

func ptr[T any](v T) *T { return &v }
