package kms

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
)

// LocalKeySize is the size of a master key in the data folder, bytes.
const LocalKeySize = 32

// Local keeps a key on this server's own disk.
type Local struct {
	// Load reads the key's LocalKeySize bytes; with create it makes them on first
	// use. The key is read for each use: who takes it away has it away.
	Load func(create bool) ([]byte, error)
}

var _ Keeper = Local{}

// Wrap implements Keeper with AES-256-GCM and a random nonce.
func (l Local) Wrap(_ context.Context, name string, data []byte) ([]byte, error) {
	c, err := l.cipher(true)
	if err != nil {
		return nil, err
	}
	return c.Seal(nil, nil, data, []byte(name)), nil
}

// Unwrap implements Keeper.
func (l Local) Unwrap(_ context.Context, name string, wrapped []byte) ([]byte, error) {
	c, err := l.cipher(false)
	if err != nil {
		return nil, err
	}
	data, err := c.Open(nil, nil, wrapped, []byte(name))
	if err != nil {
		return nil, errors.New("the key in the data folder is not the one that this was encrypted with: restore it from a copy")
	}
	return data, nil
}

func (l Local) cipher(create bool) (cipher.AEAD, error) {
	key, err := l.Load(create)
	if err != nil {
		return nil, err
	}
	if len(key) != LocalKeySize {
		return nil, fmt.Errorf("the key in the data folder has %d bytes, not %d: restore it from a copy", len(key), LocalKeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}
