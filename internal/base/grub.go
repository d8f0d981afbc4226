package base

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// grubRoot is where the distribution's packages grub-pc-bin and
// grub-efi-amd64-bin put GRUB's parts on the host.
const grubRoot = "/usr/lib/grub"

// What GRUB needs to read the table and the root file system, show a menu on
// screen and serial port, and start Linux. All of it is inside the image, so
// the root file system carries only grub.cfg.
var (
	commonModules = []string{"part_gpt", "ext2", "search", "search_fs_uuid", "normal", "configfile", "linux",
		"serial", "terminal", "echo", "test", "ls", "cat", "halt", "reboot", "sleep", "true"}
	biosModules = append([]string{"biosdisk"}, commonModules...)
	efiModules  = append([]string{"fat", "efi_gop"}, commonModules...)
)

// grubImage makes a GRUB that finds the root file system by its UUID.
func (a assembly) grubImage(ctx context.Context, platform, out string, modules []string) error {
	early := filepath.Join(a.work, platform+".cfg")
	script := fmt.Sprintf("search.fs_uuid %s root\nset prefix=($root)/boot/grub\n", a.ids.filesystem)
	if err := os.WriteFile(early, []byte(script), 0o600); err != nil {
		return err
	}
	args := []string{"-O", platform, "-d", filepath.Join(grubRoot, platform), "-p", "/boot/grub", "-c", early, "-o", out}
	return a.command(ctx, "grub-mkimage", append(args, modules...)...)
}

// Places in GRUB's boot.img and in the first sector of its core image that an
// installer fills in (grub-core/boot/i386/pc/boot.S and diskboot.S).
const (
	bootKernelSector = 0x5c // where the core starts, 64-bit sector number
	bootDriveCheck   = 0x66 // a jump over the check that the firmware named a disk
	bootCodeEnd      = 440  // the disk signature and the partition table follow
	coreBlocklist    = 0x1f4
	coreSegment      = 0x820
	grubSector       = 512
)

// installBIOSGrub writes GRUB's first stage into the first sector and its core
// into the BIOS boot partition.
func (a assembly) installBIOSGrub(ctx context.Context, disk *os.File) error {
	corePath := filepath.Join(a.work, "core.img")
	if err := a.grubImage(ctx, "i386-pc", corePath, biosModules); err != nil {
		return err
	}
	core, err := os.ReadFile(corePath)
	if err != nil {
		return err
	}
	boot, err := os.ReadFile(filepath.Join(grubRoot, "i386-pc", "boot.img"))
	if err != nil {
		return err
	}
	if err := linkGrub(boot, core, biosOffset/grubSector, biosSize); err != nil {
		return err
	}
	if _, err := disk.WriteAt(boot[:bootCodeEnd], 0); err != nil {
		return err
	}
	_, err = disk.WriteAt(core, biosOffset)
	return err
}

// linkGrub tells the first stage where the core is, and the core's first
// sector where the rest of it is: right behind.
func linkGrub(boot, core []byte, sector uint64, room int) error {
	if len(boot) != grubSector || len(core) <= grubSector || len(core) > room {
		return fmt.Errorf("boot.img has %d bytes and core.img %d; the partition has %d", len(boot), len(core), room)
	}
	binary.LittleEndian.PutUint64(boot[bootKernelSector:], sector)
	boot[bootDriveCheck], boot[bootDriveCheck+1] = 0x90, 0x90 // no operation
	rest := (len(core)+grubSector-1)/grubSector - 1
	binary.LittleEndian.PutUint64(core[coreBlocklist:], sector+1)
	binary.LittleEndian.PutUint16(core[coreBlocklist+8:], uint16(rest))
	binary.LittleEndian.PutUint16(core[coreBlocklist+10:], coreSegment)
	return nil
}

// grubConfig is the menu. It boots what the links /vmlinuz and /initrd.img
// point to: the kernel's packages keep those, so that a component that
// upgrades the kernel needs no GRUB in the image.
func grubConfig(ids identifiers, commandLine string) []byte {
	var b bytes.Buffer
	lines := []string{
		"set timeout=0",
		"set default=0",
		"serial --unit=0 --speed=115200",
		"terminal_input console serial",
		"terminal_output console serial",
		"search --no-floppy --fs-uuid --set=root " + ids.filesystem.String(),
		"menuentry 'Linux' {",
		"\tlinux /vmlinuz root=UUID=" + ids.filesystem.String() + " ro " + commandLine,
		"\tinitrd /initrd.img",
		"}",
		"menuentry 'Linux, previous kernel' {",
		"\tlinux /vmlinuz.old root=UUID=" + ids.filesystem.String() + " ro " + commandLine,
		"\tinitrd /initrd.img.old",
		"}",
	}
	b.WriteString(strings.Join(lines, "\n"))
	b.WriteByte('\n')
	return b.Bytes()
}
