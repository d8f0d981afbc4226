package server

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/wire"
)

// metrics are what /metrics shows.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	images   *prometheus.CounterVec
	stages   *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "goldsmith_api_requests_total", Help: "API requests by service, operation, HTTP status and error code.",
		}, []string{"service", "operation", "status", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "goldsmith_api_request_seconds", Help: "How long API requests took.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}, []string{"service"}),
		images: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "goldsmith_images_total", Help: "Images that ended, by their state.",
		}, []string{"status"}),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "goldsmith_image_state_seconds", Help: "How long images were in a state.", Buckets: prometheus.ExponentialBuckets(0.1, 2, 18),
		}, []string{"status"}),
	}
	m.registry.MustRegister(m.requests, m.took, m.images, m.stages, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// request counts one answered request. Names that a stranger could make up
// never become labels: they are set only after the signature held.
func (m *metrics) request(_ context.Context, e wire.Event) {
	service, operation := e.Service, e.Operation
	if e.Account == "" || operation == "" {
		service, operation = "", ""
	}
	m.requests.WithLabelValues(service, operation, strconv.Itoa(e.Status), e.Code).Inc()
	m.took.WithLabelValues(service).Observe(e.Duration.Seconds())
}

// Stage implements engine.Observer.
func (m *metrics) Stage(status engine.Status, took time.Duration) {
	m.stages.WithLabelValues(string(status)).Observe(took.Seconds())
}

// Ended implements engine.Observer.
func (m *metrics) Ended(status engine.Status) { m.images.WithLabelValues(string(status)).Inc() }
