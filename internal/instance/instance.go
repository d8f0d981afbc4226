package instance

import (
	"context"
	"io"
	"io/fs"
	"net/http"
	"time"
)

// Kind launches instances of one sort.
type Kind interface {
	// Name is "sandbox" or "vm".
	Name() string

	// Probe says whether this machine can run the kind, how (for a person),
	// and, if it cannot, how to mend that. It may take a few seconds the first
	// time and remembers its answer.
	Probe(ctx context.Context) Report

	// Launch starts an instance and returns once its guest agent has answered.
	// On an error nothing is left: no process, mount, loop device or file
	// outside spec.Dir. If this process dies, the instance dies with it.
	// ctx bounds the launch only, not the life of the instance.
	Launch(ctx context.Context, spec Spec) (Instance, error)

	// Sweep removes whatever a dead server's instance left behind, given the
	// folder that was its Spec.Dir. It never touches a living instance of this
	// process, and sweeping twice is no error.
	Sweep(ctx context.Context, dir string) error
}

// Report is what a Kind found out about this machine.
type Report struct {
	Usable bool
	How    string // "systemd-nspawn 252, private network by slirp4netns", "QEMU 7.2, TCG: KVM did not boot a stock kernel in 2s"
	Remedy string // what to do when it is not usable, or could be better

	Guarded bool   // guests reach neither the host nor link-local services, and Spec.Metadata is served
	Address string // IPv4 address of each guest, in a network of its own; "" if it has the host's
}

// Spec describes an instance to launch.
type Spec struct {
	ID        string // "i-" and 17 hexadecimal digits
	Dir       string // an existing folder of its own on the host: sockets, console log, overlay
	Volume    string // a raw disk with a partition table, on the host
	Ready     string // with Overlay: a copy of Volume to use up, in place of making one; "" for none
	Overlay   bool   // true: the volume is never written; changes go to a throw-away overlay
	Toe       string // the static executor binary on the host, which holds the guest agent too
	VCPU      int    // 0: 2
	MemoryMiB int    // 0: 1024
	Firmware  string // vm only: "bios" (default) or "uefi"
	Hostname  string // "": derived from ID

	BootTimeout time.Duration // 0: the kind's own, generous under emulation

	Forwards []Forward // ways from the host into the guest

	// Metadata answers the guest's requests to http://169.254.169.254, where
	// Report.Guarded says that it can; nil: nothing answers.
	Metadata http.Handler
}

// Forward makes a TCP port of the guest reachable at 127.0.0.1 on the host.
type Forward struct {
	Host  int // the port on the host, which must be free
	Guest int
}

// Command is a program to run in an instance, without a shell.
type Command struct {
	Argv   []string
	Env    []string // added to the agent's own environment, "NAME=value"
	Dir    string   // "" means "/"
	Stdin  io.Reader
	Stdout io.Writer // nil discards
	Stderr io.Writer // may be Stdout: then one Write is called at a time
}

// LostError is what Exec, Put and Get return (wrapped) when the instance went
// away under them: it crashed, was killed, or rebooted by itself.
type LostError struct {
	ID    string
	Cause error
}

// Error names the instance and the cause.
func (e *LostError) Error() string {
	return "instance " + e.ID + " went away: " + e.Cause.Error()
}

// Unwrap gives the cause.
func (e *LostError) Unwrap() error { return e.Cause }

// Instance is a running machine with a guest agent. Everything that comes out
// of it is untrusted.
type Instance interface {
	// ID is the Spec's.
	ID() string

	// Exec runs a command as root and returns its exit status (128+n for a
	// signal). The error is non-nil only if the command could not be run or its
	// status is unknown. When ctx ends, the command's whole process group is
	// killed and ctx's error returned. Output is complete when Exec returns;
	// processes that outlive the command are not waited for.
	//
	// Exec, Put and Get wait for the agent while the guest reboots, no longer
	// than the boot timeout. An instance that ends under them is a *LostError,
	// a full file system in the guest wraps syscall.ENOSPC, and a program or
	// file that is not there fs.ErrNotExist.
	Exec(ctx context.Context, cmd Command) (exit int, err error)

	// Put writes a file, making parent folders as needed.
	Put(ctx context.Context, name string, mode fs.FileMode, content io.Reader) error

	// Get reads a file.
	Get(ctx context.Context, name string, to io.Writer) error

	// Scratch is a folder in the guest that survives reboots and is not part of
	// the image that is made of the volume. Toe() is in it.
	Scratch() string

	// Toe is the path of the executor binary inside the guest.
	Toe() string

	// Reboot restarts the guest in an orderly way and returns once the agent of
	// the new boot has answered.
	Reboot(ctx context.Context) error

	// Stop shuts the guest down in an orderly way. Afterwards the volume is
	// complete and clean on disk and nothing of the instance is left but Dir.
	Stop(ctx context.Context) error

	// Kill ends the instance at once, whatever state it is in, and removes what
	// it used. It may be called at any time, also after Stop, also twice.
	Kill() error

	// Enter is a command line for a person on the host that opens a shell in
	// the guest.
	Enter() []string

	// Console is the path on the host of the guest's console log.
	Console() string
}
