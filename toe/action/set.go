package action

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// setFileEncoding rewrites a UTF-8 file in another encoding.
func setFileEncoding(_ context.Context, h *Host, e Entry) (Output, error) {
	path := h.Path(e.String("path"))
	enc, err := encodingOf(e.String("encoding"))
	if err != nil {
		return nil, err
	}
	if err := requireFile(path); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	text, err := utf8Text.decode(b)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	h.logf("SetFileEncoding: %s to %s", path, e.String("encoding"))
	return nil, replace(path, enc.encode(text), info)
}

// replace puts new content in place of a file's old one, all or nothing, with
// the same owner and mode. A link stays, and its target is replaced.
func replace(path string, b []byte, info fs.FileInfo) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(real), ".toe-encoding-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := writeAndClose(f, b); err != nil {
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
	return nil, eachInFolder(ctx, path, e.Bool("recursive"), func(path string, _ fs.DirEntry) error { return owner.applyToLink(path) })
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
	return nil, eachInFolder(ctx, path, e.Bool("recursive"), func(path string, d fs.DirEntry) error {
		if d.Type()&fs.ModeSymlink != 0 {
			return nil // links have no mode, and their targets lie elsewhere
		}
		return os.Chmod(path, mode)
	})
}

// eachInFolder does something to a folder and, if asked to, to all that lies in
// it, the content first: a mode without x on the folder would shut it off.
// Links are handed over, not followed.
func eachInFolder(ctx context.Context, path string, recursive bool, do func(string, fs.DirEntry) error) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", path)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if recursive {
		entries, err := os.ReadDir(real)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return err
			}
			inner := filepath.Join(real, e.Name())
			if e.IsDir() {
				err = eachInFolder(ctx, inner, true, do)
			} else {
				err = do(inner, e)
			}
			if err != nil {
				return err
			}
		}
	}
	return do(real, fs.FileInfoToDirEntry(info))
}
