package disk

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/goldsmith-build/goldsmith/internal/objects"
)

// Keys wraps the data keys of sealed snapshots under master keys, which are
// known by their ARNs. An error says that a master key cannot be used: it names
// the key and the reason, and callers of a Store find ErrKey around it.
type Keys interface {
	// Wrap seals a data key under a master key.
	Wrap(ctx context.Context, key string, data []byte) ([]byte, error)

	// Unwrap opens what Wrap gave for the same master key.
	Unwrap(ctx context.Context, key string, wrapped []byte) ([]byte, error)
}

// ErrKey is returned (wrapped) when a snapshot's master key cannot be used: it
// is disabled, gone, out of reach, or not the one that the snapshot was sealed
// under.
var ErrKey = errors.New("the key cannot be used")

const (
	dataKeySize = 32    // bytes
	maxKeyName  = 2048  // bytes of a master key's ARN
	maxWrapped  = 16384 // bytes of a wrapped data key
)

// dataKey seals the blocks and the lists of snapshots. Everything is derived
// from 32 random bytes that only ever leave the process wrapped.
type dataKey struct {
	master  string // ARN of the master key
	wrapped []byte

	block cipher.AEAD // with a random nonce in front
	list  cipher.AEAD
	name  []byte // of the function that names blocks
	nonce []byte // of the function that makes the nonces of lists
}

// newDataKey derives the keys of each purpose, so that none is used for two.
func newDataKey(master string, secret, wrapped []byte) (*dataKey, error) {
	if len(secret) != dataKeySize {
		return nil, fmt.Errorf("%w: %s: the data key has %d bytes, not %d", ErrKey, master, len(secret), dataKeySize)
	}
	k := &dataKey{master: master, wrapped: wrapped}
	derived := map[string][]byte{}
	for _, purpose := range []string{"block", "list", "name", "nonce"} {
		key, err := hkdf.Key(sha256.New, secret, nil, "goldsmith snapshot "+purpose, 32)
		if err != nil {
			return nil, fmt.Errorf("deriving keys: %w", err)
		}
		derived[purpose] = key
	}
	k.name, k.nonce = derived["name"], derived["nonce"]
	ciphers := map[string]cipher.Block{}
	for _, purpose := range []string{"block", "list"} {
		c, err := aes.NewCipher(derived[purpose])
		if err != nil {
			return nil, fmt.Errorf("deriving keys: %w", err)
		}
		ciphers[purpose] = c
	}
	var err error
	if k.block, err = cipher.NewGCMWithRandomNonce(ciphers["block"]); err != nil {
		return nil, fmt.Errorf("deriving keys: %w", err)
	}
	if k.list, err = cipher.NewGCM(ciphers["list"]); err != nil {
		return nil, fmt.Errorf("deriving keys: %w", err)
	}
	return k, nil
}

// named gives the name of a sealed block: equal blocks under one data key have
// one name, and nobody without the key can tell which content it is of.
func (k *dataKey) named(d Digest) Digest {
	mac := hmac.New(sha256.New, k.name)
	mac.Write(d[:])
	return Digest(mac.Sum(nil))
}

// objectOf is the key, in the object store, of a block: under a data key, or
// plain for nil.
func (k *dataKey) objectOf(d Digest) string {
	if k == nil {
		return blockKey(d)
	}
	return sealedBlockKey(k.named(d))
}

// same reports whether blocks under both are the same objects.
func (k *dataKey) same(other *dataKey) bool {
	if k == nil || other == nil {
		return k == other
	}
	return k.master == other.master && hmac.Equal(k.name, other.name)
}

// seal encrypts a packed block and appends it to dst; its name is authenticated
// with it, so that no block can stand in another's place.
func (k *dataKey) seal(dst []byte, d Digest, packed []byte) []byte {
	name := k.named(d)
	return k.block.Seal(dst, nil, packed, name[:])
}

// open decrypts a block and appends it to dst.
func (k *dataKey) open(dst []byte, d Digest, sealed []byte) ([]byte, error) {
	name := k.named(d)
	return k.block.Open(dst, nil, sealed, name[:])
}

// currentKey is where a store keeps the data key that new snapshots under a
// master key use: one for all, so that a child stores only what changed.
type currentKey struct {
	Master  string `json:"key"`
	Wrapped []byte `json:"wrapped"`
}

const dataKeyPrefix = "datakeys/"

func currentKeyOf(master string) string {
	return dataKeyPrefix + Digest(sha256.Sum256([]byte(master))).String()
}

// under gives the data key for new snapshots under a master key; nil for "".
// The first use makes it. Two that do so at once may each make one: both can be
// read for ever, since every list carries its own wrapped key.
func (s *Store) under(ctx context.Context, master string) (*dataKey, error) {
	if master == "" {
		return nil, nil
	}
	if s.keys == nil {
		return nil, fmt.Errorf("%w: %s: this store has no keys", ErrKey, master)
	}
	wrapped, err := s.currentKey(ctx, master)
	if err != nil {
		return nil, err
	}
	if wrapped == nil {
		if err := s.makeKey(ctx, master); err != nil {
			return nil, err
		}
		if wrapped, err = s.currentKey(ctx, master); err != nil {
			return nil, err
		}
	}
	return s.unwrap(ctx, master, wrapped)
}

// currentKey reads the wrapped data key of a master key; nil if there is none.
func (s *Store) currentKey(ctx context.Context, master string) ([]byte, error) {
	body, err := s.objects.Get(ctx, currentKeyOf(master))
	if errors.Is(err, objects.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the data key under %s: %w", master, err)
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, 4*(maxKeyName+maxWrapped)))
	if err != nil {
		return nil, fmt.Errorf("reading the data key under %s: %w", master, err)
	}
	var current currentKey
	if err := json.Unmarshal(data, &current); err != nil || current.Master != master || len(current.Wrapped) == 0 {
		return nil, fmt.Errorf("reading the data key under %s: %w: the object %s is not one", master, ErrCorrupt, currentKeyOf(master))
	}
	return current.Wrapped, nil
}

func (s *Store) makeKey(ctx context.Context, master string) error {
	secret := make([]byte, dataKeySize)
	rand.Read(secret)
	wrapped, err := s.keys.Wrap(ctx, master, secret)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	if len(master) > maxKeyName || len(wrapped) > maxWrapped {
		return fmt.Errorf("%w: %s: its name has %d bytes and a wrapped key %d", ErrKey, master, len(master), len(wrapped))
	}
	return s.putJSON(ctx, currentKeyOf(master), currentKey{Master: master, Wrapped: wrapped})
}

// unwrap opens a data key.
func (s *Store) unwrap(ctx context.Context, master string, wrapped []byte) (*dataKey, error) {
	if s.keys == nil {
		return nil, fmt.Errorf("%w: %s: this store has no keys", ErrKey, master)
	}
	secret, err := s.keys.Unwrap(ctx, master, wrapped)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return newDataKey(master, secret, wrapped)
}
