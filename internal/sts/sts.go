package sts

import (
	"context"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/sts"
	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/session"
)

// Service implements the operations of STS.
type Service struct {
	api.Unimplemented
	directory func() *access.Directory
	sessions  *session.Sealer
	now       func() time.Time
}

// New returns a Service for the principals that directory gives at any time.
// now is the clock, nil for the real one.
func New(directory func() *access.Directory, sessions *session.Sealer, now func() time.Time) *Service {
	if now == nil {
		now = time.Now
	}
	return &Service{directory: directory, sessions: sessions, now: now}
}

// GetCallerIdentity gives the account, ARN and stable id of the caller.
func (*Service) GetCallerIdentity(ctx context.Context, _ *api.GetCallerIdentityInput) (*api.GetCallerIdentityOutput, error) {
	caller := identity.From(ctx)
	return &api.GetCallerIdentityOutput{Account: ptr(caller.Account), Arn: ptr(caller.ARN), UserId: ptr(caller.UserID)}, nil
}

func ptr[T any](v T) *T { return &v }

func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}
