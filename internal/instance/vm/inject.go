package vm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/disk/loop"
	"github.com/goldsmith-build/goldsmith/internal/disk/partition"
	"github.com/goldsmith-build/goldsmith/internal/instance/guest"
	"github.com/goldsmith-build/goldsmith/internal/instance/lifeline"
)

// injectorName is the helper that mounts a disk to change the agent's units.
const injectorName = "goldsmith-inject"

func init() { lifeline.Helper(injectorName, injector) }

// change is what the helper is to do, and the answer is a string, "" for done.
type change struct {
	Disk       string
	Offset     int64
	Size       int64
	Filesystem string
	Remove     bool
}

func injectMounted(disk string, root partition.Partition) error {
	return runInjector(change{Disk: disk, Offset: root.Offset, Size: root.Size, Filesystem: root.Filesystem})
}

func ejectMounted(disk string, root partition.Partition) error {
	return runInjector(change{Disk: disk, Offset: root.Offset, Size: root.Size, Filesystem: root.Filesystem, Remove: true})
}

// runInjector mounts the disk in a helper with a mount namespace of its own:
// if this process is killed, the mount goes with the helper.
func runInjector(c change) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("a %s file system can only be changed by root", c.Filesystem)
	}
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	cmd, line, err := lifeline.Start(injectorName, attr, nil)
	if err != nil {
		return err
	}
	defer line.Close()
	var answer string
	if err = line.Send(c); err == nil {
		err = line.Receive(&answer)
	}
	waitErr := cmd.Wait()
	switch {
	case answer != "":
		return errors.New(answer)
	case err != nil:
		return fmt.Errorf("%s: %w", injectorName, errors.Join(err, waitErr))
	}
	return waitErr
}

func injector(line *lifeline.Line) int {
	var c change
	if err := line.Receive(&c); err != nil {
		return 1
	}
	go func() {
		var nothing any
		_ = line.Receive(&nothing) // returns when the server is gone
		os.Exit(1)
	}()
	answer := ""
	if err := c.apply(); err != nil {
		answer = err.Error()
	}
	if line.Send(answer) != nil {
		return 1
	}
	return 0
}

func (c change) apply() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	// Any folder will do: nobody else sees what is mounted there.
	const dir = "/mnt"
	options := map[string]string{"xfs": "nouuid"}[c.Filesystem]
	device, err := loop.Mount(c.Disk, c.Offset, c.Size, dir, c.Filesystem, options)
	if err != nil {
		return fmt.Errorf("mounting the disk: %w", err)
	}
	err = c.change(dir)
	return errors.Join(err, loop.Unmount(dir, device, c.Disk))
}

// change works below dir and follows no link out of it.
func (c change) change(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	link := wantsDir + "/" + guest.UnitName
	if err := root.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for name, content := range units() {
		if err := root.Remove(unitDir + "/" + name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if c.Remove {
			continue
		}
		if err := root.MkdirAll(wantsDir, 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(unitDir+"/"+name, []byte(content), 0o644); err != nil {
			return err
		}
	}
	if c.Remove {
		return nil
	}
	return root.Symlink("../"+guest.UnitName, link)
}
