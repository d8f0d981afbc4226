package encode

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/goldsmith-build/goldsmith/internal/disk"
)

// The layout of VHD (Microsoft, "Virtual Hard Disk Image Format Specification",
// version 1.0). All numbers are big-endian.
const (
	sector        = 512
	vhdBlock      = 2 << 20 // bytes of the disk in a block of a dynamic VHD
	vhdHeader     = 1024
	vhdMaxSectors = 2040 << 21 // 2040 GiB

	vhdFixed, vhdDynamic = 2, 3
)

// FixedVHD is the disk with a footer behind it, as the importers of clouds want
// it.
func FixedVHD(d Disk) (*File, error) {
	size := roundUp(d.Size(), sector)
	footer, err := vhdFooter(d, size, vhdFixed, ^uint64(0))
	if err != nil {
		return nil, err
	}
	f := &File{disk: d}
	f.add(size, func(ctx context.Context, p []byte, off int64) error { return readDisk(ctx, d, p, off) })
	f.addBytes(footer, sector)
	return f, nil
}

// DynamicVHD holds only the parts of the disk with data.
func DynamicVHD(d Disk) (*File, error) {
	size := roundUp(d.Size(), sector)
	footer, err := vhdFooter(d, size, vhdDynamic, sector)
	if err != nil {
		return nil, err
	}
	var present []uint32 // blocks of the VHD that have data, rising
	for _, b := range d.Blocks() {
		if at := uint32(int64(b) * disk.BlockSize / vhdBlock); len(present) == 0 || present[len(present)-1] != at {
			present = append(present, at)
		}
	}
	entries := (size + vhdBlock - 1) / vhdBlock
	table := roundUp(4*entries, sector)
	const stored = sector + vhdBlock // with the bitmap that says which sectors are there
	first := int64(sector+vhdHeader) + table
	f := &File{disk: d}
	f.addBytes(footer, sector)
	f.addBytes(dynamicHeader(uint32(entries)), vhdHeader)
	f.add(table, func(_ context.Context, p []byte, off int64) error {
		fillWords(p, off, 4, func(entry int64, to []byte) {
			rank, ok := slices.BinarySearch(present, uint32(entry))
			if entry >= entries || !ok {
				binary.BigEndian.PutUint32(to, ^uint32(0))
				return
			}
			binary.BigEndian.PutUint32(to, uint32((first+int64(rank)*stored)/sector))
		})
		return nil
	})
	f.add(int64(len(present))*stored, func(ctx context.Context, p []byte, off int64) error {
		for len(p) > 0 {
			rank, in := off/stored, off%stored
			n := min(int64(len(p)), stored-in)
			part := p[:n]
			if in < sector {
				bitmap := part[:min(n, sector-in)]
				for i := range bitmap {
					bitmap[i] = 0xff
				}
				part, in = part[len(bitmap):], sector
			}
			if err := readDisk(ctx, d, part, int64(present[rank])*vhdBlock+in-sector); err != nil {
				return err
			}
			p, off = p[n:], off+n
		}
		return nil
	})
	f.addBytes(footer, sector)
	return f, nil
}

// vhdFooter describes a disk of size bytes; dataOffset is where the header of a
// dynamic one is.
func vhdFooter(d Disk, size int64, kind uint32, dataOffset uint64) ([]byte, error) {
	sectors := size / sector
	if sectors > vhdMaxSectors {
		return nil, fmt.Errorf("VHD: %w: %d bytes; it ends at 2040 GiB", ErrTooLarge, size)
	}
	b := make([]byte, sector)
	copy(b, "conectix")
	be := binary.BigEndian
	be.PutUint32(b[8:], 2) // reserved, always set
	be.PutUint32(b[12:], 0x00010000)
	be.PutUint64(b[16:], dataOffset)
	// Creator "qem2" says to readers that the size counts and not the geometry,
	// which cannot express every size (QEMU, block/vpc.c).
	copy(b[28:], "qem2")
	be.PutUint32(b[32:], 0x00050003)
	copy(b[36:], "Wi2k")
	be.PutUint64(b[40:], uint64(size))
	be.PutUint64(b[48:], uint64(size))
	cylinders, heads, perTrack := vhdGeometry(sectors)
	be.PutUint16(b[56:], uint16(cylinders))
	b[58], b[59] = byte(heads), byte(perTrack)
	be.PutUint32(b[60:], kind)
	id := d.ID()
	copy(b[68:], id[:])
	be.PutUint32(b[64:], vhdChecksum(b))
	return b, nil
}

// dynamicHeader describes the table of blocks.
func dynamicHeader(entries uint32) []byte {
	b := make([]byte, vhdHeader)
	copy(b, "cxsparse")
	be := binary.BigEndian
	be.PutUint64(b[8:], ^uint64(0))
	be.PutUint64(b[16:], sector+vhdHeader)
	be.PutUint32(b[24:], 0x00010000)
	be.PutUint32(b[28:], entries)
	be.PutUint32(b[32:], vhdBlock)
	be.PutUint32(b[36:], vhdChecksum(b))
	return b
}

// vhdChecksum is the complement of the sum of all bytes; the field of the sum
// itself must be zero.
func vhdChecksum(b []byte) uint32 {
	var sum uint32
	for _, v := range b {
		sum += uint32(v)
	}
	return ^sum
}

// vhdGeometry is the specification's appendix "CHS Calculation".
func vhdGeometry(total int64) (cylinders, heads, perTrack int64) {
	total = min(total, 65535*16*255)
	if total >= 65535*16*63 {
		return total / 255 / 16, 16, 255
	}
	perTrack = 17
	cylindersTimesHeads := total / perTrack
	heads = max((cylindersTimesHeads+1023)/1024, 4)
	if cylindersTimesHeads >= heads*1024 || heads > 16 {
		perTrack, heads = 31, 16
		cylindersTimesHeads = total / perTrack
	}
	if cylindersTimesHeads >= heads*1024 {
		perTrack, heads = 63, 16
		cylindersTimesHeads = total / perTrack
	}
	return cylindersTimesHeads / heads, heads, perTrack
}

// fillWords fills p, which begins at off of a table, with the table's entries of
// size bytes each.
func fillWords(p []byte, off int64, size int64, put func(entry int64, to []byte)) {
	word := make([]byte, size)
	for len(p) > 0 {
		put(off/size, word)
		n := copy(p, word[off%size:])
		p, off = p[n:], off+int64(n)
	}
}
