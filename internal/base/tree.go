package base

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// treeFile is a file that a parent gets beside its packages.
type treeFile struct {
	name    string // without the leading slash
	mode    fs.FileMode
	content string
}

// commandLine is what the kernel of a parent is started with: messages and a
// login on the screen and on the serial port.
const commandLine = "console=tty0 console=ttyS0,115200n8"

// debianFiles are a Debian parent's settings. In a container the network and
// its names are the host's business, so what would wait for a device or fight
// over resolv.conf stays off there.
func debianFiles(ids identifiers, sources []aptSource) []treeFile {
	const notInContainer = "[Unit]\nConditionVirtualization=!container\n"
	root := ids.filesystem.String()
	esp := fmt.Sprintf("%04X-%04X", ids.volume>>16, ids.volume&0xffff)
	return []treeFile{
		{"etc/hostname", 0o644, "debian\n"},
		{"etc/hosts", 0o644, "127.0.0.1 localhost\n127.0.1.1 debian\n::1 localhost ip6-localhost ip6-loopback\n"},
		{"etc/fstab", 0o644, "UUID=" + root + " / ext4 defaults,errors=remount-ro 0 1\n" +
			"UUID=" + esp + " /boot/efi vfat noauto,umask=0077 0 0\n"},
		{"etc/machine-id", 0o444, ""},
		{"etc/default/locale", 0o644, "LANG=C.UTF-8\n"},
		{"etc/resolv.conf", 0o644, "# Served by systemd-resolved, which has the servers from DHCP.\nnameserver 127.0.0.53\noptions edns0 trust-ad\n"},
		{"etc/apt/sources.list.d/debian.sources", 0o644, string(imageSources(sources))},
		{"etc/systemd/network/80-dhcp.network", 0o644, "[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\nIPv6AcceptRA=yes\n\n" +
			"[DHCPv4]\nUseDomains=yes\n"},
		{"etc/systemd/system/systemd-networkd-wait-online.service.d/container.conf", 0o644, notInContainer},
		{"etc/systemd/system/systemd-resolved.service.d/container.conf", 0o644, notInContainer},
		{"etc/systemd/system/systemd-remount-fs.service.d/container.conf", 0o644, notInContainer},
		{"etc/systemd/system/ssh-host-keys.service", 0o644, sshHostKeysUnit},
		{"boot/grub/grub.cfg", 0o644, string(grubConfig(ids, commandLine))},
	}
}

// sshHostKeysUnit makes the keys that an image must not carry. RSA is left
// out: making one takes many seconds of an emulated boot, and every client of
// the last ten years knows the others.
const sshHostKeysUnit = `[Unit]
Description=Make the SSH host keys of this machine
Before=ssh.service
ConditionPathExists=|!/etc/ssh/ssh_host_ed25519_key
ConditionPathExists=|!/etc/ssh/ssh_host_ecdsa_key

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'for t in ed25519 ecdsa; do f=/etc/ssh/ssh_host_$${t}_key; [ -s $$f ] || { rm -f $$f $$f.pub; ssh-keygen -q -t $$t -N "" -f $$f; }; done'

[Install]
WantedBy=multi-user.target
RequiredBy=ssh.service
`

// debianUnits are switched on in a Debian parent.
var debianUnits = []string{"systemd-networkd.service", "ssh-host-keys.service"}

// leavings are what bootstrapping leaves behind that must not be in a parent:
// identities, logs, caches (patterns below the tree). The package lists stay:
// they spare every build two seconds of its apt-get update.
var leavings = []string{
	"etc/ssh/ssh_host_*", "etc/apt/apt.conf.d/99mmdebstrap", "etc/apt/sources.list", "etc/resolv.conf", "etc/hostname",
	"etc/apt/sources.list.d/*", "etc/machine-id", "var/lib/dbus/machine-id", "var/lib/systemd/random-seed", "var/lib/systemd/credential.secret",
	"var/log/*.log", "var/log/apt/*", "var/log/journal/*", "var/cache/apt/*.bin", "var/cache/apt/archives/*.deb",
	"var/cache/ldconfig/aux-cache", "var/cache/debconf/*-old", "var/lib/dpkg/*-old", "var/backups/*",
	"vmlinuz.old", "initrd.img.old", "tmp/*", "var/tmp/*", "run/*", ".dockerenv",
}

// customize gives the tree its settings and removes what bootstrapping left.
func customize(ctx context.Context, tree string, files []treeFile, units []string) error {
	root, err := os.OpenRoot(tree)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := removeLeavings(root); err != nil {
		return err
	}
	for _, f := range files {
		if err := writeTreeFile(root, f); err != nil {
			return err
		}
	}
	for _, dir := range []string{"boot/efi"} {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	args := append([]string{tree, "systemctl", "--quiet", "enable"}, units...)
	return run(ctx, nil, "chroot", args...)
}

func removeLeavings(root *os.Root) error {
	for _, pattern := range leavings {
		names, err := fs.Glob(root.FS(), pattern)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := root.RemoveAll(name); err != nil {
				return fmt.Errorf("removing /%s from the tree: %w", name, err)
			}
		}
	}
	return nil
}

// writeTreeFile replaces the file, whatever it was, and cannot be led out of
// the tree by a link in it.
func writeTreeFile(root *os.Root, f treeFile) error {
	err := root.MkdirAll(path.Dir(f.name), 0o755)
	if err == nil {
		if err = root.Remove(f.name); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		err = root.WriteFile(f.name, []byte(f.content), f.mode)
	}
	if err == nil {
		err = root.Chmod(f.name, f.mode) // whatever the umask
	}
	if err != nil {
		return fmt.Errorf("writing /%s into the tree: %w", f.name, err)
	}
	return nil
}

// clampTimes sets times of change that are later than the epoch to the epoch,
// so that two trees of the same packages are alike.
func clampTimes(tree string, epoch time.Time) error {
	return filepath.WalkDir(tree, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !info.ModTime().After(epoch) {
			return nil
		}
		ts := []unix.Timespec{unix.NsecToTimespec(epoch.UnixNano()), unix.NsecToTimespec(epoch.UnixNano())}
		return unix.UtimesNanoAt(unix.AT_FDCWD, name, ts, unix.AT_SYMLINK_NOFOLLOW)
	})
}
