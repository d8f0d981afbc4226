package function

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud/event"
	"github.com/goldsmith-build/goldsmith/internal/fault"
)

// client follows no redirect: whoever answers for the function is to answer
// itself. How long it may take is the context's.
var client = &http.Client{
	Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// post calls the web service of a function.
func (f Function) post(ctx context.Context, c Call) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.URL, bytes.NewReader(c.Input))
	if err != nil {
		return nil, err
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Goldsmith")
	r.Header.Set("Webhook-Id", c.ID)
	r.Header.Set("Webhook-Timestamp", at)
	if f.Secret != "" {
		r.Header.Set("Webhook-Signature", "v1,"+event.Sign(f.Secret, c.ID, at, c.Input))
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxOutput+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading its answer: %w", err)
	case answer.StatusCode/100 != 2:
		return nil, fmt.Errorf("it answered %s: %s", answer.Status, fault.Clip(strings.TrimSpace(string(body))))
	case len(body) > maxOutput:
		return nil, fmt.Errorf("it answered more than %d bytes", maxOutput)
	}
	return body, nil
}
