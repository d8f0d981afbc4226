package partition

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The PC's partition table: four entries in the first sector, of which one may
// be an extended partition, a chain of tables with one logical partition each.
const (
	mbrProtective = 0xee
	mbrSector     = 512
	maxLogical    = 128 // links of the chain that are followed
)

type mbrEntry struct {
	kind        byte
	first, size int64 // sectors
}

func (e mbrEntry) extended() bool { return e.kind == 0x05 || e.kind == 0x0f || e.kind == 0x85 }

// readMBRSector gives the four entries of a table, or ok false if the sector
// does not end in the signature.
func readMBRSector(disk io.ReaderAt, sector int64) (entries [4]mbrEntry, ok bool) {
	raw := make([]byte, mbrSector)
	if n, _ := disk.ReadAt(raw, sector*mbrSector); n != len(raw) || raw[510] != 0x55 || raw[511] != 0xaa {
		return entries, false
	}
	for i := range entries {
		e := raw[446+16*i:]
		entries[i] = mbrEntry{
			kind:  e[4],
			first: int64(binary.LittleEndian.Uint32(e[8:])),
			size:  int64(binary.LittleEndian.Uint32(e[12:])),
		}
	}
	return entries, true
}

// protective tells whether the MBR announces a GPT.
func protective(disk io.ReaderAt) bool {
	entries, ok := readMBRSector(disk, 0)
	if !ok {
		return false
	}
	for _, e := range entries {
		if e.kind == mbrProtective {
			return true
		}
	}
	return false
}

// readMBR returns nil, nil for a disk that has no MBR, or only the protective
// one of a GPT that is gone.
func readMBR(disk io.ReaderAt, size int64) (*Table, error) {
	entries, ok := readMBRSector(disk, 0)
	if !ok || protective(disk) {
		return nil, nil
	}
	t := &Table{Scheme: MBR, SectorSize: mbrSector, DiskSize: size}
	for i, e := range entries {
		if e.kind == 0 || e.size == 0 {
			continue
		}
		if e.extended() {
			if err := t.readLogical(disk, e); err != nil {
				return nil, err
			}
			continue
		}
		t.addMBR(i+1, e)
	}
	if len(t.Partitions) == 0 {
		return nil, nil
	}
	return t, t.check()
}

func (t *Table) addMBR(number int, e mbrEntry) {
	t.Partitions = append(t.Partitions, Partition{
		Number: number, Type: fmt.Sprintf("%#02x", e.kind),
		Offset: e.first * mbrSector, Size: e.size * mbrSector,
	})
}

// readLogical follows the chain inside an extended partition. A link's first
// entry is the logical partition, relative to the link; its second the next
// link, relative to the extended partition.
func (t *Table) readLogical(disk io.ReaderAt, extended mbrEntry) error {
	at := extended.first
	for n := range maxLogical {
		entries, ok := readMBRSector(disk, at)
		if !ok {
			return fmt.Errorf("damaged chain of logical partitions at sector %d", at)
		}
		if logical := entries[0]; logical.kind != 0 && logical.size != 0 {
			logical.first += at
			t.addMBR(5+n, logical)
		}
		next := entries[1]
		if next.kind == 0 || next.size == 0 {
			return nil
		}
		at = extended.first + next.first
	}
	return fmt.Errorf("more than %d logical partitions, or a chain that never ends", maxLogical)
}

// growMBR writes a partition's new size into its primary entry.
func growMBR(disk io.WriterAt, number int, sizeBytes int64) error {
	if number < 1 || number > 4 {
		return fmt.Errorf("partition %d is a logical one; only primary partitions can grow", number)
	}
	sectors := sizeBytes / mbrSector
	if sectors > 0xffffffff {
		return fmt.Errorf("an MBR cannot describe a partition of %d bytes", sizeBytes)
	}
	var raw [4]byte
	binary.LittleEndian.PutUint32(raw[:], uint32(sectors))
	_, err := disk.WriteAt(raw[:], int64(446+16*(number-1)+12))
	return err
}
