package parameter

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
)

// Seal keeps secret values from whoever reads the database without the key
// beside it: AES-256-GCM, with the place of the value bound in, so that a sealed
// value moved to another parameter does not open.
type Seal struct{ aead cipher.AEAD }

// KeySize is the size of a seal's key in bytes.
const KeySize = 32

// NewSeal returns the seal of a key.
func NewSeal(key []byte) (*Seal, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("the key of the parameters has %d bytes, not %d", len(key), KeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Seal{aead}, nil
}

func (s *Seal) seal(value, place string) string {
	nonce := make([]byte, s.aead.NonceSize())
	rand.Read(nonce)
	return base64.StdEncoding.EncodeToString(s.aead.Seal(nonce, nonce, []byte(value), []byte(place)))
}

func (s *Seal) open(sealed, place string) (string, error) {
	data, err := base64.StdEncoding.DecodeString(sealed)
	if err == nil && len(data) < s.aead.NonceSize() {
		err = fmt.Errorf("it has %d bytes only", len(data))
	}
	if err != nil {
		return "", fmt.Errorf("opening the value of %s: %w", place, err)
	}
	value, err := s.aead.Open(nil, data[:s.aead.NonceSize()], data[s.aead.NonceSize():], []byte(place))
	if err != nil {
		return "", fmt.Errorf("opening the value of %s: it was sealed with another key, or changed: %w", place, err)
	}
	return string(value), nil
}
