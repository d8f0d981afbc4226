package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

const (
	// keyLife is how long a key seals new tokens.
	keyLife = 30 * 24 * time.Hour
	// tokenLife is how long a token can be good after it was sealed: the longest
	// session of a role, and an hour for clocks that disagree.
	tokenLife = 13 * time.Hour
	// patience is how long a key that was not there is not looked for again:
	// anyone can ask for one.
	patience = time.Second
)

// rows of keys are resources of nobody's account.
var rowKey = store.Key{Kind: "session-key", Account: "goldsmith", Name: "session"}

func rowARN(id int64) string { return fmt.Sprintf("goldsmith:session-key/%d", id) }

// keyring has the keys of the database. Several servers may share it: a key that
// another one made is read when a token names it.
type keyring struct {
	store *store.Store
	now   func() time.Time

	mu     sync.Mutex
	keys   map[int64]*key
	last   *key
	missed time.Time
}

// find gives a key by its number.
func (r *keyring) find(ctx context.Context, id int64) (*key, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k, ok := r.keys[id]; ok {
		return k, true, nil
	}
	if now := r.now(); !r.missed.IsZero() && now.Before(r.missed.Add(patience)) && !now.Before(r.missed) {
		return nil, false, nil
	}
	if err := r.store.Read(ctx, r.load); err != nil {
		return nil, false, err
	}
	k, ok := r.keys[id]
	if !ok {
		r.missed = r.now()
	}
	return k, ok, nil
}

// newest gives the key that seals, making one if there is none or the last one
// is old.
func (r *keyring) newest(ctx context.Context) (*key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fresh() {
		return r.last, nil
	}
	for range 3 {
		// Another server may be making the same key: whoever is second reads it.
		err := r.store.Write(ctx, r.rotate)
		if errors.Is(err, store.ErrExists) {
			continue
		}
		if err != nil {
			r.keys, r.last = nil, nil // what was not committed seals nothing
			return nil, err
		}
		return r.last, nil
	}
	return nil, errors.New("another server is always making the same key")
}

func (r *keyring) fresh() bool {
	return r.last != nil && r.now().Before(r.last.created.Add(keyLife))
}

// load reads all keys.
func (r *keyring) load(tx *store.Tx) error {
	keys, last := map[int64]*key{}, (*key)(nil)
	rows, err := tx.List(store.Query{Kind: rowKey.Kind, Account: rowKey.Account, Limit: 1000})
	if err != nil {
		return err
	}
	for _, listed := range rows {
		row, ok, err := tx.Resource(listed.ARN)
		if err != nil || !ok {
			return err
		}
		k, err := newKey(row.Version.Major, row.Created, row.Content)
		if err != nil {
			return err
		}
		keys[k.id], last = k, k
	}
	r.keys, r.last = keys, last
	return nil
}

// rotate reads the keys again and, if none is young enough, adds one and removes
// those whose tokens have all ended.
func (r *keyring) rotate(tx *store.Tx) error {
	if err := r.load(tx); err != nil || r.fresh() {
		return err
	}
	secret, now, id := make([]byte, 32), r.now(), int64(1)
	rand.Read(secret)
	if r.last != nil {
		id = r.last.id + 1
	}
	for _, k := range r.keys {
		if now.After(k.created.Add(keyLife+tokenLife)) && k != r.last {
			if err := tx.Delete(rowARN(k.id)); err != nil {
				return err
			}
		}
	}
	if err := tx.Insert(store.Resource{Key: rowKey, Version: store.Version{Major: id}, ARN: rowARN(id), Created: now, Doc: []byte("{}"), Content: secret}); err != nil {
		return err
	}
	return r.load(tx)
}
