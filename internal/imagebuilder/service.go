package imagebuilder

import (
	"context"
	"errors"
	"log/slog"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Config is what a Service works with.
type Config struct {
	Store      *store.Store
	World      *cloud.World
	Parents    Parents                           // nil: there are none
	Parameters Parameters                        // nil: there are none
	Topics     Topics                            // nil: nobody is told
	Events     Events                            // nil: nobody is told
	Bucket     Bucket                            // nil: s3:// addresses cannot be read
	Functions  func(name string) bool            // which Lambda functions and state machines there are; nil: none
	Quotas     Quotas                            // zero members: Amazon's defaults
	Places     func(account string) access.Place // where accounts are in organisations; nil: nowhere
	Now        func() time.Time
	Log        *slog.Logger
}

// Service implements the operations of EC2 Image Builder. Its methods expect
// inputs that keep the model's constraints, as the wire makes sure, and a
// caller in the context.
type Service struct {
	api.Unimplemented
	store      *store.Store
	world      *cloud.World
	parents    Parents
	parameters Parameters
	topics     Topics
	events     Events
	bucket     Bucket
	places     func(string) access.Place
	functions  func(string) bool
	quotas     Quotas
	now        func() time.Time
	log        *slog.Logger
	queue      engine.Queue
}

var (
	_ api.Service     = (*Service)(nil)
	_ engine.Resolver = (*Service)(nil)
	_ engine.Recorder = (*Service)(nil)
	_ cloud.Publisher = (*Service)(nil)
)

// Parameters are the SSM parameters that recipes name.
type Parameters interface {
	// Value gives the value that a name, "name:version" or ARN selects for an
	// account in a region; a fault if there is none.
	Value(tx *store.Tx, account, region, reference string) (string, error)
}

// New returns a Service and publishes the managed AMIs in the world. It starts
// no builds until it was given a queue.
func New(cfg Config) *Service {
	s := &Service{store: cfg.Store, world: cfg.World, parents: cfg.Parents, parameters: cfg.Parameters, topics: cfg.Topics, events: cfg.Events, bucket: cfg.Bucket, places: cfg.Places, functions: cfg.Functions, quotas: cfg.Quotas.withDefaults(), now: cfg.Now, log: cfg.Log}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.world.Publish(s)
	return s
}

// Attach gives the service the queue of the engine that was made with it. Call
// it before the first request.
func (s *Service) Attach(q engine.Queue) { s.queue = q }

// read and write run transactions; what a client can do nothing about but wait
// gets AWS's code for that.
func (s *Service) read(ctx context.Context, fn func(*store.Tx) error) error {
	return unavailable(s.store.Read(ctx, fn))
}

func (s *Service) write(ctx context.Context, fn func(*store.Tx) error) error {
	return unavailable(s.store.Write(ctx, fn))
}

func unavailable(err error) error {
	switch {
	case errors.Is(err, store.ErrClosed):
		return fault.New(api.CodeServiceUnavailable, "The server is stopping. Try again.").Because(err)
	case errors.Is(err, store.ErrNoSpace):
		return fault.New(api.CodeServiceUnavailable, "The server has no space left on its disk. Free some and try again.").Because(err)
	case errors.Is(err, store.ErrUnavailable):
		return fault.New(api.CodeServiceUnavailable, "The database does not answer. Try again.").Because(err)
	case errors.Is(err, store.ErrText):
		return fault.New(api.CodeInvalidParameterValue, "The request holds the character U+0000, which cannot be stored.").Because(err)
	}
	return err
}

// request is what every operation needs to know of its request.
type request struct {
	identity.Caller
	operation string
	now       time.Time
}

func (s *Service) request(ctx context.Context, operation string) request {
	return request{Caller: identity.From(ctx), operation: operation, now: s.now().UTC().Truncate(time.Millisecond)}
}

// date is a time as this API writes it.
func date(t time.Time) *string { return ptr(t.UTC().Format("2006-01-02T15:04:05.000Z")) }

func ptr[T any](v T) *T { return &v }

// text gives a string member, "" if it is absent.
func text[T ~string](p *T) string {
	if p == nil {
		return ""
	}
	return string(*p)
}

// some gives a member for a string, absent for an empty one.
func some[T ~string](s T) *T {
	if s == "" {
		return nil
	}
	return &s
}

// or gives a member's value, or another if it is absent.
func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
