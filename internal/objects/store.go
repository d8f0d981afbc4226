package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
)

// ErrNotFound is what Get and Stat return (wrapped) for a key that holds no
// object.
var ErrNotFound = errors.New("object not found")

// ErrBadKey is what every method returns (wrapped) for a key that ValidKey
// refuses.
var ErrBadKey = errors.New("bad object key")

// Info describes a stored object.
type Info struct {
	Key      string
	Size     int64 // bytes
	Modified time.Time
}

// Store holds objects under keys. All methods are safe for concurrent use, by
// several processes too, and end early with ctx's error when ctx ends.
type Store interface {
	// Put stores all of body under key, replacing what was there. It is
	// atomic: readers see the old object, or the whole new one, whatever
	// happens in between, and when it returns nil the object survives a power
	// cut. When body, the disk or ctx fails, the old state stays and no space
	// is used by the attempt. A key that is the folder of another object's key
	// ("a" beside "a/b") may be refused.
	Put(ctx context.Context, key string, body io.Reader) error

	// Get opens an object for reading; ErrNotFound (wrapped) if there is none.
	// The reader keeps giving the object as it was, even if it is replaced or
	// deleted meanwhile. The caller closes it.
	Get(ctx context.Context, key string) (io.ReadCloser, error)

	// Stat describes an object without reading it; ErrNotFound (wrapped) if
	// there is none.
	Stat(ctx context.Context, key string) (Info, error)

	// Delete removes an object. Deleting what is not there is no error.
	Delete(ctx context.Context, key string) error

	// List yields the objects whose keys begin with prefix, in the order of
	// their keys' bytes. An error is yielded once, as the last pair. Objects
	// put or deleted during the walk may or may not be seen.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
}

// maxKey is S3's limit on a key's bytes; maxElement is what file systems allow
// for one name, less the room that temporary names need.
const (
	maxKey     = 1024
	maxElement = 200
)

// ValidKey refuses keys that some store could not hold or could be led astray
// by: a key is one to 1024 bytes of elements separated by single slashes, each
// of one to 200 bytes of A-Z, a-z, 0-9 and "._-+=@:", not beginning with a dot.
func ValidKey(key string) error {
	if key == "" || len(key) > maxKey {
		return fmt.Errorf("%w: %d bytes long, allowed are 1 to %d", ErrBadKey, len(key), maxKey)
	}
	for element := range strings.SplitSeq(key, "/") {
		if element == "" || len(element) > maxElement || element[0] == '.' {
			return fmt.Errorf("%w %q: element %q", ErrBadKey, key, element)
		}
		for i := range len(element) {
			if !keyByte(element[i]) {
				return fmt.Errorf("%w %q: byte %q", ErrBadKey, key, element[i])
			}
		}
	}
	return nil
}

func keyByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("._-+=@:", c) >= 0
}
