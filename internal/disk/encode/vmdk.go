package encode

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zlib"

	"github.com/goldsmith-build/goldsmith/internal/disk"
)

// The layout of a stream-optimised VMDK (VMware, "Virtual Disk Format 5.0"):
// grains of the disk, each compressed by itself, behind each stretch of them the
// table of where they are, at the end a directory of the tables. All numbers are
// little-endian; places are in sectors.
const (
	grain         = 64 << 10
	grainSectors  = grain / sector
	perTable      = 512 // grains that a table maps: 32 MiB
	tableSectors  = perTable * 4 / sector
	overhead      = 128 // sectors before the first grain
	descriptor    = 20  // sectors for the text
	atEnd         = ^uint64(0)
	compressLevel = 6
	vmdkMax       = int64(1) << 40 // bytes; places have 32 bits, and data that does not compress needs a little more than itself

	markEnd, markTable, markDirectory, markFooter = 0, 1, 2, 3
)

// grainsPerBlock are the grains in one block of the disk.
const grainsPerBlock = disk.BlockSize / grain

// WriteVMDK writes the disk as a stream-optimised VMDK, compressing on several
// processors. Its memory does not grow with the disk. It gives the length of the
// file, in bytes. A program of the same version writes the same bytes.
func WriteVMDK(ctx context.Context, w io.Writer, d Disk) (int64, error) {
	if d.Size() > vmdkMax {
		return 0, fmt.Errorf("VMDK: %w: %d bytes; at most 1 TiB", ErrTooLarge, d.Size())
	}
	id := d.ID()
	v := &vmdk{w: w, id: binary.BigEndian.Uint32(id[:]) & 0x7fffffff, capacity: roundUp(d.Size(), grain) / sector}
	v.directory = make([]uint32, (v.capacity+perTable*grainSectors-1)/(perTable*grainSectors))
	if err := v.begin(); err != nil {
		return v.at, err
	}
	err := ordered(ctx, runtime.GOMAXPROCS(0), func(yield func(func([]byte) ([]byte, error)) bool) {
		for _, index := range d.Blocks() {
			if !yield(func(buf []byte) ([]byte, error) { return packBlock(ctx, d, index, buf) }) {
				return
			}
		}
	}, v.block)
	if err != nil {
		return v.at, fmt.Errorf("writing a VMDK: %w", err)
	}
	if err := v.end(); err != nil {
		return v.at, fmt.Errorf("writing a VMDK: %w", err)
	}
	return v.at, nil
}

// packer is what a processor needs to compress.
type packer struct {
	block []byte
	out   bytes.Buffer
	zip   *zlib.Writer
}

var packers = sync.Pool{New: func() any {
	p := &packer{block: make([]byte, disk.BlockSize)}
	var err error
	if p.zip, err = zlib.NewWriterLevel(&p.out, compressLevel); err != nil {
		panic("encode: the level of compression is one that there is: " + err.Error())
	}
	return p
}}

// packBlock gives the grains of a block as they are in the file, each behind its
// marker and filled up to whole sectors. Grains that are all zero are left out.
func packBlock(ctx context.Context, d Disk, index uint32, buf []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := packers.Get().(*packer)
	defer packers.Put(p)
	if err := d.ReadBlock(ctx, index, p.block); err != nil {
		return nil, err
	}
	out := buf[:0]
	for i := range grainsPerBlock {
		content := p.block[i*grain : (i+1)*grain]
		if isZero(content) {
			continue
		}
		p.out.Reset()
		p.zip.Reset(&p.out)
		if _, err := p.zip.Write(content); err != nil {
			return nil, err
		}
		if err := p.zip.Close(); err != nil {
			return nil, err
		}
		out = binary.LittleEndian.AppendUint64(out, uint64(index)*disk.BlockSize/sector+uint64(i)*grainSectors)
		out = binary.LittleEndian.AppendUint32(out, uint32(p.out.Len()))
		out = append(out, p.out.Bytes()...)
		out = append(out, zeros[:roundUp(int64(len(out)), sector)-int64(len(out))]...)
	}
	return out, nil
}

var zeros [grain]byte

func isZero(b []byte) bool { return bytes.Equal(b, zeros[:len(b)]) }

// vmdk writes a file. A table is written when the first grain behind its
// stretch of the disk comes.
type vmdk struct {
	w         io.Writer
	id        uint32
	capacity  int64 // sectors
	at        int64 // bytes written
	directory []uint32
	table     [perTable]uint32
	current   int // the table that is being filled
	used      bool
}

