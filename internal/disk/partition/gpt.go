package partition

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"unicode/utf16"
)

// The GUID partition table, UEFI specification chapter 5: a header in the
// second sector, an array of entries, and a copy of both at the disk's end.
const (
	gptSignature  = "EFI PART"
	gptRevision   = 0x00010000
	gptHeaderSize = 92
	gptEntrySize  = 128
	gptEntries    = 128
	maxGPTArray   = 1 << 20 // more than any tool writes: 8192 entries of 128 bytes
	nameUnits     = 36      // UTF-16 units of a partition's name
)

var errBadGPT = errors.New("damaged GPT")

type gptHeader struct {
	Signature   [8]byte
	Revision    uint32
	HeaderSize  uint32
	HeaderCRC   uint32
	_           uint32
	MyLBA       uint64
	AlternateLB uint64
	FirstUsable uint64
	LastUsable  uint64
	DiskGUID    [16]byte
	EntriesLBA  uint64
	EntryCount  uint32
	EntrySize   uint32
	EntriesCRC  uint32
}

type gptEntry struct {
	Type, GUID  [16]byte
	First, Last uint64 // inclusive
	Attributes  uint64
	Name        [nameUnits]uint16
}

// readGPT returns nil, nil for a disk that has no GPT. A damaged primary is
// replaced by the copy at the end of the disk.
func readGPT(disk io.ReaderAt, size int64) (*Table, error) {
	var found error
	for _, sector := range []int64{512, 4096} {
		t, err := readGPTAt(disk, size, sector, sector)
		if err == nil && t == nil {
			continue
		}
		if err == nil {
			return t, nil
		}
		found = err
		if t, err := readGPTAt(disk, size, sector, size/sector*sector-sector); err == nil && t != nil {
			return t, nil
		}
	}
	if found != nil {
		return nil, found
	}
	// Neither sector size shows a primary; a copy alone counts only where the
	// MBR says that there is a GPT, since stale copies are common.
	if protective(disk) {
		for _, sector := range []int64{512, 4096} {
			if t, err := readGPTAt(disk, size, sector, size/sector*sector-sector); t != nil || err != nil {
				return t, err
			}
		}
	}
	return nil, nil
}

func readGPTAt(disk io.ReaderAt, size, sector, at int64) (*Table, error) {
	if at < sector || at+sector > size {
		return nil, nil
	}
	raw := make([]byte, sector)
	if _, err := disk.ReadAt(raw, at); err != nil {
		return nil, err
	}
	if string(raw[:8]) != gptSignature {
		return nil, nil
	}
	var h gptHeader
	if err := binary.Read(bytes.NewReader(raw), binary.LittleEndian, &h); err != nil {
		return nil, err
	}
	if h.HeaderSize < gptHeaderSize || int64(h.HeaderSize) > sector {
		return nil, fmt.Errorf("%w: header of %d bytes", errBadGPT, h.HeaderSize)
	}
	clear(raw[16:20])
	if crc32.ChecksumIEEE(raw[:h.HeaderSize]) != h.HeaderCRC {
		return nil, fmt.Errorf("%w: checksum of the header", errBadGPT)
	}
	if int64(h.MyLBA) != at/sector {
		return nil, fmt.Errorf("%w: header of sector %d found in sector %d", errBadGPT, h.MyLBA, at/sector)
	}
	return readEntries(disk, size, sector, h)
}

func readEntries(disk io.ReaderAt, size, sector int64, h gptHeader) (*Table, error) {
	length := int64(h.EntryCount) * int64(h.EntrySize)
	if h.EntrySize < gptEntrySize || h.EntrySize%8 != 0 || length > maxGPTArray ||
		h.EntriesLBA > uint64(size/sector) || int64(h.EntriesLBA)*sector > size-length {
		return nil, fmt.Errorf("%w: %d entries of %d bytes at sector %d", errBadGPT, h.EntryCount, h.EntrySize, h.EntriesLBA)
	}
	array := make([]byte, length)
	if _, err := disk.ReadAt(array, int64(h.EntriesLBA)*sector); err != nil {
		return nil, err
	}
	if crc32.ChecksumIEEE(array) != h.EntriesCRC {
		return nil, fmt.Errorf("%w: checksum of the entries", errBadGPT)
	}
	t := &Table{Scheme: GPT, SectorSize: sector, DiskSize: size, GUID: formatGUID(h.DiskGUID)}
	for i := range int(h.EntryCount) {
		var e gptEntry
		if err := binary.Read(bytes.NewReader(array[i*int(h.EntrySize):]), binary.LittleEndian, &e); err != nil {
			return nil, err
		}
		if e.Type == ([16]byte{}) {
			continue
		}
		if e.Last >= uint64(size/sector) || e.First > e.Last {
			return nil, fmt.Errorf("%w: partition %d has sectors %d to %d of %d", errBadGPT, i+1, e.First, e.Last, size/sector)
		}
		t.Partitions = append(t.Partitions, Partition{
			Number: i + 1, Type: formatGUID(e.Type), GUID: formatGUID(e.GUID), Name: decodeName(e.Name),
			Offset: int64(e.First) * sector, Size: int64(e.Last-e.First+1) * sector, Attributes: e.Attributes,
		})
	}
	return t, t.check()
}

func decodeName(units [nameUnits]uint16) string {
	n := 0
	for n < len(units) && units[n] != 0 {
		n++
	}
	return string(utf16.Decode(units[:n]))
}

