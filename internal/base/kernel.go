package base

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/disk/rootfs"
)

// maxKernel bounds a kernel or initial RAM disk, bytes.
const maxKernel = 512 << 20

// Kernel gives the paths of a parent's newest kernel and initial RAM disk
// (initrd is "" where it has none), taken out of its disk: something stock to
// boot without a boot loader. They are kept, and the paths stay good.
func (s *Store) Kernel(ctx context.Context, p Parent) (vmlinuz, initrd string, err error) {
	vmlinuz, initrd, err = s.kernel(ctx, p)
	if err != nil {
		return "", "", fmt.Errorf("taking the kernel out of parent image %s/%s/%d: %w", p.Name, p.Version, p.Build, err)
	}
	return vmlinuz, initrd, nil
}

func (s *Store) kernel(ctx context.Context, p Parent) (vmlinuz, initrd string, err error) {
	digits, ok := strings.CutPrefix(p.Snapshot, "sha256:")
	if !ok || checkName(digits) != nil {
		return "", "", fmt.Errorf("bad snapshot id %q", p.Snapshot)
	}
	dir := filepath.Join(s.dir, ".kernels", digits)
	if vmlinuz, initrd, ok = kernelFiles(dir); ok {
		return vmlinuz, initrd, nil
	}
	work, remove, err := s.workFolder()
	if err != nil {
		return "", "", err
	}
	defer remove()
	if err := s.extractKernel(ctx, p, work); err != nil {
		return "", "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", "", err
	}
	// Another caller may have been faster; its files are the same.
	if err := os.Rename(filepath.Join(work, "kernel"), dir); err != nil && !errors.Is(err, fs.ErrExist) {
		if vmlinuz, initrd, ok = kernelFiles(dir); ok {
			return vmlinuz, initrd, nil
		}
		return "", "", err
	}
	if vmlinuz, initrd, ok = kernelFiles(dir); !ok {
		return "", "", fmt.Errorf("%s: %w", dir, fs.ErrNotExist)
	}
	return vmlinuz, initrd, nil
}

// kernelFiles finds what extractKernel made.
func kernelFiles(dir string) (vmlinuz, initrd string, ok bool) {
	vmlinuz, initrd = filepath.Join(dir, "vmlinuz"), filepath.Join(dir, "initrd.img")
	if _, err := os.Stat(vmlinuz); err != nil {
		return "", "", false
	}
	if _, err := os.Stat(initrd); err != nil {
		initrd = ""
	}
	return vmlinuz, initrd, true
}

func (s *Store) extractKernel(ctx context.Context, p Parent, work string) error {
	raw, release, err := s.disks.Disk(ctx, p.Snapshot)
	if err != nil {
		return err
	}
	defer release()
	root, err := rootfs.Open(raw)
	if err != nil {
		return err
	}
	defer root.Close()
	names, err := root.ReadDir(ctx, "/boot")
	if err != nil {
		return err
	}
	vmlinuz, initrd, err := kernelNames(names)
	if err != nil {
		return err
	}
	dir := filepath.Join(work, "kernel")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if initrd != "" {
		if err := extract(ctx, root, "/boot/"+initrd, filepath.Join(dir, "initrd.img")); err != nil {
			return err
		}
	}
	return extract(ctx, root, "/boot/"+vmlinuz, filepath.Join(dir, "vmlinuz"))
}

func extract(ctx context.Context, root *rootfs.FS, from, to string) error {
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = root.Copy(ctx, from, f, maxKernel)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
