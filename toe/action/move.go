package action

import (
	"context"
	"errors"
	"os"
	"syscall"
)

// moveFiles moves a file, or those that a wildcard matches. A link is moved as
// a link.
func moveFiles(ctx context.Context, h *Host, e Entry) (Output, error) {
	jobs, err := planFiles(h, e, func(path string) bool {
		info, err := os.Lstat(path)
		return err == nil && !info.IsDir()
	})
	if err != nil {
		return nil, err
	}
	for _, j := range jobs {
		h.logf("MoveFile: %s to %s", j.from, j.to)
		if err := moveFile(ctx, j); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// moveFile renames, and copies where the file systems differ.
func moveFile(ctx context.Context, j transfer) error {
	err := os.Rename(j.from, j.to)
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	info, err := os.Lstat(j.from)
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSymlink != 0 {
		target, err := os.Readlink(j.from)
		if err != nil {
			return err
		}
		_ = os.Remove(j.to)
		if err := os.Symlink(target, j.to); err != nil {
			return err
		}
		return os.Remove(j.from)
	}
	if err := copyFile(ctx, j.from, j.to, true); err != nil {
		return err
	}
	if err := keepOwner(info, j.to); err != nil {
		return err
	}
	return os.Remove(j.from)
}

// moveFolders moves a folder, or those that a wildcard matches. A folder that
// is there already is replaced: it goes when the new one is in place.
func moveFolders(ctx context.Context, h *Host, e Entry) (Output, error) {
	jobs, err := planFolders(h, e)
	if err != nil {
		return nil, err
	}
	for _, j := range jobs {
		h.logf("MoveFolder: %s to %s", j.from, j.to)
		if err := moveFolder(ctx, j); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func moveFolder(ctx context.Context, j transfer) error {
	aside := ""
	if _, err := os.Lstat(j.to); err == nil {
		aside = j.to + ".toe-replaced"
		if err := os.RemoveAll(aside); err != nil {
			return err
		}
		if err := os.Rename(j.to, aside); err != nil {
			return err
		}
	}
	err := os.Rename(j.from, j.to)
	if errors.Is(err, syscall.EXDEV) {
		if err = copyTree(ctx, j.from, j.to); err == nil {
			err = os.RemoveAll(j.from)
		} else {
			_ = os.RemoveAll(j.to)
		}
	}
	if aside == "" {
		return err
	}
	if err != nil {
		return errors.Join(err, os.Rename(aside, j.to))
	}
	return os.RemoveAll(aside)
}
