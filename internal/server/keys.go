package server

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/session"
)

// principals are those of the configuration and of the data folder, and their
// sessions. They can be replaced while requests are answered.
type principals struct {
	own      access.AccessKey
	sessions *session.Sealer
	current  atomic.Pointer[access.Directory]
}

// readPrincipals gives the first account the key of the data folder's
// credentials file, and every account what the configuration names.
func readPrincipals(dir datadir.Dir, cfg *config.Config, sessions *session.Sealer) (*principals, error) {
	key, err := dir.Key()
	if err != nil {
		return nil, err
	}
	p := &principals{own: access.AccessKey{ID: key.AccessKeyID, Secret: identity.Secret(key.SecretAccessKey)}, sessions: sessions}
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
func (p *principals) Lookup(ctx context.Context, id, token string) (identity.Key, bool, error) {
	if !strings.HasPrefix(id, session.Prefix) {
		key, ok := p.Directory().Key(id)
		return key, ok, nil
	}
	t, secret, ok, err := p.sessions.Open(ctx, id, token)
	if err != nil || !ok {
		return identity.Key{}, false, err
	}
	who, ok, err := assumed(p.Directory(), t)
	if err != nil || !ok {
		return identity.Key{}, false, err
	}
	return identity.Key{
		AccessKeyID: id, SecretAccessKey: secret, SessionToken: token, Expires: t.Expires, Account: who.Account, ARN: who.ARN, UserID: who.ID, Principal: who,
	}, true, nil
}

// assumed is the principal of a session. It may do what its role may do now, not
// what it might do when it was assumed; a role that is gone has no sessions. A
// managed session policy that is gone allows nothing.
func assumed(d *access.Directory, t session.Ticket) (*access.Principal, bool, error) {
	role, ok := d.Role(t.Role)
	if !ok {
		return nil, false, nil
	}
	s := access.Session{Name: t.Name, Issued: t.Issued, Expires: t.Expires, Source: t.Source, Transitive: t.Transitive, Limited: t.Limited()}
	if t.Policy != "" {
		p, err := access.Parse(access.IdentityBased, t.Policy)
		if err != nil {
			return nil, false, fmt.Errorf("reading the policy of a session of %s: %w", t.Role, err)
		}
		s.Policies = append(s.Policies, p)
	}
	for _, arn := range t.PolicyARNs {
		if p, ok := d.Managed(arn); ok {
			s.Policies = append(s.Policies, p)
		}
	}
	return role.Assume(s, t.Tags), true, nil
}
