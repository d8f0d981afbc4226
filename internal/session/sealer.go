package session

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Prefix begins the access key ids of sessions.
const Prefix = "ASIA"

// Credential is a temporary access key.
type Credential struct {
	AccessKeyID string
	Secret      identity.Secret
	Token       string
}

// Sealer makes and reads tokens. It is safe for concurrent use.
type Sealer struct {
	keys *keyring
	now  func() time.Time
}

// New returns a Sealer with the keys that rows has. now is the clock, nil for
// the real one.
func New(rows *store.Store, now func() time.Time) *Sealer {
	if now == nil {
		now = time.Now
	}
	return &Sealer{keys: &keyring{store: rows, now: now}, now: now}
}

// sealed is the content of a token.
type sealed struct {
	Ticket
	Secret string `json:"k"`
	Pad    string `json:"z,omitempty"`
}

// A token is, in base64: one byte for its form, eight for the number of its key,
// twelve of a nonce, and the content under AES-256-GCM. The bytes in front and
// the access key's id are authenticated with it: a token is good with its own
// access key only.
const (
	tokenForm = 1
	headSize  = 1 + 8
	nonceSize = 12
)

var tokenText = base64.URLEncoding

// Seal makes the credentials of a session. Its token has at least minimum
// characters.
func (s *Sealer) Seal(ctx context.Context, t Ticket, minimum int) (Credential, error) {
	key, err := s.keys.newest(ctx)
	if err != nil {
		return Credential{}, fmt.Errorf("getting the key of sessions: %w", err)
	}
	id, secret := make([]byte, 10), make([]byte, 30)
	rand.Read(id)
	rand.Read(secret)
	c := Credential{AccessKeyID: Prefix + base32.StdEncoding.EncodeToString(id), Secret: identity.Secret(base64.StdEncoding.EncodeToString(secret))}
	content := sealed{Ticket: t, Secret: string(c.Secret)}
	if c.Token, err = key.seal(c.AccessKeyID, content); err != nil {
		return Credential{}, err
	}
	if short := minimum - len(c.Token); short > 0 {
		// Random letters do not pack: each adds a byte to the content at the
		// least, which is more than a character of the token.
		content.Pad = padding(short)
		if c.Token, err = key.seal(c.AccessKeyID, content); err != nil {
			return Credential{}, err
		}
	}
	return c, nil
}

// padding is text of n random bytes.
func padding(n int) string {
	raw := make([]byte, n)
	rand.Read(raw)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Open reads the token that came with an access key's id; ok is false if this
// Sealer's database has not sealed it for that id. A session that has ended is
// given as it was.
func (s *Sealer) Open(ctx context.Context, accessKeyID, token string) (t Ticket, secret identity.Secret, ok bool, err error) {
	if !strings.HasPrefix(accessKeyID, Prefix) || token == "" || len(token) > maxUnpacked {
		return Ticket{}, "", false, nil
	}
	raw, err := tokenText.DecodeString(token)
	if err != nil || len(raw) < headSize+nonceSize || raw[0] != tokenForm || tokenText.EncodeToString(raw) != token {
		return Ticket{}, "", false, nil
	}
	key, ok, err := s.keys.find(ctx, int64(binary.BigEndian.Uint64(raw[1:headSize])))
	if err != nil || !ok {
		return Ticket{}, "", false, err
	}
	plain, err := key.aead.Open(nil, raw[headSize:headSize+nonceSize], raw[headSize+nonceSize:], bound(raw[:headSize], accessKeyID))
	if err != nil {
		return Ticket{}, "", false, nil
	}
	var content sealed
	if err := unpack(plain, &content); err != nil {
		return Ticket{}, "", false, err
	}
	return content.Ticket, identity.Secret(content.Secret), true, nil
}

// key is one of the keys that tokens are sealed with.
type key struct {
	id      int64
	created time.Time
	aead    cipher.AEAD
}

func newKey(id int64, created time.Time, secret []byte) (*key, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, fmt.Errorf("the key %d of sessions: %w", id, err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("the key %d of sessions: %w", id, err)
	}
	return &key{id: id, created: created, aead: aead}, nil
}

func (k *key) seal(accessKeyID string, content sealed) (string, error) {
	plain, err := pack(content)
	if err != nil {
		return "", err
	}
	token := make([]byte, headSize+nonceSize, headSize+nonceSize+len(plain)+k.aead.Overhead())
	token[0] = tokenForm
	binary.BigEndian.PutUint64(token[1:], uint64(k.id))
	rand.Read(token[headSize:])
	token = k.aead.Seal(token, token[headSize:], plain, bound(token[:headSize], accessKeyID))
	return tokenText.EncodeToString(token), nil
}

// bound is what is authenticated with a token's content.
func bound(head []byte, accessKeyID string) []byte {
	return append(append([]byte("goldsmith session\x00"), head...), accessKeyID...)
}
