package vaultkey_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/kms/kmstest"
	"github.com/goldsmith-build/goldsmith/internal/kms/vaultkey"
)

const token = "hvs.the-token"

// transit stands in for Vault's transit engine as its API documentation describes
// it: encrypt and decrypt of one aes256-gcm96 key, errors in its form.
func transit(t *testing.T, mount, key, namespace string) *httptest.Server {
	t.Helper()
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	fail := func(w http.ResponseWriter, status int, why string) {
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]any{"errors": []string{why}})
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Plaintext  string `json:"plaintext"`
			Ciphertext string `json:"ciphertext"`
			Associated []byte `json:"associated_data"`
		}
		operation, found := strings.CutPrefix(r.URL.Path, "/v1/"+mount+"/")
		operation, ok := strings.CutSuffix(operation, "/"+key)
		switch {
		case r.Method != http.MethodPut && r.Method != http.MethodPost:
			fail(w, http.StatusMethodNotAllowed, "unsupported operation")
		case r.Header.Get("X-Vault-Token") != token || r.Header.Get("X-Vault-Namespace") != namespace:
			fail(w, http.StatusForbidden, "permission denied")
		case !found || !ok:
			fail(w, http.StatusBadRequest, "encryption key not found")
		case json.NewDecoder(r.Body).Decode(&in) != nil:
			fail(w, http.StatusBadRequest, "failed to parse JSON input")
		case operation == "encrypt":
			plain, err := base64.StdEncoding.DecodeString(in.Plaintext)
			if err != nil {
				fail(w, http.StatusBadRequest, "failed to base64-decode plaintext")
				return
			}
			sealed := gcm.Seal(nil, nil, plain, in.Associated)
			json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"ciphertext": "vault:v1:" + base64.StdEncoding.EncodeToString(sealed), "key_version": 1}})
		case operation == "decrypt":
			text, ok := strings.CutPrefix(in.Ciphertext, "vault:v1:")
			sealed, err := base64.StdEncoding.DecodeString(text)
			if !ok || err != nil {
				fail(w, http.StatusBadRequest, "invalid ciphertext: no prefix")
				return
			}
			plain, err := gcm.Open(nil, nil, sealed, in.Associated)
			if err != nil {
				fail(w, http.StatusBadRequest, "cipher: message authentication failed")
				return
			}
			json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plain)}})
		default:
			fail(w, http.StatusNotFound, "unsupported path")
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestKeeper(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]vaultkey.Config{
		"usual":     {Key: "golden", Token: token},
		"elsewhere": {Key: "golden", Token: token, Mount: "eu/transit", Namespace: "platform"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mount := c.Mount
			if mount == "" {
				mount = "transit"
			}
			c.Address = transit(t, mount, c.Key, c.Namespace).URL
			k, err := vaultkey.New(c)
			if err != nil {
				t.Fatal(err)
			}
			kmstest.Keeper(t, k)
		})
	}
}

// The token file is read for each use, and neither token nor key is in an error.
func TestTokenAndErrors(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	s := transit(t, "transit", "golden", "")
	k, err := vaultkey.New(vaultkey.Config{Address: s.URL, Key: "golden", TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	wrap := func() error {
		_, err := k.Wrap(t.Context(), "arn", []byte("the data key"))
		return err
	}
	if err := wrap(); err == nil || !strings.Contains(err.Error(), "token") {
		t.Errorf("without its token file: %v", err)
	}
	for text, refused := range map[string]string{"hvs.wrong-token": "permission denied", token + "\n": ""} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := wrap()
		if refused == "" && err != nil {
			t.Error(err)
		}
		if refused != "" && (err == nil || !strings.Contains(err.Error(), refused) || strings.Contains(err.Error(), "hvs.")) {
			t.Errorf("with a wrong token: %v", err)
		}
	}
	other, err := vaultkey.New(vaultkey.Config{Address: s.URL, Key: "none", TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(file, []byte(token), 0o600)
	if _, err := other.Unwrap(t.Context(), "arn", []byte("vault:v1:x")); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("a key that is not there: %v", err)
	}
}

// A Vault that is sealed, or that answers nonsense, is an error and no panic.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{"empty": "", "no data": `{}`, "a number": `{"data":{"plaintext":7,"ciphertext":7}}`, "not base64": `{"data":{"plaintext":"%%%","ciphertext":""}}`, "not JSON": `<html>`} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(answer)) }))
		defer s.Close()
		k, err := vaultkey.New(vaultkey.Config{Address: s.URL, Key: "golden", Token: token})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Unwrap(t.Context(), "arn", []byte("vault:v1:x")); err == nil {
			t.Errorf("%s: %q", name, got)
		}
		if got, err := k.Wrap(t.Context(), "arn", []byte("x")); err == nil {
			t.Errorf("%s: wrapped %q", name, got)
		}
	}
	hang := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer silent.Close()
	defer close(hang)
	k, err := vaultkey.New(vaultkey.Config{Address: silent.URL, Key: "golden", Token: token})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := k.Wrap(ctx, "arn", []byte("x")); err == nil {
		t.Error("a Vault that does not answer: no error")
	}
}
