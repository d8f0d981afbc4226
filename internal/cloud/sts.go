package cloud

import (
	"context"

	"github.com/goldsmith-build/goldsmith/api/sts"
	"github.com/goldsmith-build/goldsmith/internal/identity"
)

// STS is the face that tells callers who they are.
func (w *World) STS() sts.Service { return tokens{} }

type tokens struct{ sts.Unimplemented }

// GetCallerIdentity gives the account, ARN and stable id of the caller.
func (tokens) GetCallerIdentity(ctx context.Context, _ *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
	caller := identity.From(ctx)
	return &sts.GetCallerIdentityOutput{Account: ptr(caller.Account), Arn: ptr(caller.ARN), UserId: ptr(caller.UserID)}, nil
}
