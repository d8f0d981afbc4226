package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/config"
)

func TestRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text, err string // err: what the error must say, "" for none
	}{
		"empty":         {"", ""},
		"two accounts":  {"accounts: [{id: '111122223333'}, {id: '444455556666', keys: [{accessKeyId: AKIA0000000000000000, secretAccessKey: 0123456789abcdef}]}]", ""},
		"unknown field": {"lisen: x", "lisen"},
		"short account": {"accounts: [{id: '1'}]", "accounts[0].id"},
		"no account":    {"accounts: []", "accounts"},
		"twice":         {"accounts: [{id: '111122223333'}, {id: '111122223333'}]", "accounts[1].id"},
		"bad key":       {"accounts: [{id: '111122223333', keys: [{accessKeyId: a, secretAccessKey: 0123456789abcdef}]}]", "accounts[0].keys[0].accessKeyId"},
		"bad secret":    {"accounts: [{id: '111122223333', keys: [{accessKeyId: AKIA0000000000000000, secretAccessKey: x}]}]", "secretAccessKey"},
		"postgres":      {"database: postgres://goldsmith@db.example/goldsmith?sslmode=verify-full", ""},
		"other base":    {"database: mysql://db", "database"},
		"builds":        {"builds: 0", "builds"},
		"quotas":        {"quotas: {components: -1, imagePipelines: 500}", ""},
		"other quota":   {"quotas: {component: 1}", "component"},
		"not yaml":      {"a: [", "reading the configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "goldsmith.yaml")
			if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := config.Read(file)
			if tc.err == "" && err != nil {
				t.Fatal(err)
			}
			if tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Fatalf("got %v, want an error that says %q", err, tc.err)
			}
		})
	}
}
