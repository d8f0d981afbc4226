package vm

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/instance"
)

// File descriptors of a machine's QEMU, in the order in which they are passed.
// QEMU opens nothing of an instance's by name, so it needs no right to.
const (
	fdAgent = 3 + iota
	fdControl
	fdDisk
	fdScratch
	fdVariables // UEFI only; the network's, if any, is the last
)

// portName is the virtio port that the agent opens.
const portName = "goldsmith.agent"

// emulatedCPU is the processor under emulation. What counts there is what the
// kernel does not do: a model that never speculated needs none of the
// mitigations that cost an emulator most. The features are those of x86-64-v2,
// which distributions ask for, and a source of random numbers, so that nothing
// waits for entropy. Without svm no guest tries to load KVM.
const emulatedCPU = "qemu64,vendor=GenuineIntel,family=6,model=28,stepping=2," +
	"+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+lahf-lm,+rdrand,+rdseed,-svm"

// arguments is QEMU's command line for an instance.
func arguments(spec instance.Spec, found abilities) []string {
	// No old buses to scan, and with graphics off the BIOS and the boot loader
	// speak on the serial line.
	board := "q35,sata=off,usb=off,smbus=off,vmport=off,hpet=off,graphics=off"
	if spec.Firmware == "uefi" {
		board += ",pflash0=code,pflash1=variables"
	}
	args := []string{
		found.qemu, "-name", "guest=" + spec.ID, "-nodefaults", "-no-user-config", "-display", "none",
		"-machine", board,
		"-smp", strconv.Itoa(spec.VCPU), "-m", strconv.Itoa(spec.MemoryMiB),
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-boot", "strict=on",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-chardev", fmt.Sprintf("socket,id=agent,fd=%d", fdAgent),
		"-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=" + portName,
		"-chardev", fmt.Sprintf("socket,id=control,fd=%d", fdControl), "-mon", "chardev=control,mode=control",
		"-netdev", network(spec, found), "-device", "virtio-net-pci,netdev=net,romfile=",
	}
	if found.kvm {
		args = append(args, "-accel", "kvm", "-cpu", "host")
	} else {
		args = append(args, "-accel", "tcg,thread=multi,tb-size=512", "-cpu", emulatedCPU)
	}
	args = append(args, drive("disk", fdDisk)...)
	// A full disk on the host is an error for the guest to see; by default QEMU
	// would stop the machine and wait for somebody.
	const failing = ",werror=report,rerror=report"
	args = append(args, "-device", "virtio-blk-pci,drive=disk,bootindex=0"+failing)
	args = append(args, drive("scratch", fdScratch)...)
	args = append(args, "-device", "virtio-blk-pci,drive=scratch,serial="+scratchSerial+failing)
	if spec.Firmware == "uefi" {
		args = append(args,
			"-blockdev", "driver=file,node-name=code-file,read-only=on,filename="+found.uefi.code,
			"-blockdev", "driver=raw,node-name=code,read-only=on,file=code-file")
		args = append(args, drive("variables", fdVariables)...)
	}
	if !found.kvm {
		withoutMSIX(args)
	}
	return args
}

// withoutMSIX takes the interrupt tables from virtio devices. Multi-threaded
// emulation trips over them once in a while as the guest moves them about, and
// QEMU aborts (msix_table_mmio_write); plain interrupts do as well there.
func withoutMSIX(args []string) {
	for i, arg := range args {
		if strings.HasPrefix(arg, "virtio-") && strings.Contains(arg, "-pci") {
			args[i] = arg + ",vectors=0"
		}
	}
}

// drive is a raw disk behind a file descriptor. What the guest writes need not
// survive this machine: a volume counts only once it was stopped and synced.
func drive(name string, fd int) []string {
	return []string{
		"-add-fd", fmt.Sprintf("fd=%d,set=%d", fd, fd),
		"-blockdev", fmt.Sprintf("driver=file,node-name=%s-file,filename=/dev/fdset/%d,locking=off,cache.no-flush=on,discard=unmap", name, fd),
		"-blockdev", fmt.Sprintf("driver=raw,node-name=%s,file=%s-file,cache.no-flush=on,discard=unmap,detect-zeroes=unmap", name, name),
	}
}

// Addresses of a guest's own network: the same in every machine, since each has
// it to itself.
const (
	guestAddress = "10.0.2.15"
	gateway      = "10.0.2.2"
	nameserver   = "10.0.2.3"
)

// network is the machine's network. By way of passt the guest reaches what the
// host reaches but not the host's loopback; QEMU's own does not keep it from
// that.
func network(spec instance.Spec, found abilities) string {
	if found.passt != "" {
		fd := fdVariables
		if spec.Firmware == "uefi" {
			fd++
		}
		return fmt.Sprintf("stream,id=net,server=off,addr.type=fd,addr.str=%d", fd)
	}
	net := "user,id=net,hostname=" + spec.Hostname
	for _, f := range spec.Forwards {
		net += fmt.Sprintf(",hostfwd=tcp:127.0.0.1:%d-:%d", f.Host, f.Guest)
	}
	return net
}

// passtArguments is the command line of passt, nil without it. Its socket is
// its first file.
func passtArguments(spec instance.Spec, found abilities) []string {
	if found.passt == "" {
		return nil
	}
	args := []string{
		found.passt, "--foreground", "--stderr", "--quiet", "--runas", "65534:65534", "--fd", "3", "--no-map-gw", "--ipv4-only",
		"--address", guestAddress, "--netmask", "24", "--gateway", gateway,
		"--dns", nameserver, "--dns-forward", nameserver, "--no-dhcp-search",
	}
	for _, f := range spec.Forwards {
		args = append(args, "--tcp-ports", fmt.Sprintf("127.0.0.1/%d:%d", f.Host, f.Guest))
	}
	return args
}
