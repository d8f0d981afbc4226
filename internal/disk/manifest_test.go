package disk

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sample() *Manifest {
	return &Manifest{VolumeSize: 5*BlockSize + 512, Blocks: []Block{
		{Index: 0, Digest: sha256.Sum256([]byte("a"))},
		{Index: 3, Digest: sha256.Sum256([]byte("b"))},
		{Index: 5, Digest: sha256.Sum256([]byte("a"))},
	}}
}

// The bytes are a promise: ids of stored snapshots depend on them.
func TestManifestEncodingIsStable(t *testing.T) {
	t.Parallel()
	const want = "sha256:1d4671e15acbf7972390f4ece188b0b0c27b708d6ca67d47e25548097507efb6"
	m := sample()
	header := hex.EncodeToString(m.Encode()[:manifestHeader])
	if header != "4753534e4150310a"+"0000000000280200"+"00080000"+"00000003" {
		t.Errorf("header %s", header)
	}
	if m.ID() != want {
		t.Errorf("id %s, want %s", m.ID(), want)
	}
}

func TestManifestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, m := range []*Manifest{sample(), {VolumeSize: 1}, {VolumeSize: MaxVolumeSize, Blocks: []Block{{Index: MaxVolumeSize/BlockSize - 1}}}} {
		got, err := DecodeManifest(m.Encode())
		if err != nil {
			t.Errorf("size %d: %v", m.VolumeSize, err)
			continue
		}
		if diff := cmp.Diff(m, got); diff != "" {
			t.Errorf("size %d (-want +got):\n%s", m.VolumeSize, diff)
		}
	}
}

func TestManifestRefusesBadBytes(t *testing.T) {
	t.Parallel()
	change := func(f func(*Manifest)) []byte {
		m := sample()
		f(m)
		return m.Encode()
	}
	good := sample().Encode()
	bad := map[string][]byte{
		"nothing":      nil,
		"other magic":  append([]byte("GSSNAP2\n"), good[8:]...),
		"cut short":    good[:len(good)-1],
		"too long":     append(bytes.Clone(good), 0),
		"empty disk":   change(func(m *Manifest) { m.VolumeSize, m.Blocks = 0, nil }),
		"too large":    change(func(m *Manifest) { m.VolumeSize = MaxVolumeSize + 1 }),
		"negative":     change(func(m *Manifest) { m.VolumeSize = math.MinInt64 }),
		"beyond end":   change(func(m *Manifest) { m.Blocks[2].Index = 6 }),
		"twice":        change(func(m *Manifest) { m.Blocks[1].Index = 0 }),
		"wrong order":  change(func(m *Manifest) { m.Blocks[1].Index = 5; m.Blocks[2].Index = 3 }),
		"other blocks": append(append(bytes.Clone(good[:16]), 0, 4, 0, 0), good[20:]...),
	}
	for name, data := range bad {
		if _, err := DecodeManifest(data); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: error %v, want ErrCorrupt", name, err)
		}
	}
}

func TestParseID(t *testing.T) {
	t.Parallel()
	good := sample().ID()
	if d, err := ParseID(good); err != nil || "sha256:"+d.String() != good {
		t.Errorf("ParseID = %s, %v", d, err)
	}
	digits := strings.TrimPrefix(good, "sha256:")
	for _, id := range []string{"", digits, "sha256:", "sha256:" + digits[1:], "sha256:" + digits + "0", "sha256:" + strings.ToUpper(digits),
		"sha256:../../../../etc/passwd", "sha256:" + strings.Repeat("g", 64), "snap-0123456789abcdef0"} {
		if _, err := ParseID(id); err == nil {
			t.Errorf("ParseID(%q) was accepted", id)
		}
	}
}

func FuzzDecodeManifest(f *testing.F) {
	f.Add(sample().Encode())
	f.Add((&Manifest{VolumeSize: 1}).Encode())
	f.Add([]byte(manifestMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := DecodeManifest(data)
		if err != nil {
			return
		}
		if !bytes.Equal(m.Encode(), data) {
			t.Error("two encodings of one manifest")
		}
		for _, b := range m.Blocks {
			if int64(b.Index)*BlockSize >= m.VolumeSize {
				t.Errorf("block %d is outside the disk", b.Index)
			}
		}
	})
}

// sampleKey is a data key whose secret is known.
func sampleKey(t testing.TB) *dataKey {
	t.Helper()
	k, err := newDataKey("arn:aws:kms:us-east-1:111122223333:key/1", bytes.Repeat([]byte{7}, dataKeySize), []byte("wrapped"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealedListRoundTrip(t *testing.T) {
	t.Parallel()
	k := sampleKey(t)
	data := k.sealList(sample())
	if again := k.sealList(sample()); !bytes.Equal(data, again) {
		t.Error("one disk under one key has two lists")
	}
	l, err := parseSealed(data)
	if err != nil {
		t.Fatal(err)
	}
	m, err := k.openList(l)
	if diff := cmp.Diff(sample(), m); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		if l, err := parseSealed(bad); err == nil {
			if _, err := k.openList(l); err == nil {
				t.Errorf("byte %d can be changed and the list still opens", i)
			}
		}
	}
	for n := range data {
		if _, err := parseSealed(data[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("the first %d bytes: %v, want ErrCorrupt", n, err)
		}
	}
	if _, err := parseSealed(append(bytes.Clone(data), 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a byte more: %v", err)
	}
}

// The derivation is a format: what was sealed once must open for ever.
func TestSealingIsStable(t *testing.T) {
	t.Parallel()
	id, _ := encode(sample(), sampleKey(t))
	if want := "sealed:371843b272b93ebd88aa25713b56ea43b9d7a11a6e4d9891932b259232a66758"; id != want {
		t.Errorf("the sample's id under the sample key is %s, want %s", id, want)
	}
}

func FuzzParseSealed(f *testing.F) {
	k := sampleKey(f)
	f.Add(k.sealList(sample()))
	f.Add(k.sealList(&Manifest{VolumeSize: 1}))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseSealed(data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%v", err)
			}
			return
		}
		if again := append(l.head(), l.sealed...); !bytes.Equal(again, data) {
			t.Error("another encoding of a list was accepted")
		}
	})
}
