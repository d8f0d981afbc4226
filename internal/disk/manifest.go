package disk

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// BlockSize is the unit that disks are stored in, bytes: that of EBS
// snapshots.
const BlockSize = 512 << 10

// MaxVolumeSize is the largest disk, bytes: EBS's 64 TiB.
const MaxVolumeSize = 64 << 40

// ErrNotFound is returned (wrapped) for a snapshot that is not in the store.
var ErrNotFound = errors.New("snapshot not found")

// ErrCorrupt is returned (wrapped) when stored bytes are not those that their
// digest names, or a block of a snapshot is missing.
var ErrCorrupt = errors.New("snapshot is damaged")

// Digest is the SHA-256 of a block or manifest.
type Digest [sha256.Size]byte

// String gives the digest as 64 hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

const idPrefix = "sha256:"

// ParseID reads a snapshot's id: "sha256:" and 64 lower-case hexadecimal
// digits, the digest of its manifest; "sealed:" in place of "sha256:" for one
// that is sealed under a key, and then the digest is that of its sealed list.
func ParseID(id string) (Digest, error) {
	var d Digest
	digits, ok := strings.CutPrefix(id, idPrefix)
	if !ok {
		digits, ok = strings.CutPrefix(id, sealedPrefix)
	}
	if !ok || len(digits) != 2*len(d) || strings.ToLower(digits) != digits {
		return d, fmt.Errorf("not a snapshot id: %q", id)
	}
	if _, err := hex.Decode(d[:], []byte(digits)); err != nil {
		return d, fmt.Errorf("not a snapshot id: %q", id)
	}
	return d, nil
}

// Sealed reports whether an id is that of a snapshot sealed under a key.
func Sealed(id string) bool { return strings.HasPrefix(id, sealedPrefix) }

// Block is one stored block of a disk.
type Block struct {
	Index  uint32 // its place: offset / BlockSize
	Digest Digest // of its BlockSize bytes
}

// Manifest lists the blocks of a disk. Blocks that are missing are zero.
type Manifest struct {
	VolumeSize int64   // bytes
	Blocks     []Block // by rising index
}

// The encoding of a manifest, big-endian; see docs/formats.md.
const (
	manifestMagic  = "GSSNAP1\n"
	manifestHeader = len(manifestMagic) + 8 + 4 + 4
	manifestEntry  = 4 + sha256.Size
)

// Encode gives the manifest's one encoding: equal disks have equal bytes.
func (m *Manifest) Encode() []byte {
	b := make([]byte, 0, manifestHeader+manifestEntry*len(m.Blocks))
	b = append(b, manifestMagic...)
	b = binary.BigEndian.AppendUint64(b, uint64(m.VolumeSize))
	b = binary.BigEndian.AppendUint32(b, BlockSize)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Blocks)))
	for _, block := range m.Blocks {
		b = binary.BigEndian.AppendUint32(b, block.Index)
		b = append(b, block.Digest[:]...)
	}
	return b
}

// ID gives the snapshot's id.
func (m *Manifest) ID() string {
	return idPrefix + Digest(sha256.Sum256(m.Encode())).String()
}

// DecodeManifest reads an encoded manifest and refuses any bytes that Encode
// would not have written.
func DecodeManifest(data []byte) (*Manifest, error) {
	if len(data) < manifestHeader || string(data[:len(manifestMagic)]) != manifestMagic {
		return nil, fmt.Errorf("%w: not a manifest of version 1", ErrCorrupt)
	}
	size := binary.BigEndian.Uint64(data[8:])
	blockSize := binary.BigEndian.Uint32(data[16:])
	count := binary.BigEndian.Uint32(data[20:])
	if blockSize != BlockSize || size == 0 || size > MaxVolumeSize {
		return nil, fmt.Errorf("%w: manifest of %d bytes in blocks of %d", ErrCorrupt, size, blockSize)
	}
	rest := data[manifestHeader:]
	if uint64(len(rest)) != uint64(count)*manifestEntry {
		return nil, fmt.Errorf("%w: manifest names %d blocks but is %d bytes long", ErrCorrupt, count, len(data))
	}
	m := &Manifest{VolumeSize: int64(size)}
	if count > 0 {
		m.Blocks = make([]Block, count)
	}
	end := (size + BlockSize - 1) / BlockSize
	for i := range m.Blocks {
		entry := rest[i*manifestEntry:]
		b := Block{Index: binary.BigEndian.Uint32(entry), Digest: Digest(entry[4:manifestEntry])}
		if uint64(b.Index) >= end || i > 0 && b.Index <= m.Blocks[i-1].Index {
			return nil, fmt.Errorf("%w: manifest's entry %d names block %d of %d", ErrCorrupt, i, b.Index, end)
		}
		m.Blocks[i] = b
	}
	return m, nil
}
