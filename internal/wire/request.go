package wire

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxBody is the most that a request's body may have, in bytes. The
	// largest input that the models allow is far below it.
	maxBody = 1 << 20
	// defaultBodyTime is how long a client may take to send its body.
	defaultBodyTime = 20 * time.Second
	// answerTime is how long a client may take to receive its answer.
	answerTime = 60 * time.Second
	// maxParameters bounds the parameters of a query string or form.
	maxParameters = 10_000
)

// NewServer gives an http.Server for a Handler (or a mux that holds one), with
// limits for clients that are slow or send too much in their headers.
func NewServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}

// request is a verified request with its parts as the client sent them.
type request struct {
	r     *http.Request
	path  string // still escaped
	query []parameter
	body  []byte
}

// parameter is one name and value of a query string or form, unescaped.
type parameter struct{ name, value string }

var (
	errTooLarge = errors.New("body is too large")
	errSlow     = errors.New("body did not arrive in time")
	errBroken   = errors.New("body did not arrive whole")
)

// limitBody gives the client until limit from now to send its body, read or
// not: after an early refusal net/http itself reads what is left of it. When
// the body was read to its end, net/http takes the deadline off.
func limitBody(w http.ResponseWriter, r *http.Request, limit time.Duration) {
	if r.ContentLength != 0 {
		// A writer that has no deadlines is a test's recorder.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit))
	}
}

// readBody reads at most maxBody bytes.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, errTooLarge
	}
	if r.Body == nil || r.ContentLength == 0 {
		return nil, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &tooLarge):
		return nil, errTooLarge
	case errors.As(err, &timeout) && timeout.Timeout():
		return nil, errSlow
	case err != nil:
		return nil, errBroken
	}
	return body, nil
}

// rawPath gives the path as the client escaped it. A proxy's absolute form and
// "*" have no path here and so match no route.
func rawPath(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(path, "/") {
		return ""
	}
	return path
}

// splitQuery takes a query string or form apart, keeping order and duplicates.
func splitQuery(raw string) ([]parameter, error) {
	if raw == "" {
		return nil, nil
	}
	if strings.Count(raw, "&") >= maxParameters {
		return nil, fmt.Errorf("more than %d parameters", maxParameters)
	}
	var list []parameter
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		n, err := url.QueryUnescape(name)
		if err != nil {
			return nil, err
		}
		v, err := url.QueryUnescape(value)
		if err != nil {
			return nil, err
		}
		if !utf8.ValidString(n) || !utf8.ValidString(v) {
			return nil, errors.New("a parameter is not valid UTF-8")
		}
		list = append(list, parameter{n, v})
	}
	return list, nil
}
