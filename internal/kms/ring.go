package kms

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/goldsmith-build/goldsmith/internal/fault"
)

// Ring has all keys. It is safe for concurrent use.
type Ring struct {
	keys atomic.Pointer[[]Key]
	here func(id string) Keeper // keeps the default keys
}

// NewRing gives a ring without keys but the default ones, which here keeps, by
// their ids.
func NewRing(here func(id string) Keeper) *Ring {
	r := &Ring{here: here}
	r.keys.Store(&[]Key{})
	return r
}

// Replace takes other keys: they hold from the next use on. On an error the old
// ones stay.
func (r *Ring) Replace(keys []Key) error {
	if err := Check(keys); err != nil {
		return err
	}
	keys = slices.Clone(keys)
	r.keys.Store(&keys)
	return nil
}

// Check refuses keys that could not be named, or not be told apart.
func Check(keys []Key) error {
	names := map[string]bool{}
	for i, k := range keys {
		if err := k.Check(); err != nil {
			return fmt.Errorf("keys[%d].%w", i, err)
		}
		for _, name := range append([]string{"key/" + k.ID}, k.Aliases...) {
			full := k.Account + " " + k.Region + " " + name
			if names[full] {
				return fmt.Errorf("keys[%d]: %s of the account %s in %s is there twice", i, name, k.Account, k.Region)
			}
			names[full] = true
		}
	}
	return nil
}

// find gives the key of an account in a region that a name stands for: "key/ID"
// or an alias.
func (r *Ring) find(account, region, name string) (Key, bool) {
	for _, k := range *r.keys.Load() {
		if k.Account == account && k.Region == region && (name == "key/"+k.ID || slices.Contains(k.Aliases, name)) {
			return k, true
		}
	}
	if k := defaultKey(account, region); name == DefaultAlias || name == "key/"+k.ID {
		k.Keeper = r.here(k.ID)
		return k, true
	}
	return Key{}, false
}

// Resolve gives the key that an account means by a name in a region: an ARN of a
// key or an alias, a key id, an alias, or "" for the default key. It is a fault
// in EC2's words where there is none, it is disabled, or the account may not use
// it.
func (r *Ring) Resolve(account, region, name string) (Key, error) {
	if name == "" {
		name = DefaultAlias
	}
	owner, in, short := account, region, name
	if parts := keyARN.FindStringSubmatch(name); parts != nil {
		in, owner, short = parts[1], parts[2], parts[3]
	} else if keyID.MatchString(name) {
		short = "key/" + name
	}
	if in != region {
		return Key{}, fault.New("InvalidParameterValue", "Value (%s) for parameter kmsKeyId is invalid. The key must be one of the region %s.", fault.Clip(name), region)
	}
	k, ok := r.find(owner, in, short)
	switch {
	case !ok || k.Default() && owner != account:
		return Key{}, fault.New("InvalidParameterValue", "Value (%s) for parameter kmsKeyId is invalid. The key does not exist in %s, or the account %s may not use it.", fault.Clip(name), region, account)
	case !k.usableBy(account):
		return Key{}, fault.New("InvalidParameterValue", "Value (%s) for parameter kmsKeyId is invalid. The key does not exist in %s, or the account %s may not use it.", fault.Clip(name), region, account)
	case k.Disabled:
		return Key{}, fault.New("InvalidKmsKey.InvalidState", "%s is disabled.", k.ARN())
	}
	return k, nil
}

// named gives the key of an ARN, whoever asks, unless it cannot be used.
func (r *Ring) named(arn string) (Key, error) {
	parts := keyARN.FindStringSubmatch(arn)
	if parts == nil {
		return Key{}, fmt.Errorf("%.300q is not the ARN of a key", arn)
	}
	k, ok := r.find(parts[2], parts[1], parts[3])
	switch {
	case !ok:
		return Key{}, fmt.Errorf("the key %s does not exist: it was taken out of the configuration", arn)
	case k.Disabled:
		return Key{}, fmt.Errorf("the key %s is disabled", arn)
	}
	return k, nil
}

// MayUse refuses an account that may not use the key of an ARN now, with a fault.
func (r *Ring) MayUse(account, arn string) error {
	k, err := r.named(arn)
	if err != nil {
		return fault.New("InvalidKmsKey.InvalidState", "%s.", upper(err.Error()))
	}
	if !k.usableBy(account) {
		return fault.New("UnauthorizedOperation", "The account %s may not use the key %s that the image is encrypted with.", account, arn)
	}
	return nil
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// Has reports whether an ARN is that of a key of the ring.
func (r *Ring) Has(arn string) bool {
	parts := keyARN.FindStringSubmatch(arn)
	if parts == nil {
		return false
	}
	_, ok := r.find(parts[2], parts[1], parts[3])
	return ok
}

// Sharable reports whether what the key of an ARN encrypts may be shared: all but
// the default keys.
func (r *Ring) Sharable(arn string) bool {
	k, err := r.named(arn)
	return err == nil && !k.Default()
}

// Wrap implements disk.Keys.
func (r *Ring) Wrap(ctx context.Context, arn string, data []byte) ([]byte, error) {
	k, err := r.named(arn)
	if err != nil {
		return nil, err
	}
	wrapped, err := k.Keeper.Wrap(ctx, arn, data)
	if err != nil {
		return nil, fmt.Errorf("wrapping a data key with %s: %w", arn, err)
	}
	return wrapped, nil
}

// Unwrap implements disk.Keys.
func (r *Ring) Unwrap(ctx context.Context, arn string, wrapped []byte) ([]byte, error) {
	k, err := r.named(arn)
	if err != nil {
		return nil, err
	}
	data, err := k.Keeper.Unwrap(ctx, arn, wrapped)
	if err != nil {
		return nil, fmt.Errorf("unwrapping a data key with %s: %w", arn, err)
	}
	return data, nil
}

// List gives the keys of an account in a region, the default one last.
func (r *Ring) List(account, region string) (all []Key) {
	hasDefault := false
	for _, k := range *r.keys.Load() {
		if k.Account == account && k.Region == region {
			all = append(all, k)
			hasDefault = hasDefault || k.Default()
		}
	}
	if !hasDefault {
		k := defaultKey(account, region)
		k.Keeper = r.here(k.ID)
		all = append(all, k)
	}
	return all
}