// WriteGPT writes t to the disk: the protective MBR, the table and its copy at
// the end of the disk (t.DiskSize). Boot code in the first 440 bytes stays.
// The partitions are checked first, and nothing is written if they are wrong.
func (t *Table) WriteGPT(disk io.WriterAt) error {
	array, err := t.encodeEntries()
	if err != nil {
		return fmt.Errorf("writing GPT: %w", err)
	}
	var guid [16]byte
	if guid, err = parseGUID(t.GUID); err != nil {
		return fmt.Errorf("writing GPT: %w", err)
	}
	sectors := t.DiskSize / t.SectorSize
	reserved := int64(len(array))/t.SectorSize + 1 // entries and header
	copyAt := sectors - reserved
	primary := encodeHeader(t.SectorSize, 1, sectors-1, 1+reserved, copyAt-1, 2, guid, array)
	backup := encodeHeader(t.SectorSize, sectors-1, 1, 1+reserved, copyAt-1, copyAt, guid, array)
	writes := []struct {
		at   int64
		data []byte
	}{
		// The copy first: if this is cut short the old primary is still whole.
		{copyAt * t.SectorSize, array},
		{(sectors - 1) * t.SectorSize, backup},
		{2 * t.SectorSize, array},
		{t.SectorSize, primary},
		{440, protectiveMBR(sectors)},
	}
	for _, w := range writes {
		if _, err := disk.WriteAt(w.data, w.at); err != nil {
			return fmt.Errorf("writing GPT: %w", err)
		}
	}
	return nil
}

func (t *Table) encodeEntries() ([]byte, error) {
	if t.SectorSize != 512 && t.SectorSize != 4096 {
		return nil, fmt.Errorf("sector size %d", t.SectorSize)
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	array := make([]byte, gptEntries*gptEntrySize)
	reserved := (int64(len(array))/t.SectorSize + 1) * t.SectorSize
	for _, p := range t.Partitions {
		if p.Number < 1 || p.Number > gptEntries || p.Offset%t.SectorSize != 0 || p.Size%t.SectorSize != 0 {
			return nil, fmt.Errorf("partition %d: offset %d, %d bytes", p.Number, p.Offset, p.Size)
		}
		if p.Offset < t.SectorSize+reserved || p.Offset+p.Size > t.DiskSize-reserved {
			return nil, fmt.Errorf("partition %d lies over the table", p.Number)
		}
		e := gptEntry{First: uint64(p.Offset / t.SectorSize), Last: uint64((p.Offset+p.Size)/t.SectorSize) - 1, Attributes: p.Attributes}
		var err1, err2 error
		e.Type, err1 = parseGUID(p.Type)
		e.GUID, err2 = parseGUID(p.GUID)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("partition %d: %w", p.Number, err)
		}
		units := utf16.Encode([]rune(p.Name))
		copy(e.Name[:], units[:min(len(units), nameUnits)])
		if _, err := binary.Encode(array[(p.Number-1)*gptEntrySize:], binary.LittleEndian, e); err != nil {
			return nil, err
		}
	}
	return array, nil
}

func encodeHeader(sector, self, other, first, last, entries int64, guid [16]byte, array []byte) []byte {
	h := gptHeader{
		Revision: gptRevision, HeaderSize: gptHeaderSize, MyLBA: uint64(self), AlternateLB: uint64(other),
		FirstUsable: uint64(first), LastUsable: uint64(last), DiskGUID: guid, EntriesLBA: uint64(entries),
		EntryCount: gptEntries, EntrySize: gptEntrySize, EntriesCRC: crc32.ChecksumIEEE(array),
	}
	copy(h.Signature[:], gptSignature)
	raw := make([]byte, sector)
	// Encode cannot fail: the struct is of fixed size and raw is larger.
	_, _ = binary.Encode(raw, binary.LittleEndian, h)
	binary.LittleEndian.PutUint32(raw[16:], crc32.ChecksumIEEE(raw[:gptHeaderSize]))
	return raw
}

// protectiveMBR gives the bytes 440 to 511 of the first sector: a table with
// one partition of type 0xEE over the whole disk.
func protectiveMBR(sectors int64) []byte {
	b := make([]byte, 72)
	entry := b[6:22]
	entry[2] = 2 // cylinder, head and sector of the second sector
	entry[4] = mbrProtective
	entry[5], entry[6], entry[7] = 0xff, 0xff, 0xff
	binary.LittleEndian.PutUint32(entry[8:], 1)
	binary.LittleEndian.PutUint32(entry[12:], uint32(min(sectors-1, 0xffffffff)))
	b[70], b[71] = 0x55, 0xaa
	return b
}

// formatGUID writes a GUID as people do. Its first three fields are stored
// little-endian.
func formatGUID(g [16]byte) string {
	swapGUID(&g)
	s := strings.ToUpper(hex.EncodeToString(g[:]))
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

func parseGUID(s string) (g [16]byte, err error) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return g, fmt.Errorf("not a GUID: %q", s)
	}
	if _, err := hex.Decode(g[:], []byte(strings.ReplaceAll(s, "-", ""))); err != nil {
		return g, fmt.Errorf("not a GUID: %q", s)
	}
	swapGUID(&g)
	return g, nil
}

func swapGUID(g *[16]byte) {
	g[0], g[1], g[2], g[3] = g[3], g[2], g[1], g[0]
	g[4], g[5] = g[5], g[4]
	g[6], g[7] = g[7], g[6]
}
