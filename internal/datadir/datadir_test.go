package datadir_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/datadir"
)

func open(t *testing.T) datadir.Dir {
	t.Helper()
	d, err := datadir.Open(t.TempDir() + "/data")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestLockIsExclusive(t *testing.T) {
	t.Parallel()
	d := open(t)
	if d.Locked() {
		t.Error("a folder that nobody has is locked")
	}
	unlock, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if !d.Locked() {
		t.Error("a folder that is taken is not locked")
	}
	if _, err := d.Lock(); !errors.Is(err, datadir.ErrLocked) || !strings.Contains(err.Error(), "process") {
		t.Fatalf("second lock: %v, want ErrLocked with the process", err)
	}
	unlock()
	if d.Locked() {
		t.Error("the folder is locked after unlock")
	}
	again, err := d.Lock()
	if err != nil {
		t.Fatalf("lock after unlock: %v", err)
	}
	again()
}

func TestKeyIsMadeOnceAndPrivate(t *testing.T) {
	t.Parallel()
	d := open(t)
	first, err := d.Key()
	if err != nil {
		t.Fatal(err)
	}
	if len(first.AccessKeyID) != 20 || len(first.SecretAccessKey) != 40 {
		t.Errorf("key has lengths %d and %d, want 20 and 40", len(first.AccessKeyID), len(first.SecretAccessKey))
	}
	second, err := d.Key()
	if err != nil || second != first {
		t.Errorf("read back %v, %v; want the same key", second, err)
	}
	info, err := os.Stat(d.Credentials())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if err := os.WriteFile(d.Credentials(), []byte("[default]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Key(); err == nil || !strings.Contains(err.Error(), "aws_access_key_id") {
		t.Errorf("a file without a key: %v, want an error that names it", err)
	}
}

func TestConfigKeepsWhatItsOwnerWrote(t *testing.T) {
	t.Parallel()
	d := open(t)
	if err := d.WriteConfig("http://127.0.0.1:1", "us-east-1"); err != nil {
		t.Fatal(err)
	}
	own := "[profile other]\nregion = eu-west-1\n\n[default]\nregion = eu-central-1\nendpoint_url = http://127.0.0.1:1\noutput = yaml\n"
	if err := os.WriteFile(d.Config(), []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteConfig("http://127.0.0.1:2", "us-east-1"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(d.Config())
	if err != nil {
		t.Fatal(err)
	}
	want := "[profile other]\nregion = eu-west-1\n\n[default]\nendpoint_url = http://127.0.0.1:2\nregion = eu-central-1\noutput = yaml\n"
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if ep, err := d.Endpoint(); err != nil || ep != "http://127.0.0.1:2" {
		t.Errorf("endpoint %q, %v", ep, err)
	}
}

func TestSecretsAreMadeOnceAndPrivate(t *testing.T) {
	t.Parallel()
	d := open(t)
	first, err := d.Secret("parameters", 32)
	if err != nil || len(first) != 32 {
		t.Fatalf("%d bytes, %v", len(first), err)
	}
	again, err := d.Secret("parameters", 32)
	if err != nil || string(again) != string(first) {
		t.Errorf("read back another key: %v", err)
	}
	info, err := os.Stat(d.Keys() + "/parameters")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if _, err := d.Secret("parameters", 16); err == nil || !strings.Contains(err.Error(), "32 bytes, not 16") {
		t.Errorf("a key of another size: %v", err)
	}
}

func TestNodeStaysTheSame(t *testing.T) {
	t.Parallel()
	d, err := datadir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	first, err := d.Node()
	if err != nil || first == "" {
		t.Fatalf("%q, %v", first, err)
	}
	if again, err := d.Node(); again != first || err != nil {
		t.Errorf("asked again: %q (%v), before %q", again, err, first)
	}
	if err := os.WriteFile(filepath.Join(string(d), "node"), nil, 0o600); err != nil { // as a crash may leave it
		t.Fatal(err)
	}
	if fresh, err := d.Node(); fresh == "" || fresh == first || err != nil {
		t.Errorf("after its file was emptied: %q, %v", fresh, err)
	}
}
