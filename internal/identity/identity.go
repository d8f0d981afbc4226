package identity

import "context"

// Caller is the verified sender of a request.
type Caller struct {
	Account     string // 12 digits, of the access key
	Region      string // of the signature's scope, such as "us-east-1"
	AccessKeyID string
	ARN         string // of the principal, such as "arn:aws:iam::123456789012:user/admin"
	UserID      string // stable id of the principal, such as "AIDA…"
	RequestID   string // sent back as x-amzn-RequestId
}

// Key is an access key that the server knows.
type Key struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string // "" for long-lived keys
	Account         string // 12 digits
	ARN             string
	UserID          string
}

// Keys finds an access key; ok is false for one that is unknown or inactive.
type Keys interface {
	Lookup(ctx context.Context, accessKeyID string) (key Key, ok bool, err error)
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
