package wire_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/wire"
	"github.com/goldsmith-build/goldsmith/internal/wire/wiretest"
)

// component is a CreateComponent input of about 1 KiB.
var component = []byte(`{"name":"web","semanticVersion":"1.0.0","platform":"Linux","clientToken":"0f5c29fb-aa51-4203-a171-2e52d4f670c5","data":"` +
	strings.Repeat(`schemaVersion: 1.0\n`, 50) + `","tags":{"team":"web"}}`)

// BenchmarkRequest is a signed CreateComponent through the whole Handler, on
// one goroutine, without the network.
func BenchmarkRequest(b *testing.B) {
	h := handler(b, wire.Config{}, imagebuilder.Serve(accepting{}))
	r := sent(b, wiretest.Request(b, "imagebuilder", "PUT", "http://127.0.0.1/CreateComponent", nil, component))
	b.ReportAllocs()
	for b.Loop() {
		r.Body = io.NopCloser(bytes.NewReader(component))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 200 {
			b.Fatalf("%d %s", w.Code, w.Body)
		}
	}
}

// BenchmarkServer is the same over TCP, from 16 clients with one connection
// each on the same machine.
func BenchmarkServer(b *testing.B) {
	server := httptest.NewServer(handler(b, wire.Config{}, imagebuilder.Serve(accepting{})))
	b.Cleanup(server.Close)
	server.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 16
	signed := wiretest.Request(b, "imagebuilder", "PUT", server.URL+"/CreateComponent", nil, component)
	b.SetParallelism(8) // times GOMAXPROCS, which is 2 on the reference machine
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := signed.Clone(b.Context())
			r.Body = io.NopCloser(bytes.NewReader(component))
			response, err := server.Client().Do(r)
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if response.StatusCode != 200 {
				b.Errorf("%s", response.Status)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
