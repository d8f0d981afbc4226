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

// copyTree copies what lies in a folder into another one. Neither is left by
// way of links, also if somebody puts some there meanwhile.
func copyTree(ctx context.Context, from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, info.Mode().Perm()|0o700); err != nil {
		return err
	}
	source, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer target.Close()
	c := &treeCopy{ctx: ctx, from: source, to: target}
	return c.folder(".", info.Mode().Perm())
}

// treeCopy is the copy of one folder. Names are relative to both.
type treeCopy struct {
	ctx      context.Context
	from, to *os.Root
}

func (c *treeCopy) folder(name string, mode fs.FileMode) error {
	f, err := c.from.Open(name)
	if err != nil {
		return err
	}
	entries, err := f.ReadDir(-1)
	f.Close()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if err := c.entry(filepath.Join(name, e.Name()), e); err != nil {
			return err
		}
	}
	return c.to.Chmod(name, mode)
}

func (c *treeCopy) entry(name string, e fs.DirEntry) error {
	switch {
	case e.IsDir():
		info, err := e.Info()
		if err != nil {
			return err
		}
		if err := c.to.Mkdir(name, info.Mode().Perm()|0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if there, err := c.to.Stat(name); err != nil {
			return err
		} else if !there.IsDir() {
			return fmt.Errorf("the destination %s exists and is not a folder", filepath.Join(c.to.Name(), name))
		}
		return c.folder(name, info.Mode().Perm())
	case e.Type()&fs.ModeSymlink != 0:
		target, err := c.from.Readlink(name)
		if err != nil {
			return err
		}
		if err := c.to.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return c.to.Symlink(target, name)
	case e.Type().IsRegular():
		return c.file(name)
	}
	return fmt.Errorf("%s is neither a file, a folder nor a link", filepath.Join(c.from.Name(), name))
}

func (c *treeCopy) file(name string) error {
	in, err := c.from.OpenFile(name, os.O_RDONLY|noWait, 0)
	in, info, err := regular(in, err, filepath.Join(c.from.Name(), name))
	if err != nil {
		return err
	}
	defer in.Close()
	there, err := c.to.Lstat(name)
	fresh := errors.Is(err, fs.ErrNotExist)
	// Through a link at the destination, content would go elsewhere.
	if err == nil && there.Mode()&fs.ModeSymlink != 0 {
		if err := c.to.Remove(name); err != nil {
			return err
		}
	}
	out, err := c.to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|noWait, info.Mode().Perm()&0o700)
	out, _, err = regular(out, err, filepath.Join(c.to.Name(), name))
	if err != nil {
		return err
	}
	err = fill(c.ctx, out, in, info)
	if err != nil && fresh {
		_ = c.to.Remove(name)
	}
	return err
}
