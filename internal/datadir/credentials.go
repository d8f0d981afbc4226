package datadir

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Key is an access key pair.
type Key struct {
	AccessKeyID     string
	SecretAccessKey string
}

// Key reads the access key of the credentials file's default profile, and makes
// the file with a new key if there is none.
func (d Dir) Key() (Key, error) {
	data, err := os.ReadFile(d.Credentials())
	if errors.Is(err, os.ErrNotExist) {
		key := newKey()
		text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", key.AccessKeyID, key.SecretAccessKey)
		return key, writeFile(d.Credentials(), text)
	}
	if err != nil {
		return Key{}, fmt.Errorf("reading the credentials file: %w", err)
	}
	profile := defaultProfile(string(data))
	key := Key{AccessKeyID: profile["aws_access_key_id"], SecretAccessKey: profile["aws_secret_access_key"]}
	if key.AccessKeyID == "" || key.SecretAccessKey == "" {
		return Key{}, fmt.Errorf("%s has no aws_access_key_id and aws_secret_access_key in its profile default: mend it, or remove it to get a new key", d.Credentials())
	}
	return key, nil
}

// WriteConfig writes the AWS config file with the server's endpoint. Whatever
// else its owner wrote into it stays.
func (d Dir) WriteConfig(endpoint, region string) error {
	data, err := os.ReadFile(d.Config())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading the AWS config file: %w", err)
	}
	if err != nil {
		return writeFile(d.Config(), fmt.Sprintf("[default]\nregion = %s\nendpoint_url = %s\n", region, endpoint))
	}
	if defaultProfile(string(data))["endpoint_url"] == endpoint {
		return nil
	}
	lines, in, done := strings.Split(strings.TrimRight(string(data), "\n"), "\n"), false, false
	var out []string
	for _, line := range lines {
		header := strings.HasPrefix(strings.TrimSpace(line), "[")
		key, _, _ := strings.Cut(line, "=")
		switch {
		case header:
			in = strings.TrimSpace(line) == "[default]"
			out = append(out, line)
			if in && !done {
				out, done = append(out, "endpoint_url = "+endpoint), true
			}
		case in && strings.TrimSpace(key) == "endpoint_url":
		default:
			out = append(out, line)
		}
	}
	if !done {
		out = append(out, "[default]", "endpoint_url = "+endpoint)
	}
	return writeFile(d.Config(), strings.Join(out, "\n")+"\n")
}

// Endpoint reads the endpoint back, for commands that talk to a running server.
func (d Dir) Endpoint() (string, error) {
	data, err := os.ReadFile(d.Config())
	if err != nil {
		return "", fmt.Errorf("reading the AWS config file: %w", err)
	}
	return defaultProfile(string(data))["endpoint_url"], nil
}

// defaultProfile reads the keys of a profile file's section [default].
func defaultProfile(text string) map[string]string {
	values, in := map[string]string{}, false
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			in = line == "[default]"
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && in && !strings.HasPrefix(line, "#") {
			values[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return values
}

// newKey makes a key pair of the lengths that AWS uses: 20 and 40 characters.
func newKey() Key {
	id, secret := make([]byte, 10), make([]byte, 30)
	rand.Read(id)
	rand.Read(secret)
	return Key{
		AccessKeyID:     "AKIA" + base32.StdEncoding.EncodeToString(id),
		SecretAccessKey: base64.StdEncoding.EncodeToString(secret),
	}
}

// writeFile writes a private file so that a crash leaves the old or the new one.
func writeFile(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
