package imagebuilder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// once runs fn in a write transaction unless the client token was used before:
// then the same parameters get the same answer, others are refused. params is
// the input without its token. What failed is not remembered.
func once[Out any](ctx context.Context, s *Service, r request, token *string, params any, fn func(*store.Tx) (*Out, error)) (*Out, error) {
	encoded, err := json.Marshal(params)
	if err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	sum := sha256.Sum256(encoded)
	digest := hex.EncodeToString(sum[:])
	var out *Out
	err = s.write(ctx, func(tx *store.Tx) error {
		if token != nil {
			before, ok, err := tx.Token(r.Account, r.Region, r.operation, *token, r.now)
			if err != nil {
				return err
			}
			if ok && before.Digest != digest {
				return fault.New(api.CodeIdempotentParameterMismatch, "You have specified a client token for an operation using parameter values that differ from a previous request that used the same client token.")
			}
			if ok {
				out = new(Out)
				return json.Unmarshal(before.Response, out)
			}
		}
		if out, err = fn(tx); err != nil || token == nil {
			return err
		}
		response, err := json.Marshal(out)
		if err != nil {
			return fmt.Errorf("encoding the answer: %w", err)
		}
		return tx.PutToken(store.Token{Account: r.Account, Region: r.Region, Operation: r.operation, Token: *token, Digest: digest, Response: response, Created: r.now})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// dryRun makes a transaction that came this far fail if the flag is set, which
// undoes what it did.
func dryRun(flag *bool) error {
	if flag != nil && *flag {
		return errDryRun()
	}
	return nil
}
