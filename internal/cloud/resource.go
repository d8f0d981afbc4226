package cloud

import (
	"context"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Resource gives the AMI or snapshot that an ARN names, with its tags, for
// decisions about who may use it; ok is false for one that there is not, or that
// is not the caller's: nobody sees the tags of another account's.
func (w *World) Resource(ctx context.Context, arn string) (r access.Resource, ok bool, err error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 {
		return access.Resource{}, false, nil
	}
	kind, id, _ := strings.Cut(parts[5], "/")
	account := identity.From(ctx).Account
	r.ARN = arn
	err = w.store.Read(ctx, func(tx *store.Tx) error {
		switch kind {
		case "image":
			a, found, err := w.AMI(tx, id)
			r.Tags, ok = a.Tags, found && a.Account == account && a.Region == parts[3]
			return err
		case "snapshot":
			s, found, err := w.Snapshot(tx, id)
			r.Tags, ok = s.Tags, found && s.Account == account && s.Region == parts[3]
			return err
		}
		return nil
	})
	if err != nil || !ok {
		return access.Resource{}, false, err
	}
	return r, true, nil
}
