package encode

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/goldsmith-build/goldsmith/internal/disk"
)

// The layout of qcow2, version 3 (QEMU, docs/interop/qcow2.txt). All numbers
// are big-endian.
const (
	clusterBits = 16
	cluster     = 1 << clusterBits
	perBlock    = disk.BlockSize / cluster // clusters of the disk in a block
	perL2       = cluster / 8              // clusters that an L2 table maps: 512 MiB
	perRefs     = cluster / 2              // clusters that a block of reference counts covers
	copied      = 1 << 63                  // of an entry: its reference count is one
	maxL1       = 32 << 20                 // bytes; what QEMU reads
)

// qcow2 is the plan of a file: one after the other the header, the table of the
// blocks of reference counts and these, the L1 table, the L2 tables that map
// anything, and the disk's blocks. Every cluster is used once.
type qcow2 struct {
	disk       Disk
	tables     []uint32 // indexes of L2 tables that map anything, rising
	l1         int64    // entries
	refTable   int64    // clusters
	refBlocks  int64    // clusters
	l1Clusters int64
}

// QCOW2 is an uncompressed qcow2 with the parts of the disk that have data.
func QCOW2(d Disk) (*File, error) {
	q := &qcow2{disk: d}
	clusters := (d.Size() + cluster - 1) / cluster
	q.l1 = (clusters + perL2 - 1) / perL2
	if 8*q.l1 > maxL1 {
		return nil, fmt.Errorf("qcow2: %w: %d bytes", ErrTooLarge, d.Size())
	}
	q.l1Clusters = max(1, (8*q.l1+cluster-1)/cluster)
	for _, b := range d.Blocks() {
		if at := uint32(int64(b) * perBlock / perL2); len(q.tables) == 0 || q.tables[len(q.tables)-1] != at {
			q.tables = append(q.tables, at)
		}
	}
	// The reference counts cover themselves as well.
	for q.refTable, q.refBlocks = 1, 1; ; {
		blocks := (q.total() + perRefs - 1) / perRefs
		table := (8*blocks + cluster - 1) / cluster
		if blocks <= q.refBlocks && table <= q.refTable {
			break
		}
		q.refBlocks, q.refTable = max(blocks, q.refBlocks), max(table, q.refTable)
	}
	f := &File{disk: d}
	f.addBytes(q.header(), cluster)
	f.add(q.refTable*cluster, q.fillRefTable)
	f.add(q.refBlocks*cluster, q.fillRefBlocks)
	f.add(q.l1Clusters*cluster, q.fillL1)
	f.add(int64(len(q.tables))*cluster, q.fillL2)
	f.add(int64(len(d.Blocks()))*disk.BlockSize, q.fillData)
	return f, nil
}

// Where the parts begin, in clusters.
func (q *qcow2) refBlocksAt() int64 { return 1 + q.refTable }
func (q *qcow2) l1At() int64        { return q.refBlocksAt() + q.refBlocks }
func (q *qcow2) l2At() int64        { return q.l1At() + q.l1Clusters }
func (q *qcow2) dataAt() int64      { return q.l2At() + int64(len(q.tables)) }
func (q *qcow2) total() int64       { return q.dataAt() + int64(len(q.disk.Blocks()))*perBlock }

func (q *qcow2) header() []byte {
	const length = 104
	b := make([]byte, length+8) // and the end of its extensions
	be := binary.BigEndian
	copy(b, "QFI\xfb")
	be.PutUint32(b[4:], 3)
	be.PutUint32(b[20:], clusterBits)
	be.PutUint64(b[24:], uint64(roundUp(q.disk.Size(), sector)))
	be.PutUint32(b[36:], uint32(q.l1))
	be.PutUint64(b[40:], uint64(q.l1At()*cluster))
	be.PutUint64(b[48:], cluster)
	be.PutUint32(b[56:], uint32(q.refTable))
	be.PutUint32(b[96:], 4) // counts of 16 bits
	be.PutUint32(b[100:], length)
	return b
}

func (q *qcow2) fillRefTable(_ context.Context, p []byte, off int64) error {
	fillWords(p, off, 8, func(entry int64, to []byte) {
		clear(to)
		if entry < q.refBlocks {
			binary.BigEndian.PutUint64(to, uint64((q.refBlocksAt()+entry)*cluster))
		}
	})
	return nil
}

func (q *qcow2) fillRefBlocks(_ context.Context, p []byte, off int64) error {
	total := q.total()
	fillWords(p, off, 2, func(entry int64, to []byte) {
		to[0], to[1] = 0, 0
		if entry < total {
			to[1] = 1
		}
	})
	return nil
}

func (q *qcow2) fillL1(_ context.Context, p []byte, off int64) error {
	fillWords(p, off, 8, func(entry int64, to []byte) {
		clear(to)
		if rank, ok := slices.BinarySearch(q.tables, uint32(entry)); ok {
			binary.BigEndian.PutUint64(to, copied|uint64((q.l2At()+int64(rank))*cluster))
		}
	})
	return nil
}

func (q *qcow2) fillL2(_ context.Context, p []byte, off int64) error {
	blocks := q.disk.Blocks()
	fillWords(p, off, 8, func(entry int64, to []byte) {
		clear(to)
		at := int64(q.tables[entry/perL2])*perL2 + entry%perL2 // cluster of the disk
		if rank, ok := slices.BinarySearch(blocks, uint32(at/perBlock)); ok {
			binary.BigEndian.PutUint64(to, copied|uint64((q.dataAt()+int64(rank)*perBlock+at%perBlock)*cluster))
		}
	})
	return nil
}

func (q *qcow2) fillData(ctx context.Context, p []byte, off int64) error {
	blocks := q.disk.Blocks()
	for len(p) > 0 {
		in := off % disk.BlockSize
		n := min(int64(len(p)), disk.BlockSize-in)
		if err := readDisk(ctx, q.disk, p[:n], int64(blocks[off/disk.BlockSize])*disk.BlockSize+in); err != nil {
			return err
		}
		p, off = p[n:], off+n
	}
	return nil
}
