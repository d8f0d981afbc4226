package base

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/disk/rootfs"
)

// inspection is what was found out about the system on a disk.
type inspection struct {
	osVersion    string // "" if unknown
	architecture string // "" if unknown
	packages     []Package
}

// inspect reads the system's own description from the disk. What it cannot
// read stays empty.
func inspect(ctx context.Context, root *rootfs.FS) (inspection, error) {
	var found inspection
	for _, name := range []string{"/usr/lib/os-release", "/etc/os-release"} {
		data, err := root.ReadFile(ctx, name, 64<<10)
		if err == nil {
			found.osVersion = osVersion(parseOSRelease(data))
			break
		}
		if !errors.Is(err, fs.ErrNotExist) && ctx.Err() != nil {
			return found, err
		}
	}
	for _, name := range []string{"/usr/lib/systemd/systemd", "/usr/bin/bash", "/bin/bash", "/usr/bin/busybox", "/bin/busybox"} {
		data, err := root.ReadFile(ctx, name, 32<<20)
		if err == nil {
			if found.architecture = elfArchitecture(data); found.architecture != "" {
				break
			}
		}
	}
	if data, err := root.ReadFile(ctx, "/var/lib/dpkg/status", 64<<20); err == nil {
		found.packages = parseDpkgStatus(data)
	}
	return found, ctx.Err()
}

// parseOSRelease reads os-release(5): NAME=value lines, quoted as in a shell.
func parseOSRelease(data []byte) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		fields[name] = value
	}
	return fields
}

// osVersion names a system as Image Builder does: "Debian 12", "Ubuntu 24",
// "Amazon Linux 2023".
func osVersion(release map[string]string) string {
	names := map[string]string{
		"debian": "Debian", "ubuntu": "Ubuntu", "amzn": "Amazon Linux", "rhel": "Red Hat Enterprise Linux",
		"centos": "CentOS", "sles": "SUSE Linux Enterprise Server", "fedora": "Fedora", "rocky": "Rocky Linux", "almalinux": "AlmaLinux",
	}
	name, ok := names[release["ID"]]
	if !ok {
		name = release["NAME"]
	}
	major, _, _ := strings.Cut(release["VERSION_ID"], ".")
	return printable(strings.TrimSpace(name + " " + major))
}

// printable keeps a foreign text from reaching a terminal or a field of the
// API with control characters or at any length.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r > 0x2000 {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 64)]
}

// elfArchitecture tells an executable's processor, "" if it is not one.
func elfArchitecture(data []byte) string {
	if len(data) < 20 || !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
		return ""
	}
	switch elf.Machine(uint16(data[18]) | uint16(data[19])<<8) {
	case elf.EM_X86_64:
		return "x86_64"
	case elf.EM_AARCH64:
		return "arm64"
	}
	return ""
}

// parseDpkgStatus reads dpkg's database: stanzas of which the installed ones
// count. It returns them by name.
func parseDpkgStatus(data []byte) []Package {
	var all []Package
	for stanza := range strings.SplitSeq(string(data), "\n\n") {
		var p Package
		installed := false
		for line := range strings.Lines(stanza) {
			field, value, _ := strings.Cut(line, ": ")
			value = strings.TrimSpace(value)
			switch field {
			case "Package":
				p.Name = value
			case "Version":
				p.Version = value
			case "Architecture":
				p.Architecture = value
			case "Status":
				installed = strings.HasSuffix(value, " installed")
			}
		}
		if installed && p.Name != "" {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// kernelNames picks the newest kernel of /boot and its initial RAM disk ("" if
// it has none).
func kernelNames(boot []string) (kernel, initrd string, err error) {
	var versions []string
	for _, name := range boot {
		if v, ok := strings.CutPrefix(name, "vmlinuz-"); ok && !strings.Contains(v, "rescue") {
			versions = append(versions, v)
		}
	}
	if len(versions) == 0 {
		return "", "", fmt.Errorf("/boot has no kernel: %w", fs.ErrNotExist)
	}
	newest := slices.MaxFunc(versions, compareNatural)
	for _, name := range []string{"initrd.img-" + newest, "initramfs-" + newest + ".img", "initrd-" + newest} {
		if slices.Contains(boot, name) {
			initrd = name
			break
		}
	}
	return "vmlinuz-" + newest, initrd, nil
}

// compareNatural orders texts with the numbers in them by value.
func compareNatural(a, b string) int {
	for a != "" && b != "" {
		na, ra := leadingNumber(a)
		nb, rb := leadingNumber(b)
		if na >= 0 && nb >= 0 {
			if na != nb {
				return na - nb
			}
			a, b = ra, rb
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

func leadingNumber(s string) (int, string) {
	n := 0
	for n < len(s) && n < 9 && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	if n == 0 {
		return -1, s
	}
	v, _ := strconv.Atoi(s[:n])
	return v, s[n:]
}
