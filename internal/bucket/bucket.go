package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/fault"
)

// Buckets are all the buckets that can be reached. Methods are safe for
// concurrent use.
type Buckets interface {
	// Read gives an object's content. It is an error if it is longer than limit
	// bytes, and one that is fs.ErrNotExist if there is no such object or
	// bucket.
	Read(ctx context.Context, bucket, key string, limit int64) ([]byte, error)

	// Write stores all of body under key, replacing what was there: whoever
	// reads sees the old object or the whole new one. An attempt that fails
	// leaves the old object.
	Write(ctx context.Context, bucket, key string, body io.Reader) error
}

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// ValidName refuses what S3 does not allow as the name of a bucket (S3 User
// Guide, "Bucket naming rules"). The Image Builder API itself allows any text.
func ValidName(bucket string) error {
	if !validName.MatchString(bucket) || strings.Contains(bucket, "..") {
		return fmt.Errorf("%q is not the name of a bucket", fault.Clip(bucket))
	}
	return nil
}

// readAll reads at most limit bytes.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("it is longer than %d bytes", limit)
	}
	return data, err
}

// errNoBucket is for a write to a bucket that the service does not have.
var errNoBucket = errors.New("there is no such bucket")
