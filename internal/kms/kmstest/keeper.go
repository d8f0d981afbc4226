// Package kmstest is the suite that every keeper of master keys is held to.
package kmstest

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/kms"
)

// Keeper holds a keeper, whose key is there and may be used, to the contract.
func Keeper(t *testing.T, k kms.Keeper) {
	t.Helper()
	const name = "arn:aws:kms:us-east-1:111122223333:key/0d9a4a5e-6c1f-4b62-9d0e-3b1f6a5c7e11"
	data := bytes.Repeat([]byte{0, 255, 7, 1}, 8)
	wrapped, err := k.Wrap(t.Context(), name, data)
	if err != nil {
		t.Fatalf("Wrap: %v", err)
	}
	if bytes.Contains(wrapped, data[:8]) {
		t.Error("the wrapped key holds the key")
	}
	if got, err := k.Unwrap(t.Context(), name, wrapped); err != nil || !bytes.Equal(got, data) {
		t.Errorf("Unwrap: %x, %v; want %x", got, err, data)
	}
	if got, err := k.Unwrap(t.Context(), name+"0", wrapped); err == nil {
		t.Errorf("unwrapped for another name: %x", got)
	}
	for _, at := range []int{len(wrapped) / 2, len(wrapped) - 5} {
		bad := bytes.Clone(wrapped)
		bad[at] ^= 1
		if got, err := k.Unwrap(t.Context(), name, bad); err == nil && bytes.Equal(got, data) {
			t.Errorf("byte %d can be changed", at)
		}
	}
	for _, bad := range [][]byte{nil, []byte("x"), wrapped[:len(wrapped)/2]} {
		if got, err := k.Unwrap(t.Context(), name, bad); err == nil {
			t.Errorf("unwrapped %q: %x", bad, got)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	cancel()
	if _, ok := k.(kms.Local); !ok {
		if _, err := k.Wrap(ctx, name, data); err == nil {
			t.Error("Wrap goes on when its context has ended")
		}
	}
}
