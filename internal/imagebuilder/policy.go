package imagebuilder

import (
	"context"

	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Resource gives what an ARN names or selects, for decisions about who may use
// it; ok is false for what is not there and for what is managed by Amazon.
func (s *Service) Resource(ctx context.Context, text string) (r access.Resource, ok bool, err error) {
	a, ok := parseARN(text)
	if !ok || a.Account == amazon {
		return access.Resource{}, false, nil
	}
	err = s.read(ctx, func(tx *store.Tx) error {
		var row store.Resource
		if row, ok, err = find(tx, a); err != nil || !ok {
			return err
		}
		doc, err := decode[struct {
			Tags map[string]string `json:"tags"`
		}](row)
		if err != nil {
			return err
		}
		r.ARN, r.Tags = row.ARN, doc.Tags
		return nil
	})
	return r, ok, err
}

// find reads the row that an ARN names, or the highest that it selects.
func find(tx *store.Tx, a arn) (store.Resource, bool, error) {
	if a.form == nameOnly {
		return tx.Resource(a.String())
	}
	pattern := a.version
	if a.form == versionForm {
		pattern.Build = store.Any
	}
	return tx.Match(a.Key, pattern)
}
