package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/goldsmith-build/goldsmith/internal/bucket"
	"github.com/goldsmith-build/goldsmith/internal/objects/s3test"
)

// large runs a test over a folder and over a real service.
func large(t *testing.T, test func(t *testing.T, b bucket.Large, read func(key string) ([]byte, error), left func() int, arrived func(parts int))) {
	t.Parallel()
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		b := bucket.Folder(filepath.Join(t.TempDir(), "s3"))
		test(t, b, func(key string) ([]byte, error) { return b.Read(t.Context(), "one", key, 1<<30) }, func() (n int) {
			filepath.WalkDir(string(b), func(name string, e fs.DirEntry, _ error) error {
				if strings.Contains(filepath.Base(name), ".uploading-") {
					n++
				}
				return nil
			})
			return n
		}, func(int) {})
	})
	t.Run("service", func(t *testing.T) {
		t.Parallel()
		server := s3test.Start(t)
		server.Bucket(t, "one")
		b := bucket.NewS3(server.Client)
		test(t, b, func(key string) ([]byte, error) { return b.Read(t.Context(), "one", key, 1<<30) }, func() int {
			out, err := server.Client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String("one")})
			if err != nil {
				t.Fatal(err)
			}
			return len(out.Uploads)
		}, func(parts int) {
			for range 3000 {
				if out, err := server.Client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String("one")}); err == nil && len(out.Uploads) > 0 {
					there, err := server.Client.ListParts(t.Context(), &s3.ListPartsInput{Bucket: aws.String("one"), Key: out.Uploads[0].Key, UploadId: out.Uploads[0].UploadId})
					if err == nil && len(there.Parts) >= parts {
						return
					}
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Errorf("%d parts did not arrive", parts)
		})
	})
}

// object is content that does not repeat, with a stretch of zeros.
func object(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(b)
	clear(b[size/4 : size/2])
	return b
}

// in writes content in odd pieces, and fails after n bytes if broken is not nil.
func in(content []byte, n int, broken error) func(context.Context, io.Writer) error {
	return func(_ context.Context, w io.Writer) error {
		if broken != nil {
			content = content[:n]
		}
		for at := 0; at < len(content); at += 999_983 {
			if _, err := w.Write(content[at:min(len(content), at+999_983)]); err != nil {
				return err
			}
		}
		return broken
	}
}

// TestUploadsGoOn breaks an upload in its middle: nobody sees an object, and the
// next attempt finishes it; with a service it sends only what is missing.
func TestUploadsGoOn(t *testing.T) {
	large(t, func(t *testing.T, b bucket.Large, read func(string) ([]byte, error), left func() int, arrived func(int)) {
		content, broken := object(45<<20), errors.New("the disk is broken")
		key, most := "exports/export-ami-1.vmdk", int64(64<<20)
		_, err := b.Upload(t.Context(), "one", key, most, func(ctx context.Context, w io.Writer) error {
			err := in(content, 30<<20, broken)(ctx, w)
			arrived(2)
			return err
		})
		if !errors.Is(err, broken) {
			t.Fatalf("a source that breaks: %v", err)
		}
		if _, err := read(key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an object that is half there can be read: %v", err)
		}
		if n := left(); n != 1 {
			t.Errorf("%d unfinished uploads are left, want 1 to go on with", n)
		}
		up, err := b.Upload(t.Context(), "one", key, most, in(content, 0, nil))
		if err != nil || up.Bytes != int64(len(content)) {
			t.Fatalf("the second attempt: %+v, %v", up, err)
		}
		if _, folder := b.(bucket.Folder); !folder && up.Sent > 45<<20-16<<20 {
			t.Errorf("%d bytes were sent again", up.Sent)
		}
		if got, err := read(key); err != nil || !bytes.Equal(got, content) {
			t.Errorf("the object has %d other bytes, %v", len(got), err)
		}
		if n := left(); n != 0 {
			t.Errorf("%d unfinished uploads are left", n)
		}
	})
}

// TestPartsOfSomethingElse: what is there is believed only as far as it is what
// it should be.
func TestPartsOfSomethingElse(t *testing.T) {
	large(t, func(t *testing.T, b bucket.Large, read func(string) ([]byte, error), left func() int, _ func(int)) {
		other, content, broken := object(20<<20), object(33<<20), errors.New("broken")
		content[3] ^= 1 // in the first part
		if _, err := b.Upload(t.Context(), "one", "k", 64<<20, in(other, 20<<20, broken)); !errors.Is(err, broken) {
			t.Fatal(err)
		}
		if _, err := b.Upload(t.Context(), "one", "k", 64<<20, in(content, 0, nil)); err != nil {
			t.Fatal(err)
		}
		if got, err := read("k"); err != nil || !bytes.Equal(got, content) {
			t.Errorf("the object has %d other bytes, %v", len(got), err)
		}
	})
}

