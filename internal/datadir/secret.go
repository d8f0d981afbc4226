package datadir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
)

// Keys holds the server's own keys.
func (d Dir) Keys() string { return d.in("keys") }

// Secret reads a key of size random bytes that lies in keys/NAME, mode 0600, and
// makes it if it is not there. What it protects is lost with it.
func (d Dir) Secret(name string, size int) ([]byte, error) {
	key, err := d.KeyFile(name, func() ([]byte, error) {
		key := make([]byte, size)
		rand.Read(key)
		return key, nil
	})
	if err == nil && len(key) != size {
		err = fmt.Errorf("the key %s/%s has %d bytes, not %d: restore it from a copy; without it, what it protects cannot be read", d.Keys(), name, len(key), size)
	}
	return key, err
}

// KeyFile reads keys/NAME, and makes it with what generate gives, mode 0600, if it
// is not there.
func (d Dir) KeyFile(name string, generate func() ([]byte, error)) ([]byte, error) {
	path := Dir(d.Keys()).in(name)
	data, err := os.ReadFile(path)
	if err == nil {
		return data, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading a key: %w", err)
	}
	if err := os.MkdirAll(d.Keys(), 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of keys: %w", err)
	}
	if data, err = generate(); err != nil {
		return nil, fmt.Errorf("making the key %s: %w", name, err)
	}
	return data, writeFile(path, string(data))
}
