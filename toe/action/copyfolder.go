package action

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// copyFolders copies a folder, or those that a wildcard matches. A folder that
// is there already is merged with: files of the same name are replaced, others
// stay. Links within are copied as links.
func copyFolders(ctx context.Context, h *Host, e Entry) (Output, error) {
	jobs, err := planFolders(h, e)
	if err != nil {
		return nil, err
	}
	for _, j := range jobs {
		h.logf("CopyFolder: %s to %s", j.from, j.to)
		if err := copyTree(ctx, j.from, j.to); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// planFolders says which folder goes where, by the rules that CopyFolder and
// MoveFolder share, and makes the parents. A destination with a separator at
// its end takes the folder under its own name; one without is the new name.
func planFolders(h *Host, e Entry) ([]transfer, error) {
	source, written := h.Path(e.String("source")), e.String("destination")
	intoFolder := strings.HasSuffix(written, "/") || strings.HasSuffix(written, `\`)
	target := h.Path(strings.TrimRight(written, `\`))
	sources := []string{source}
	if strings.Contains(filepath.Base(source), "*") {
		all, err := match(source, fs.DirEntry.IsDir)
		if err != nil {
			return nil, err
		}
		if len(all) == 0 {
			return nil, fmt.Errorf("no folder matches %s", source)
		}
		if len(all) > 1 && !intoFolder {
			return nil, fmt.Errorf("%d folders match %s; the destination must end in a separator to take them", len(all), source)
		}
		sources = all
	} else if info, err := os.Stat(source); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", source)
	}
	jobs := make([]transfer, len(sources))
	for i, s := range sources {
		jobs[i] = transfer{from: s, to: target}
		if intoFolder {
			jobs[i].to = filepath.Join(target, filepath.Base(s))
		}
		if err := checkFolderTarget(jobs[i], e.Bool("overwrite")); err != nil {
			return nil, err
		}
	}
	return jobs, os.MkdirAll(filepath.Dir(jobs[0].to), 0o777)
}

func checkFolderTarget(j transfer, overwrite bool) error {
	from, err := filepath.EvalSymlinks(j.from)
	if err != nil {
		return err
	}
	to := j.to
	if real, err := filepath.EvalSymlinks(filepath.Dir(j.to)); err == nil {
		to = filepath.Join(real, filepath.Base(j.to))
	}
	if to == from || strings.HasPrefix(to, from+string(filepath.Separator)) {
		return fmt.Errorf("the folder %s cannot go into itself (%s)", j.from, j.to)
	}
	info, err := os.Stat(j.to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("the destination %s exists and is not a folder", j.to)
	case !overwrite:
		return fmt.Errorf("the folder %s exists, and overwrite is false", j.to)
	}
	return nil
}

// copyTree copies what lies in a folder into another one.
func copyTree(ctx context.Context, from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, info.Mode().Perm()|0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := copyEntry(ctx, filepath.Join(from, e.Name()), filepath.Join(to, e.Name()), e); err != nil {
			return err
		}
	}
	return os.Chmod(to, info.Mode().Perm())
}

func copyEntry(ctx context.Context, from, to string, e fs.DirEntry) error {
	switch {
	case e.IsDir():
		return copyTree(ctx, from, to)
	case e.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return os.Symlink(target, to)
	case e.Type().IsRegular():
		// Through a link at the destination, content would go elsewhere.
		if info, err := os.Lstat(to); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			if err := os.Remove(to); err != nil {
				return err
			}
		}
		return copyFile(ctx, from, to, true)
	}
	return fmt.Errorf("%s is neither a file, a folder nor a link", from)
}
