package disk_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/disk"
)

// ring is a set of master keys that a test can take away.
type ring struct {
	mu   sync.Mutex
	keys map[string]cipher.AEAD
}

func newRing(names ...string) *ring {
	r := &ring{keys: map[string]cipher.AEAD{}}
	for _, name := range names {
		r.renew(name)
	}
	return r
}

// renew puts another key behind a name.
func (r *ring) renew(name string) {
	secret := make([]byte, 32)
	rand.Read(secret)
	c, err := aes.NewCipher(secret)
	if err != nil {
		panic(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys[name], err = cipher.NewGCMWithRandomNonce(c); err != nil {
		panic(err)
	}
}

func (r *ring) drop(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.keys, name)
}

func (r *ring) key(name string) (cipher.AEAD, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k, ok := r.keys[name]; ok {
		return k, nil
	}
	return nil, fmt.Errorf("%w: %s is disabled", disk.ErrKey, name)
}

func (r *ring) Wrap(_ context.Context, name string, data []byte) ([]byte, error) {
	k, err := r.key(name)
	if err != nil {
		return nil, err
	}
	return k.Seal(nil, nil, data, []byte(name)), nil
}

func (r *ring) Unwrap(_ context.Context, name string, wrapped []byte) ([]byte, error) {
	k, err := r.key(name)
	if err != nil {
		return nil, err
	}
	data, err := k.Open(nil, nil, wrapped, []byte(name))
	if err != nil {
		return nil, fmt.Errorf("%w: %s is another key", disk.ErrKey, name)
	}
	return data, nil
}

// sealed makes a snapshot under a key.
func sealed(t testing.TB, s bench, layout, parent, key string) disk.Snapshot {
	t.Helper()
	snap, err := s.SnapshotUnder(context.Background(), write(t, s.dir, layout, 0), parent, key)
	if err != nil {
		t.Fatalf("SnapshotUnder(%s, %s): %v", layout, key, err)
	}
	return snap
}

// sealedBlocks counts the sealed blocks of a store.
func sealedBlocks(t testing.TB, s bench) int { return len(files(t, s, "objects/sealed/*/*")) }

func TestSealedSnapshotGivesTheDiskBack(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{Keys: newRing("k")})
	snap := sealed(t, s, "abc.da", "", "k")
	if !disk.Sealed(snap.ID) || snap.Blocks != 5 || snap.NewBlocks != 4 {
		t.Errorf("%+v, want a sealed snapshot of 5 blocks, 4 of them new", snap)
	}
	mustHold(t, s, snap.ID, "abc.da", 0)
	volume := filepath.Join(s.dir, "volume")
	if how, err := s.Volume(t.Context(), snap.ID, volume, 0); err != nil || how != "blocks" {
		t.Errorf("Volume: %q, %v", how, err)
	}
	mustBe(t, volume, "abc.da", 0)
	if err := s.Verify(t.Context(), snap.ID); err != nil {
		t.Error(err)
	}
	again := sealed(t, s, "abc.da", "", "k")
	if again.ID != snap.ID || again.NewBlocks != 0 {
		t.Errorf("the same disk under the same key: %+v, want the id %s and no new block", again, snap.ID)
	}
}

