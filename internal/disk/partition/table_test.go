package partition

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const mib = 1 << 20

// memory is a small disk; it grows when it is written to.
type memory []byte

func (m *memory) WriteAt(p []byte, at int64) (int, error) {
	if need := int(at) + len(p); need > len(*m) {
		*m = append(*m, make([]byte, need-len(*m))...)
	}
	return copy((*m)[at:], p), nil
}

func sampleTable(size, sector int64) *Table {
	return &Table{
		Scheme: GPT, SectorSize: sector, DiskSize: size, GUID: "00112233-4455-6677-8899-AABBCCDDEEFF",
		Partitions: []Partition{
			{Number: 1, Type: TypeRootX8664, GUID: "11111111-2222-3333-4444-555555555555", Name: "root", Offset: 4 * mib, Size: 3 * mib},
			{Number: 14, Type: TypeBIOSBoot, GUID: "21111111-2222-3333-4444-555555555555", Name: "bios", Offset: mib, Size: mib},
			{Number: 15, Type: TypeESP, GUID: "31111111-2222-3333-4444-555555555555", Name: "EFI ä", Offset: 2 * mib, Size: 2 * mib, Attributes: 4},
		},
	}
}

func writeTable(t testing.TB, table *Table) memory {
	t.Helper()
	m := make(memory, table.DiskSize)
	if err := table.WriteGPT(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestGPTRoundTrip(t *testing.T) {
	t.Parallel()
	for _, sector := range []int64{512, 4096} {
		want := sampleTable(8*mib, sector)
		m := writeTable(t, want)
		got, err := Read(bytes.NewReader(m), int64(len(m)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("sectors of %d (-want +got):\n%s", sector, diff)
		}
	}
}

// The table must be right for others too.
func TestSfdiskReadsOurGPT(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sfdisk"); err != nil {
		t.Skip("sfdisk is not installed (Debian package fdisk)")
	}
	name := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(name, writeTable(t, sampleTable(8*mib, 512)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sfdisk", "--verify", name).CombinedOutput(); err != nil || !strings.Contains(string(out), "No errors detected") {
		t.Errorf("sfdisk --verify: %v\n%s", err, out)
	}
	out, err := exec.Command("sfdisk", "--dump", name).CombinedOutput()
	if err != nil {
		t.Fatalf("sfdisk --dump: %v\n%s", err, out)
	}
	for _, want := range []string{
		"label-id: 00112233-4455-6677-8899-AABBCCDDEEFF",
		"1 : start=        8192, size=        6144, type=" + TypeRootX8664 + ", uuid=11111111-2222-3333-4444-555555555555, name=\"root\"",
		"14 : start=        2048, size=        2048, type=" + TypeBIOSBoot,
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("sfdisk does not show %q:\n%s", want, out)
		}
	}
}

func TestReadsTablesOfSfdisk(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sfdisk"); err != nil {
		t.Skip("sfdisk is not installed (Debian package fdisk)")
	}
	tests := map[string]struct{ script, want string }{
		"gpt": {"label: gpt\n,1M,U\n,2M,L\n", "gpt 1:1048576+1048576:" + TypeESP + " 2:2097152+2097152:" + TypeLinux},
		"mbr": {"label: dos\n,1M,c\n,2M,L\n", "mbr 1:1048576+1048576:0x0c 2:2097152+2097152:0x83"},
		"logical": {"label: dos\nstart=2048,size=2048,type=83\nstart=4096,size=10000,type=5\nstart=6144,size=2048,type=83\nstart=10240,size=2048,type=82\n",
			"mbr 1:1048576+1048576:0x83 5:3145728+1048576:0x83 6:5242880+1048576:0x82"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "disk")
			if err := os.WriteFile(file, make([]byte, 8*mib), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("sfdisk", "-q", file)
			cmd.Stdin = strings.NewReader(test.script)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("sfdisk: %v\n%s", err, out)
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			table, err := Read(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			got := table.Scheme
			for _, p := range table.Partitions {
				got += fmt.Sprintf(" %d:%d+%d:%s", p.Number, p.Offset, p.Size, p.Type)
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestDamagedPrimaryIsReplacedByTheCopy(t *testing.T) {
	t.Parallel()
	want := sampleTable(8*mib, 512)
	for name, at := range map[string]int{"header": 512 + 50, "entries": 1024 + 40, "signature": 512} {
		m := writeTable(t, want)
		m[at] ^= 0xff
		got, err := Read(bytes.NewReader(m), int64(len(m)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestBothTablesDamaged(t *testing.T) {
	t.Parallel()
	m := writeTable(t, sampleTable(8*mib, 512))
	m[512+50] ^= 0xff
	m[len(m)-512+50] ^= 0xff
	if _, err := Read(bytes.NewReader(m), int64(len(m))); !errors.Is(err, errBadGPT) {
		t.Errorf("error %v, want errBadGPT", err)
	}
}

// reseal gives a changed table right checksums again, as an attacker would.
func reseal(m memory) {
	entries := m[1024 : 1024+gptEntries*gptEntrySize]
	binary.LittleEndian.PutUint32(m[512+88:], crc32.ChecksumIEEE(entries))
	binary.LittleEndian.PutUint32(m[512+16:], 0)
	binary.LittleEndian.PutUint32(m[512+16:], crc32.ChecksumIEEE(m[512:512+gptHeaderSize]))
}

func TestHostileGPT(t *testing.T) {
	t.Parallel()
	put64 := func(at int, v uint64) func(memory) {
		return func(m memory) { binary.LittleEndian.PutUint64(m[at:], v) }
	}
	first, last := 1024+32, 1024+40
	attacks := map[string]func(memory){
		"ends beyond the disk":       put64(last, 8*mib/512),
		"ends at the largest sector": put64(last, 1<<64-1),
		"ends before it begins":      put64(first, 9000*1000),
		"begins in the table":        put64(first, 0),
		"overlaps another":           put64(first, 3*mib/512),
		"array beyond the disk":      put64(512+72, 1<<60),
		"huge array":                 func(m memory) { binary.LittleEndian.PutUint32(m[512+80:], 1<<31) },
		"entries of one byte":        func(m memory) { binary.LittleEndian.PutUint32(m[512+84:], 1) },
		"header of 4 GiB":            func(m memory) { binary.LittleEndian.PutUint32(m[512+12:], 1<<32-1) },
	}
	for name, attack := range attacks {
		m := writeTable(t, sampleTable(8*mib, 512))
		clear(m[len(m)-512:]) // no copy to fall back on
		attack(m)
		if name != "header of 4 GiB" {
			reseal(m)
		}
		if table, err := Read(bytes.NewReader(m), int64(len(m))); err == nil {
			t.Errorf("%s: accepted as %v", name, table)
		}
	}
}

func TestLogicalPartitionsInACircle(t *testing.T) {
	t.Parallel()
	m := make(memory, 8*mib)
	entry := func(sector, slot int, kind byte, first, size uint32) {
		at := sector*512 + 446 + 16*slot
		m[at+4] = kind
		binary.LittleEndian.PutUint32(m[at+8:], first)
		binary.LittleEndian.PutUint32(m[at+12:], size)
		m[sector*512+510], m[sector*512+511] = 0x55, 0xaa
	}
	entry(0, 0, 5, 2048, 10000)
	entry(2048, 0, 0x83, 10, 10)
	entry(2048, 1, 5, 0, 100)
	if table, err := Read(bytes.NewReader(m), int64(len(m))); err == nil {
		t.Errorf("accepted as %v", table)
	}
}

func TestRoot(t *testing.T) {
	t.Parallel()
	linux := func(number int, kind, fs string, size int64) Partition {
		return Partition{Number: number, Type: kind, Filesystem: fs, Size: size}
	}
	tests := map[string]struct {
		table Table
		want  int // 0: none
	}{
		"by its type":          {Table{Scheme: GPT, Partitions: []Partition{linux(1, TypeLinux, "ext4", 99), linux(2, TypeRootX8664, "ext4", 9)}}, 2},
		"the largest":          {Table{Scheme: GPT, Partitions: []Partition{linux(1, TypeLinux, "ext4", 9), linux(2, TypeLinux, "xfs", 99)}}, 2},
		"not the ESP":          {Table{Scheme: GPT, Partitions: []Partition{linux(1, TypeESP, "vfat", 99), linux(2, TypeLinux, "ext4", 9)}}, 2},
		"MBR":                  {Table{Scheme: MBR, Partitions: []Partition{linux(1, "0x82", "", 99), linux(2, "0x83", "ext4", 9)}}, 2},
		"whole disk":           {Table{Scheme: Whole, Partitions: []Partition{linux(0, "", "ext4", 9)}}, 0},
		"type without content": {Table{Scheme: GPT, Partitions: []Partition{linux(1, TypeRootX8664, "", 9)}}, -1},
		"nothing":              {Table{Scheme: GPT}, -1},
	}
	for name, test := range tests {
		got, err := test.table.Root()
		if test.want < 0 {
			if !errors.Is(err, ErrNoRoot) {
				t.Errorf("%s: %v, %v; want ErrNoRoot", name, got, err)
			}
			continue
		}
		if err != nil || got.Number != test.want {
			t.Errorf("%s: partition %d, %v; want %d", name, got.Number, err, test.want)
		}
	}
}

func TestNoTable(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 511, 512, 4096, mib} {
		if _, err := Read(bytes.NewReader(make([]byte, size)), int64(size)); !errors.Is(err, ErrNoTable) {
			t.Errorf("%d zeros: %v, want ErrNoTable", size, err)
		}
	}
}

func TestWriteGPTRefusesWrongTables(t *testing.T) {
	t.Parallel()
	wrong := map[string]func(*Table){
		"overlap":          func(t *Table) { t.Partitions[1].Size = 2 * mib },
		"over the copy":    func(t *Table) { t.Partitions[0].Size = 4 * mib },
		"over the table":   func(t *Table) { t.Partitions[1].Offset = 512 },
		"beyond the disk":  func(t *Table) { t.Partitions[0].Size = 40 * mib },
		"between sectors":  func(t *Table) { t.Partitions[0].Size-- },
		"number":           func(t *Table) { t.Partitions[0].Number = 129 },
		"GUID":             func(t *Table) { t.Partitions[0].GUID = "x" },
		"disk GUID":        func(t *Table) { t.GUID = "" },
		"odd sector size":  func(t *Table) { t.SectorSize = 1000 },
		"GUID of no digit": func(t *Table) { t.Partitions[0].Type = strings.Replace(TypeESP, "C", "G", 1) },
	}
	for name, change := range wrong {
		table := sampleTable(8*mib, 512)
		change(table)
		m := make(memory, 0)
		if err := table.WriteGPT(&m); err == nil || len(m) != 0 {
			t.Errorf("%s: error %v, %d bytes written", name, err, len(m))
		}
	}
}

func FuzzRead(f *testing.F) {
	small := writeTable(f, sampleTable(8*mib, 512))
	// A fuzzer changes small inputs best, so only the head and the tail of a
	// disk are given to it.
	f.Add([]byte(small[:34*512]), []byte(small[len(small)-33*512:]), true)
	f.Add(make([]byte, 512), []byte{}, false)
	mbr := make([]byte, 1024)
	mbr[446+4], mbr[446+8], mbr[446+12], mbr[510], mbr[511] = 5, 1, 9, 0x55, 0xaa
	f.Add(mbr, mbr, false)
	f.Fuzz(func(t *testing.T, head, tail []byte, seal bool) {
		const size = 8 * mib
		if len(head)+len(tail) > size {
			return
		}
		if seal && len(head) >= 34*512 {
			head = bytes.Clone(head)
			reseal(head) // or no change would get past the checksums
		}
		table, err := Read(ends{head, tail, size}, size)
		if err != nil {
			return
		}
		for _, p := range table.Partitions {
			if p.Offset < 0 || p.Size <= 0 || p.Offset+p.Size > size {
				t.Errorf("partition %+v is not inside the disk", p)
			}
		}
	})
}

// ends is a disk of size bytes that is zero between its head and its tail.
type ends struct {
	head, tail []byte
	size       int64
}

func (e ends) ReadAt(p []byte, at int64) (int, error) {
	if at >= e.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), e.size-at))
	clear(p[:n])
	if at < int64(len(e.head)) {
		copy(p[:n], e.head[at:])
	}
	begin := e.size - int64(len(e.tail))
	if skip := begin - at; skip < int64(n) {
		copy(p[max(0, skip):n], e.tail[max(0, -skip):])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
