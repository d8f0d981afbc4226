package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/internal/base"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/disk/encode"
	"github.com/goldsmith-build/goldsmith/internal/disk/format"
	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/fastlaunch"
	"github.com/goldsmith-build/goldsmith/internal/server"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// imageCommand is 'goldsmith image get|url|boot'.
func imageCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "image", Short: "Take a published disk away, or boot it here", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(imageGetCommand(), imageURLCommand(), imageBootCommand())
	return cmd
}

// published is the disk that a name stands for.
type published struct {
	disks    *server.Disks
	cfg      *config.Config
	dir      datadir.Dir
	snapshot string
	bootMode string
	copies   int // of the disk that are kept ready for launches
}

// findDisk finds the disk of an AMI, or of a parent image by its name.
func findDisk(cmd *cobra.Command, name string) (published, error) {
	cfg, data, err := existingData(cmd)
	if err != nil {
		return published{}, err
	}
	p := published{cfg: cfg, dir: data}
	if p.disks, err = server.OpenDisks(cmd.Context(), cfg, data); err != nil {
		return p, err
	}
	if !strings.HasPrefix(name, "ami-") {
		parents, err := base.Open(data.Parents(), p.disks.Store)
		if err != nil {
			return p, err
		}
		parent, ok, err := parents.Lookup(name, "x.x.x")
		if err == nil && !ok {
			err = fmt.Errorf("there is no AMI and no parent image %q in %s", name, data)
		}
		p.snapshot = parent.Snapshot
		return p, err
	}
	if _, err := os.Stat(data.Database()); err != nil && cfg.Database == "" {
		return p, fmt.Errorf("there is no %s in %s", name, data)
	}
	rows, err := server.OpenStore(cmd.Context(), cfg, data)
	if err != nil {
		return p, err
	}
	defer rows.Close()
	return p, rows.Read(cmd.Context(), func(tx *store.Tx) error {
		ami, ok, err := cloud.New(rows, nil).AMI(tx, name)
		if err != nil {
			return err
		}
		root, has := ami.Root()
		if !ok || !has {
			return fmt.Errorf("there is no %s in %s", name, data)
		}
		p.snapshot, p.bootMode = root.Manifest, ami.BootMode
		if f := ami.FastLaunch; f != nil {
			p.copies = f.Target
		}
		return nil
	})
}

// imageGetCommand is 'goldsmith image get AMI'.
func imageGetCommand() *cobra.Command {
	var name, out string
	cmd := &cobra.Command{
		Use:   "get AMI",
		Short: "Write the disk of an AMI, or of a parent image, into a file",
		Long: "Write the disk of an AMI, or of a parent image, into a file: of the data folder, where there is one; else, or with\n" +
			"--endpoint-url, it is fetched from the server that AWS clients are set up for. A fetch that was cut short leaves\n" +
			"FILE.part, and the same command goes on with it.",
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := format.Parse(name)
			if err != nil {
				return usageError{fmt.Errorf("--format: %w", err)}
			}
			if out == "" {
				out = args[0] + "." + name
			}
			if err := getDisk(cmd, args[0], out, to); err != nil {
				return err
			}
			info, err := os.Stat(out)
			if err != nil {
				return err
			}
			return printResult(cmd, map[string]any{"file": out, "format": name, "bytes": info.Size()}, fmt.Sprintf("%s (%s, %d bytes)", out, name, info.Size()))
		},
	}
	cmd.Flags().StringVar(&name, "format", "raw", "raw, qcow2, vmdk or vhd")
	cmd.Flags().StringVarP(&out, "output", "o", "", "the file to write (default AMI.FORMAT)")
	remoteFlags(cmd)
	return cmd
}

// getDisk takes a disk from the data folder, or from a server.
func getDisk(cmd *cobra.Command, name, out string, to format.Format) error {
	given, _ := cmd.Flags().GetString("endpoint-url")
	_, _, err := existingData(cmd)
	if given != "" || err != nil && os.Getenv("AWS_ENDPOINT_URL")+os.Getenv("AWS_CONFIG_FILE") != "" {
		r, err := remoteOf(cmd)
		if err != nil {
			return err
		}
		return r.fetch(cmd.Context(), name, to, out)
	}
	p, err := findDisk(cmd, name)
	if err != nil {
		return err
	}
	return p.write(cmd.Context(), out, to)
}

