package partition

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Schemes of a disk.
const (
	GPT   = "gpt"
	MBR   = "mbr"
	Whole = "none" // no table: a file system fills the disk
)

// GPT partition types, as the UEFI and Discoverable Partitions specifications
// write them.
const (
	TypeBIOSBoot  = "21686148-6449-6E6F-744E-656564454649"
	TypeESP       = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
	TypeLinux     = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
	TypeRootX8664 = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
	TypeRootARM64 = "B921B045-1DF0-41C3-AF44-4C6F280D3FAE"
)

// TypeMBRLinux is the type of a Linux partition in an MBR.
const TypeMBRLinux = "0x83"

// ErrNoTable is returned (wrapped) for a disk with neither a partition table
// nor a known file system.
var ErrNoTable = errors.New("no partition table and no file system found")

// ErrNoRoot is returned (wrapped) when no partition looks like a Linux root.
var ErrNoRoot = errors.New("no Linux root partition found")

// Table is what a disk is divided into.
type Table struct {
	Scheme     string // GPT, MBR or Whole
	SectorSize int64  // bytes: 512 or 4096
	DiskSize   int64  // bytes
	GUID       string // of the disk, "" where the scheme has none
	Partitions []Partition
}

// Partition is a part of a disk.
type Partition struct {
	Number     int    // as in the device name: 1 for vda1; 0 for a whole disk
	Type       string // GPT: upper-case GUID; MBR: "0x83"
	GUID       string // GPT only
	Name       string // GPT only
	Offset     int64  // bytes from the start of the disk
	Size       int64  // bytes
	Attributes uint64 // GPT only
	Filesystem string // "ext4", "xfs", "btrfs", "vfat" or "": from the superblock
}

// Read reads the partition table of a disk of size bytes and looks at the
// superblock of each partition. Partitions that overlap or reach beyond the
// disk are an error.
func Read(disk io.ReaderAt, size int64) (*Table, error) {
	t, err := readTable(disk, size)
	if err != nil {
		return nil, fmt.Errorf("reading partition table: %w", err)
	}
	for i := range t.Partitions {
		p := &t.Partitions[i]
		p.Filesystem = Filesystem(io.NewSectionReader(disk, p.Offset, p.Size))
	}
	return t, nil
}

func readTable(disk io.ReaderAt, size int64) (*Table, error) {
	t, err := readGPT(disk, size)
	if t != nil || err != nil {
		return t, err
	}
	if name := Filesystem(io.NewSectionReader(disk, 0, size)); name != "" && name != "vfat" {
		return &Table{Scheme: Whole, SectorSize: 512, DiskSize: size, Partitions: []Partition{{Size: size}}}, nil
	}
	t, err = readMBR(disk, size)
	if t != nil || err != nil {
		return t, err
	}
	return nil, ErrNoTable
}

// Root finds the partition that holds the Linux root file system: the one of a
// root type, else the largest with a Linux type and a Linux file system.
func (t *Table) Root() (Partition, error) {
	var best Partition
	bestRank := 0
	for _, p := range t.Partitions {
		r := rootRank(t.Scheme, p)
		if r > bestRank || r == bestRank && r > 0 && p.Size > best.Size {
			best, bestRank = p, r
		}
	}
	if bestRank == 0 {
		return Partition{}, fmt.Errorf("%w among %d partitions of the %s disk", ErrNoRoot, len(t.Partitions), t.Scheme)
	}
	return best, nil
}

// rootRank says how much p looks like a root: 0 not at all.
func rootRank(scheme string, p Partition) int {
	linux := p.Filesystem == "ext4" || p.Filesystem == "xfs" || p.Filesystem == "btrfs"
	switch {
	case !linux:
		return 0
	case p.Type == TypeRootX8664 || p.Type == TypeRootARM64:
		return 3
	case p.Type == TypeLinux || p.Type == TypeMBRLinux || scheme == Whole:
		return 2
	}
	return 1
}

// last tells whether nothing lies behind p.
func (t *Table) last(p Partition) bool {
	for _, other := range t.Partitions {
		if other.Offset > p.Offset {
			return false
		}
	}
	return true
}

// check refuses tables that could lead a reader outside the disk or make two
// partitions share bytes.
func (t *Table) check() error {
	for i, p := range t.Partitions {
		if p.Offset < t.SectorSize || p.Size <= 0 || p.Offset > t.DiskSize || p.Size > t.DiskSize-p.Offset {
			return fmt.Errorf("partition %d (offset %d, %d bytes) is not inside the disk of %d bytes", p.Number, p.Offset, p.Size, t.DiskSize)
		}
		for _, q := range t.Partitions[:i] {
			if p.Offset < q.Offset+q.Size && q.Offset < p.Offset+p.Size {
				return fmt.Errorf("partitions %d and %d overlap", q.Number, p.Number)
			}
		}
	}
	return nil
}

// Filesystem names the file system in r by its superblock: "ext4" (also for
// ext2 and ext3), "xfs", "btrfs", "vfat", or "" when it is none of these.
func Filesystem(r io.ReaderAt) string {
	magics := []struct {
		name   string
		offset int64
		magic  string
	}{
		{"ext4", 1024 + 56, "\x53\xef"},
		{"xfs", 0, "XFSB"},
		{"btrfs", 0x10040, "_BHRfS_M"},
		{"vfat", 82, "FAT32   "},
		{"vfat", 54, "FAT16   "},
		{"vfat", 54, "FAT12   "},
	}
	for _, m := range magics {
		buf := make([]byte, len(m.magic))
		if n, _ := r.ReadAt(buf, m.offset); n == len(buf) && string(buf) == m.magic {
			return m.name
		}
	}
	return ""
}

// String gives the table as lines for a person.
func (t *Table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s disk, %d bytes, sectors of %d\n", t.Scheme, t.DiskSize, t.SectorSize)
	for _, p := range t.Partitions {
		fmt.Fprintf(&b, "%2d  offset %d  size %d  type %s  %s %s\n", p.Number, p.Offset, p.Size, p.Type, p.Filesystem, p.Name)
	}
	return b.String()
}
