package main

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/goldsmith-build/goldsmith/internal/disk/format"
)

// fickle serves a disk, and cuts off as many answers as it is told after a
// megabyte each.
type fickle struct {
	mu     sync.Mutex
	cuts   int
	tag    string
	disk   []byte
	ranges []string
}

func (s *fickle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path != "/images/ami-1" || r.URL.Query().Get("format") != "raw" || !strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/ec2/aws4_request") {
		http.Error(w, "InvalidAMIID.NotFound", http.StatusNotFound)
		return
	}
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	w.Header().Set("Etag", s.tag)
	if s.cuts > 0 {
		s.cuts--
		w = &cut{w, 1 << 20}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.disk))
}

type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left -= n
	n, err := c.ResponseWriter.Write(p[:n])
	if c.left == 0 {
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func TestFetch(t *testing.T) {
	t.Parallel()
	disk := make([]byte, 12<<20)
	rand.NewChaCha8([32]byte{1}).Read(disk[:3<<20])
	disk[len(disk)-1] = 1
	s := &fickle{disk: disk, tag: `"one"`, cuts: 2}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	r := remote{server.URL, "eu-west-1", credentials.NewStaticCredentialsProvider("a", "b", "")}
	out := filepath.Join(t.TempDir(), "disk.raw")
	if err := r.fetch(t.Context(), "ami-1", format.Raw, out); err != nil {
		t.Fatal(err)
	}
	check := func(want []byte) {
		t.Helper()
		if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d other bytes, %v", len(got), err)
		}
		if left, _ := filepath.Glob(out + ".*"); len(left) > 0 {
			t.Errorf("these are left: %v", left)
		}
	}
	check(disk)
	if st, err := os.Stat(out); err != nil || st.Sys().(*syscall.Stat_t).Blocks*512 > 5<<20 {
		t.Errorf("the file has no holes: %v, %v", st.Sys(), err)
	}
	if len(s.ranges) != 3 || s.ranges[0] != "" || !strings.HasPrefix(s.ranges[2], "bytes=") || s.ranges[1] == s.ranges[2] {
		t.Errorf("the ranges asked for are %q", s.ranges)
	}
	if err := r.fetch(t.Context(), "ami-1", format.Raw, out); err == nil {
		t.Error("a file that was there is written over")
	}

	// What is left is of a disk that is another one now, or is too long.
	for _, left := range [][]byte{disk[:5<<20], make([]byte, 13<<20)} {
		os.Remove(out)
		os.WriteFile(out+".part", left, 0o600)
		os.WriteFile(out+".part.etag", []byte(`"one"`), 0o600)
		s.tag, s.disk = `"two"`, append([]byte("other"), disk[5:]...)
		if err := r.fetch(t.Context(), "ami-1", format.Raw, out); err != nil {
			t.Fatal(err)
		}
		check(s.disk)
	}
	start := time.Now()
	missing := filepath.Join(t.TempDir(), "x")
	if err := r.fetch(t.Context(), "ami-2", format.Raw, missing); err == nil || !strings.Contains(err.Error(), "InvalidAMIID.NotFound") {
		t.Errorf("an AMI that is not there: %v after %s", err, time.Since(start))
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("a file without a disk")
	}
}
