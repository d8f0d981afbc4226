package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/disk/loop"
	"github.com/goldsmith-build/goldsmith/internal/instance/lifeline"
)

// supervisorName is the helper's name in the process list.
const supervisorName = "goldsmith-sandbox"

func init() { lifeline.Helper(supervisorName, supervise) }

// plan is what the server tells the supervisor to run.
type plan struct {
	Volume     string
	Offset     int64
	Size       int64
	Filesystem string
	Root       string   // where to mount it
	Scratch    string   // file of an ext4 file system, the guest's scratch folder
	ScratchDir string   // where to mount that
	CgroupJoin []string // cgroup.procs files for the supervisor and its children
	CgroupV2   string   // folder for the container alone, "" without the unified hierarchy
	Toe        string   // the executor's file
	Slirp      string   // slirp4netns, "" to use the host's network
	ResolvConf string   // a file on the host to show as the guest's, "" for none
	Hostname   string   // of an image that names none
	Nspawn     []string // the command line, but for the network and the host's name
}

// report is what the supervisor tells the server.
type report struct {
	Event string // "mounted", "running", "stopped" or "failed"
	Error string
}

// order is what the server tells a running supervisor.
type order struct {
	Stop bool
}

// supervise is the supervisor: process 1 of a process namespace, in a mount
// namespace of its own. When it ends, for whatever reason, the kernel kills
// what it started and undoes what it mounted.
func supervise(line *lifeline.Line) int {
	var p plan
	if err := line.Receive(&p); err != nil {
		return 1
	}
	s := &supervisor{plan: p, line: line, console: os.NewFile(lifeline.FirstFile, "console")}
	if err := s.run(); err != nil {
		_ = line.Send(report{Event: "failed", Error: err.Error()})
		return 1
	}
	_ = line.Send(report{Event: "stopped"})
	return 0
}

type supervisor struct {
	plan
	line                  *lifeline.Line
	console               *os.File
	rootLoop, scratchLoop string
	cgroup                *os.File // of CgroupV2, nil if the container is not started in it
	version2              bool     // the image's systemd works with control groups version 2

	mu       sync.Mutex
	nspawn   *os.Process
	stopping bool
}

// rebooted is nspawn's exit status for a guest that reboots, when it does not
// start the guest again by itself because of --keep-unit (systemd-nspawn.c).
const rebooted = 133

func (s *supervisor) run() error {
	if err := s.enter(); err != nil {
		return err
	}
	if err := s.mount(); err != nil {
		return err
	}
	network, err := s.network()
	if err != nil {
		return err
	}
	if err := s.unify(); err != nil {
		return err
	}
	go s.obey()
	for {
		again, err := s.contain(network)
		if err != nil {
			return err
		}
		if !again {
			return s.unmount()
		}
	}
}

// contain runs the container once; again says that the guest rebooted.
func (s *supervisor) contain(network []string) (again bool, err error) {
	cmd, err := s.command(network)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return false, nil
	}
	err = cmd.Start()
	s.nspawn = cmd.Process
	s.mu.Unlock()
	if err != nil {
		return false, fmt.Errorf("starting systemd-nspawn: %w", err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == rebooted:
		return true, nil
	case err != nil:
		return false, fmt.Errorf("systemd-nspawn: %w", err)
	}
	return false, nil
}

// enter makes the namespace the instance's own: limits, mounts, /proc.
func (s *supervisor) enter() error {
	for _, procs := range s.CgroupJoin {
		if err := os.WriteFile(procs, []byte("0"), 0); err != nil {
			return fmt.Errorf("joining a control group: %w", err)
		}
	}
	// The container gets its own score; its supervisor must not be the victim
	// of its memory limit.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("-900"), 0)
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := loop.DropOthers(s.Volume, s.Scratch, s.Root, s.ScratchDir, s.ResolvConf, s.Toe, s.Nspawn[0]); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	// nspawn keeps its state in folders there and leaves them behind when it
	// is killed.
	if err := os.MkdirAll("/run/systemd/nspawn", 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/run/systemd/nspawn", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=1m"); err != nil {
		return fmt.Errorf("mounting a tmpfs for systemd-nspawn: %w", err)
	}
	return nil
}

// network sets up the guest's network and gives the options that use it.
func (s *supervisor) network() ([]string, error) {
	if s.Slirp == "" {
		return nil, nil
	}
	ns, err := newNetwork(s.Slirp)
	if err != nil {
		return nil, err
	}
	return []string{"--network-namespace-path=" + ns, "--capability=CAP_NET_ADMIN"}, nil
}

// command is the container's.
func (s *supervisor) command(network []string) (*exec.Cmd, error) {
	options, err := s.bindResolvConf()
	if err != nil {
		return nil, err
	}
	options = append(options, network...)
	if name := hostname(s.Root); name != "" {
		options = append(options, "--hostname="+name)
	} else {
		options = append(options, "--hostname="+s.Hostname)
	}
	cmd := exec.Command(s.Nspawn[0], append(options, s.Nspawn[1:]...)...)
	// Like a machine, and unlike nspawn by default, a sandbox has /tmp on its
	// disk: components unpack there what would not fit in memory.
	cmd.Env = append(os.Environ(), "SYSTEMD_NSPAWN_TMPFS_TMP=0")
	if s.version2 && s.cgroup != nil {
		cmd.Env = append(cmd.Env, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
	}
	cmd.Stdout, cmd.Stderr = s.console, s.console
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if s.cgroup != nil {
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(s.cgroup.Fd())
	}
	return cmd, nil
}

// obey waits for orders. When the server is gone, so is the instance.
func (s *supervisor) obey() {
	for {
		var o order
		if err := s.line.Receive(&o); err != nil {
			if !errors.Is(err, io.EOF) {
				fmt.Fprintln(os.Stderr, "lifeline:", err)
			}
			os.Exit(1)
		}
		if o.Stop {
			s.mu.Lock()
			s.stopping = true
			if s.nspawn != nil {
				// nspawn turns it into the signal that makes the guest's
				// systemd power off.
				_ = s.nspawn.Signal(syscall.SIGTERM)
			}
			s.mu.Unlock()
		}
	}
}

// bindResolvConf gives the nspawn options that put our resolver's file over the
// guest's without changing the image.
func (s *supervisor) bindResolvConf() ([]string, error) {
	if s.ResolvConf == "" {
		return nil, nil
	}
	root, err := os.OpenRoot(s.Root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	const name = "etc/resolv.conf"
	where := "/" + name
	info, err := root.Lstat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		// A bind needs something to cover. An empty file means the same to the
		// resolver as none, and unmount removes it.
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, nil // an image without /etc has other worries
		}
		f.Close()
	case err != nil:
		return nil, fmt.Errorf("looking at the image's resolv.conf: %w", err)
	case info.Mode()&os.ModeSymlink != 0:
		target, err := root.Readlink(name)
		if err != nil {
			return nil, err
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join("/etc", target)
		}
		where = filepath.Clean(target)
		// Under /run nspawn makes the file in the guest's tmpfs; elsewhere it
		// would make one in the image.
		if !strings.HasPrefix(where, "/run/") {
			if info, err := root.Stat(name); err != nil || !info.Mode().IsRegular() {
				return nil, nil
			}
		}
	case !info.Mode().IsRegular():
		return nil, nil
	}
	return []string{"--bind-ro=" + escapeColons(s.ResolvConf) + ":" + escapeColons(where)}, nil
}
