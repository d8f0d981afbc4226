package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/google/uuid"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// Config is what a Handler needs beside its services.
type Config struct {
	Keys    identity.Keys
	Gate    Gate
	Clock   func() time.Time             // nil: time.Now
	Logger  *slog.Logger                 // nil: slog.Default()
	Observe func(context.Context, Event) // called once per request, after its answer; nil: not
}

// Gate decides whether a caller may do what it asks.
type Gate interface {
	// Authorize is asked about every request between its check against the model
	// and its operation. The caller is in the context. in is the operation's
	// input. A request that it gives an error for is refused with that error.
	Authorize(ctx context.Context, s *shape.Service, op *shape.Operation, in any) error
}

// Event is what one request came to.
type Event struct {
	RequestID   string
	Service     string // "" if the request did not get that far
	Operation   string // "" likewise
	Account     string // "" for a request that was refused by its signature
	Region      string
	AccessKeyID string
	Remote      string // address and port
	Status      int    // of HTTP
	Code        string // error code; "" for success
	Bytes       int    // of the answer's body
	Duration    time.Duration
}

// LogTo gives an Observe that writes one line per request: warnings for
// internal errors, else at level info.
func LogTo(logger *slog.Logger) func(context.Context, Event) {
	return func(ctx context.Context, e Event) {
		level := slog.LevelInfo
		if e.Status >= 500 {
			level = slog.LevelWarn
		}
		logger.LogAttrs(ctx, level, "request",
			slog.String("request", e.RequestID), slog.String("service", e.Service), slog.String("operation", e.Operation),
			slog.String("account", e.Account), slog.String("region", e.Region), slog.String("key", e.AccessKeyID),
			slog.String("remote", e.Remote), slog.Int("status", e.Status), slog.String("code", e.Code),
			slog.Int("bytes", e.Bytes), slog.Duration("took", e.Duration))
	}
}

// Handler serves AWS services. It is safe for concurrent use.
type Handler struct {
	keys     identity.Keys
	gate     Gate
	clock    func() time.Time
	log      *slog.Logger
	observe  func(context.Context, Event)
	services map[string]*endpoint // by the name in the signature's scope
	bodyTime time.Duration
}

// New makes a Handler for services. It fails if two of them have the same name
// or one cannot be routed.
func New(c Config, services ...*shape.Service) (*Handler, error) {
	if c.Keys == nil {
		return nil, errors.New("wire: no access keys given")
	}
	if c.Gate == nil {
		return nil, errors.New("wire: nothing given that says who may do what")
	}
	h := &Handler{
		keys: c.Keys, gate: c.Gate, clock: c.Clock, log: c.Logger, observe: c.Observe,
		services: map[string]*endpoint{}, bodyTime: defaultBodyTime,
	}
	if h.clock == nil {
		h.clock = time.Now
	}
	if h.log == nil {
		h.log = slog.Default()
	}
	for _, s := range services {
		if s.Name == "" || h.services[s.Name] != nil {
			return nil, fmt.Errorf("wire: a service without a name of its own: %q", s.Name)
		}
		e, err := newEndpoint(s)
		if err != nil {
			return nil, fmt.Errorf("wire: service %s: %w", s.Name, err)
		}
		h.services[s.Name] = e
	}
	return h, nil
}

// exchange is one request on its way through the Handler.
type exchange struct {
	w       http.ResponseWriter
	r       *http.Request
	dialect *dialect
	service *shape.Service // nil until the scope named one
	op      *shape.Operation
	event   Event
	missing bool // a file is not there: 404, which EC2 does not say
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	x := &exchange{w: w, r: r, dialect: guessDialect(r)}
	x.event = Event{RequestID: uuid.NewString(), Remote: r.RemoteAddr}
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			h.log.ErrorContext(r.Context(), "panic while answering", "request", x.event.RequestID,
				"operation", x.event.Operation, "panic", p, "stack", string(debug.Stack()))
			if x.event.Status == 0 {
				x.fail(x.internal())
			}
		}
		x.event.Duration = time.Since(start)
		if h.observe != nil {
			h.observe(r.Context(), x.event)
		}
	}()
	limitBody(w, r, h.bodyTime)
	out, err := h.answer(x)
	if err == nil {
		err = x.succeed(h, out)
	}
	if err != nil {
		x.fail(h.refusal(x, err))
	}
}

// answer takes the request through all stations up to the operation's output.
func (h *Handler) answer(x *exchange) (any, error) {
	caller, body, err := h.authenticate(x)
	if err != nil {
		return nil, err
	}
	if x.service == nil {
		return nil, fault.New(x.dialect.noService, "The service '%.64s' is not provided by this server.", x.event.Service)
	}
	req := &request{r: x.r, path: rawPath(x.r), body: body}
	if req.query, err = splitQuery(x.r.URL.RawQuery); err != nil {
		return nil, fault.New(x.dialect.malformed, "The query string cannot be read: %v.", err)
	}
	op, in, err := h.services[x.service.Name].codec.decode(req)
	x.op = op
	if op != nil {
		x.event.Operation = op.Name
	}
	if err != nil {
		return nil, err
	}
	if op.Validate != nil {
		if err := op.Validate(in); err != nil {
			return nil, x.dialect.violation(x.service, op, err)
		}
	}
	ctx := identity.With(x.r.Context(), caller)
	if err := h.gate.Authorize(ctx, x.service, op, in); err != nil {
		return nil, err
	}
	return op.Call(ctx, in)
}
