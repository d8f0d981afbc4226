package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/objects/s3test"
)

// start starts a server on an empty data folder; stop ends it and gives Wait's
// error.
func start(t *testing.T) (s *Server, stop func() error) {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir, cfg.Listen = filepath.Join(t.TempDir(), "data"), "127.0.0.1:0"
	s, err := Start(t.Context(), Options{Config: cfg, Log: slog.New(slog.DiscardHandler), Toe: "/bin/true"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Wait(ctx) }()
	return s, func() error { cancel(); return <-ended }
}

func TestPagesBesideTheAPI(t *testing.T) {
	t.Parallel()
	s, stop := start(t)
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/healthz":        {http.StatusOK, "ok"},
		"/readyz":         {http.StatusOK, "ok"},
		"/metrics":        {http.StatusOK, "go_goroutines"},
		"/ListComponents": {http.StatusForbidden, "MissingAuthenticationToken"},
	} {
		answer, err := http.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != want.status || !strings.Contains(string(body)+answer.Header.Get("X-Amzn-Errortype"), want.text) {
			t.Errorf("%s: %s %.200s (%v), want %d and %q", path, answer.Status, body, err, want.status, want.text)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// TestASlowClientDoesNotHoldTheServer hangs up while a request does not end.
func TestASlowClientDoesNotHoldTheServer(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	s := &Server{log: slog.New(slog.DiscardHandler)}
	err := s.listen("127.0.0.1:0", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done() // the connection is cut
	}))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-arrived
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := s.hangUp(ctx); err != nil || ctx.Err() != nil {
		t.Errorf("hanging up: %v, %v; want time left for the builds", err, ctx.Err())
	}
	if err := <-s.served; err != nil {
		t.Errorf("serving ended with %v", err)
	}
}

// TestBlocksInABucket keeps the blocks of disks in S3, and looks that a data
// folder that does so is not opened without it.
func TestBlocksInABucket(t *testing.T) {
	t.Parallel()
	service := s3test.Start(t)
	cfg := config.Default()
	cfg.S3 = config.S3{Endpoint: service.Endpoint, AccessKeyID: s3test.AccessKeyID, SecretAccessKey: s3test.SecretAccessKey}
	cfg.Objects = "s3://" + service.Bucket(t, "blocks") + "/of/goldsmith"
	dir, err := datadir.Open(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(t.TempDir(), "disk.raw")
	content := bytes.Repeat([]byte("goldsmith "), 200_000)
	if err := os.WriteFile(image, content, 0o600); err != nil {
		t.Fatal(err)
	}
	disks, err := OpenDisks(t.Context(), cfg, dir)
	if err != nil {
		t.Fatal(err)
	}
	made, err := disks.Snapshot(t.Context(), image, "", "", "")
	if err != nil {
		t.Fatal(err)
	}

	// Another machine, with nothing but the bucket.
	elsewhere, err := datadir.Open(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := OpenDisks(t.Context(), cfg, elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	volume := filepath.Join(t.TempDir(), "volume.raw")
	if _, err := other.Volume(t.Context(), made.Snapshot, volume, 0); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(volume); err != nil || !bytes.HasPrefix(got, content) {
		t.Errorf("the volume is not the disk: %d bytes, %v", len(got), err)
	}

	if _, err := OpenDisks(t.Context(), config.Default(), dir); err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("without the configuration: %v", err)
	}
	moved := *cfg
	moved.Objects += "/else"
	if _, err := OpenDisks(t.Context(), &moved, dir); err == nil || !strings.Contains(err.Error(), cfg.Objects) {
		t.Errorf("with another bucket: %v", err)
	}
	gone := *cfg
	gone.Objects = "s3://missing"
	if _, err := OpenDisks(t.Context(), &gone, datadir.Dir(t.TempDir())); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("with a bucket that is not there: %v", err)
	}
}

// TestAFolderWithDisksIsNotLeft gives a folder that has disks a bucket.
func TestAFolderWithDisksIsNotLeft(t *testing.T) {
	t.Parallel()
	dir := datadir.Dir(t.TempDir())
	if err := os.MkdirAll(filepath.Join(dir.Objects(), "snapshots", "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.S3, cfg.Objects = config.S3{Endpoint: "http://127.0.0.1:9"}, "s3://bucket"
	if _, err := OpenDisks(t.Context(), cfg, dir); err == nil || !strings.Contains(err.Error(), "disks of its own") {
		t.Errorf("%v", err)
	}
}