func (v *vmdk) write(b []byte) error {
	n, err := v.w.Write(b)
	v.at += int64(n)
	return err
}

func (v *vmdk) sector() uint32 { return uint32(v.at / sector) }

// begin writes what stands before the grains.
func (v *vmdk) begin() error {
	b := make([]byte, overhead*sector)
	copy(b, v.header(atEnd))
	copy(b[sector:], v.text())
	return v.write(b)
}

// header is the first sector; directory says where that is. The footer is a
// header that knows it.
func (v *vmdk) header(directory uint64) []byte {
	b := make([]byte, sector)
	le := binary.LittleEndian
	copy(b, "KDMV")
	le.PutUint32(b[4:], 3)
	le.PutUint32(b[8:], 1|1<<16|1<<17) // line ends can be checked, grains are compressed, there are markers
	le.PutUint64(b[12:], uint64(v.capacity))
	le.PutUint64(b[20:], grainSectors)
	le.PutUint64(b[28:], 1)
	le.PutUint64(b[36:], descriptor)
	le.PutUint32(b[44:], perTable)
	le.PutUint64(b[56:], directory)
	le.PutUint64(b[64:], overhead)
	copy(b[73:], "\n \r\n")
	le.PutUint16(b[77:], 1) // deflate
	return b
}

// text is the descriptor.
func (v *vmdk) text() []byte {
	const heads, perTrack = 255, 63
	cylinders := min((v.capacity+heads*perTrack-1)/(heads*perTrack), 65535)
	return fmt.Appendf(nil, `# Disk DescriptorFile
version=1
CID=%08x
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RW %d SPARSE "disk.vmdk"

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "7"
ddb.geometry.cylinders = "%d"
ddb.geometry.heads = "%d"
ddb.geometry.sectors = "%d"
ddb.adapterType = "lsilogic"
`, v.id, v.capacity, cylinders, heads, perTrack)
}

// block writes the grains of a block, and notes where they are.
func (v *vmdk) block(packed []byte) error {
	for at := 0; at < len(packed); {
		lba := int64(binary.LittleEndian.Uint64(packed[at:]))
		size := int64(binary.LittleEndian.Uint32(packed[at+8:]))
		if table := int(lba / (perTable * grainSectors)); table != v.current {
			if err := v.flush(); err != nil {
				return err
			}
			v.current = table
		}
		length := int(roundUp(12+size, sector))
		v.table[lba/grainSectors%perTable], v.used = v.sector(), true
		if err := v.write(packed[at : at+length]); err != nil {
			return err
		}
		at += length
	}
	return nil
}

// marker begins what is no grain.
func marker(sectors uint64, kind uint32) []byte {
	b := make([]byte, sector)
	binary.LittleEndian.PutUint64(b, sectors)
	binary.LittleEndian.PutUint32(b[12:], kind)
	return b
}

// flush writes the table that was filled.
func (v *vmdk) flush() error {
	if !v.used {
		return nil
	}
	b := marker(tableSectors, markTable)
	for _, place := range v.table {
		b = binary.LittleEndian.AppendUint32(b, place)
	}
	v.directory[v.current] = v.sector() + 1
	v.table, v.used = [perTable]uint32{}, false
	return v.write(b)
}

// end writes what stands behind the grains.
func (v *vmdk) end() error {
	if err := v.flush(); err != nil {
		return err
	}
	entries := make([]byte, 0, 4*len(v.directory)+sector)
	for _, place := range v.directory {
		entries = binary.LittleEndian.AppendUint32(entries, place)
	}
	entries = append(entries, zeros[:roundUp(int64(len(entries)), sector)-int64(len(entries))]...)
	at := uint64(v.sector()) + 1
	b := append(marker(uint64(len(entries)/sector), markDirectory), entries...)
	b = append(b, marker(1, markFooter)...)
	b = append(b, v.header(at)...)
	return v.write(append(b, marker(0, markEnd)...))
}

// MaxVMDK is what WriteVMDK writes at most for a disk, bytes: as if nothing of
// it could be compressed.
func MaxVMDK(d Disk) int64 {
	tables := d.Size()/(perTable*grain) + 1
	return int64(len(d.Blocks()))*grainsPerBlock*(grain+2*sector) + tables*((1+tableSectors)*sector+4) + (overhead+8)*sector
}
