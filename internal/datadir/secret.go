package datadir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// MasterKey reads the key of size random bytes that lies in keys/kms/NAME, mode
// 0600, and with create makes it if it is not there. Two that make it at once get
// the same one.
func (d Dir) MasterKey(name string, size int, create bool) ([]byte, error) {
	folder := Dir(d.Keys()).in("kms")
	path := filepath.Join(folder, name)
	key, err := os.ReadFile(path)
	switch {
	case err == nil:
		return key, nil
	case !errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("reading a key: %w", err)
	case !create:
		return nil, fmt.Errorf("the key file %s is missing: restore it from a copy; without it, what it encrypted cannot be read", path)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of keys: %w", err)
	}
	key = make([]byte, size)
	rand.Read(key)
	f, err := os.CreateTemp(folder, ".new-*")
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(key)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), path) // unlike a renaming, it never replaces a key
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	if dir, err := os.Open(folder); err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
		if err != nil {
			return nil, fmt.Errorf("making a key: %w", err)
		}
	}
	return os.ReadFile(path)
}
