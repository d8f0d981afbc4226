package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

var _ Large = Folder("")

// Upload is Large's Upload. The file has holes where the object is zero. What an
// upload that died left is written over.
func (f Folder) Upload(ctx context.Context, bucket, key string, most int64, write func(ctx context.Context, w io.Writer) error) (Uploaded, error) {
	if err := checkFile(bucket, key); err != nil {
		return Uploaded{}, err
	}
	dir := filepath.Join(string(f), bucket)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Uploaded{}, fmt.Errorf("making bucket %s: %w", bucket, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Uploaded{}, fmt.Errorf("opening bucket %s: %w", bucket, err)
	}
	defer root.Close()
	n, err := uploadFile(ctx, root, key, most, write)
	if err != nil {
		return Uploaded{}, fmt.Errorf("writing s3://%s/%s: %w", bucket, key, err)
	}
	return Uploaded{Bytes: n, Sent: n}, nil
}

// partial names the file of an upload that is under way: one for each key.
func partial(key string) string { return path.Join(path.Dir(key), ".uploading-"+path.Base(key)) }

func uploadFile(ctx context.Context, root *os.Root, key string, most int64, write func(ctx context.Context, w io.Writer) error) (n int64, err error) {
	if err := root.MkdirAll(path.Dir(key), 0o700); err != nil {
		return 0, err
	}
	file, err := root.OpenFile(partial(key), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	w := &sparseWriter{ctx: ctx, file: file, most: most}
	err = write(ctx, w)
	if err == nil {
		err = file.Truncate(w.at)
	}
	if err == nil {
		err = file.Sync() // the record that the object is there outlives a power cut
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return 0, err
	}
	return w.at, root.Rename(partial(key), key)
}

// sparseWriter leaves holes where the stream is zero.
type sparseWriter struct {
	ctx  context.Context
	file *os.File
	at   int64
	most int64
}

const page = 64 << 10

var zeroPage [page]byte

// Write implements io.Writer.
func (w *sparseWriter) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	if w.at+int64(len(b)) > w.most {
		return 0, errTooLong
	}
	for n := 0; n < len(b); {
		part := b[n:min(len(b), n+page)]
		if !bytes.Equal(part, zeroPage[:len(part)]) {
			if _, err := w.file.WriteAt(part, w.at); err != nil {
				return n, err
			}
		}
		n, w.at = n+len(part), w.at+int64(len(part))
	}
	return len(b), nil
}

// Abandon is Large's Abandon.
func (f Folder) Abandon(_ context.Context, bucket, key string) error {
	if err := checkFile(bucket, key); err != nil {
		return err
	}
	root, err := os.OpenRoot(filepath.Join(string(f), bucket))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening bucket %s: %w", bucket, err)
	}
	defer root.Close()
	if err := root.Remove(partial(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing what is left of s3://%s/%s: %w", bucket, key, err)
	}
	return nil
}
