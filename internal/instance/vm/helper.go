package vm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/goldsmith-build/goldsmith/internal/instance/lifeline"
)

// keeperName is the helper that keeps a QEMU.
const keeperName = "goldsmith-vm"

func init() { lifeline.Helper(keeperName, keep) }

// errand is what the server tells the keeper to run.
type errand struct {
	Argv       []string
	Files      int      // how many of the keeper's files are QEMU's, from FirstFile+1 up
	Passt      []string // command line of the network's process, nil for none
	CgroupJoin []string // cgroup.procs files for the keeper and QEMU
	CgroupV2   string   // folder of a control group for QEMU alone
	UID        int      // who QEMU runs as; 0: as the keeper
	GID        int
}

// report is how QEMU ended; "" for well. Crashed says that it was QEMU's own
// fault: a signal that nobody sent.
type report struct {
	Error   string
	Crashed bool
}

// crashed reports whether a program ended by a signal that its own faults raise.
func crashed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return false
	}
	switch status.Signal() {
	case syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGILL, syscall.SIGFPE, syscall.SIGTRAP:
		return true
	}
	return false
}

// crashError is the end of a QEMU that crashed. It says nothing of the guest.
type crashError struct{ words string }

// Error gives what QEMU's end was.
func (e *crashError) Error() string { return e.words }

// keep starts QEMU and sees to it that QEMU ends when the server does.
//
// QEMU gets a death signal too, in case that the keeper itself is killed. The
// kernel sends it when the thread that started QEMU ends: this one, the main
// thread, which is the last to.
func keep(line *lifeline.Line) int {
	var e errand
	if err := line.Receive(&e); err != nil {
		return 1
	}
	cmd, err := e.start()
	if err != nil {
		_ = line.Send(report{Error: err.Error()})
		return 1
	}
	go func() {
		var nothing any
		_ = line.Receive(&nothing) // returns when the server is gone
		_ = cmd.Process.Kill()
		os.Exit(1)
	}()
	var r report
	if err := cmd.Wait(); err != nil {
		r.Error, r.Crashed = "QEMU: "+err.Error(), crashed(err)
	}
	_ = line.Send(r)
	return 0
}

func (e errand) start() (*exec.Cmd, error) {
	for _, procs := range e.CgroupJoin {
		if err := os.WriteFile(procs, []byte("0"), 0); err != nil {
			return nil, fmt.Errorf("joining a control group: %w", err)
		}
	}
	cmd := exec.Command(e.Argv[0], e.Argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.NewFile(lifeline.FirstFile, "console"), os.Stderr
	for i := range e.Files {
		cmd.ExtraFiles = append(cmd.ExtraFiles, os.NewFile(uintptr(lifeline.FirstFile+1+i), "file"))
	}
	if len(e.Passt) > 0 {
		network, err := e.startNetwork()
		if err != nil {
			return nil, err
		}
		defer network.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, network)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if e.UID != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(e.UID), Gid: uint32(e.GID)}
	}
	if e.CgroupV2 != "" {
		dir, err := os.Open(e.CgroupV2)
		if err != nil {
			return nil, fmt.Errorf("opening QEMU's control group: %w", err)
		}
		defer dir.Close()
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", strings.Join(e.Argv[:1], ""), err)
	}
	return cmd, nil
}

// startNetwork starts passt and gives QEMU's end of its socket. It ends when
// that is closed.
func (e errand) startNetwork() (*os.File, error) {
	ours, theirs, err := lifeline.Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd := exec.Command(e.Passt[0], e.Passt[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, fmt.Errorf("starting passt: %w", err)
	}
	go func() {
		if err := cmd.Wait(); err != nil {
			fmt.Fprintln(os.Stderr, "passt:", err)
		}
	}()
	return ours, nil
}