// Nothing of a sealed disk lies in the object store or in the cache, neither
// plain nor compressed; its blocks have no names that tell their content.
func TestSealedSnapshotLeavesNothingPlain(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{Keys: newRing("k")})
	plain := content("a", 0)
	name := write(t, s.dir, "ab", 0)
	snap, err := s.SnapshotUnder(t.Context(), name, "", "k")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Adopt(t.Context(), snap.ID, name); err != nil {
		t.Fatal(err)
	}
	_, release, err := s.Disk(t.Context(), snap.ID)
	if err != nil {
		t.Fatal(err)
	}
	release()
	for _, digest := range []string{"blocks/*/*", "snapshots/*"} {
		for _, f := range files(t, s, "objects/"+digest) {
			if !strings.HasSuffix(f, ".sealed") {
				t.Errorf("%s is plain", f)
			}
		}
	}
	err = filepath.Walk(s.dir, func(name string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if bytes.Contains(data, plain[:64]) {
			t.Errorf("%s holds content of the disk", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSealedChildStoresWhatChanged(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{Keys: newRing("k", "other")})
	plain := snapshot(t, s, "abcdef", 0, "")
	parent := sealed(t, s, "abcdef", plain.ID, "k")
	if parent.NewBlocks != 6 {
		t.Errorf("%+v: the blocks of a plain parent are not sealed ones", parent)
	}
	child := sealed(t, s, "abcdeX", parent.ID, "k")
	if child.NewBlocks != 1 {
		t.Errorf("%+v, want one new block", child)
	}
	if elsewhere := sealed(t, s, "abcdeX", child.ID, "other"); elsewhere.NewBlocks != 6 {
		t.Errorf("%+v: blocks under another key are others", elsewhere)
	}
	if back := snapshot(t, s, "abcdeX", 0, child.ID); back.NewBlocks != 1 {
		t.Errorf("%+v: a plain child of a sealed parent has plain blocks", back)
	}
	mustHold(t, s, child.ID, "abcdeX", 0)
}

func TestSealedCopies(t *testing.T) {
	t.Parallel()
	keys := newRing("here", "there")
	s, far := open(t, disk.Options{Keys: keys}), open(t, disk.Options{Keys: keys})
	plain := snapshot(t, s, "abcd", 0, "")
	under := func(from bench, to bench, id, key string, moved int) string {
		t.Helper()
		made, stats, err := from.Copy(t.Context(), to.Store, id, key)
		if err != nil {
			t.Fatal(err)
		}
		if stats.NewBlocks != moved {
			t.Errorf("copied %+v, want %d blocks moved", stats, moved)
		}
		mustHold(t, to, made, "abcd", 0)
		return made
	}
	first := under(s, s, plain.ID, "here", 4)
	second := under(s, far, first, "there", 4)
	under(s, far, plain.ID, "there", 0) // the same disk under the same key is there
	if as := under(s, far, first, "", 4); as != first {
		t.Errorf("a copy without a key is %s, want the original's %s", as, first)
	}
	if first == second {
		t.Error("the copies under two keys have one id")
	}
	// What changes moves, under the key it goes to.
	child := snapshot(t, s, "abXd", 0, plain.ID)
	_, stats, err := s.Copy(t.Context(), far.Store, child.ID, "there")
	if err != nil || stats.NewBlocks != 1 {
		t.Errorf("the child's copy: %+v, %v; want one block", stats, err)
	}
}

// A key that is disabled or replaced makes its own snapshots unreadable, and no
// others; nothing half made is left, and the key's return brings them back.
func TestLosingAKey(t *testing.T) {
	t.Parallel()
	keys := newRing("kept", "lost")
	s := open(t, disk.Options{Keys: keys})
	plain, kept, lost := snapshot(t, s, "ab", 0, ""), sealed(t, s, "ab", "", "kept"), sealed(t, s, "ab", "", "lost")
	refused := func() {
		t.Helper()
		volume := filepath.Join(s.dir, "volume")
		_, err := s.Volume(t.Context(), lost.ID, volume, 0)
		if !errors.Is(err, disk.ErrKey) || !strings.Contains(err.Error(), "lost") {
			t.Errorf("Volume: %v, want ErrKey and the key's name", err)
		}
		if _, err := os.Stat(volume); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a volume is left: %v", err)
		}
		if _, _, err := s.Disk(t.Context(), lost.ID); !errors.Is(err, disk.ErrKey) {
			t.Errorf("Disk: %v", err)
		}
		before := sealedBlocks(t, s)
		if _, _, err := s.Copy(t.Context(), s.Store, plain.ID, "lost"); !errors.Is(err, disk.ErrKey) {
			t.Errorf("Copy: %v", err)
		}
		if _, err := s.SnapshotUnder(t.Context(), write(t, s.dir, "xyz", 0), "", "lost"); !errors.Is(err, disk.ErrKey) {
			t.Errorf("SnapshotUnder: %v", err)
		}
		if after := sealedBlocks(t, s); after != before {
			t.Errorf("%d blocks were stored under a key that cannot be used", after-before)
		}
		if left := files(t, s, "cache/tmp/*"); len(left) != 0 {
			t.Errorf("left %v", left)
		}
		mustHold(t, s, plain.ID, "ab", 0)
		mustHold(t, s, kept.ID, "ab", 0)
	}
	old := keys.keys["lost"]
	keys.drop("lost")
	refused()
	keys.renew("lost")
	refused()
	// A collection needs no keys, and takes nothing that is referred to.
	keys.drop("kept")
	collecting := reopen(t, s.dir, disk.Options{Grace: 1})
	if got, err := collecting.Collect(t.Context(), keeping(plain.ID, kept.ID, lost.ID)); err != nil || got != (disk.Collected{}) {
		t.Errorf("Collect: %+v, %v", got, err)
	}
	keys.keys["lost"] = old
	mustHold(t, s, lost.ID, "ab", 0)
}

func TestCollectSealed(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{Keys: newRing("k"), Grace: 1})
	kept, dropped := sealed(t, s, "ab", "", "k"), sealed(t, s, "bcd", "", "k")
	got, err := s.Collect(t.Context(), keeping(kept.ID))
	if err != nil || got.Snapshots != 1 || got.Blocks != 2 || sealedBlocks(t, s) != 2 {
		t.Errorf("collected %+v, %v; %d blocks are left, want 2", got, err, sealedBlocks(t, s))
	}
	mustHold(t, s, kept.ID, "ab", 0)
	if _, err := s.Manifest(t.Context(), dropped.ID); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("the dropped snapshot: %v", err)
	}
}

// Whoever can write to the store, and has no key, cannot put another content in
// a block's place, nor an older state of the same list.
func TestSealedBlocksCannotBeExchanged(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{Keys: newRing("k")})
	snap := sealed(t, s, "ab", "", "k")
	names := files(t, s, "objects/sealed/*/*")
	contents := map[string][]byte{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		contents[name] = data
	}
	attack := func(what string, data []byte) {
		t.Helper()
		if err := os.WriteFile(names[0], data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(t.Context(), snap.ID); !errors.Is(err, disk.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", what, err)
		}
	}
	attack("another block", contents[names[1]])
	attack("nothing", nil)
	attack("less than a nonce", []byte("short"))
	flipped := bytes.Clone(contents[names[0]])
	flipped[len(flipped)/2] ^= 1
	attack("a flipped bit", flipped)
	attack("a cut block", contents[names[0]][:1000])
	if err := os.WriteFile(names[0], contents[names[0]], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(t.Context(), snap.ID); err != nil {
		t.Error(err)
	}
}

func TestRenew(t *testing.T) {
	t.Parallel()
	s := open(t, disk.Options{Keys: newRing("k")})
	for _, id := range []string{snapshot(t, s, "ab", 0, "").ID, sealed(t, s, "ab", "", "k").ID} {
		if err := s.Renew(t.Context(), id); err != nil {
			t.Error(err)
		}
		mustHold(t, s, id, "ab", 0)
		if err := s.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if err := s.Renew(t.Context(), id); !errors.Is(err, disk.ErrNotFound) {
			t.Errorf("Renew of %s, which is gone: %v", id, err)
		}
	}
	ids, err := s.Snapshots(t.Context())
	if diff := cmp.Diff([]string{}, ids); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
