package sandbox

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/instance/instancetest"
)

// byNumber opens the root folder of the file system that a bind mount comes
// from, by its inode's number, and lists it.
const byNumber = `perl -e 'my $h = pack("LlLL", 8, 1, 2, 0); open(my $f, "<", $ARGV[0]) or die "open: $!";
	my $fd = syscall(304, fileno($f), $h, 0); die "open_by_handle_at: $!" if $fd < 0; opendir(my $d, "/proc/self/fd/$fd") or die $!; print join " ", readdir $d'`

// TestHostileComponent is root in a sandbox who wants to be root of the host:
// what is known to lead out of containers, one after the other. None of it would
// harm this machine if it worked.
func TestHostileComponent(t *testing.T) {
	t.Parallel()
	var root unix.Stat_t
	if err := unix.Stat("/", &root); err != nil {
		t.Fatal(err)
	}
	victim := exec.Command("sleep", "98765")
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		victim.Process.Kill()
		_ = victim.Wait() // it was killed
	}()
	name := fmt.Sprintf("@goldsmith-hostile-%d", os.Getpid())
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	h := instancetest.Harness{Kind: usable(t, false)}
	i := h.Launch(t, h.Spec(t))
	for what, script := range map[string]string{
		"the host's disk by a node in /dev":             fmt.Sprintf("mknod /dev/probe b %d %d && head -c 1 /dev/probe", unix.Major(root.Dev), unix.Minor(root.Dev)),
		"the host's disk by a node in a tmpfs":          fmt.Sprintf("mkdir /m; mount -t tmpfs none /m && mknod /m/d b %d %d && head -c 1 /m/d", unix.Major(root.Dev), unix.Minor(root.Dev)),
		"the host's devices by devtmpfs":                "mkdir -p /m; mount -t devtmpfs none /m && ls /m/loop-control",
		"memory by /dev/mem":                            "mknod /dev/mem c 1 1; head -c 1 /dev/mem",
		"the kernel's log by /dev/kmsg":                 "mknod /dev/k c 1 11 && head -c 1 /dev/k",
		"the kernel's memory by /proc/kcore":            "head -c 16 /proc/kcore | grep -q ELF",
		"kernel settings by a fresh /proc":              "mkdir -p /m; mount -t proc none /m && test -w /m/sys/kernel/panic",
		"kernel settings by a remount":                  "mount -o remount,rw,bind /proc/sys && echo 0 >/proc/sys/kernel/panic",
		"what the host runs when a program crashes":     `v=$(cat /proc/sys/kernel/core_pattern); echo "$v" >/proc/sys/kernel/core_pattern`,
		"the host's system request key":                 "echo h >/proc/sysrq-trigger",
		"the system request key below its cover":        "umount /proc/sysrq-trigger && echo h >/proc/sysrq-trigger",
		"sysfs by a fresh mount":                        "mkdir -p /m; mount -t sysfs none /m && test -w /m/kernel/uevent_helper",
		"sysfs by a remount":                            "mount -o remount,rw /sys && test -w /sys/power/state",
		"control groups by a fresh mount":               "mkdir -p /m; mount -t cgroup -o memory none /m && ls /m/release_agent",
		"control groups of others":                      "mkdir -p /m; mount -t cgroup2 none /m && ls /m/cgroup.procs",
		"its own limits":                                "echo max >/sys/fs/cgroup/memory.max || echo max >/sys/fs/cgroup/../memory.max",
		"a file of the host by its number":              byNumber + " " + i.Toe(),
		"a file of the host by its number, the channel": byNumber + " " + i.Scratch() + "/channel/agent.sock",
		"a bind to the parent's mounts":                 "mkdir -p /m; mount --bind /proc/1/root/.. /m && ls /m/root/.cache",
		"a namespace of the host":                       "nsenter --target 1 --mount --net --pid --cgroup true && readlink /proc/1/ns/mnt | grep -qxF " + readlink(t, "/proc/self/ns/mnt"),
		"a process of the host":                         "grep -l 9876[5] /proc/[0-9]*/cmdline",
		"an abstract socket of the host":                fmt.Sprintf(`perl -MSocket -e 'socket(my $s, PF_UNIX, SOCK_STREAM, 0); connect($s, pack("Sa*", AF_UNIX, "\0%s")) or die $!'`, name[1:]),
		"a loop device":                                 "head -c 1048576 /dev/zero >/img; mknod /dev/loop99 b 7 99; losetup /dev/loop99 /img || losetup -f /img",
		"a crafted file system":                         "head -c 1048576 /dev/zero >/img; mkdir -p /m; mount -o loop /img /m || mount -t ext4 /img /m",
		"the kernel's modules":                          "insmod /img || modprobe loop",
		"another kernel":                                `perl -e 'exit(syscall(246, 0, 0, 0, 0) < 0 && $!{EPERM} ? 1 : 0)' -MErrno`,
		"programs in the kernel":                        `perl -MErrno -e 'exit(syscall(321, 0, 0, 0) < 0 && ($!{EPERM} || $!{ENOSYS}) ? 1 : 0)'`,
		"the clock":                                     "date -s @0",
		"the swap":                                      "swapoff -a && swapon /img",
		"the executor":                                  "echo >>" + i.Toe() + " || mount -o remount,rw,bind " + i.Toe(),
		"the resolver's file of the host":               "echo >>/etc/resolv.conf",
	} {
		if out, exit := shell(t, i, "( "+script+" ) 2>&1"); exit == 0 {
			t.Errorf("%s is in a component's reach: %.300s", what, out)
		}
	}
	if out, exit := shell(t, i, "true"); exit != 0 {
		t.Errorf("after that the instance is of no use: %s", out)
	}
}

func readlink(t *testing.T, name string) string {
	t.Helper()
	target, err := os.Readlink(name)
	if err != nil {
		t.Fatal(err)
	}
	return "'" + strings.ReplaceAll(target, "'", "") + "'"
}

// TestWithheldCapabilities holds root's powers to the list that was thought
// about.
func TestWithheldCapabilities(t *testing.T) {
	t.Parallel()
	h := instancetest.Harness{Kind: usable(t, false)}
	i := h.Launch(t, h.Spec(t))
	out, _ := shell(t, i, "grep CapBnd /proc/self/status")
	var bounding uint64
	if _, err := fmt.Sscanf(out, "CapBnd: %x", &bounding); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, bit := range map[string]int{
		"CAP_DAC_READ_SEARCH": unix.CAP_DAC_READ_SEARCH, "CAP_SYS_MODULE": unix.CAP_SYS_MODULE, "CAP_SYS_RAWIO": unix.CAP_SYS_RAWIO, "CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN,
		"CAP_SYS_TIME": unix.CAP_SYS_TIME, "CAP_MKNOD": unix.CAP_MKNOD, "CAP_SYSLOG": unix.CAP_SYSLOG, "CAP_MAC_ADMIN": unix.CAP_MAC_ADMIN, "CAP_BPF": unix.CAP_BPF, "CAP_PERFMON": unix.CAP_PERFMON,
	} {
		if bounding&(1<<bit) != 0 {
			t.Errorf("a component has %s: %x", name, bounding)
		}
	}
}
