package imagebuilder

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/fault"
)

// Bucket reads objects of S3. Package bucket has it.
type Bucket interface {
	// Read gives an object's content. It gives an error if it is longer than
	// limit bytes, and one that is fs.ErrNotExist if there is no such object.
	Read(ctx context.Context, bucket, key string, limit int64) ([]byte, error)
}

// fetch reads the object that a member's s3:// address names.
func (s *Service) fetch(ctx context.Context, member, uri string, limit int64) ([]byte, error) {
	rest, ok := strings.CutPrefix(uri, "s3://")
	bucket, key, slash := strings.Cut(rest, "/")
	if !ok || !slash || key == "" {
		return nil, invalid(member, "Invalid S3 URI.")
	}
	if s.bucket == nil {
		return nil, invalid(member, "This server has no S3 to read '%s' from.", fault.Clip(uri))
	}
	data, err := s.bucket.Read(ctx, bucket, key, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, invalid(member, "The object '%s' does not exist.", fault.Clip(uri))
	}
	if err != nil {
		return nil, invalid(member, "The object '%s' cannot be used: %s.", fault.Clip(uri), fault.Clip(err.Error()))
	}
	return data, nil
}
