package base

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/goldsmith-build/goldsmith/internal/disk/partition"
)

// The layout of a bootstrapped disk: where EC2's images have the root (number
// 1, last on the disk so that it can grow), with GRUB's core for BIOS and an
// EFI system partition before it.
const (
	biosOffset = 1 << 20
	biosSize   = 1 << 20
	espOffset  = biosOffset + biosSize
	espSize    = 62 << 20
	rootOffset = espOffset + espSize
	tableSize  = 1 << 20 // kept free at the end for the table's copy
)

// identifiers are what the parts of a disk are known by. They are derived from
// the content, so that the same content gives the same disk.
type identifiers struct {
	disk, bios, esp, root uuid.UUID // of the table
	filesystem, hashSeed  uuid.UUID // of the root file system
	volume                uint32    // serial number of the ESP
}

func deriveIdentifiers(content []byte) identifiers {
	namespace := uuid.NewSHA1(uuid.NameSpaceURL, []byte("goldsmith:parent-disk"))
	derive := func(part string) uuid.UUID {
		return uuid.NewSHA1(namespace, append([]byte(part+"\x00"), content...))
	}
	esp := derive("esp volume")
	return identifiers{
		disk: derive("disk"), bios: derive("bios"), esp: derive("esp"), root: derive("root"),
		filesystem: derive("root file system"), hashSeed: derive("directory hash"),
		volume: uint32(esp[0])<<24 | uint32(esp[1])<<16 | uint32(esp[2])<<8 | uint32(esp[3]),
	}
}

// assembly turns a tree into a disk that boots by BIOS and by UEFI.
type assembly struct {
	tree  string // folder with the root file system
	disk  string // raw file to make
	work  string // folder for intermediate files
	size  int64  // bytes
	ids   identifiers
	epoch time.Time // written where a file system wants the present time
}

// run makes the disk without loop devices or mounts.
func (a assembly) run(ctx context.Context) error {
	f, err := os.OpenFile(a.disk, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(a.size); err != nil {
		return err
	}
	if err := a.makeRoot(ctx); err != nil {
		return fmt.Errorf("making the root file system: %w", err)
	}
	if err := a.makeESP(ctx, f); err != nil {
		return fmt.Errorf("making the EFI system partition: %w", err)
	}
	if err := a.installBIOSGrub(ctx, f); err != nil {
		return fmt.Errorf("installing GRUB for BIOS: %w", err)
	}
	return a.table().WriteGPT(f)
}

func (a assembly) table() *partition.Table {
	guid := func(id uuid.UUID) string { return id.String() }
	return &partition.Table{
		Scheme: partition.GPT, SectorSize: 512, DiskSize: a.size, GUID: guid(a.ids.disk),
		Partitions: []partition.Partition{
			{Number: 1, Type: partition.TypeRootX8664, GUID: guid(a.ids.root), Name: "root", Offset: rootOffset, Size: a.rootSize()},
			{Number: 14, Type: partition.TypeBIOSBoot, GUID: guid(a.ids.bios), Name: "bios", Offset: biosOffset, Size: biosSize},
			{Number: 15, Type: partition.TypeESP, GUID: guid(a.ids.esp), Name: "esp", Offset: espOffset, Size: espSize},
		},
	}
}

func (a assembly) rootSize() int64 { return a.size - rootOffset - tableSize }

// makeRoot writes the tree into an ext4 file system. Features that GRUB 2.06
// cannot read are off. The file is sparse, hence all zero, and saying so
// spares instances the background writing of inode tables.
func (a assembly) makeRoot(ctx context.Context) error {
	options := fmt.Sprintf("offset=%d,assume_storage_prezeroed=1,nodiscard,hash_seed=%s", int64(rootOffset), a.ids.hashSeed)
	return a.command(ctx, "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "1", "-L", "root",
		"-O", "^metadata_csum_seed,^orphan_file", "-U", a.ids.filesystem.String(), "-E", options,
		"-d", a.tree, a.disk, strconv.FormatInt(a.rootSize()/4096, 10))
}

// makeESP makes a FAT32 of the ESP and puts GRUB where firmware looks on a
// disk it does not know.
func (a assembly) makeESP(ctx context.Context, disk *os.File) error {
	loader := filepath.Join(a.work, "bootx64.efi")
	if err := a.grubImage(ctx, "x86_64-efi", loader, efiModules); err != nil {
		return err
	}
	esp := filepath.Join(a.work, "esp")
	if err := os.WriteFile(esp, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(esp, espSize); err != nil {
		return err
	}
	steps := [][]string{
		{"mkfs.vfat", "-F", "32", "-s", "1", "-n", "ESP", "-i", fmt.Sprintf("%08x", a.ids.volume), "--invariant", esp},
		{"mmd", "-i", esp, "::/EFI", "::/EFI/BOOT"},
		{"mcopy", "-i", esp, loader, "::/EFI/BOOT/BOOTX64.EFI"},
	}
	for _, step := range steps {
		if err := a.command(ctx, step[0], step[1:]...); err != nil {
			return err
		}
	}
	return copyInto(disk, espOffset, esp)
}

// command runs a tool with the time stopped at the epoch.
func (a assembly) command(ctx context.Context, name string, args ...string) error {
	epoch := strconv.FormatInt(a.epoch.Unix(), 10)
	return run(ctx, []string{"SOURCE_DATE_EPOCH=" + epoch, "E2FSPROGS_FAKE_TIME=" + epoch, "MTOOLSRC=/dev/null"}, name, args...)
}

// copyInto writes a file into the disk at offset, leaving zeros as holes.
func copyInto(disk *os.File, offset int64, name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	const chunk = 4096
	zero := make([]byte, chunk)
	for i := 0; i < len(data); i += chunk {
		part := data[i:min(i+chunk, len(data))]
		if string(part) == string(zero[:len(part)]) {
			continue
		}
		if _, err := disk.WriteAt(part, offset+int64(i)); err != nil {
			return err
		}
	}
	return nil
}
