package toe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/toe/action"
)

// Fetch reads a document from a path, an s3:// URL or the ARN of a component.
// owner is the account that must own the bucket, "" for any. A document that is
// too large is cut where Parse notices.
func Fetch(ctx context.Context, cloud Cloud, location, owner string) ([]byte, error) {
	switch {
	case strings.HasPrefix(location, "s3://"):
		return fetchObject(ctx, cloud, location, owner)
	case strings.HasPrefix(location, "arn:"):
		if cloud == nil {
			return nil, fmt.Errorf("reading the document %s: %w", location, action.ErrNoCloud)
		}
		return cloud.Component(ctx, location)
	}
	return readFile(location)
}

func fetchObject(ctx context.Context, cloud Cloud, location, owner string) ([]byte, error) {
	bucket, key, err := action.SplitS3(location)
	if err == nil && cloud == nil {
		err = action.ErrNoCloud
	}
	if err != nil {
		return nil, fmt.Errorf("reading the document %s: %w", location, err)
	}
	w := &limited{most: MaxDocumentBytes + 1}
	if err := cloud.GetObject(ctx, bucket, key, owner, w); err != nil && !errors.Is(err, errFull) {
		return nil, err
	}
	return w.buffer.Bytes(), nil
}

// limited is a buffer that takes only so much. The buffer is not embedded: its
// other methods would be ways around the limit.
type limited struct {
	buffer bytes.Buffer
	most   int
}

var errFull = errors.New("the document is too large")

func (l *limited) Write(p []byte) (int, error) {
	if room := l.most - l.buffer.Len(); len(p) > room {
		n, _ := l.buffer.Write(p[:room])
		return n, errFull
	}
	return l.buffer.Write(p)
}

// readFile reads a file that is no larger than a document may be. Pipes are
// read too: "toe validate -d /dev/stdin".
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxDocumentBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	return data, nil
}

// uploadTime bounds the upload of the logs, also of a run that was stopped.
const uploadTime = 2 * time.Minute

// upload puts the files of the log folder into the bucket and gives their
// common URL. The run's result is what it was, whether that succeeds or not.
func (x *executor) upload() string {
	ctx, cancel := context.WithTimeout(context.Background(), uploadTime)
	defer cancel()
	prefix := strings.Trim(strings.Trim(x.o.LogPrefix, "/")+"/"+strings.Trim(x.id, "/"), "/")
	entries, err := os.ReadDir(x.logs.dir)
	for i := 0; err == nil && i < len(entries); i++ {
		err = x.uploadFile(ctx, prefix, entries[i].Name())
	}
	if err != nil {
		x.o.Log.Warn("the logs were not uploaded", "error", err)
		return x.logs.dir
	}
	return "s3://" + x.o.LogBucket + "/" + prefix
}

func (x *executor) uploadFile(ctx context.Context, prefix, name string) error {
	root, err := os.OpenRoot(x.logs.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return x.o.Cloud.PutObject(ctx, x.o.LogBucket, prefix+"/"+name, x.o.LogBucketOwner, f)
}
