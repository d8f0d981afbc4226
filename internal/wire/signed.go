package wire

import (
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/goldsmith-build/goldsmith/internal/identity"
)

// Signed serves what is no operation of the API, such as files, to callers that
// signed their request, or whom somebody gave a presigned URL, for one of the
// Handler's services. serve finds the caller in the request's context. An error
// that it returns before it wrote anything is answered as the service answers.
func (h *Handler) Signed(service, name string, serve func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		x := &exchange{w: w, r: r, dialect: guessDialect(r)}
		x.event = Event{RequestID: uuid.NewString(), Remote: r.RemoteAddr}
		defer func() {
			x.event.Duration = time.Since(start)
			if h.observe != nil {
				h.observe(r.Context(), x.event)
			}
		}()
		if e := h.services[service]; e != nil {
			x.dialect = e.dialect
		}
		limitBody(w, r, h.bodyTime)
		caller, _, err := h.authenticate(x)
		if err == nil && (x.service == nil || x.service.Name != service) {
			err = refuse(mismatch, "Credential should be scoped to correct service: '%s'.", service)
		}
		if err == nil {
			x.event.Operation = name
			w.Header().Set("X-Amzn-Requestid", x.event.RequestID)
			counted := &counter{ResponseWriter: w}
			err = serve(counted, r.WithContext(identity.With(r.Context(), caller)))
			x.event.Status, x.event.Bytes = counted.status, counted.bytes
			if err != nil && counted.status != 0 {
				h.log.WarnContext(r.Context(), "request failed", "request", x.event.RequestID, "operation", name, "error", err)
				panic(http.ErrAbortHandler) // what was sent is not whole: the client has to see that
			}
		}
		if err != nil {
			refusal := h.refusal(x, err)
			if strings.HasSuffix(refusal.Code, ".NotFound") {
				x.missing = true
			}
			x.fail(refusal)
		}
	})
}

// counter notes what is answered.
type counter struct {
	http.ResponseWriter
	status, bytes int
}

func (c *counter) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Write(p []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	n, err := c.ResponseWriter.Write(p)
	c.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController find the connection.
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
