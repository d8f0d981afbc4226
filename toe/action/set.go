package action

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"
)

// setFileEncoding rewrites a UTF-8 file in another encoding, piece by piece.
func setFileEncoding(ctx context.Context, h *Host, e Entry) (Output, error) {
	path := h.Path(e.String("path"))
	enc, err := encodingOf(e.String("encoding"))
	if err != nil {
		return nil, err
	}
	in, info, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	h.logf("SetFileEncoding: %s to %s", path, e.String("encoding"))
	return nil, replace(path, info, func(out io.Writer) error { return recode(out, &contextReader{ctx, in}, enc) })
}

// recode writes UTF-8 text in another encoding, without a byte order mark.
func recode(out io.Writer, in io.Reader, enc encoding) error {
	r, w := bufio.NewReaderSize(in, 64<<10), bufio.NewWriterSize(out, 64<<10)
	for first := true; ; first = false {
		c, size, err := r.ReadRune()
		if err == io.EOF {
			return w.Flush()
		}
		if err != nil {
			return err
		}
		switch {
		case c == utf8.RuneError && size == 1:
			return errors.New("the file is not UTF-8")
		case first && c == '\ufeff':
			continue
		}
		if _, err := w.Write(enc.encode(string(c))); err != nil {
			return err
		}
	}
}

// replace puts new content in place of a file's old one, all or nothing, with
// the same owner and mode. A link stays, and its target is replaced.
func replace(path string, info fs.FileInfo, content func(io.Writer) error) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(real), ".toe-encoding-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := errors.Join(content(f), f.Close()); err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(f.Name(), info.Mode()), keepOwner(info, f.Name())); err != nil {
		return err
	}
	return os.Rename(f.Name(), real)
}

// setFileOwner follows links.
func setFileOwner(_ context.Context, h *Host, e Entry) (Output, error) {
	path := h.Path(e.String("path"))
	if err := requireFile(path); err != nil {
		return nil, err
	}
	owner, err := lookupOwner(e)
	if err != nil {
		return nil, err
	}
	h.logf("SetFileOwner: %s", path)
	return nil, owner.apply(path)
}

func setFolderOwner(ctx context.Context, h *Host, e Entry) (Output, error) {
	path := h.Path(e.String("path"))
	owner, err := lookupOwner(e)
	if err != nil {
		return nil, err
	}
	h.logf("SetFolderOwner: %s", path)
	return nil, eachInFolder(ctx, path, e.Bool("recursive"), func(root *os.Root, name string, _ fs.DirEntry) error { return owner.applyIn(root, name) })
}

func setFilePermissions(_ context.Context, h *Host, e Entry) (Output, error) {
	path := h.Path(e.String("path"))
	if err := requireFile(path); err != nil {
		return nil, err
	}
	mode, err := parsePermissions(e.String("permissions"))
	if err != nil {
		return nil, err
	}
	h.logf("SetFilePermissions: %s", path)
	return nil, os.Chmod(path, mode)
}

func setFolderPermissions(ctx context.Context, h *Host, e Entry) (Output, error) {
	path := h.Path(e.String("path"))
	mode, err := parsePermissions(e.String("permissions"))
	if err != nil {
		return nil, err
	}
	h.logf("SetFolderPermissions: %s", path)
	return nil, eachInFolder(ctx, path, e.Bool("recursive"), func(root *os.Root, name string, d fs.DirEntry) error {
		if d.Type()&fs.ModeSymlink != 0 {
			return nil // links have no mode, and their targets lie elsewhere
		}
		return root.Chmod(name, mode)
	})
}

// eachInFolder does something to a folder and, if asked to, to all that lies in
// it, the content first: a mode without x on the folder would shut it off.
// Links are handed over, not followed, and the folder is not left by way of
// links that somebody puts there meanwhile.
func eachInFolder(ctx context.Context, path string, recursive bool, do func(*os.Root, string, fs.DirEntry) error) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", path)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	var visit func(name string, d fs.DirEntry) error
	visit = func(name string, d fs.DirEntry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if recursive && d.IsDir() {
			f, err := root.Open(name)
			if err != nil {
				return err
			}
			entries, err := f.ReadDir(-1)
			f.Close()
			if err != nil {
				return err
			}
			for _, e := range entries {
				if err := visit(filepath.Join(name, e.Name()), e); err != nil {
					return err
				}
			}
		}
		return do(root, name, d)
	}
	return visit(".", fs.FileInfoToDirEntry(info))
}
