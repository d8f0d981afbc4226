package server

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/config"
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
