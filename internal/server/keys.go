package server

import (
	"context"
	"sync/atomic"

	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/identity"
)

// principals are those of the configuration and of the data folder. They can be
// replaced while requests are answered.
type principals struct {
	own     access.AccessKey
	current atomic.Pointer[access.Directory]
}

// readPrincipals gives the first account the key of the data folder's
// credentials file, and every account what the configuration names.
func readPrincipals(dir datadir.Dir, cfg *config.Config) (*principals, error) {
	key, err := dir.Key()
	if err != nil {
		return nil, err
	}
	p := &principals{own: access.AccessKey{ID: key.AccessKeyID, Secret: identity.Secret(key.SecretAccessKey)}}
	return p, p.replace(cfg)
}

// replace takes the accounts of another configuration; on an error the old ones
// stay.
func (p *principals) replace(cfg *config.Config) error {
	d, err := cfg.Directory(p.own)
	if err != nil {
		return err
	}
	p.current.Store(d)
	return nil
}

// Directory is what there is now.
func (p *principals) Directory() *access.Directory { return p.current.Load() }

// Lookup implements identity.Keys.
func (p *principals) Lookup(_ context.Context, id, _ string) (identity.Key, bool, error) {
	key, ok := p.Directory().Key(id)
	return key, ok, nil
}
