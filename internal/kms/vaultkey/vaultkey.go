// Package vaultkey keeps a master key in the transit engine of HashiCorp Vault or
// OpenBao, through Vault's own client library.
package vaultkey

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/goldsmith-build/goldsmith/internal/kms"
)

// Config says where the key is.
type Config struct {
	Address   string // https://HOST:PORT
	Mount     string // of the transit engine; "": transit
	Key       string // its name there
	Namespace string // "": none
	Token     string // or
	TokenFile string // which is read for every use, so that an agent may renew it
}

// Key is a key of a transit engine.
type Key struct {
	Config
	client *api.Client
}

var _ kms.Keeper = (*Key)(nil)

// answering is how long Vault may take to answer, and how often it is asked again
// when it does not, or is sealed.
const (
	answering = 10 * time.Second
	retries   = 2
)

// New gives the key that c names. It does not ask whether it is there.
func New(c Config) (*Key, error) {
	if c.Mount == "" {
		c.Mount = "transit"
	}
	client, err := api.NewClient(&api.Config{Address: c.Address, Timeout: answering, MaxRetries: retries})
	if err != nil {
		return nil, fmt.Errorf("configuring access to Vault: %w", err)
	}
	client.ClearToken() // the environment's is not meant
	client.SetNamespace(c.Namespace)
	return &Key{Config: c, client: client}, nil
}

// Wrap implements kms.Keeper. The key must be of an authenticating type, as
// transit's default aes256-gcm96 is.
func (k *Key) Wrap(ctx context.Context, name string, data []byte) ([]byte, error) {
	text, err := k.ask(ctx, "encrypt", "ciphertext", map[string]any{"plaintext": encode(data), "associated_data": encode([]byte(name))})
	return []byte(text), err
}

// Unwrap implements kms.Keeper.
func (k *Key) Unwrap(ctx context.Context, name string, wrapped []byte) ([]byte, error) {
	text, err := k.ask(ctx, "decrypt", "plaintext", map[string]any{"ciphertext": string(wrapped), "associated_data": encode([]byte(name))})
	if err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("asking Vault at %s: the answer is not base64", k.Address)
	}
	return data, nil
}

func encode(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

// ask does one operation and gives a member of its answer.
func (k *Key) ask(ctx context.Context, operation, member string, body map[string]any) (string, error) {
	token, err := k.token()
	if err != nil {
		return "", err
	}
	client, err := k.client.CloneWithHeaders()
	if err != nil {
		return "", fmt.Errorf("asking Vault at %s: %w", k.Address, err)
	}
	client.SetToken(token)
	secret, err := client.Logical().WriteWithContext(ctx, k.Mount+"/"+operation+"/"+k.Key, body)
	var refused *api.ResponseError
	switch {
	case errors.As(err, &refused):
		return "", fmt.Errorf("the Vault at %s refuses to %s with the key %s of %s: %s (status %d)", k.Address, operation, k.Key, k.Mount, strings.Join(refused.Errors, "; "), refused.StatusCode)
	case err != nil:
		return "", fmt.Errorf("asking Vault at %s: %w", k.Address, err)
	case secret == nil:
		return "", fmt.Errorf("asking Vault at %s: the answer is empty", k.Address)
	}
	text, ok := secret.Data[member].(string)
	if !ok || text == "" {
		return "", fmt.Errorf("asking Vault at %s: the answer has no %s", k.Address, member)
	}
	return text, nil
}

// token reads the token.
func (k *Key) token() (string, error) {
	if k.TokenFile == "" {
		return k.Token, nil
	}
	data, err := os.ReadFile(k.TokenFile)
	if err != nil {
		return "", fmt.Errorf("reading the token for Vault: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}
