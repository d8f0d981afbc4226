package bucket

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/objects"
)

// Folder is the stand-in for S3: bucket B is the folder B in it, and the slashes
// of keys are folders. Nothing outside a bucket can be read or written, whatever
// links are in it. Writing makes the bucket.
type Folder string

var _ Buckets = Folder("")

// Read is Buckets' Read.
func (f Folder) Read(_ context.Context, bucket, key string, limit int64) ([]byte, error) {
	if err := checkFile(bucket, key); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(filepath.Join(string(f), bucket))
	if err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", bucket, err)
	}
	defer root.Close()
	data, err := readFile(root, key, limit)
	if err != nil {
		return nil, fmt.Errorf("reading s3://%s/%s: %w", bucket, key, err)
	}
	return data, nil
}

func readFile(root *os.Root, key string, limit int64) ([]byte, error) {
	info, err := root.Stat(key)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	file, err := root.Open(key)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readAll(file, limit)
}

// Write is Buckets' Write.
func (f Folder) Write(ctx context.Context, bucket, key string, body io.Reader) error {
	if err := checkFile(bucket, key); err != nil {
		return err
	}
	dir := filepath.Join(string(f), bucket)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making bucket %s: %w", bucket, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("opening bucket %s: %w", bucket, err)
	}
	defer root.Close()
	if err := writeFile(ctx, root, key, body); err != nil {
		return fmt.Errorf("writing s3://%s/%s: %w", bucket, key, err)
	}
	return nil
}

func writeFile(ctx context.Context, root *os.Root, key string, body io.Reader) (err error) {
	if err := root.MkdirAll(path.Dir(key), 0o700); err != nil {
		return err
	}
	temporary := path.Join(path.Dir(key), ".writing-"+rand.Text())
	file, err := root.OpenFile(temporary, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, root.Remove(temporary))
		}
	}()
	_, err = io.Copy(file, objects.WithContext(ctx, body))
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return root.Rename(temporary, key)
}

// checkFile refuses buckets and keys that a folder cannot hold.
func checkFile(bucket, key string) error {
	if err := ValidName(bucket); err != nil {
		return err
	}
	if key == "" || !filepath.IsLocal(key) || strings.ContainsAny(key, "\x00\\") || strings.HasSuffix(key, "/") {
		return fmt.Errorf("%q is not a key that a folder can hold", fault.Clip(key))
	}
	return nil
}
