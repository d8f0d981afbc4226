package kms_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/kms"
	"github.com/goldsmith-build/goldsmith/internal/kms/kmstest"
)

const (
	alice, bob = "111111111111", "222222222222"
	home       = "us-east-1"
	goldenID   = "0d9a4a5e-6c1f-4b62-9d0e-3b1f6a5c7e11"
)

// local keeps keys in a data folder.
func local(dir datadir.Dir) func(id string) kms.Keeper {
	return func(id string) kms.Keeper {
		return kms.Local{Load: func(create bool) ([]byte, error) { return dir.MasterKey(id, kms.LocalKeySize, create) }}
	}
}

func TestLocalKeeper(t *testing.T) {
	t.Parallel()
	kmstest.Keeper(t, local(datadir.Dir(t.TempDir()))(goldenID))
}

func TestRing(t *testing.T) {
	t.Parallel()
	dir := datadir.Dir(t.TempDir())
	ring := kms.NewRing(local(dir))
	golden := kms.Key{Account: alice, Region: home, ID: goldenID, Aliases: []string{"alias/golden"}, Users: []string{bob}, Keeper: local(dir)(goldenID)}
	if err := ring.Replace([]kms.Key{golden}); err != nil {
		t.Fatal(err)
	}
	arn := golden.ARN()
	if want := "arn:aws:kms:us-east-1:111111111111:key/" + goldenID; arn != want {
		t.Errorf("the ARN is %s, want %s", arn, want)
	}
	usual, err := ring.Resolve(alice, home, "")
	if err != nil || !usual.Default() || usual.ARN() == arn {
		t.Fatalf("the default key: %+v, %v", usual, err)
	}
	for _, name := range []string{goldenID, "alias/golden", arn, "arn:aws:kms:us-east-1:111111111111:alias/golden"} {
		if k, err := ring.Resolve(alice, home, name); err != nil || k.ARN() != arn {
			t.Errorf("%s: %s, %v", name, k.ARN(), err)
		}
	}
	for name, who := range map[string]string{arn: bob, usual.ARN(): alice} {
		if k, err := ring.Resolve(who, home, name); err != nil || k.ARN() != name {
			t.Errorf("%s for %s: %v", name, who, err)
		}
	}
	for name, who := range map[string]string{usual.ARN(): bob, arn: "333333333333", "alias/none": alice, "": "", "arn:aws:kms:eu-west-1:111111111111:key/" + goldenID: alice} {
		if who == "" {
			continue
		}
		if _, err := ring.Resolve(who, home, name); fault.Code(err) != "InvalidParameterValue" {
			t.Errorf("%s for %s: %v, want a refusal", name, who, err)
		}
	}
	if !ring.Sharable(arn) || ring.Sharable(usual.ARN()) {
		t.Error("what the default key encrypts can be shared, or what another does cannot")
	}
	data := bytes.Repeat([]byte{5}, 32)
	wrapped, err := ring.Wrap(t.Context(), arn, data)
	if err != nil {
		t.Fatal(err)
	}
	golden.Disabled = true
	if err := ring.Replace([]kms.Key{golden}); err != nil {
		t.Fatal(err)
	}
	if _, err := ring.Unwrap(t.Context(), arn, wrapped); err == nil || !strings.Contains(err.Error(), "disabled") {
		t.Errorf("with a disabled key: %v", err)
	}
	if err := ring.MayUse(alice, arn); fault.Code(err) != "InvalidKmsKey.InvalidState" {
		t.Errorf("MayUse of a disabled key: %v", err)
	}
	if err := ring.Replace(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := ring.Unwrap(t.Context(), arn, wrapped); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("with a key that is gone: %v", err)
	}
	golden.Disabled = false
	if err := ring.Replace([]kms.Key{golden}); err != nil {
		t.Fatal(err)
	}
	if got, err := ring.Unwrap(t.Context(), arn, wrapped); err != nil || !bytes.Equal(got, data) {
		t.Errorf("after its return: %x, %v", got, err)
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	good := kms.Key{Account: alice, Region: home, ID: goldenID}
	for name, keys := range map[string][]kms.Key{
		"an id":            {{Account: alice, Region: home, ID: "../x"}},
		"an alias":         {{Account: alice, Region: home, ID: goldenID, Aliases: []string{"golden"}}},
		"an Amazon alias":  {{Account: alice, Region: home, ID: goldenID, Aliases: []string{"alias/aws/s3"}}},
		"a shared default": {{Account: alice, Region: home, ID: goldenID, Aliases: []string{kms.DefaultAlias}, Users: []string{bob}}},
		"twice":            {good, good},
	} {
		if err := kms.Check(keys); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := kms.Check([]kms.Key{good}); err != nil {
		t.Error(err)
	}
}

// The key file is made once, whoever comes first, is private, and is never made
// anew for what it encrypted.
func TestKeyFile(t *testing.T) {
	t.Parallel()
	dir := datadir.Dir(t.TempDir())
	var group sync.WaitGroup
	keys := make([][]byte, 8)
	for i := range keys {
		group.Go(func() {
			key, err := dir.MasterKey("k", 32, true)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	group.Wait()
	for _, k := range keys {
		if len(k) != 32 || !bytes.Equal(k, keys[0]) {
			t.Errorf("keys %x and %x", k, keys[0])
		}
	}
	name := filepath.Join(dir.Keys(), "kms", "k")
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir.Keys(), "kms", ".new-*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.MasterKey("k", 32, false); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a missing key: %v", err)
	}
	k := local(dir)("k")
	wrapped, err := k.Wrap(context.Background(), "arn", []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Unwrap(context.Background(), "arn", wrapped); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("a short key: %v", err)
	}
}
