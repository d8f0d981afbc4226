package format

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Converter turns disk files of one format into another. QEMU is the one that
// does; a faster writer of a single format can stand before it.
type Converter interface {
	// VirtualSize gives the bytes that the disk in a file has for a machine.
	VirtualSize(ctx context.Context, file string, f Format) (int64, error)

	// Convert writes the disk in src into the new file dst. On an error dst
	// is not left behind.
	Convert(ctx context.Context, src string, from Format, dst string, to Format) error
}

// QEMU is the Converter that calls qemu-img. It refuses sources that are not
// of the format that they are said to be, or that refer to other files.
type QEMU struct{}

var _ Converter = QEMU{}

// ErrNoQEMU is returned (wrapped) where qemu-img is not installed.
var ErrNoQEMU = errors.New("qemu-img is not installed (Debian package qemu-utils)")

// VirtualSize implements Converter.
func (QEMU) VirtualSize(ctx context.Context, file string, f Format) (int64, error) {
	if err := checkSource(file, f); err != nil {
		return 0, err
	}
	out, err := qemuImg(ctx, "info", "--output=json", "-f", f.driver(), plain(file))
	if err != nil {
		return 0, fmt.Errorf("looking at the disk file: %w", err)
	}
	var info struct {
		VirtualSize     int64  `json:"virtual-size"`
		BackingFilename string `json:"backing-filename"`
		FullBacking     string `json:"full-backing-filename"`
		FormatSpecific  struct {
			Data struct {
				DataFile string `json:"data-file"`
			} `json:"data"`
		} `json:"format-specific"`
	}
	if err := json.Unmarshal(out, &info); err != nil {
		return 0, fmt.Errorf("looking at the disk file: %w", err)
	}
	if info.BackingFilename != "" || info.FullBacking != "" || info.FormatSpecific.Data.DataFile != "" {
		return 0, ErrUnsafe
	}
	return info.VirtualSize, nil
}

// Convert implements Converter. VMDKs are stream-optimized and VHDs fixed, as
// the importers of clouds want them.
func (q QEMU) Convert(ctx context.Context, src string, from Format, dst string, to Format) error {
	if _, err := q.VirtualSize(ctx, src, from); err != nil {
		return fmt.Errorf("converting %s to %s: %w", from, to, err)
	}
	args := []string{"convert", "-f", from.driver(), "-O", to.driver()}
	switch to {
	case VMDK:
		args = append(args, "-o", "subformat=streamOptimized")
	case VHD:
		args = append(args, "-o", "subformat=fixed,force_size=on")
	}
	// Made here so that an existing file, or a link, is refused.
	f, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("converting %s to %s: %w", from, to, err)
	}
	f.Close()
	if _, err := qemuImg(ctx, append(args, plain(src), plain(dst))...); err != nil {
		return errors.Join(fmt.Errorf("converting %s to %s: %w", from, to, err), os.Remove(dst))
	}
	return nil
}

// checkSource holds a file to the format that it is said to be. A file that
// looks like another format may still be read as raw: guests write into their
// disks what they want.
func checkSource(file string, f Format) error {
	if f == Raw {
		return nil
	}
	found, err := DetectFile(file)
	if err != nil {
		return err
	}
	if found != f {
		return fmt.Errorf("%w: said to be %s, but it is %s", ErrUnsupported, f, found)
	}
	return nil
}

// plain keeps qemu-img from taking a file's name for options or a protocol
// ("json:…", "nbd:…").
func plain(name string) string {
	if abs, err := filepath.Abs(name); err == nil {
		name = abs
	}
	return "file:" + name
}

func qemuImg(ctx context.Context, args ...string) ([]byte, error) {
	path, err := exec.LookPath("qemu-img")
	if err != nil {
		return nil, ErrNoQEMU
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		text := strings.TrimSpace(stderr.String())
		return nil, fmt.Errorf("qemu-img %s: %w: %s", args[0], err, text[max(0, len(text)-1000):])
	}
	return stdout.Bytes(), nil
}
