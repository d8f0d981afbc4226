package download

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/disk/encode"
	"github.com/goldsmith-build/goldsmith/internal/fault"
)

const (
	made   = ".vmdk"
	unmade = ".making"
)

// vmdk gives the VMDK of a disk. It is made once and kept, but for that of a
// sealed snapshot: nothing of that stays on the disk in clear.
func (d *Downloads) vmdk(ctx context.Context, from *disk.Reader, snapshot, tag string) (file, error) {
	name := filepath.Join(d.Dir, tag+made)
	sealed := disk.Sealed(snapshot)
	open := func() (*os.File, error) {
		f, err := os.Open(name)
		if err == nil {
			now := time.Now()
			_ = os.Chtimes(name, now, now) // it may be removed just now; it stays open
		}
		return f, err
	}
	if !sealed {
		if f, err := open(); !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	select {
	case d.making <- struct{}{}:
		defer func() { <-d.making }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if !sealed { // another may have made it meanwhile
		if f, err := open(); !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	f, err := d.make(ctx, from, sealed, name)
	switch {
	case errors.Is(err, encode.ErrTooLarge):
		return nil, fault.New("InvalidParameterValue", "The disk cannot be given as vmdk: %v.", err)
	case errors.Is(err, syscall.ENOSPC):
		return nil, fault.New("Unavailable", "There is no space to make the file. Ask for the format raw, qcow2 or vhd, which needs none.").Because(err)
	case err != nil:
		return nil, err
	}
	return f, d.trim(name)
}

// make writes a VMDK. That of a sealed snapshot has no name from the beginning.
func (d *Downloads) make(ctx context.Context, from *disk.Reader, sealed bool, name string) (_ *os.File, err error) {
	f, err := os.CreateTemp(d.Dir, "*"+unmade)
	if err != nil {
		return nil, fmt.Errorf("making a VMDK: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
			_ = os.Remove(f.Name())
		}
	}()
	if sealed {
		if err := os.Remove(f.Name()); err != nil {
			return nil, fmt.Errorf("making a VMDK: %w", err)
		}
	}
	if _, err = encode.WriteVMDK(ctx, f, from); err != nil {
		return nil, err
	}
	if _, err = f.Seek(0, 0); err != nil || sealed {
		return f, err
	}
	if err = f.Sync(); err == nil { // what has the name is whole, also after a power cut
		err = os.Rename(f.Name(), name)
	}
	return f, err
}

// trim removes the files that were not asked for the longest, but for one, until
// what is kept is within its bounds.
func (d *Downloads) trim(keep string) error {
	type kept struct {
		name string
		size int64
		used time.Time
	}
	var all []kept
	var total int64
	entries, err := os.ReadDir(d.Dir)
	if err != nil {
		return fmt.Errorf("looking at the VMDKs that are kept: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasSuffix(e.Name(), made) {
			continue
		}
		all = append(all, kept{filepath.Join(d.Dir, e.Name()), info.Size(), info.ModTime()})
		total += info.Size()
	}
	slices.SortFunc(all, func(a, b kept) int { return cmp.Or(a.used.Compare(b.used), strings.Compare(a.name, b.name)) })
	for _, k := range all {
		if total <= d.KeepBytes || k.name == keep {
			continue
		}
		if err := os.Remove(k.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing a VMDK: %w", err)
		}
		total -= k.size
	}
	return nil
}

// sweep makes the folder and removes what was not finished.
func (d *Downloads) sweep() error {
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return fmt.Errorf("opening the folder of VMDKs: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(d.Dir, "*"+unmade))
	for _, name := range left {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}
