package imagebuilder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Bucket reads objects of S3.
type Bucket interface {
	// Read gives an object's content. It gives an error if it is longer than
	// limit bytes, and one that is fs.ErrNotExist if there is no such object.
	Read(ctx context.Context, bucket, key string, limit int64) ([]byte, error)
}

// Folder is the stand-in for S3: bucket B is the folder B in it, and the slashes
// of keys are folders. Nothing outside it can be read, whatever links are in it.
type Folder string

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// Read gives the content of the file.
func (f Folder) Read(_ context.Context, bucket, key string, limit int64) ([]byte, error) {
	if !bucketName.MatchString(bucket) || strings.Contains(bucket, "..") {
		return nil, fmt.Errorf("%q is not the name of a bucket", clip(bucket))
	}
	if key == "" || !filepath.IsLocal(key) || strings.ContainsAny(key, "\x00\\") {
		return nil, fmt.Errorf("%q is not a key that a folder can hold", clip(key))
	}
	root, err := os.OpenRoot(filepath.Join(string(f), bucket))
	if err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", bucket, err)
	}
	defer root.Close()
	info, err := root.Stat(key)
	if err != nil {
		return nil, fmt.Errorf("reading s3://%s/%s: %w", bucket, key, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("reading s3://%s/%s: %w", bucket, key, fs.ErrNotExist)
	}
	file, err := root.Open(key)
	if err != nil {
		return nil, fmt.Errorf("reading s3://%s/%s: %w", bucket, key, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading s3://%s/%s: %w", bucket, key, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("s3://%s/%s is longer than %d bytes", bucket, key, limit)
	}
	return data, nil
}

// fetch reads the object that a member's s3:// address names.
func (s *Service) fetch(ctx context.Context, member, uri string, limit int64) ([]byte, error) {
	rest, ok := strings.CutPrefix(uri, "s3://")
	bucket, key, slash := strings.Cut(rest, "/")
	if !ok || !slash || key == "" {
		return nil, invalid(member, "Invalid S3 URI.")
	}
	if s.bucket == nil {
		return nil, invalid(member, "This server has no S3 to read '%s' from.", clip(uri))
	}
	data, err := s.bucket.Read(ctx, bucket, key, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, invalid(member, "The object '%s' does not exist.", clip(uri))
	}
	if err != nil {
		return nil, invalid(member, "The object '%s' cannot be used: %s.", clip(uri), clip(err.Error()))
	}
	return data, nil
}
