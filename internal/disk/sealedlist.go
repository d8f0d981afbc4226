package disk

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// sealedPrefix begins the ids of sealed snapshots; the digest that follows is
// that of the sealed list.
const sealedPrefix = "sealed:"

// sealedMagic begins a sealed list; see docs/formats.md.
const sealedMagic = "GSSEAL1\n"

// gcmNonce and gcmOverhead are the sizes of AES-GCM's nonce and tag, bytes.
const (
	gcmNonce    = 12
	gcmOverhead = 16
)

// sealedList is a sealed snapshot's list as everybody can read it: which
// objects it is made of, so that they are not collected, and which master key
// opens it. What disk it is lies in the sealed part, an ordinary manifest.
type sealedList struct {
	master  string
	wrapped []byte
	names   []Digest // of the blocks, in the order of the manifest
	sealed  []byte   // nonce, ciphertext, tag
}

// head encodes what stands before the sealed part, which authenticates it.
func (l *sealedList) head() []byte {
	b := make([]byte, 0, len(sealedMagic)+2+len(l.master)+2+len(l.wrapped)+4+len(l.names)*sha256.Size)
	b = append(b, sealedMagic...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(l.master)))
	b = append(b, l.master...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(l.wrapped)))
	b = append(b, l.wrapped...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(l.names)))
	for _, n := range l.names {
		b = append(b, n[:]...)
	}
	return b
}

// sealList gives a manifest's sealed list, encoded. The nonce follows from what
// is sealed: one disk under one data key has one list, and two disks never
// share a nonce.
func (k *dataKey) sealList(m *Manifest) []byte {
	l := &sealedList{master: k.master, wrapped: k.wrapped, names: make([]Digest, len(m.Blocks))}
	for i, b := range m.Blocks {
		l.names[i] = k.named(b.Digest)
	}
	head, plain := l.head(), m.Encode()
	mac := hmac.New(sha256.New, k.nonce)
	mac.Write(head)
	mac.Write(plain)
	nonce := mac.Sum(nil)[:gcmNonce]
	sealed := k.list.Seal(nonce, nonce, plain, head)
	return append(head, sealed...)
}

// parseSealed reads an encoded sealed list without its key, and refuses any
// bytes that sealList would not have written.
func parseSealed(data []byte) (*sealedList, error) {
	refuse := func(why string, args ...any) (*sealedList, error) {
		return nil, fmt.Errorf("%w: sealed list: %s", ErrCorrupt, fmt.Sprintf(why, args...))
	}
	rest, ok := bytes.CutPrefix(data, []byte(sealedMagic))
	if !ok {
		return refuse("not one of version 1")
	}
	take := func(n int) ([]byte, bool) {
		if n > len(rest) {
			return nil, false
		}
		taken := rest[:n]
		rest = rest[n:]
		return taken, true
	}
	text := func(most int) ([]byte, bool) {
		size, ok := take(2)
		if !ok {
			return nil, false
		}
		n := int(binary.BigEndian.Uint16(size))
		if n == 0 || n > most {
			return nil, false
		}
		return take(n)
	}
	l := &sealedList{}
	master, ok := text(maxKeyName)
	if !ok {
		return refuse("the name of its key is cut short, empty or too long")
	}
	if l.wrapped, ok = text(maxWrapped); !ok {
		return refuse("its wrapped key is cut short, empty or too long")
	}
	l.master = string(master)
	count, ok := take(4)
	if !ok {
		return refuse("it ends before its blocks")
	}
	n := binary.BigEndian.Uint32(count)
	if want := int64(n)*(sha256.Size+manifestEntry) + gcmNonce + int64(manifestHeader) + gcmOverhead; int64(len(rest)) != want {
		return refuse("%d blocks take %d bytes, there are %d", n, want, len(rest))
	}
	l.names = make([]Digest, n)
	for i := range l.names {
		name, _ := take(sha256.Size)
		l.names[i] = Digest(name)
	}
	l.sealed = rest
	return l, nil
}

// openList opens a list with its data key.
func (k *dataKey) openList(l *sealedList) (*Manifest, error) {
	plain, err := k.list.Open(nil, l.sealed[:gcmNonce], l.sealed[gcmNonce:], l.head())
	if err != nil {
		return nil, fmt.Errorf("%w: its list does not open with the key %s", ErrCorrupt, l.master)
	}
	m, err := DecodeManifest(plain)
	if err != nil {
		return nil, err
	}
	if len(m.Blocks) != len(l.names) {
		return nil, fmt.Errorf("%w: its list names %d blocks and seals %d", ErrCorrupt, len(l.names), len(m.Blocks))
	}
	for i, b := range m.Blocks {
		if k.named(b.Digest) != l.names[i] {
			return nil, fmt.Errorf("%w: its list names another block than it seals at %d", ErrCorrupt, i)
		}
	}
	return m, nil
}
