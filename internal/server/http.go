package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/goldsmith-build/goldsmith/internal/cloud/download"
	"github.com/goldsmith-build/goldsmith/internal/wire"
)

// routes puts the service's own pages beside the API. AWS operations never
// begin with these paths.
func (s *Server) routes(api http.Handler) http.Handler {
	metrics := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			switch r.URL.Path {
			case "/healthz":
				plain(w, http.StatusOK, "ok\n")
				return
			case "/readyz":
				s.readyz(w, r)
				return
			case "/metrics":
				metrics.ServeHTTP(w, r)
				return
			}
		}
		if strings.HasPrefix(r.URL.Path, download.Path) {
			s.files.ServeHTTP(w, r)
			return
		}
		if !s.topics.Link(w, r) {
			api.ServeHTTP(w, r)
		}
	})
}

// readyz says whether the database, the store of objects and the worker work.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	var sick []string
	if err := s.store.Ping(ctx); err != nil {
		sick = append(sick, "database: "+err.Error())
	}
	if err := s.objectsWork(ctx); err != nil {
		sick = append(sick, "store: "+err.Error())
	}
	if s.stopping.Load() {
		sick = append(sick, "worker: stopping")
	}
	if len(sick) > 0 {
		s.log.Warn("not ready", "why", sick)
		plain(w, http.StatusServiceUnavailable, strings.Join(sick, "\n")+"\n")
		return
	}
	plain(w, http.StatusOK, "ok\n")
}

// plain writes a short text.
func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	w.Write([]byte(text))
}

// listen opens the port and starts to serve on it.
func (s *Server) listen(addr string, handler http.Handler) error {
	ln, err := s.bind(addr)
	if err == nil {
		s.serve(ln, handler)
	}
	return err
}

// bind opens the port: from then on the server's URL is known.
func (s *Server) bind(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err == nil {
		s.URL = "http://" + ln.Addr().String()
	}
	return ln, err
}

// serve starts to answer on the port.
func (s *Server) serve(ln net.Listener, handler http.Handler) {
	s.http = wire.NewServer(handler)
	s.http.ErrorLog = slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)
	s.served = make(chan error, 1)
	go func() {
		err := s.http.Serve(ln)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		s.served <- err
	}()
}