// write puts the disk into a new file; what fails leaves none.
func (p published) write(ctx context.Context, out string, to format.Format) (err error) {
	if to == format.Raw {
		if _, err := os.Lstat(out); err == nil {
			return fmt.Errorf("%s is there already", out)
		}
		_, err := p.disks.Volume(ctx, p.snapshot, out, 0)
		return err
	}
	from, err := p.disks.Open(ctx, p.snapshot)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(out, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return errors.Join(err, from.Close())
	}
	defer func() {
		if err = errors.Join(err, f.Close(), from.Close()); err != nil {
			err = errors.Join(err, os.Remove(out))
		}
	}()
	w := &holes{file: f}
	if to == format.VMDK {
		_, err = encode.WriteVMDK(ctx, w, from)
	} else {
		made := encode.QCOW2
		if to == format.VHD {
			made = encode.FixedVHD
		}
		var file *encode.File
		if file, err = made(from); err == nil {
			err = file.Copy(ctx, w, 0, file.Size())
		}
	}
	return errors.Join(err, f.Truncate(w.at))
}

// imageBootCommand is 'goldsmith image boot AMI'.
func imageBootCommand() *cobra.Command {
	var forwards []string
	var firmware string
	cmd := &cobra.Command{
		Use:   "boot AMI",
		Short: "Boot the disk of an AMI, or of a parent image, on a throw-away copy",
		Long: "Boot the disk of an AMI, or of a parent image, on a throw-away copy, until this command is interrupted.\n" +
			"It prints a line that begins with 'up' when the system has booted.",
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ports, err := parseForwards(forwards)
			if err != nil {
				return err
			}
			p, err := findDisk(cmd, args[0])
			if err != nil {
				return err
			}
			if firmware == "" && p.bootMode == "uefi" {
				firmware = "uefi"
			}
			return p.boot(cmd, firmware, ports)
		},
	}
	cmd.Flags().StringArrayVar(&forwards, "forward", nil, "127.0.0.1:PORT:GUESTPORT, as often as wanted; port 0 takes a free one")
	cmd.Flags().StringVar(&firmware, "firmware", "", "bios or uefi (default: the AMI's boot mode)")
	return cmd
}

// bootFolder is where the machine's folder is made: beside the copies, where
// the AMI has fast launch, so that one can be taken by its name alone.
func (p published) bootFolder() string {
	if p.copies == 0 || p.disks.FastLaunch().Count(p.snapshot) == 0 {
		return ""
	}
	return p.disks.FastLaunch().Dir
}

// takeReady takes a ready copy of the disk into a folder; "" if there is none.
func (p published) takeReady(dir string) (string, error) {
	if p.copies == 0 {
		return "", nil
	}
	to := filepath.Join(dir, "ready.raw")
	ok, err := p.disks.FastLaunch().Take(p.snapshot, to)
	if errors.Is(err, syscall.EXDEV) || err == nil && !ok {
		return "", nil
	}
	return to, err
}

// boot runs the disk until the command's context ends.
func (p published) boot(cmd *cobra.Command, firmware string, ports []instance.Forward) (err error) {
	raw, release, err := p.disks.Disk(cmd.Context(), p.snapshot)
	if err != nil {
		return err
	}
	defer release()
	toe, err := executor()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(p.bootFolder(), fastlaunch.Machine)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ready, err := p.takeReady(dir)
	if err != nil {
		return err
	}
	start := time.Now()
	kind := server.Kinds(p.cfg, p.dir)[1]
	inst, err := kind.Launch(cmd.Context(), instance.Spec{
		ID: "i-" + strings.Repeat("0", 17), Dir: dir, Volume: raw, Overlay: true, Ready: ready, Toe: toe, VCPU: 2, MemoryMiB: 2048,
		Firmware: firmware, Forwards: ports, Hostname: "goldsmith",
	})
	if err != nil {
		return err
	}
	defer inst.Kill()
	if _, err := inst.Exec(cmd.Context(), instance.Command{Argv: []string{"systemctl", "is-system-running", "--wait"}}); err != nil {
		return err
	}
	if ready != "" {
		go func() { // the next launch is to find one, too
			if err := p.disks.FastLaunch().Prepare(cmd.Context(), p.snapshot, p.copies); err != nil {
				slog.Warn("no new copy was made ready for fast launch", "err", err)
			}
		}()
	}
	line := fmt.Sprintf("up after %.1f s", time.Since(start).Seconds())
	for _, f := range ports {
		line += fmt.Sprintf(", port %d at 127.0.0.1:%d", f.Guest, f.Host)
	}
	fmt.Fprintln(cmd.OutOrStdout(), line)
	fmt.Fprintf(cmd.ErrOrStderr(), "Its console: %s\nEnd it with Ctrl-C.\n", filepath.Clean(inst.Console()))
	<-cmd.Context().Done()
	return nil
}
