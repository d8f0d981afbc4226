package base

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestOSVersion(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n": "Debian 12",
		"NAME='Ubuntu'\nVERSION_ID=\"24.04\"\nID=ubuntu\n":                                                          "Ubuntu 24",
		"NAME=\"Amazon Linux\"\nVERSION_ID=\"2023\"\nID=\"amzn\"\n":                                                 "Amazon Linux 2023",
		"NAME=\"Red Hat Enterprise Linux\"\nVERSION_ID=\"9.4\"\nID=\"rhel\"\n":                                      "Red Hat Enterprise Linux 9",
		"NAME=Some\x1b[31mthing\nVERSION_ID=3.1\nID=some\n":                                                         "Some[31mthing 3",
		"":  "",
		"=": "",
	}
	for text, want := range tests {
		if got := osVersion(parseOSRelease([]byte(text))); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestParseDpkgStatus(t *testing.T) {
	t.Parallel()
	const text = "Package: zsh\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.9-4\nDescription: shell\n Package: not this\n\n" +
		"Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: adduser\nStatus: install ok installed\nArchitecture: all\nVersion: 3.134\n"
	want := []Package{{"adduser", "3.134", "all"}, {"zsh", "5.9-4", "amd64"}}
	if diff := cmp.Diff(want, parseDpkgStatus([]byte(text))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestKernelNames(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"vmlinuz-6.1.0-9-amd64 vmlinuz-6.1.0-10-amd64 initrd.img-6.1.0-9-amd64 initrd.img-6.1.0-10-amd64": "vmlinuz-6.1.0-10-amd64 initrd.img-6.1.0-10-amd64",
		"vmlinuz-5.14.0-1.el9.x86_64 initramfs-5.14.0-1.el9.x86_64.img vmlinuz-0-rescue-abc":              "vmlinuz-5.14.0-1.el9.x86_64 initramfs-5.14.0-1.el9.x86_64.img",
		"vmlinuz-6.1 initrd.img-6.0": "vmlinuz-6.1 ",
		"config-6.1 grub":            "",
	}
	for boot, want := range tests {
		kernel, initrd, err := kernelNames(strings.Fields(boot))
		if got := kernel + " " + initrd; err == nil && got != want || err != nil && want != "" {
			t.Errorf("%q: %q, %v; want %q", boot, got, err, want)
		}
	}
}

func TestElfArchitecture(t *testing.T) {
	t.Parallel()
	elf := func(machine byte) []byte {
		return append([]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00"), machine, 0)
	}
	for want, data := range map[string][]byte{"x86_64": elf(62), "arm64": elf(183), "": elf(3)} {
		if got := elfArchitecture(data); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, data := range []string{"", "\x7fELF", "#!/bin/sh\n################"} {
		if got := elfArchitecture([]byte(data)); got != "" {
			t.Errorf("%q is %s", data, got)
		}
	}
}

func FuzzInspect(f *testing.F) {
	f.Add("NAME=\"Debian\"\nVERSION_ID=12\nID=debian\n")
	f.Add("Package: a\nStatus: install ok installed\nVersion: 1\n\n")
	f.Add("vmlinuz-6.1\ninitrd.img-6.1")
	f.Fuzz(func(t *testing.T, text string) {
		if v := osVersion(parseOSRelease([]byte(text))); len(v) > 64 || utf8.ValidString(text) && strings.ContainsAny(v, "\n\x1b\x00") {
			t.Errorf("version %q", v)
		}
		for _, p := range parseDpkgStatus([]byte(text)) {
			if p.Name == "" {
				t.Errorf("a package without name: %+v", p)
			}
		}
		boot := strings.Split(text, "\n")
		if kernel, initrd, err := kernelNames(boot); err == nil && (!slices.Contains(boot, kernel) || initrd != "" && !slices.Contains(boot, initrd)) {
			t.Errorf("kernel %q and %q are not in /boot", kernel, initrd)
		}
	})
}
