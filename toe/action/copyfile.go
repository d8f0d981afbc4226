package action

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// copyFiles copies a file, or those that a wildcard matches, and keeps their
// permission bits. A link is followed.
func copyFiles(ctx context.Context, h *Host, e Entry) (Output, error) {
	jobs, err := planFiles(h, e, func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && info.Mode().IsRegular()
	})
	if err != nil {
		return nil, err
	}
	for _, j := range jobs {
		h.logf("CopyFile: %s to %s", j.from, j.to)
		if err := copyFile(ctx, j.from, j.to, e.Bool("overwrite")); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// transfer is one file of a copy or move.
type transfer struct{ from, to string }

// planFiles says which file goes where, by the rules that CopyFile and
// MoveFile share, and makes the folder they go to.
func planFiles(h *Host, e Entry, wanted func(path string) bool) ([]transfer, error) {
	source, written := h.Path(e.String("source")), e.String("destination")
	target := h.Path(written)
	intoFolder := strings.HasSuffix(written, "/") || strings.HasSuffix(written, `\`)
	if strings.HasSuffix(written, `\`) {
		target = h.Path(strings.TrimRight(written, `\`))
	}
	sources := []string{source}
	if strings.Contains(filepath.Base(source), "*") {
		all, err := match(source, func(d fs.DirEntry) bool { return wanted(filepath.Join(filepath.Dir(source), d.Name())) })
		if err != nil {
			return nil, err
		}
		if len(all) == 0 {
			return nil, fmt.Errorf("no file matches %s", source)
		}
		if len(all) > 1 && !intoFolder {
			return nil, fmt.Errorf("%d files match %s; the destination must end in a separator to take them", len(all), source)
		}
		sources = all
	} else if err := requireFile(source); err != nil {
		return nil, err
	}
	folder := target
	if !intoFolder {
		folder = filepath.Dir(target)
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, err
	}
	jobs := make([]transfer, len(sources))
	for i, s := range sources {
		jobs[i] = transfer{from: s, to: target}
		if intoFolder {
			jobs[i].to = filepath.Join(target, filepath.Base(s))
		}
		if err := checkTarget(jobs[i], e.Bool("overwrite")); err != nil {
			return nil, err
		}
	}
	return jobs, nil
}

func checkTarget(j transfer, overwrite bool) error {
	info, err := os.Stat(j.to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("the destination %s is a folder; end it in a separator to copy into it", j.to)
	}
	if !overwrite {
		return fmt.Errorf("the file %s exists, and overwrite is false", j.to)
	}
	if source, err := os.Stat(j.from); err == nil && os.SameFile(source, info) {
		return fmt.Errorf("%s and %s are the same file", j.from, j.to)
	}
	return nil
}

// copyFile copies content and permission bits. A copy that fails half way is
// removed unless the file was there before.
func copyFile(ctx context.Context, from, to string, overwrite bool) (err error) {
	in, info, err := openFile(from)
	if err != nil {
		return err
	}
	defer in.Close()
	_, statErr := os.Lstat(to)
	fresh := errors.Is(statErr, fs.ErrNotExist)
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if !overwrite {
		flags |= os.O_EXCL
	}
	out, err := createRegular(to, flags, info.Mode().Perm()&0o700)
	if err != nil {
		return err
	}
	err = fill(ctx, out, in, info)
	if err != nil && fresh {
		_ = os.Remove(to)
	}
	return err
}

// fill copies content and permission bits into an open file, and closes it.
func fill(ctx context.Context, out, in *os.File, info fs.FileInfo) error {
	_, err := io.Copy(out, &contextReader{ctx, in})
	if err == nil {
		err = out.Chmod(info.Mode().Perm())
	}
	return errors.Join(err, out.Close())
}

// contextReader stops reading once the context has ended.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
