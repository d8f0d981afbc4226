package server

import (
	"context"
	"fmt"

	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/kms"
	"github.com/goldsmith-build/goldsmith/internal/kms/awskey"
	"github.com/goldsmith-build/goldsmith/internal/kms/vaultkey"
)

// openKeys gives the keys that disks are encrypted under: those of the
// configuration, and the default ones.
func openKeys(cfg *config.Config, dir datadir.Dir) (*kms.Ring, error) {
	ring := kms.NewRing(func(id string) kms.Keeper { return localKey(dir, id) })
	keys, err := keysOf(cfg, dir)
	if err != nil {
		return nil, err
	}
	return ring, ring.Replace(keys)
}

// keysOf gives the keys of a configuration, which fit together.
func keysOf(cfg *config.Config, dir datadir.Dir) ([]kms.Key, error) {
	var keys []kms.Key
	for i, k := range cfg.Keys {
		keeper, err := keeperOf(k, dir)
		if err != nil {
			return nil, fmt.Errorf("keys[%d]: %w", i, err)
		}
		keys = append(keys, kms.Key{Account: k.Account, Region: k.Region, ID: k.ID, Aliases: k.Aliases, Users: k.Users, Disabled: k.Disabled, Keeper: keeper})
	}
	return keys, kms.Check(keys)
}

// keeperOf is where a key of the configuration lies.
func keeperOf(k config.MasterKey, dir datadir.Dir) (kms.Keeper, error) {
	switch {
	case k.AWS != nil:
		a := *k.AWS
		if a.Region == "" {
			a.Region = k.Region
		}
		return awskey.New(context.Background(), awskey.Config{Key: a.Key, Region: a.Region, Endpoint: a.Endpoint, AccessKeyID: a.AccessKeyID, SecretAccessKey: string(a.SecretAccessKey)})
	case k.Vault != nil:
		v := *k.Vault
		return vaultkey.New(vaultkey.Config{Address: v.Address, Mount: v.Mount, Key: v.Key, Namespace: v.Namespace, Token: string(v.Token), TokenFile: v.TokenFile})
	}
	return localKey(dir, k.ID), nil
}

// localKey is a key in the data folder.
func localKey(dir datadir.Dir, id string) kms.Keeper {
	return kms.Local{Load: func(create bool) ([]byte, error) { return dir.MasterKey(id, kms.LocalKeySize, create) }}
}
