package server

import (
	"context"
	"fmt"

	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/identity"
)

// keyring holds the access keys of the data folder and the configuration.
type keyring map[string]identity.Key

// Lookup implements identity.Keys.
func (k keyring) Lookup(_ context.Context, id string) (identity.Key, bool, error) {
	key, ok := k[id]
	return key, ok, nil
}

// readKeys gives the first account the key of the data folder's credentials
// file, and every account the keys that the configuration names.
func readKeys(dir datadir.Dir, cfg *config.Config) (keyring, error) {
	own, err := dir.Key()
	if err != nil {
		return nil, err
	}
	keys := keyring{}
	add := func(account, id, secret, user string) {
		keys[id] = identity.Key{
			AccessKeyID: id, SecretAccessKey: secret, Account: account,
			ARN: fmt.Sprintf("arn:aws:iam::%s:user/%s", account, user), UserID: "AIDA" + id[4:],
		}
	}
	add(cfg.Accounts[0].ID, own.AccessKeyID, own.SecretAccessKey, "admin")
	for _, account := range cfg.Accounts {
		for _, key := range account.Keys {
			user := key.User
			if user == "" {
				user = "admin"
			}
			add(account.ID, key.AccessKeyID, key.SecretAccessKey, user)
		}
	}
	return keys, nil
}
