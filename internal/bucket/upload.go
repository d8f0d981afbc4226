package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Large are buckets that take objects too long for memory, and go on with those
// that a process that died did not finish. Methods are safe for concurrent use.
type Large interface {
	// Upload stores what write writes under key, at most most bytes; nobody sees
	// the object before it is whole. write gives the same bytes each time: parts
	// that an earlier Upload of the key left are checked and not sent again. Two
	// of the same key must not go on at once.
	//
	// When it fails, the parts that were sent stay for the next Upload of the
	// key, or for Abandon. An error of write is returned as it is (wrapped).
	Upload(ctx context.Context, bucket, key string, most int64, write func(ctx context.Context, w io.Writer) error) (Uploaded, error)

	// Abandon removes what Uploads of a key that did not come to an end left. The
	// object itself, if there is one, stays.
	Abandon(ctx context.Context, bucket, key string) error
}

// Service is all that can be done with buckets.
type Service interface {
	Buckets
	Large
}

// Uploaded is what an Upload did.
type Uploaded struct {
	Bytes int64 // of the object
	Sent  int64 // of these, now; the rest was there
}

// errTooLong ends an Upload that writes more than it said.
var errTooLong = errors.New("the object is longer than was said")

// parter cuts a stream into parts of one size and hands each over. What use is
// given, it may keep: every part has memory of its own, taken from get.
type parter struct {
	size int
	get  func() ([]byte, error) // a buffer of that size
	use  func(number int32, part []byte) error

	part   []byte
	number int32
	left   int64
}

// Write implements io.Writer.
func (p *parter) Write(b []byte) (int, error) {
	if p.left -= int64(len(b)); p.left < 0 {
		return 0, errTooLong
	}
	for n := 0; n < len(b); {
		if p.part == nil {
			buf, err := p.get()
			if err != nil {
				return n, err
			}
			p.part = buf[:0]
		}
		took := min(len(b)-n, p.size-len(p.part))
		p.part = append(p.part, b[n:n+took]...)
		n += took
		if len(p.part) == p.size {
			if err := p.flush(); err != nil {
				return n, err
			}
		}
	}
	return len(b), nil
}

// flush hands the last part over; a stream without bytes has one empty part.
func (p *parter) flush() error {
	if len(p.part) == 0 && p.number > 0 {
		return nil
	}
	part := p.part
	p.part = nil
	p.number++
	return p.use(p.number, part)
}

// The parts of an upload (S3 User Guide, "Multipart upload limits").
const (
	leastPart = 8 << 20
	mostParts = 10_000
	mostPart  = 5 << 30
)

// partSize gives the bytes of a part for an object of at most most bytes. It is
// the same for the same object, whatever its length turns out to be.
func partSize(most int64) (int, error) {
	size := int64(leastPart)
	for size*(mostParts-1) < most {
		size *= 2
	}
	if size > mostPart {
		return 0, fmt.Errorf("an object of up to %d bytes is more than %d parts of 5 GiB", most, mostParts)
	}
	return int(size), nil
}