func TestAbandon(t *testing.T) {
	large(t, func(t *testing.T, b bucket.Large, read func(string) ([]byte, error), left func() int, _ func(int)) {
		content, broken := object(20<<20), errors.New("broken")
		for range 2 { // an end after an end does nothing
			if err := b.Abandon(t.Context(), "one", "a/k"); err != nil {
				t.Errorf("nothing to abandon: %v", err)
			}
		}
		b.Upload(t.Context(), "one", "a/k", 64<<20, in(content, 20<<20, broken))
		b.Upload(t.Context(), "one", "a/k2", 64<<20, in(content, 20<<20, broken))
		if err := b.Abandon(t.Context(), "one", "a/k"); err != nil {
			t.Fatal(err)
		}
		if n := left(); n != 1 {
			t.Errorf("%d unfinished uploads are left, want that of the other key", n)
		}
	})
}

func TestEdgesOfUploads(t *testing.T) {
	large(t, func(t *testing.T, b bucket.Large, read func(string) ([]byte, error), left func() int, _ func(int)) {
		for name, size := range map[string]int{"empty": 0, "one byte": 1, "one part": 8 << 20, "one and a byte": 8<<20 + 1} {
			content := object(size)
			if up, err := b.Upload(t.Context(), "one", name, int64(size), in(content, 0, nil)); err != nil || up.Bytes != int64(size) {
				t.Errorf("%s: %+v, %v", name, up, err)
			}
			if got, err := read(name); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: the object has %d other bytes, %v", name, len(got), err)
			}
		}
		if _, err := b.Upload(t.Context(), "one", "long", 10, in(object(11), 0, nil)); err == nil || !strings.Contains(err.Error(), "longer than was said") {
			t.Errorf("an object that is longer than it was said to be: %v", err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := b.Upload(ended, "one", "ended", 1<<20, in(object(1<<20), 0, nil)); !errors.Is(err, context.Canceled) {
			t.Errorf("an upload for somebody who is gone: %v", err)
		}
		for _, where := range [][2]string{{"..", "a"}, {"one/../two", "a"}, {"ONE", "a"}, {"one", ""}} {
			if _, err := b.Upload(t.Context(), where[0], where[1], 1, in([]byte("x"), 0, nil)); err == nil {
				t.Errorf("Upload%q was accepted", where)
			}
		}
	})
}

func TestUploadsOfAFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "s3")
	b := bucket.Folder(dir)
	for _, key := range []string{"../outside", "/etc/x", "a/../../x"} {
		if _, err := b.Upload(t.Context(), "one", key, 1, in([]byte("x"), 0, nil)); err == nil {
			t.Errorf("the key %q was accepted", key)
		}
	}
	content := make([]byte, 32<<20)
	copy(content[20<<20:], "data")
	if _, err := b.Upload(t.Context(), "one", "raw", 32<<20, in(content, 0, nil)); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(dir, "one", "raw"))
	if err != nil {
		t.Fatal(err)
	}
	if blocks := st.Sys().(*syscall.Stat_t).Blocks; st.Size() != 32<<20 || blocks*512 > 2<<20 {
		t.Errorf("%d bytes take %d on disk: the holes are not there", st.Size(), blocks*512)
	}
}

// TestAServiceThatFails gives its error, promptly, also when it is away or
// takes nothing; there is no bucket is told apart.
func TestAServiceThatFails(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	if _, err := bucket.NewS3(server.Client).Upload(t.Context(), "missing", "k", 1, in([]byte("x"), 0, nil)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a bucket that is not there: %v", err)
	}
	var parts atomic.Int32
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet:
			io.WriteString(w, `<ListMultipartUploadsResult></ListMultipartUploadsResult>`)
		case r.Method == http.MethodPost:
			io.WriteString(w, `<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>`)
		default:
			parts.Add(1)
			io.Copy(io.Discard, r.Body)
			http.Error(w, "<Error><Code>InsufficientStorage</Code><Message>no space left on device</Message></Error>", http.StatusInsufficientStorage)
		}
	}))
	t.Cleanup(broken.Close)
	client := s3.New(s3.Options{BaseEndpoint: &broken.URL, UsePathStyle: true, Region: "us-east-1", RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	start := time.Now()
	_, err := bucket.NewS3(client).Upload(t.Context(), "one", "k", 1<<30, func(ctx context.Context, w io.Writer) error {
		for { // a source that goes on until it is told not to
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return err
			}
		}
	})
	if err == nil || !strings.Contains(err.Error(), "no space left on device") || !strings.Contains(err.Error(), "s3://one/k") {
		t.Errorf("a service without space, after %s: %v", time.Since(start), err)
	}
}
