package imagebuilder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// once runs fn in a write transaction unless the client token was used before:
// then the same parameters get the same answer, others are refused. params is
// the input without its token. What failed is not remembered, and neither is an
// answer about a resource that was deleted since: the request is then made anew.
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
				if ok, err = stands(tx, before.Response); err != nil {
					return err
				}
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

// stands reports whether what an answer names is still there. The answer of a
// state update stands in any case: it may be the update that deleted the image.
func stands(tx *store.Tx, response []byte) (bool, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(response, &members); err != nil {
		return false, fmt.Errorf("decoding a kept answer: %w", err)
	}
	if _, ok := members["lifecycleExecutionId"]; ok {
		return true, nil
	}
	for name, raw := range members {
		if !strings.HasSuffix(name, "Arn") {
			continue
		}
		var value string
		if json.Unmarshal(raw, &value) != nil {
			continue
		}
		if _, ok := parseARN(value); !ok {
			continue
		}
		if _, there, err := tx.Resource(value); err != nil || !there {
			return false, err
		}
	}
	return true, nil
}

// dryRun makes a transaction that came this far fail if the flag is set, which
// undoes what it did.
func dryRun(flag *bool) error {
	if flag != nil && *flag {
		return errDryRun()
	}
	return nil
}
