package identity

import (
	"context"
	"log/slog"
	"time"
)

// Caller is the verified sender of a request.
type Caller struct {
	Account     string // 12 digits, of the access key
	Region      string // of the signature's scope, such as "us-east-1"
	AccessKeyID string
	ARN         string    // of the principal, such as "arn:aws:iam::123456789012:user/admin"
	UserID      string    // stable id of the principal, such as "AIDA…"
	Principal   Principal // what internal/access knows of it; nil if it does not come from there
	RequestID   string    // sent back as x-amzn-RequestId
	SourceIP    string    // the address that the request came from, without its port
	UserAgent   string    // as the client calls itself
	Encrypted   bool      // the request came over TLS
}

// Principal is a user or a session with what it may do. Only internal/access
// makes one and looks into it.
type Principal interface {
	PrincipalARN() string // as aws:PrincipalArn has it: for a session, the role's
}

// Secret is a secret access key. Nothing that prints or logs one shows it.
type Secret string

const hidden = "(secret)"

// String implements fmt.Stringer.
func (Secret) String() string { return hidden }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return hidden }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText implements encoding.TextMarshaler, so that JSON and YAML do not
// show it either.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Key is an access key that the server knows.
type Key struct {
	AccessKeyID     string
	SecretAccessKey Secret
	SessionToken    string    // "" for long-lived keys
	Expires         time.Time // of a session; zero: never
	Account         string    // 12 digits
	ARN             string
	UserID          string
	Principal       Principal
}

// Keys finds access keys.
type Keys interface {
	// Lookup gives the key with an id, and for temporary ones the session token
	// that was sent with it; ok is false for a key that is unknown or inactive
	// and for a token that is not the key's. An expired key is given as such.
	Lookup(ctx context.Context, accessKeyID, sessionToken string) (key Key, ok bool, err error)
}

type contextKey struct{}

// With returns ctx with the caller in it.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// From gives the caller that With put into ctx; the zero Caller if none.
func From(ctx context.Context) Caller {
	c, _ := ctx.Value(contextKey{}).(Caller)
	return c
}
